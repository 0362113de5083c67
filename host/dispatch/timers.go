package dispatch

import (
	"sync"
	"time"
)

// timers holds what is to happen later. Each entry runs on a goroutine of its
// own when it is due; stop waits for those that have begun.
type timers struct {
	late func(due time.Time) bool // events due then are refused

	wg sync.WaitGroup // entries that are pending or running

	mu      sync.Mutex // guards all below
	stopped bool
	pending map[*delayed]struct{}
}

type delayed struct {
	due   time.Time
	timer *time.Timer
	item  *item // the conversation event that is to be tried; nil for another matter
}

func newTimers(late func(time.Time) bool) *timers {
	return &timers{late: late, pending: map[*delayed]struct{}{}}
}

// after runs f in delay, for it or, when that is nil, for another matter. It
// reports false, and does not run f, after stop and for an event too late.
func (t *timers) after(delay time.Duration, it *item, f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	due := time.Now().Add(delay)
	if t.stopped || it != nil && t.late(due) {
		return false
	}
	e := &delayed{due: due, item: it}
	t.pending[e] = struct{}{}
	t.wg.Add(1)
	e.timer = time.AfterFunc(delay, func() {
		defer t.wg.Done()
		t.mu.Lock()
		_, mine := t.pending[e]
		delete(t.pending, e)
		t.mu.Unlock()
		if mine {
			f()
		}
	})
	return true
}

// take removes and returns the events whose due time late accepts.
func (t *timers) take(late func(due time.Time) bool) []*item {
	t.mu.Lock()
	defer t.mu.Unlock()
	var taken []*item
	for e := range t.pending {
		if e.item != nil && late(e.due) {
			t.drop(e)
			taken = append(taken, e.item)
		}
	}
	return taken
}

// stop drops what is pending and waits for what is running.
func (t *timers) stop() {
	t.mu.Lock()
	t.stopped = true
	for e := range t.pending {
		t.drop(e)
	}
	t.mu.Unlock()
	t.wg.Wait()
}

// drop forgets e. The caller holds t.mu.
func (t *timers) drop(e *delayed) {
	delete(t.pending, e)
	if e.timer.Stop() {
		t.wg.Done() // its function never runs
	}
}
