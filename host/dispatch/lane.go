package dispatch

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/hashicorp/go-hclog"
)

// lane is one app's share of the Dispatcher: its bulkhead. It goes by the app's
// name; its tenant changes when another version of the app is installed.
type lane struct {
	d    *Dispatcher
	name string
	log  hclog.Logger
	pool pond.Pool // the bulkhead: PerApp tasks at once, Queue waiting

	tenant atomic.Pointer[tenant] // changed with mu held only

	running, waiting atomic.Int64 // tasks on a worker, mailboxes waiting for one

	mu       sync.Mutex // guards all below
	overflow []*mailbox // wait for room in pool's queue, in order; each at most once
	due      int        // items that are due and wait in mailboxes, at most Options.Queue
}

// newLane returns a lane that is to be given a tenant.
func newLane(d *Dispatcher, name string) *lane {
	l := &lane{d: d, name: name, log: d.log.Named(name)}
	l.pool = d.pool.NewSubpool(d.options.PerApp, pond.WithQueueSize(d.options.Queue), pond.WithNonBlocking(true))
	return l
}

// submit queues a task for m. Where the queue is full it returns
// ReasonQueueFull, or with keep set lets m wait in the overflow; after the end
// it returns ReasonShutdown. The caller holds m.mu.
func (l *lane) submit(m *mailbox, keep bool) (refused string) {
	if !l.d.work.enter() {
		return ReasonShutdown
	}
	l.waiting.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.overflow) == 0 && l.start(m) {
		return ""
	}
	if keep {
		l.overflow = append(l.overflow, m)
		return ""
	}
	l.waiting.Add(-1)
	l.d.work.leave()
	return ReasonQueueFull
}

// start gives the pool a task for m unless its queue is full.
func (l *lane) start(m *mailbox) bool {
	_, ok := l.pool.TrySubmit(func() { l.run(m) })
	return ok
}

// pump moves mailboxes from the overflow to the pool's queue. Every task ends
// with it, and whatever is in the overflow came there while tasks were queued,
// so none waits for ever.
func (l *lane) pump() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.overflow) > 0 && l.start(l.overflow[0]) {
		l.overflow[0] = nil
		l.overflow = l.overflow[1:]
	}
}

// run is a pool task: one event of m's.
func (l *lane) run(m *mailbox) {
	defer l.d.work.leave()
	l.d.places.take()
	l.waiting.Add(-1)
	l.running.Add(1)
	l.d.runs(1)
	l.protect("running an event", func() {
		w, ok, gaps := m.take()
		m.tell(gaps)
		if ok {
			l.handle(&w)
		}
	})
	l.d.runs(-1)
	l.running.Add(-1)
	l.d.places.give()
	m.finish()
	l.pump()
}

