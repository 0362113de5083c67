package stream

import (
	"sync"
	"time"

	"github.com/auricle-dev/auricle/host/clock"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// gapInterval is the least time between two gap messages about one app.
const gapInterval = time.Second

// gaps adds up what was dropped for each app, so that a flood of drops is no
// flood of messages. The first drop is told at once; what follows within
// gapInterval is told when that is over. It holds at most one entry for each
// app, kind and reason.
type gaps struct {
	send  func(wire.Gap)
	alarm clock.Alarm // to the first of apps' at

	mu     sync.Mutex // guards what follows; held across send, which takes only the outbox's lock
	apps   map[string]*appGaps
	closed bool
}

type appGaps struct {
	at      time.Time  // when the next may be told
	waiting []wire.Gap // in order of their first drop
}

func (g *gaps) init(c *clock.Clock, send func(wire.Gap)) {
	g.send = send
	g.alarm.Init(c, g.tick)
}

func (g *gaps) add(d dispatch.Gap) {
	n := wire.Gap{App: d.App, Event: d.Kind.String(), Bytes: d.Bytes, Segments: d.Segments, Reason: d.Reason}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	a := g.apps[n.App]
	if a == nil {
		if g.apps == nil {
			g.apps = make(map[string]*appGaps)
		}
		a = new(appGaps)
		g.apps[n.App] = a
		g.send(n)
		a.at = time.Now().Add(gapInterval)
		g.set()
		return
	}
	for i := range a.waiting {
		if w := &a.waiting[i]; w.Event == n.Event && w.Reason == n.Reason {
			w.Bytes += n.Bytes
			w.Segments += n.Segments
			return
		}
	}
	a.waiting = append(a.waiting, n)
}

// tick tells of the next drop of each app whose time has come, and forgets an
// app when there is none.
func (g *gaps) tick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	now := time.Now()
	for app, a := range g.apps {
		if a.at.After(now) {
			continue
		}
		if len(a.waiting) == 0 {
			delete(g.apps, app)
			continue
		}
		g.send(a.waiting[0])
		a.waiting = a.waiting[1:]
		a.at = now.Add(gapInterval)
	}
	g.set()
}

// set sets the alarm to the first app's time. mu is held.
func (g *gaps) set() {
	var first time.Time
	for _, a := range g.apps {
		if first.IsZero() || a.at.Before(first) {
			first = a.at
		}
	}
	if !first.IsZero() {
		g.alarm.Set(first)
	}
}

// close tells of all that waits, and of nothing after.
func (g *gaps) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.alarm.Stop()
	for _, a := range g.apps {
		for _, w := range a.waiting {
			g.send(w)
		}
	}
	g.apps = nil
}
