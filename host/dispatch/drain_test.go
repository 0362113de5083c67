package dispatch_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

func TestDrainRunsWhatWaitsAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		s.Transcript(say("c", "1", "one"))
		s.Complete(event.Conversation{ID: "c"})
		synctest.Wait()
		result := make(chan error)
		go func() { result <- d.Drain(t.Context()) }()
		synctest.Wait()
		s.Transcript(say("c", "2", "two"))
		s.Audio("c", pcm(0, 800))
		want := []dispatch.Gap{
			{App: "a", Kind: event.KindTranscript, Segments: 1, Reason: dispatch.ReasonShutdown},
			{App: "a", Kind: event.KindAudio, Bytes: 1600, Reason: dispatch.ReasonShutdown},
		}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		a.release <- plugins.OK
		synctest.Wait()
		a.release <- plugins.Trap // and its retry is waited for
		synctest.Wait()
		select {
		case err := <-result:
			t.Fatalf("Drain returned %v before the retry", err)
		default:
		}
		a.release <- plugins.OK
		if err := <-result; err != nil {
			t.Error(err)
		}
		if err := d.Drain(t.Context()); err != nil {
			t.Errorf("a second Drain: %v", err)
		}
		if got := l.invocations(); len(got) != 3 || got[2].Outcome != plugins.OK || got[2].Attempt != 2 {
			t.Errorf("invocations %+v", got)
		}
	})
}

func TestDrainGivesUpWhenItsTimeEndsAndSaysWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 1}, a)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		first := s.Complete(event.Conversation{ID: "c1"})
		synctest.Wait()
		second := s.Complete(event.Conversation{ID: "c2"})
		s.Transcript(say("c3", "1", "one"))
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := d.Drain(ctx)
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("Drain took %v, want its 20 s", took)
		}
		if err == nil || !strings.Contains(err.Error(), "2 conversation events were given up") {
			t.Errorf("Drain: %v", err)
		}
		if !isDone(first) || !isDone(second) {
			t.Error("Complete's channels are open")
		}
		for i, inv := range l.invocations() {
			if inv.Outcome != apps.Dropped || !inv.Final || inv.Attempt != 0 || !strings.Contains(inv.Err, "shut down") || inv.ID == "" || inv.UID != "u" {
				t.Errorf("invocation %d: %+v", i, inv)
			}
		}
		if len(l.invocations()) != 2 || len(a.called()) != 1 || d.Pool().Running != 0 {
			t.Errorf("%d delivered, %d called, %d running", len(l.invocations()), len(a.called()), d.Pool().Running)
		}
		// Afterwards a completion is answered at once, as given up.
		if !isDone(s.Complete(event.Conversation{ID: "c4"})) {
			t.Error("the channel of a Complete after Drain is open")
		}
		if got := l.invocations(); len(got) != 3 || got[2].Conversation != "c4" || got[2].Outcome != apps.Dropped || !got[2].Final {
			t.Errorf("invocations %+v", got)
		}
	})
}

func TestDrainDoesNotWaitForTriesBeyondItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, does: answers(append(fails(5), plugins.OK)...)}
		d := start(t, dispatch.Options{}, a)
		openBreaker(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Complete(event.Conversation{ID: "c1"}) // waits for the breaker: 30 s
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := d.Drain(ctx); err == nil || time.Since(began) != 0 {
			t.Errorf("Drain: %v after %v, want the event given up at once", err, time.Since(began))
		}
		if got := l.invocations(); len(got) != 1 || !got[0].Final {
			t.Errorf("invocations %+v", got)
		}
	})
}

func TestDrainWaitsForTheBreakerWhenThereIsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, does: answers(fails(5)...)}
		d := start(t, dispatch.Options{}, a)
		openBreaker(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		s.Complete(event.Conversation{ID: "c1"})
		s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Drain(ctx); err != nil {
			t.Error(err)
		}
		if got := l.invocations(); len(got) != 1 || got[0].Outcome != plugins.OK {
			t.Errorf("invocations %+v", got)
		}
	})
}

func TestCancelledInvocationCostsNoAttemptAndNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Transcript(say("c", "1", "one"))
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Drain(ctx); err == nil {
			t.Error("Drain said nothing of what it cancelled")
		}
		want := []dispatch.Gap{{App: "a", Kind: event.KindTranscript, Segments: 1, Reason: dispatch.ReasonShutdown}}
		if got := l.got(); !reflect.DeepEqual(got, want) || len(l.invocations()) != 0 {
			t.Errorf("gaps %v, invocations %v", got, l.invocations())
		}
		if got := d.Stats()[0]; got.Outcomes[apps.Dropped] != 1 || len(got.Outcomes) != 1 {
			t.Errorf("outcomes %v", got.Outcomes)
		}
	})
}

func TestFailureWhileDrainingIsNotTriedBeyondItsTime(t *testing.T) {
	for _, c := range []struct {
		name     string
		failures int // in a row before: with four, this one opens the breaker
		second   bool
	}{{"retry", 0, false}, {"breaker", dispatch.BreakerFailures - 1, true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &fakeApp{name: "a", caps: everything, release: make(chan plugins.Outcome)}
				d := start(t, dispatch.Options{}, a)
				var l listener
				s := d.Open(l.options("u", "s"))
				defer s.Close()
				for range c.failures {
					s.Transcript(say("c", "1", "one"))
					synctest.Wait()
					a.release <- plugins.Trap
				}
				s.Complete(event.Conversation{ID: "c1"})
				if c.second {
					s.Complete(event.Conversation{ID: "c2"}) // finds the breaker open
				}
				synctest.Wait()
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // less than any backoff
				defer cancel()
				result := make(chan error)
				go func() { result <- d.Drain(ctx) }()
				synctest.Wait()
				a.release <- plugins.DeadlineExceeded
				if err := <-result; err == nil || time.Since(began) != 0 {
					t.Errorf("Drain: %v after %v, want the events given up at once", err, time.Since(began))
				}
				for _, inv := range l.invocations()[c.failures+1:] {
					if inv.Outcome != apps.Dropped || !inv.Final {
						t.Errorf("invocation %+v", inv)
					}
				}
			})
		})
	}
}
