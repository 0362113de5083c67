package dispatch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
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

// How often a conversation event is tried, and how far apart.
const (
	maxAttemptsSlow = 5 // after deadline_exceeded or a fault of the host's
	maxAttempts     = 2 // after another outcome
	firstBackoff    = 500 * time.Millisecond
	maxBackoff      = 30 * time.Second
	backoffJitter   = 0.2
)

const shutdownText = "the host shut down before the app had dealt with it"

// lane is one app's share of the Dispatcher: its bulkhead, its breaker and its
// counts.
type lane struct {
	d *Dispatcher
	entry
	log   hclog.Logger
	pool  pond.Pool // the bulkhead: PerApp tasks at once, Queue waiting
	stats stats

	running, waiting atomic.Int64 // tasks on a worker, mailboxes waiting for one

	mu       sync.Mutex // guards all below
	overflow []*mailbox // wait for room in pool's queue, in order; each at most once
	breaker  breaker
	parked   []*item // conversation events that wait for the breaker
	armed    bool    // a timer will release one of parked
}

func newLane(d *Dispatcher, e entry) *lane {
	l := &lane{d: d, entry: e, log: d.log.Named(e.name)}
	l.pool = d.pool.NewSubpool(d.options.PerApp, pond.WithQueueSize(d.options.Queue), pond.WithNonBlocking(true))
	l.stats.init(e.name, d.metrics)
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
	l.waiting.Add(-1)
	l.running.Add(1)
	n := l.d.running.Add(1)
	for peak := l.d.peak.Load(); n > peak && !l.d.peak.CompareAndSwap(peak, n); peak = l.d.peak.Load() {
	}
	l.protect("running an event", func() {
		w, ok, gaps := m.take()
		m.tell(gaps)
		if ok {
			l.handle(&w)
		}
	})
	l.d.running.Add(-1)
	l.running.Add(-1)
	m.finish()
	l.pump()
}

