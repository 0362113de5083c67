// Package clock calls functions when their time has come: any number of alarms
// on one goroutine and one timer. Thousands of streams and sessions each wait
// for something (a pong, silence, a grace period) and almost always in vain; a
// goroutine or a runtime timer for each would be what they cost most.
//
// An [Alarm] is set again and again, and lies in what it belongs to. Alarms
// ring in the order of their times, never early, and late only by what those
// before them take.
//
// Concurrency: all methods may be called concurrently, also from within an
// alarm's function. These run on the clock's goroutine, one at a time, with no
// lock of this package held, and must not block: one that does delays every
// other. An alarm that is stopped or set anew while it is about to ring may
// ring all the same, so its function looks whether its time has come.
//
// It imports nothing of ours and knows nothing of streams or sessions.
package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Clock rings alarms. Make one with New; Close ends its goroutine.
type Clock struct {
	wake chan struct{} // holds at most one signal: the first alarm is another
	quit chan struct{}
	done chan struct{}

	mu     sync.Mutex // guards what follows, and every Alarm's at and index
	alarms alarms
	closed bool
}

// New returns a Clock that runs.
func New() *Clock {
	c := &Clock{wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go c.run() // ends with Close, which waits for it
	return c
}

// Close stops every alarm, for good: what is set after never rings. It waits
// for the function that runs, so none may call it.
func (c *Clock) Close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		for _, a := range c.alarms {
			a.index = unset
		}
		c.alarms = nil
		close(c.quit)
	}
	c.mu.Unlock()
	<-c.done
}

// Len returns how many alarms are set.
func (c *Clock) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.alarms)
}

func (c *Clock) run() {
	defer close(c.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next, ok := c.ring()
		if ok {
			timer.Reset(next)
		} else {
			timer.Stop()
		}
		select {
		case <-timer.C:
		case <-c.wake:
		case <-c.quit:
			return
		}
	}
}

// ring calls what is due, and returns the time until the next alarm; false when
// none is set.
func (c *Clock) ring() (next time.Duration, ok bool) {
	for {
		a, next, ok := c.due()
		if a == nil {
			return next, ok
		}
		a.f()
	}
}

// due takes off the first alarm if its time has come. Otherwise it returns the
// time until then.
func (c *Clock) due() (a *Alarm, next time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.alarms) == 0 {
		return nil, 0, false
	}
	if left := time.Until(c.alarms[0].at); left > 0 {
		return nil, left, true
	}
	return heap.Pop(&c.alarms).(*Alarm), 0, true
}

// Alarm calls its function once its time has come. Call Init first; it must not
// be copied after.
type Alarm struct {
	clock *Clock
	f     func()

	at    time.Time // guarded by the clock's mu, as is index
	index int       // its place in clock.alarms; unset when it is in none
}

const unset = -1

// Init makes a an alarm of c that calls f. It is not set.
func (a *Alarm) Init(c *Clock, f func()) { a.clock, a.f, a.index = c, f, unset }

// Set has the alarm ring once, at t, and not when it was set to before.
func (a *Alarm) Set(t time.Time) {
	c := a.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	a.at = t
	if a.index == unset {
		heap.Push(&c.alarms, a)
	} else {
		heap.Fix(&c.alarms, a.index)
	}
	if a.index == 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// In is Set to a time d from now.
func (a *Alarm) In(d time.Duration) { a.Set(time.Now().Add(d)) }

// IsSet reports whether the alarm is to ring.
func (a *Alarm) IsSet() bool {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	return a.index != unset
}

// Stop has the alarm not ring, unless it is about to.
func (a *Alarm) Stop() {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	if a.index != unset {
		heap.Remove(&a.clock.alarms, a.index)
	}
}

// alarms is a heap: the first rings first.
type alarms []*Alarm

func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop are heap.Interface's.
func (h *alarms) Push(x any) {
	a := x.(*Alarm)
	a.index = len(*h)
	*h = append(*h, a)
}

func (h *alarms) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.index = unset
	return a
}