// protect runs f and keeps a panic of our own, or of a callback, from ending
// the process.
func (l *lane) protect(doing string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			l.now().stats.hostError()
			l.log.Error("panic, a fault of the host's: please report it", "while", doing, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// handle runs one event, if the app may have it and the breaker lets it.
func (l *lane) handle(w *work) {
	if l.d.ctx.Err() != nil {
		l.skip(w, ReasonShutdown)
		return
	}
	t := l.enter()
	defer l.leave(t)
	if reason := t.lacks(l, w.m.session.o.UID, w.kind); reason != "" {
		l.skip(w, reason)
		return
	}
	l.mu.Lock()
	now := time.Now()
	ok, probe := t.breaker.admit(now)
	until := t.breaker.next(now)
	l.mu.Unlock()
	switch {
	case ok:
	case w.item == nil:
		l.reject(w)
		return
	default:
		l.answer(w.item, Attempt{Deferred: ReasonBreakerOpen, Until: until})
		return
	}
	inv, err := l.invoke(t, w)
	at := time.Now()
	switch {
	case err != nil:
		l.settle(t, at, void, probe)
		l.unjudged(t, w, err)
		return
	case inv.Outcome == plugins.OK:
		l.settle(t, at, good, probe)
	default:
		l.settle(t, at, bad, probe)
	}
	t.stats.invocation(w.kind, &inv)
	l.say(inv)
	if w.item != nil {
		l.answer(w.item, t.ran(inv))
		return
	}
	if deliver := w.m.session.o.Deliver; deliver != nil {
		l.protect("delivering an invocation", func() { deliver(inv) })
	}
}

// invoke calls the app. A panic, which is the host's fault, is an error.
func (l *lane) invoke(t *tenant, w *work) (inv apps.Invocation, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("panic, a fault of the host's: please report it", "while", "invoking", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if w.m.tenant != t {
		// What was kept is another version's.
		w.m.state, w.m.tenant = w.m.state.Renew(), t
	}
	s := w.m.session
	ev := apps.Event{Kind: w.kind, UID: s.o.UID, Session: s.o.ID, Conversation: w.conversation, State: &w.m.state, Lend: l.d.lend}
	if ev.Payload, err = w.payload(); err != nil {
		return inv, err
	}
	return t.app.Invoke(l.d.ctx, ev)
}

// unjudged deals with an event whose invocation says nothing about the app.
func (l *lane) unjudged(t *tenant, w *work, err error) {
	if l.d.ctx.Err() != nil {
		l.skip(w, ReasonShutdown)
		return
	}
	t.stats.hostError()
	l.log.Error("an event could not be run", "event", w.kind, "session", w.m.session.o.ID, "error", err)
	if w.item == nil {
		l.skip(w, ReasonHostError)
		return
	}
	l.answer(w.item, w.m.unrun(w.conversation, fmt.Sprintf("on %s: it could not be run, by a fault of the host's: %v", w.kind, err)))
}

// unrun is the Attempt of a conversation event that the host could not run, by
// a fault of its own.
func (m *mailbox) unrun(conversation, why string) Attempt {
	o := &m.session.o
	return Attempt{Deferred: ReasonHostError, Invocation: apps.Invocation{
		ID: apps.NewInvocationID(), App: m.lane.name, Kind: event.KindConversation,
		UID: o.UID, Session: o.ID, Conversation: conversation, At: time.Now(), Outcome: apps.Dropped,
		Err: fmt.Sprintf("app %q: %s", m.lane.name, why),
	}}
}

// skip drops a realtime event, and puts a conversation event off.
func (l *lane) skip(w *work, reason string) {
	if w.item != nil {
		l.answer(w.item, Attempt{Deferred: reason})
		return
	}
	if w.kind == event.KindAudio {
		w.m.lose(w)
	}
	w.m.tell([]Gap{w.gap(reason)})
}

// reject drops a realtime event because the breaker is open, and with it all
// other audio that is ready.
func (l *lane) reject(w *work) {
	for {
		l.skip(w, ReasonBreakerOpen)
		if w.kind != event.KindAudio {
			return
		}
		w.m.mu.Lock()
		next, ok := w.m.takeAudio()
		w.m.mu.Unlock()
		if !ok {
			return
		}
		w = &next
	}
}

// take counts one more item that is due, unless as many wait as may.
func (l *lane) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.due >= l.d.options.Queue {
		return false
	}
	l.due++
	return true
}

// gone is called when an item that is due leaves its mailbox.
func (l *lane) gone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due--
}

// answer says what became of a conversation event that the tally holds.
func (l *lane) answer(it *item, a Attempt) {
	l.tell(it.answers, a)
	l.d.work.leave()
}

// tell hands an Attempt to whom it is for.
func (l *lane) tell(to *answers, a Attempt) {
	a.App = l.name
	if a.Deferred != "" {
		l.now().stats.deferred(a.Deferred)
	}
	l.protect("answering for a conversation", func() { to.call(a) })
	to.give()
}

// say logs an invocation. What an app says and why it failed may hold a user's
// words: never above debug.
func (l *lane) say(inv apps.Invocation) {
	if !l.log.IsDebug() {
		return
	}
	l.log.Debug("invocation", "invocation", inv.ID, "event", inv.Kind, "session", inv.Session, "conversation", inv.Conversation,
		"outcome", inv.Outcome, "fuel", inv.Fuel, "wall", inv.Wall, "error", inv.Err, "stack", inv.Stack)
	for _, line := range inv.Log {
		l.log.Debug("app says", "invocation", inv.ID, "level", line.Level, "text", line.Text)
	}
	if inv.LogCut > 0 {
		l.log.Debug("app's log was cut", "invocation", inv.ID, "bytes", inv.LogCut)
	}
}

// settle tells the breaker how an admitted invocation ended.
func (l *lane) settle(t *tenant, now time.Time, v verdict, probe bool) {
	l.mu.Lock()
	changed := t.breaker.settle(now, v, probe)
	tripped := t.breaker.tripped
	l.mu.Unlock()
	switch {
	case changed && tripped:
		l.log.Warn("breaker open: the app keeps failing and is not called", "failures", breakerFailures, "for", breakerOpenFor)
	case changed:
		l.log.Info("breaker closed: the app works again")
	}
}

// room is Dispatcher.Room for this lane.
func (l *lane) room(now time.Time) Room {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.now().breaker
	switch {
	case l.due >= l.d.options.Queue:
		return Room{Deferred: ReasonQueueFull}
	case !b.tripped:
		return Room{Runs: l.d.options.PerApp}
	}
	if until := b.next(now); until.After(now) {
		return Room{Deferred: ReasonBreakerOpen, Until: until}
	}
	return Room{Runs: 1}
}

// payload returns the event as the app reads it.
func (w *work) payload() ([]byte, error) {
	switch w.kind {
	case event.KindAudio:
		s := w.m.session.o
		a := event.Audio{
			Rate: s.Rate, Channels: 1, Start: w.piece.Start, Dropped: w.piece.Dropped,
			Session: s.ID, Conversation: w.conversation, UID: s.UID, PCM: w.piece.PCM,
		}
		return a.AppendBinary(nil)
	case event.KindTranscript:
		return json.Marshal(w.transcript)
	}
	return w.item.payload, nil
}