// protect runs f and keeps a panic of our own, or of a callback, from ending
// the process.
func (l *lane) protect(doing string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			l.stats.hostError()
			l.log.Error("panic, a fault of the host's: please report it", "while", doing, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// handle runs one event, if the breaker lets it.
func (l *lane) handle(w *work) {
	if l.d.ctx.Err() != nil {
		l.skip(w, ReasonShutdown)
		return
	}
	ok, probe, late := l.admit(w.item)
	switch {
	case ok:
	case w.item == nil:
		l.reject(w)
		return
	case late:
		l.abandon(w.item)
		return
	default: // parked
		return
	}
	inv, err := l.invoke(w)
	at := time.Now()
	switch {
	case err != nil:
		l.settle(at, void, probe)
		l.unjudged(w, err)
		return
	case inv.Outcome == plugins.OK:
		l.settle(at, good, probe)
	default:
		l.settle(at, bad, probe)
	}
	l.stats.invocation(w.kind, &inv)
	if w.item == nil {
		inv.Attempt, inv.Final = 1, true
		l.deliver(w.m, inv)
		return
	}
	l.tried(w.item, inv)
}

// invoke calls the app. A panic, which is the host's fault, is an error.
func (l *lane) invoke(w *work) (inv apps.Invocation, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("panic, a fault of the host's: please report it", "while", "invoking", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	s := w.m.session
	ev := apps.Event{Kind: w.kind, UID: s.o.UID, Session: s.o.ID, Conversation: w.conversation, State: &w.m.state}
	if ev.Payload, err = w.payload(); err != nil {
		return inv, err
	}
	return l.app.Invoke(l.d.ctx, ev)
}

// unjudged deals with an event whose invocation says nothing about the app.
func (l *lane) unjudged(w *work, err error) {
	if l.d.ctx.Err() != nil {
		l.skip(w, ReasonShutdown)
		return
	}
	l.stats.hostError()
	l.log.Error("an event could not be run", "event", w.kind, "session", w.m.session.o.ID, "error", err)
	if w.item == nil {
		l.skip(w, ReasonHostError)
		return
	}
	l.tried(w.item, l.unrun(w.item, fmt.Sprintf("it could not be run, by a fault of the host's: %v", err)))
}

// skip drops a realtime event, and gives a conversation event up.
func (l *lane) skip(w *work, reason string) {
	if w.item != nil {
		l.abandon(w.item)
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

// tried deals with an attempt of a conversation event that has ended.
func (l *lane) tried(it *item, inv apps.Invocation) {
	it.attempts++
	inv.Attempt = it.attempts
	most := maxAttempts
	if inv.Outcome == plugins.DeadlineExceeded || inv.Outcome == apps.Dropped {
		most = maxAttemptsSlow
	}
	if inv.Outcome == plugins.OK || it.attempts >= most {
		l.close(it, inv)
		l.d.work.leave()
		return
	}
	l.deliver(it.m, inv)
	it.answered()
	l.stats.retry()
	if !l.d.timers.after(backoff(it.attempts), it, func() { it.m.put(it) }) {
		l.abandon(it)
	}
}

// backoff returns how long to wait after so many attempts.
func backoff(attempts int) time.Duration {
	d := min(firstBackoff<<min(attempts-1, 16), maxBackoff)
	return time.Duration(float64(d) * (1 + backoffJitter*(2*rand.Float64()-1)))
}

// close delivers the last word on a conversation event.
func (l *lane) close(it *item, inv apps.Invocation) {
	inv.Final = true
	if inv.Outcome != plugins.OK {
		l.stats.failed()
		l.log.Error("a conversation was given up for this app", "conversation", it.conversation,
			"session", it.m.session.o.ID, "outcome", inv.Outcome, "attempts", inv.Attempt, "invocation", inv.ID)
	}
	l.deliver(it.m, inv)
	it.answered()
	it.m.settled()
}

// refuse gives up a conversation event that the Dispatcher's tally does not
// hold.
func (l *lane) refuse(it *item, why string) {
	l.stats.outcome(event.KindConversation, apps.Dropped)
	l.close(it, l.unrun(it, why))
}

// abandon gives up a conversation event because the host shuts down.
func (l *lane) abandon(it *item) {
	l.d.given.Add(1)
	l.refuse(it, shutdownText)
	l.d.work.leave()
}

// unrun returns the invocation that stands for one that did not take place.
func (l *lane) unrun(it *item, why string) apps.Invocation {
	s := it.m.session
	return apps.Invocation{
		ID: apps.NewInvocationID(), App: l.name, Kind: event.KindConversation,
		UID: s.o.UID, Session: s.o.ID, Conversation: it.conversation,
		Attempt: it.attempts, At: time.Now(), Outcome: apps.Dropped,
		Err: fmt.Sprintf("app %q: on %s: %s", l.name, event.KindConversation, why),
	}
}

// deliver logs an invocation and hands it to the session. What an app says
// and why it failed may hold a user's words: never above debug.
func (l *lane) deliver(m *mailbox, inv apps.Invocation) {
	if l.log.IsDebug() {
		l.log.Debug("invocation", "invocation", inv.ID, "event", inv.Kind, "session", inv.Session, "conversation", inv.Conversation,
			"outcome", inv.Outcome, "attempt", inv.Attempt, "fuel", inv.Fuel, "wall", inv.Wall, "error", inv.Err, "stack", inv.Stack)
		for _, line := range inv.Log {
			l.log.Debug("app says", "invocation", inv.ID, "level", line.Level, "text", line.Text)
		}
		if inv.LogCut > 0 {
			l.log.Debug("app's log was cut", "invocation", inv.ID, "bytes", inv.LogCut)
		}
	}
	if m.session.o.Deliver != nil {
		l.protect("delivering an invocation", func() { m.session.o.Deliver(inv) })
	}
}

// admit asks the breaker whether an event may run now. A conversation event
// (it non-nil) that may not is parked until it may, and counts as answered;
// late says that this would be after the host's end, so that it was not.
func (l *lane) admit(it *item) (ok, probe, late bool) {
	l.mu.Lock()
	now := time.Now()
	ok, probe = l.breaker.admit(now)
	if ok || it == nil {
		l.mu.Unlock()
		return ok, probe, false
	}
	if l.d.tooLate(l.nextTry(now)) {
		l.mu.Unlock()
		return false, false, true
	}
	answer := it.answer
	it.answer = nil
	l.parked = append(l.parked, it)
	l.arm(now)
	l.mu.Unlock()
	if answer != nil {
		answer.give()
	}
	return false, false, false
}

// nextTry returns when the breaker lets something through. The caller holds
// l.mu.
func (l *lane) nextTry(now time.Time) time.Time {
	if l.breaker.tripped && !l.breaker.probing && l.breaker.until.After(now) {
		return l.breaker.until
	}
	return now
}

// arm makes sure that a timer releases one of parked when the breaker is next
// half-open. While its probe runs none is needed: settle follows. The caller
// holds l.mu.
func (l *lane) arm(now time.Time) {
	if l.armed || len(l.parked) == 0 || l.breaker.probing {
		return
	}
	l.armed = l.d.timers.after(l.breaker.until.Sub(now), nil, l.wake)
}

// wake releases one parked event, to be the probe.
func (l *lane) wake() {
	l.mu.Lock()
	l.armed = false
	n, now := 0, time.Now()
	switch {
	case l.breaker.probing: // settle follows
	case l.breaker.until.After(now): // it opened anew meanwhile
		l.arm(now)
	default:
		n = 1 // and what becomes of it releases the others
	}
	l.releaseAndUnlock(n)
}

// releaseAndUnlock puts up to n parked events back into their mailboxes.
func (l *lane) releaseAndUnlock(n int) {
	n = min(n, len(l.parked))
	free := l.parked[:n:n]
	l.parked = l.parked[n:]
	l.mu.Unlock()
	for _, it := range free {
		it.m.put(it)
	}
}

// settle tells the breaker how an admitted invocation ended.
func (l *lane) settle(now time.Time, v verdict, probe bool) {
	l.mu.Lock()
	changed := l.breaker.settle(now, v, probe)
	tripped := l.breaker.tripped
	n := 0
	switch {
	case changed && !tripped:
		n = len(l.parked)
	case changed:
		l.arm(now)
	case probe: // its place is free again
		n = 1
	}
	l.releaseAndUnlock(n)
	switch {
	case changed && tripped:
		l.log.Warn("breaker open: the app keeps failing and is not called", "failures", breakerFailures, "for", breakerOpenFor)
	case changed:
		l.log.Info("breaker closed: the app works again")
	}
}

// takeParked removes and returns the parked events whose next try is at a time
// that late accepts.
func (l *lane) takeParked(late func(time.Time) bool) []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !late(l.nextTry(time.Now())) {
		return nil
	}
	its := l.parked
	l.parked = nil
	return its
}

// abandon gives the event up in its own lane.
func (it *item) abandon() { it.m.lane.abandon(it) }

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
