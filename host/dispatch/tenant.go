package dispatch

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/sdk/event"
)

// tenant is the app that has a lane for now, with what is known of it: its
// breaker and its counts. Another version of the app is another tenant.
type tenant struct {
	entry
	stats stats

	// Guarded by the lane's mu.
	breaker breaker
	users   int    // invocations, from before they begin until their results are handed over
	retire  func() // non-nil once it lost its lane: for the last of the users to call
}

// nobody has the lane of an app that is not installed any more.
type nobody struct{}

func (nobody) Serves(string) bool          { return false }
func (nobody) Holds(event.Capability) bool { return false }
func (nobody) AudioPiece() time.Duration   { return 0 }
func (nobody) AudioLatest() bool           { return false }
func (nobody) Invoke(context.Context, apps.Event) (apps.Invocation, error) {
	return apps.Invocation{}, errors.New("dispatch: the app is not installed any more")
}

// lacks returns why the app is not to have a user's events of kind k; "" when
// it is.
func (t *tenant) lacks(l *lane, uid string, k event.Kind) string {
	if !t.app.Holds(event.Capability(k.String())) {
		return ReasonNotInstalled
	}
	return l.without(t, uid)
}

// without returns why a user has not the app, which t is: by the user's own
// choice, else by the configuration; "" when the user has it.
func (l *lane) without(t *tenant, uid string) string {
	if t.app == (nobody{}) {
		return ReasonNotInstalled
	}
	if c := l.d.options.Choices; c != nil {
		switch on, chosen := c.Choice(uid, l.name); {
		case on && chosen:
			return ""
		case chosen:
			return ReasonSwitchedOff
		}
	}
	if t.app.Serves(uid) {
		return ""
	}
	return ReasonNotInstalled
}

// ran is the Attempt of an invocation.
func (t *tenant) ran(inv apps.Invocation) Attempt {
	a := Attempt{Invocation: inv}
	if t.installed != nil {
		sum := t.installed.Module.SHA256()
		a.Module, a.Version = hex.EncodeToString(sum[:]), t.installed.Manifest.Version
	}
	return a
}

// now returns who has the lane.
func (l *lane) now() *tenant { return l.tenant.Load() }

// install gives the lane to e, unless e has it. It returns what is to be called
// then, without a lock: retire, for the tenant before, if nobody uses that.
// Otherwise the last of its users calls it.
func (l *lane) install(e entry, retire func(entry)) (idle func()) {
	t := &tenant{entry: e}
	t.stats.init(l.name, l.d.metrics)
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.tenant.Load()
	if old != nil && old.app == e.app {
		return nil
	}
	l.tenant.Store(t)
	if old == nil || old.app == (nobody{}) {
		return nil
	}
	f := func() { retire(old.entry) }
	if old.users == 0 {
		return f
	}
	old.retire = f
	return nil
}

// enter returns who has the lane, who is not retired before leave.
func (l *lane) enter() *tenant {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tenant.Load()
	t.users++
	return t
}

func (l *lane) leave(t *tenant) {
	l.mu.Lock()
	t.users--
	var last func()
	if t.users == 0 {
		last, t.retire = t.retire, nil
	}
	l.mu.Unlock()
	if last != nil {
		l.protect("retiring an app", last)
	}
}
