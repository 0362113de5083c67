package store

import (
	"context"
	"sync"
	"time"
)

// link is whether a connection stands, and a way to wait for either.
type link struct {
	mu     sync.Mutex // guards all below
	up     chan struct{}
	isUp   bool
	alive  context.Context // ends when the connection breaks
	cancel context.CancelFunc
}

func newLink() *link {
	l := &link{up: make(chan struct{})}
	l.alive, l.cancel = context.WithCancel(context.Background())
	l.cancel()
	return l
}

// made notes that the connection stands.
func (l *link) made() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isUp {
		return
	}
	l.isUp = true
	l.alive, l.cancel = context.WithCancel(context.Background())
	close(l.up)
}

// broke notes that it does not.
func (l *link) broke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isUp {
		return
	}
	l.isUp = false
	l.up = make(chan struct{})
	l.cancel()
}

// standing returns a channel that is closed once the connection stands.
func (l *link) standing() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// life returns a context that ends when the connection which stands now
// breaks; it has ended when none does.
func (l *link) life() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alive
}

// backoff is how long to wait before asking a server again. Its zero is the
// first wait.
type backoff time.Duration

// The bounds of a backoff.
const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = time.Second
)

// next is the wait after this one.
func (b backoff) next() backoff { return min(max(b, backoff(minBackoff))*2, backoff(maxBackoff)) }

// wait returns nil when the time is over, or ctx's error.
func (b backoff) wait(ctx context.Context) error {
	return pause(ctx, time.Duration(max(b, backoff(minBackoff))))
}

// pause returns nil when d is over, or ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
