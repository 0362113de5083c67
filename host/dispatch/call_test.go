package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

var callable = []event.Capability{event.CapTools}

// reasonOf is the reason of a CallError; "" without an error.
func reasonOf(t *testing.T, err error) string {
	t.Helper()
	var refused *dispatch.CallError
	if err == nil {
		return ""
	}
	if !errors.As(err, &refused) {
		t.Fatalf("%v is no *CallError", err)
	}
	return refused.Reason
}

// ring calls app "a" for u beside the test, and returns where its end is told.
func ring(t *testing.T, ctx context.Context, d *dispatch.Dispatcher, wait time.Duration) <-chan string {
	ended := make(chan string, 1)
	go func() { // ends with the call
		inv, err := d.Call(ctx, dispatch.Call{App: "a", UID: "u", Wait: wait})
		if err != nil {
			ended <- reasonOf(t, err)
			return
		}
		ended <- string(inv.Outcome)
	}()
	return ended
}

// counted fails unless the outcomes of app "a" are these.
func counted(t *testing.T, d *dispatch.Dispatcher, want map[plugins.Outcome]int64) {
	t.Helper()
	got := appStats(t, d, "a").Outcomes
	for o, n := range want {
		if got[o] != n {
			t.Errorf("%s: counted %d, want %d (%v)", o, got[o], n, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

func TestCallsOfWhoMayNot(t *testing.T) {
	a := &fakeApp{name: "a", caps: callable, users: []string{"u"}}
	b := &fakeApp{name: "b", caps: everything}
	d := start(t, dispatch.Options{}, a, b)
	defer drain(t, d)
	for _, c := range []struct{ reason, app, uid, want string }{
		{"has it", "a", "u", ""},
		{"another user", "a", "v", dispatch.ReasonNotInstalled},
		{"no such app", "x", "u", dispatch.ReasonNotInstalled},
		{"tools are not granted", "b", "u", dispatch.ReasonNotInstalled},
	} {
		_, err := d.Call(t.Context(), dispatch.Call{App: c.app, UID: c.uid})
		if got := reasonOf(t, err); got != c.want || d.LacksTools(c.uid, c.app) != c.want {
			t.Errorf("%s: got %q, and lacks %q, want %q", c.reason, got, d.LacksTools(c.uid, c.app), c.want)
		}
	}
	counted(t, d, map[plugins.Outcome]int64{plugins.OK: 1})
	if n := len(a.called()); n != 1 {
		t.Errorf("called %d times", n)
	}
}

func TestACallWaitsInTheBulkheadAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: callable, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 4, PerApp: 1, Queue: 2}, a)
		defer drain(t, d)
		first := ring(t, t.Context(), d, 0)
		synctest.Wait()
		began := time.Now()
		late := ring(t, t.Context(), d, 10*time.Second)
		ctx, hangUp := context.WithCancel(t.Context())
		gone := ring(t, ctx, d, time.Hour)
		synctest.Wait()
		if got := <-ring(t, t.Context(), d, 0); got != dispatch.ReasonQueueFull {
			t.Errorf("the fourth: %q", got)
		}
		hangUp()
		if got := <-gone; got != dispatch.ReasonCallerGone {
			t.Errorf("who hung up: %q", got)
		}
		if got := <-late; got != dispatch.ReasonLate || time.Since(began) != 10*time.Second {
			t.Errorf("got %q after %v", got, time.Since(began))
		}
		a.release <- plugins.OK
		if got := <-first; got != "ok" {
			t.Errorf("the first: %q", got)
		}
		synctest.Wait()
		counted(t, d, map[plugins.Outcome]int64{plugins.OK: 1, apps.Dropped: 3})
		if n := len(a.called()); n != 1 {
			t.Errorf("called %d times; those whose callers had gone must not run", n)
		}
	})
}

func TestACallEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: callable, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		ctx, hangUp := context.WithCancel(t.Context())
		c := ring(t, ctx, d, 0)
		synctest.Wait()
		hangUp()
		if got := <-c; got != dispatch.ReasonCallerGone {
			t.Errorf("got %q", got)
		}
		counted(t, d, map[plugins.Outcome]int64{apps.Dropped: 1})
	})
}

func TestWhatAnAppAnswersDoesNotOpenItsBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outcome := plugins.AppError
		a := &fakeApp{name: "a", caps: callable, does: func(context.Context, apps.Event) (plugins.Outcome, error) { return outcome, nil }}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		for range 2 * dispatch.BreakerFailures {
			if got := <-ring(t, t.Context(), d, 0); got != "app_error" {
				t.Fatalf("got %q", got)
			}
		}
		outcome = plugins.Trap
		for range dispatch.BreakerFailures {
			<-ring(t, t.Context(), d, 0)
		}
		_, err := d.Call(t.Context(), dispatch.Call{App: "a", UID: "u"})
		var refused *dispatch.CallError
		if !errors.As(err, &refused) || refused.Reason != dispatch.ReasonBreakerOpen || time.Until(refused.Until) != dispatch.BreakerOpenFor {
			t.Fatalf("after traps: %v", err)
		}
		time.Sleep(dispatch.BreakerOpenFor)
		outcome = plugins.OK
		if got := <-ring(t, t.Context(), d, 0); got != "ok" {
			t.Errorf("the probe: %q", got)
		}
		counted(t, d, map[plugins.Outcome]int64{plugins.AppError: 10, plugins.Trap: 5, plugins.OK: 1, apps.Rejected: 1})
	})
}

func TestDrainWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: callable, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		c := ring(t, t.Context(), d, 0)
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- d.Drain(t.Context()) }() // ends with the call
		synctest.Wait()
		if got := <-ring(t, t.Context(), d, 0); got != dispatch.ReasonShutdown {
			t.Errorf("while draining: %q", got)
		}
		select {
		case err := <-drained:
			t.Fatalf("Drain returned %v before the call had ended", err)
		default:
		}
		a.release <- plugins.OK
		if got := <-c; got != "ok" {
			t.Errorf("got %q", got)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}
