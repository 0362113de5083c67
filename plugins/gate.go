package plugins

import (
	"context"
	"sync"
)

// gate counts the users of something that can be closed, and lets it go when
// it is closed and the last of them has left.
type gate struct {
	release func() // run once, by whoever comes last: the closer or the last user

	mu     sync.Mutex // guards users and closed; never held while release runs
	users  int
	closed bool
	done   chan struct{} // closed after release returned
}

func newGate(release func()) *gate {
	return &gate{release: release, done: make(chan struct{})}
}

// enter reports whether the gate is still open; if so, leave must follow.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.users++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	g.users--
	last := g.closed && g.users == 0
	g.mu.Unlock()
	if last {
		g.finish()
	}
}

// close lets nobody in any more. It does not wait.
func (g *gate) close() {
	g.mu.Lock()
	last := !g.closed && g.users == 0
	g.closed = true
	g.mu.Unlock()
	if last {
		g.finish()
	}
}

func (g *gate) finish() {
	g.release()
	close(g.done)
}

// wait returns nil once everything is released, ctx.Err() if ctx ends before.
func (g *gate) wait(ctx context.Context) error {
	select {
	case <-g.done:
		return nil
	default:
	}
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
