package apps

import (
	"context"
	"crypto/sha256"
	"reflect"
	"slices"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
)

// Change is what a new configuration makes of a Set, loaded and checked and
// not yet in force. Plan makes it.
type Change struct {
	// Names, in the configuration's order; Removed in that of the one before.
	Kept, Added, Changed, Removed []string

	set  *Set
	next []*App
}

// Plan loads what a new configuration changes. An app whose block says the
// same as before, wherever it stands in the file, and whose module's file has
// the same bytes is kept as it is, and goes on with its instances and what it
// keeps for sessions. Problems are as of Load. With a Fault among them there
// is no Change, what was loaded is closed again, and nothing is different.
//
// One Plan at a time, followed by its Apply or Discard.
func (s *Set) Plan(ctx context.Context, e *plugins.Engine, cs []config.App) (*Change, config.Problems) {
	running := map[string]*App{}
	now := s.now()
	for _, a := range now {
		running[a.Name] = a
	}
	next, problems := loadAll(ctx, e, cs, running)
	if problems.HasFault() {
		discard(next, now)
		return nil, problems
	}
	c := &Change{set: s, next: next}
	for _, a := range next {
		switch running[a.Name] {
		case a:
			c.Kept = append(c.Kept, a.Name)
			continue
		case nil:
			c.Added = append(c.Added, a.Name)
		default:
			c.Changed = append(c.Changed, a.Name)
		}
		a.KeepRecordings(s.keeper)
		a.countCalls(s.calls)
	}
	for _, a := range now {
		if !slices.ContainsFunc(next, func(n *App) bool { return n.Name == a.Name }) {
			c.Removed = append(c.Removed, a.Name)
		}
	}
	return c, problems
}

// Apply puts the Change in force: from then on it is what the Set holds. The
// Set lets go of the apps that were changed or removed without closing them;
// who calls them closes each when its last invocation has ended.
func (c *Change) Apply() {
	c.set.mu.Lock()
	defer c.set.mu.Unlock()
	c.set.apps = c.next
}

// Discard closes what was loaded for a Change that is not to be.
func (c *Change) Discard() { discard(c.next, c.set.now()) }

// discard closes the apps that are not running.
func discard(as, running []*App) {
	fresh := slices.DeleteFunc(slices.Clone(as), func(a *App) bool { return a == nil || slices.Contains(running, a) })
	// Nothing runs in them, so that this neither waits nor fails.
	_ = closeAll(context.Background(), fresh)
}

// is reports whether a is what a block of the configuration asks for, with the
// module wasm. Where the block stands and where the module lies is no matter;
// neither is the pinned hash, which says nothing about what the app does.
func (a *App) is(c config.App, wasm []byte) bool {
	was := a.config
	was.Pos, c.Pos = config.AppPos{}, config.AppPos{}
	was.HTTP, c.HTTP = was.HTTP.WithoutPos(), c.HTTP.WithoutPos()
	was.Module, c.Module = "", ""
	was.SHA256, c.SHA256 = "", ""
	return a.Module.SHA256() == sha256.Sum256(wasm) && reflect.DeepEqual(was, c)
}
