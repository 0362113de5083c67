package apps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/space"
)

// Storage is where apps' values last, by app and user.
type Storage interface {
	// Values returns what an app keeps for a user, and the revision of it.
	Values(ctx context.Context, app, uid string) (space.Values, uint64, error)
	// PutValues keeps all of v in the place of the revision after; false when
	// that is not the newest. It is durable when it returns. An error says that
	// it is not known whether it was kept, or a *space.QuotaError that there is
	// more than can be.
	PutValues(ctx context.Context, app, uid string, v space.Values, after uint64) (bool, error)
}

const (
	// keepTimeout bounds the keeping of what an invocation has written: it comes
	// after the invocation's own time.
	keepTimeout = 5 * time.Second

	// keepTries is how often it is tried where others write the same space.
	keepTries = 32
)

// errContended says that others wrote the same space each time.
var errContended = errors.New("others are writing the same space")

// storage is a Storage with what keeps the invocations of one host from racing
// each other.
type storage struct {
	Storage
	seed  maphash.Seed
	turns [64]chan struct{} // one write at a time of the spaces of each
}

func newStorage(s Storage) *storage {
	st := &storage{Storage: s, seed: maphash.MakeSeed()}
	for i := range st.turns {
		st.turns[i] = make(chan struct{}, 1)
	}
	return st
}

// keep makes changes to the space as it is now.
func (s *storage) keep(ctx context.Context, app, uid string, changes space.Changes, q space.Quota) error {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	turn := s.turns[maphash.String(s.seed, app+"\x00"+uid)%uint64(len(s.turns))]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for others who write: %w", ctx.Err())
	}
	for range keepTries {
		now, revision, err := s.Values(ctx, app, uid)
		if err != nil {
			return err
		}
		next, err := changes.Apply(now, q)
		if err != nil {
			return err
		}
		if maps.EqualFunc(now, next, func(a, b []byte) bool { return slices.Equal(a, b) }) {
			return nil // it is there already
		}
		if kept, err := s.PutValues(ctx, app, uid, next, revision); kept || err != nil {
			return err
		}
	}
	return errContended
}

// quota bounds what the app may keep for a user: the operator's, or the default.
func (a *App) quota() space.Quota {
	return space.Quota{
		MaxBytes: cmp.Or(a.config.Storage.MaxBytes, space.DefaultQuota.MaxBytes),
		MaxKeys:  cmp.Or(a.config.Storage.MaxKeys, space.DefaultQuota.MaxKeys),
	}
}

// stored answers a request of capability storage. An error ends the invocation.
func (g *guest) stored(ctx context.Context, r event.Request, body []byte) (event.Response, []byte, error) {
	if !g.app.Holds(event.CapStorage) {
		return refused(event.CodeNotGranted, "the operator did not grant %s", event.CapStorage), nil, nil
	}
	if g.view == nil {
		// One reading, so that all that an invocation sees is of one moment.
		began := time.Now()
		values, _, err := g.app.storage.Values(ctx, g.app.Name, g.uid)
		if err != nil {
			// An app that asked too late has missed its deadline. One that had time
			// enough left has not: the store has.
			if ctx.Err() == nil || time.Since(began) >= g.wall/2 {
				g.fault = fmt.Errorf("reading its storage: %w", err)
			}
			return event.Response{}, nil, err
		}
		g.view = space.NewView(values, g.app.quota())
	}
	resp, out := g.view.Answer(r, body)
	return resp, out, nil
}

// keep makes what the invocation has written last. An error that is neither
// *space.QuotaError nor *space.NumberError is the host's.
func (g *guest) keep(ctx context.Context) error {
	if g.view == nil || len(g.view.Changes()) == 0 {
		return nil
	}
	return g.app.storage.keep(ctx, g.app.Name, g.uid, g.view.Changes(), g.app.quota())
}

// kept makes what an invocation that ended ok has written last, and says what
// the invocation is then: the app's failure if there is no room any more, an
// error of the host's if the store does not take it.
func (g *guest) kept(ctx context.Context) (o plugins.Outcome, why string, err error) {
	err = g.keep(ctx)
	var full *space.QuotaError
	var number *space.NumberError
	switch {
	case err == nil:
		return plugins.OK, "", nil
	case errors.As(err, &full), errors.As(err, &number):
		return plugins.AppError, "keeping what it stored: " + printable(err.Error()), nil
	}
	return "", "", fmt.Errorf("app %q: keeping what it stored: %w", g.app.Name, err)
}

// MemoryStorage is a Storage that lasts as long as the process: for an author's
// own machine. Its zero value is empty. It is safe for concurrent use.
type MemoryStorage struct {
	mu    sync.Mutex // guards all below
	space map[[2]string]remembered
}

type remembered struct {
	values   space.Values
	revision uint64
}

// Values returns what was last put.
func (m *MemoryStorage) Values(_ context.Context, app, uid string) (space.Values, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.space[[2]string{app, uid}]
	return r.values, r.revision, nil
}

// PutValues never returns an error.
func (m *MemoryStorage) PutValues(_ context.Context, app, uid string, v space.Values, after uint64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := [2]string{app, uid}
	if m.space[of].revision != after {
		return false, nil
	}
	if m.space == nil {
		m.space = map[[2]string]remembered{}
	}
	m.space[of] = remembered{v, after + 1}
	return true, nil
}

// KeepValues has the apps' values kept in s, also those of apps that a Change
// brings. It must be called before the first Invoke; without it they are kept in
// memory, each app's by itself.
func (s *Set) KeepValues(to Storage) {
	s.storage = newStorage(to)
	for _, a := range s.now() {
		a.storage = s.storage
	}
}
