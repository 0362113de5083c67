package dispatch

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Call is one call of an app's tool, which somebody waits for.
type Call struct {
	App string // the app's name
	UID string // for whom
	// Version is the app that the payload was made for: while another has its
	// name the call is refused with ReasonReplaced. Nil is any.
	Version *apps.App
	Payload []byte        // an event.ToolCall
	Wait    time.Duration // for a worker, at most; 0 or less is as long as ctx
}

// The reasons of a CallError, besides ReasonNotInstalled, ReasonSwitchedOff,
// ReasonQueueFull, ReasonBreakerOpen, ReasonShutdown and ReasonHostError.
const (
	ReasonReplaced   = "replaced"    // another version of the app was installed meanwhile
	ReasonLate       = "late"        // no worker was free within Call.Wait
	ReasonCallerGone = "caller_gone" // whoever called did not wait for the end
)

// CallError says why a call did not run to its end.
type CallError struct {
	App    string
	Reason string    // one of the Reason constants
	Until  time.Time // with ReasonBreakerOpen: when to try again
	Err    error     // with ReasonHostError and ReasonCallerGone: what happened; else nil
}

// Error names the app and the reason.
func (e *CallError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("calling a tool of app %q: %s: %v", e.App, e.Reason, e.Err)
	}
	return fmt.Sprintf("calling a tool of app %q: %s", e.App, e.Reason)
}

// Unwrap returns what happened.
func (e *CallError) Unwrap() error { return e.Err }

// Call calls a tool and waits for what becomes of it. It runs on the pool, in
// the app's bulkhead and behind its breaker as every other event, on fresh
// state. An app that a user has not, or that may not have tools, is not called.
//
// The error is a *CallError: the call did not run, or was ended with ctx, and
// its effects are discarded. What ran is in the Invocation, whatever its
// outcome. An error that the app itself answers does not count for its breaker:
// it may be about what was asked. Each call that got as far as the app's queue
// is counted as one outcome. Drain waits for calls.
func (d *Dispatcher) Call(ctx context.Context, c Call) (apps.Invocation, error) {
	l := d.lane(c.App)
	if l == nil {
		return apps.Invocation{}, &CallError{App: c.App, Reason: ReasonNotInstalled}
	}
	if reason := l.now().lacks(l, c.UID, event.KindTool); reason != "" {
		return apps.Invocation{}, &CallError{App: c.App, Reason: reason}
	}
	r := &call{Call: c, ctx: ctx, done: make(chan struct{})}
	if refused := l.submitCall(r); refused != "" {
		l.now().stats.drop(Gap{App: l.name, Kind: event.KindTool, Reason: refused})
		return apps.Invocation{}, &CallError{App: c.App, Reason: refused}
	}
	var late <-chan time.Time
	if c.Wait > 0 {
		t := time.NewTimer(c.Wait)
		defer t.Stop()
		late = t.C
	}
	reason, cause := ReasonCallerGone, error(nil)
	select {
	case <-r.done:
		return r.inv, r.err
	case <-ctx.Done():
		cause = ctx.Err()
	case <-late:
		reason = ReasonLate
	}
	if r.taken.CompareAndSwap(false, true) { // its turn had not come
		l.now().stats.drop(Gap{App: l.name, Kind: event.KindTool, Reason: reason})
		return apps.Invocation{}, &CallError{App: c.App, Reason: reason, Err: cause}
	}
	<-r.done // ends soon after ctx, and within the app's limits
	return r.inv, r.err
}

// call is a Call on its way. Whoever sets taken says what becomes of it, once.
type call struct {
	Call
	ctx   context.Context
	taken atomic.Bool
	done  chan struct{} // closed when inv and err are set
	inv   apps.Invocation
	err   error
}

// submitCall queues a task for r, behind the mailboxes that wait already. It
// returns ReasonQueueFull or ReasonShutdown when there is none.
func (l *lane) submitCall(r *call) (refused string) {
	if l.d.draining.Load() || !l.d.work.enter() {
		return ReasonShutdown
	}
	l.waiting.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.overflow) == 0 {
		if _, ok := l.pool.TrySubmit(func() { l.runCall(r) }); ok {
			return ""
		}
	}
	l.waiting.Add(-1)
	l.d.work.leave()
	return ReasonQueueFull
}

// runCall is a pool task: one call.
func (l *lane) runCall(r *call) {
	defer l.d.work.leave()
	l.occupy(func() {
		if !r.taken.CompareAndSwap(false, true) {
			return // the caller has gone
		}
		defer close(r.done)
		l.protect("calling a tool", func() {
			r.err = &CallError{App: l.name, Reason: ReasonHostError} // unless it comes to an end
			r.inv, r.err = l.call(r)
		})
	})
	l.pump()
}

// call runs one call, if the app may have it and the breaker lets it.
func (l *lane) call(r *call) (apps.Invocation, error) {
	t := l.enter()
	defer l.leave(t)
	refuse := func(reason string, err error) (apps.Invocation, error) {
		t.stats.drop(Gap{App: l.name, Kind: event.KindTool, Reason: reason})
		return apps.Invocation{}, &CallError{App: l.name, Reason: reason, Err: err}
	}
	if l.d.ctx.Err() != nil {
		return refuse(ReasonShutdown, nil)
	}
	if reason := t.lacks(l, r.UID, event.KindTool); reason != "" {
		return refuse(reason, nil)
	}
	if r.Version != nil && t.installed != r.Version {
		// Not counted: the caller makes the call anew.
		return apps.Invocation{}, &CallError{App: l.name, Reason: ReasonReplaced}
	}
	l.mu.Lock()
	now := time.Now()
	ok, probe := t.breaker.admit(now)
	until := t.breaker.next(now)
	l.mu.Unlock()
	if !ok {
		inv, err := refuse(ReasonBreakerOpen, nil)
		err.(*CallError).Until = until
		return inv, err
	}
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	defer context.AfterFunc(l.d.ctx, cancel)()
	inv, err := l.invokeCall(ctx, t, r)
	at := time.Now()
	if err != nil {
		l.settle(t, at, void, probe)
		switch {
		case l.d.ctx.Err() != nil:
			return refuse(ReasonShutdown, nil)
		case r.ctx.Err() != nil:
			return refuse(ReasonCallerGone, r.ctx.Err())
		}
		t.stats.hostError()
		l.log.Error("a call of a tool could not be run", "error", err)
		return refuse(ReasonHostError, err)
	}
	verdict := bad
	switch inv.Outcome {
	case plugins.OK:
		verdict = good
	case plugins.AppError:
		verdict = void
	}
	l.settle(t, at, verdict, probe)
	t.stats.invocation(event.KindTool, &inv)
	l.say(inv)
	return inv, nil
}

// invokeCall calls the app. A panic, which is the host's fault, is an error.
func (l *lane) invokeCall(ctx context.Context, t *tenant, r *call) (inv apps.Invocation, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("panic, a fault of the host's: please report it", "while", "invoking", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return t.app.Invoke(ctx, apps.Event{Kind: event.KindTool, UID: r.UID, Payload: r.Payload, Lend: l.d.lend})
}

// LacksTools returns why a user can't call an app's tools: ReasonSwitchedOff or
// ReasonNotInstalled; "" when the user can.
func (d *Dispatcher) LacksTools(uid, app string) string {
	return d.lacks(uid, app, event.KindTool)
}
