package dispatch

import (
	"maps"
	"slices"

	"github.com/auricle-dev/auricle/host/apps"
)

// Replace puts other apps in the place of those that the Dispatcher runs, for
// sessions that are open too. An app that is in both goes on as if nothing had
// happened.
//
// One of the same name that is another *apps.App is a new version: it takes
// over at the next event, what waits included. Its breaker and its counts begin
// anew, and what the app kept for sessions is lost, of which it is told.
//
// Of an app that is not there any more, or that a user has no longer, the
// realtime work that waits is dropped, and conversation events that wait are
// answered as deferred, both with ReasonNotInstalled. A session buffers audio
// from then on if one of its apps is to get it.
//
// retire is called once for each app that was replaced or removed, when its
// last invocation has ended: by Replace, or later on a worker. Drain waits for
// that. One Replace at a time.
func (d *Dispatcher) Replace(as []*apps.App, retire func(*apps.App)) {
	d.replace(entries(as), func(e entry) { retire(e.installed) })
}

func (d *Dispatcher) replace(es []entry, retire func(entry)) {
	var idle []func()
	install := func(l *lane, e entry) {
		if f := l.install(e, retire); f != nil {
			idle = append(idle, f)
		}
	}
	next := make([]*lane, len(es))
	d.mu.Lock()
	for i, e := range es {
		l := d.byName[e.name]
		if l == nil {
			l = newLane(d, e.name)
			d.byName[e.name] = l
		}
		install(l, e)
		next[i] = l
	}
	for _, l := range d.current() {
		if !slices.Contains(next, l) {
			install(l, entry{name: l.name, app: nobody{}})
		}
	}
	d.lanes.Store(&next)
	sessions := slices.Collect(maps.Keys(d.sessions))
	d.mu.Unlock()
	for _, s := range sessions { // the others were opened with next
		s.refit()
	}
	for _, f := range idle {
		f()
	}
}

// Refit gives the open sessions of a user the apps that the user has now, after
// Options.Choices says another thing of that user. What is dropped is dropped
// with ReasonSwitchedOff, or ReasonNotInstalled where the configuration decides.
// An app that comes back finds nothing of what it kept for the session.
func (d *Dispatcher) Refit(uid string) {
	var sessions []*Session
	d.mu.Lock()
	for s := d.ofUser[uid]; s != nil; s = s.next {
		sessions = append(sessions, s)
	}
	d.mu.Unlock()
	for _, s := range sessions { // those opened since have seen it
		s.refit()
	}
}
