package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// answers returns a does that ends invocations so, in turn; then ok.
func answers(os ...plugins.Outcome) func(context.Context, apps.Event) (plugins.Outcome, error) {
	return func(context.Context, apps.Event) (plugins.Outcome, error) {
		if len(os) == 0 {
			return plugins.OK, nil
		}
		o := os[0]
		os = os[1:]
		if o == "" {
			return "", errHost
		}
		return o, nil
	}
}

func TestCompletionIsTriedAgain(t *testing.T) {
	const slow, bad = plugins.DeadlineExceeded, plugins.Trap
	const host = plugins.Outcome("") // the host's fault
	for _, c := range []struct {
		name     string
		outcomes []plugins.Outcome
		want     []string // attempt, outcome, "." when final
	}{
		{"ok at once", nil, []string{"1 ok."}},
		{"deadline five times", []plugins.Outcome{slow, slow, slow, slow, slow}, []string{"1 deadline_exceeded", "2 deadline_exceeded", "3 deadline_exceeded", "4 deadline_exceeded", "5 deadline_exceeded."}},
		{"host error five times", []plugins.Outcome{host, host, host, host, host}, []string{"1 dropped", "2 dropped", "3 dropped", "4 dropped", "5 dropped."}},
		{"host error then ok", []plugins.Outcome{host}, []string{"1 dropped", "2 ok."}},
		{"trap twice", []plugins.Outcome{bad, bad}, []string{"1 trap", "2 trap."}},
		{"trap then ok", []plugins.Outcome{bad}, []string{"1 trap", "2 ok."}},
		{"fuel twice", []plugins.Outcome{plugins.FuelExhausted, plugins.FuelExhausted}, []string{"1 fuel_exhausted", "2 fuel_exhausted."}},
		{"memory twice", []plugins.Outcome{plugins.MemoryExceeded, plugins.MemoryExceeded}, []string{"1 memory_exceeded", "2 memory_exceeded."}},
		{"app error twice", []plugins.Outcome{plugins.AppError, plugins.AppError}, []string{"1 app_error", "2 app_error."}},
		{"deadlines then trap", []plugins.Outcome{slow, slow, bad}, []string{"1 deadline_exceeded", "2 deadline_exceeded", "3 trap."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &fakeApp{name: "a", caps: conversationOnly, does: answers(c.outcomes...)}
				d := start(t, dispatch.Options{}, a)
				var l listener
				s := d.Open(l.options("u", "s"))
				done := s.Complete(event.Conversation{ID: "c", UID: "u"})
				synctest.Wait()
				if !isDone(done) {
					t.Error("the channel is open after the first attempt")
				}
				s.Close() // retries go on
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				if err := d.Drain(ctx); err != nil {
					t.Error(err)
				}
				var got []string
				for _, inv := range l.invocations() {
					text := fmt.Sprint(inv.Attempt, " ", inv.Outcome)
					if inv.Final {
						text += "."
					}
					got = append(got, text)
				}
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("attempts %q, want %q", got, c.want)
				}
				var payload event.Conversation
				if err := json.Unmarshal(a.called()[len(c.want)-1].Payload, &payload); err != nil || payload.ID != "c" {
					t.Errorf("the last attempt's payload is %+v (%v)", payload, err)
				}
			})
		})
	}
}

func TestBackoffDoublesToHalfAMinute(t *testing.T) {
	for attempts, want := range map[int]time.Duration{
		1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 6: 16 * time.Second, 7: 30 * time.Second, 60: 30 * time.Second,
	} {
		low, high := time.Hour, time.Duration(0)
		for range 1000 {
			b := dispatch.Backoff(attempts)
			low, high = min(low, b), max(high, b)
		}
		if low < want*8/10 || high > want*12/10 || low > want*9/10 || high < want*11/10 {
			t.Errorf("after %d attempts: %v to %v, want %v ±20 %%", attempts, low, high, want)
		}
	}
}

func TestRetryDoesNotHoldUpWhatComesAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, does: answers(plugins.Trap)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Complete(event.Conversation{ID: "c1"})
		s.Transcript(say("c2", "1", "one"))
		synctest.Wait()
		if got := l.invocations(); len(got) != 2 || got[1].Kind != event.KindTranscript {
			t.Errorf("%v, want the transcript to run while the retry waits", got)
		}
	})
}

// openBreaker makes a's breaker open by failing transcripts of its own.
func openBreaker(t *testing.T, d *dispatch.Dispatcher) {
	t.Helper()
	s := d.Open(dispatch.SessionOptions{UID: "u", ID: "failing"})
	defer s.Close()
	for i := range dispatch.BreakerFailures {
		if got := d.Stats()[0].Breaker; got != "closed" {
			t.Fatalf("breaker %s after %d failures", got, i)
		}
		s.Transcript(say("c", "1", "one"))
		synctest.Wait()
	}
	if got := d.Stats()[0].Breaker; got != "open" {
		t.Fatalf("breaker %s after %d failures in a row", got, dispatch.BreakerFailures)
	}
}

func fails(n int) (os []plugins.Outcome) {
	for i := range n {
		os = append(os, []plugins.Outcome{plugins.AppError, plugins.Trap, plugins.FuelExhausted, plugins.DeadlineExceeded, plugins.MemoryExceeded}[i%5])
	}
	return os
}

func TestBreakerOpensForHalfAMinuteAndLetsOneThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan plugins.Outcome)
		failing := answers(fails(dispatch.BreakerFailures)...)
		n := 0
		a := &fakeApp{name: "a", caps: transcriptOnly, does: func(ctx context.Context, ev apps.Event) (plugins.Outcome, error) {
			if n++; n <= dispatch.BreakerFailures {
				return failing(ctx, ev)
			}
			return <-block, nil
		}}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		openBreaker(t, d)
		var l1, l2 listener
		s1, s2 := d.Open(l1.options("u", "s1")), d.Open(l2.options("u", "s2"))
		defer s1.Close()
		defer s2.Close()

		time.Sleep(dispatch.BreakerOpenFor - time.Nanosecond)
		s1.Transcript(say("c", "1", "one", "2", "two"))
		synctest.Wait()
		want := []dispatch.Gap{{App: "a", Kind: event.KindTranscript, Segments: 2, Reason: dispatch.ReasonBreakerOpen}}
		if got := l1.got(); !reflect.DeepEqual(got, want) || d.Stats()[0].Breaker != "open" {
			t.Errorf("1 ns before the time: gaps %v, breaker %s", got, d.Stats()[0].Breaker)
		}
		time.Sleep(time.Nanosecond)
		s1.Transcript(say("c", "3", "three"))
		synctest.Wait()
		s2.Transcript(say("c", "1", "one"))
		synctest.Wait()
		if len(a.called()) != dispatch.BreakerFailures+1 || d.Stats()[0].Breaker != "half_open" || len(l2.got()) != 1 {
			t.Errorf("half-open: %d calls, breaker %s, other session's gaps %v; want exactly one probe", len(a.called()), d.Stats()[0].Breaker, l2.got())
		}
		block <- plugins.Trap // the probe fails: open anew
		synctest.Wait()
		time.Sleep(dispatch.BreakerOpenFor - time.Nanosecond)
		s1.Transcript(say("c", "4", "four"))
		synctest.Wait()
		if len(a.called()) != dispatch.BreakerFailures+1 {
			t.Error("called 1 ns before half-open")
		}
		time.Sleep(time.Nanosecond)
		s1.Transcript(say("c", "5", "five"))
		synctest.Wait()
		block <- plugins.OK // the probe succeeds: closed
		synctest.Wait()
		if got := d.Stats()[0]; got.Breaker != "closed" || got.Outcomes[apps.Rejected] != 3 || got.Dropped[dispatch.ReasonBreakerOpen] != 3 {
			t.Errorf("stats %+v, want closed and three rejected", got)
		}
		// It takes five in a row again.
		for range dispatch.BreakerFailures - 1 {
			s1.Transcript(say("c", "6", "six"))
			synctest.Wait()
			block <- plugins.AppError
			synctest.Wait()
		}
		if got := d.Stats()[0].Breaker; got != "closed" {
			t.Errorf("breaker %s after four failures", got)
		}
	})
}

func TestSuccessBetweenFailuresKeepsTheBreakerClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		os := append(append(fails(4), plugins.OK), fails(4)...)
		a := &fakeApp{name: "a", caps: transcriptOnly, does: answers(os...)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		s := d.Open(dispatch.SessionOptions{UID: "u", ID: "s"})
		defer s.Close()
		for range len(os) {
			s.Transcript(say("c", "1", "one"))
			synctest.Wait()
		}
		if got := d.Stats()[0].Breaker; got != "closed" || len(a.called()) != 9 {
			t.Errorf("breaker %s after %d calls", got, len(a.called()))
		}
	})
}

func TestHostErrorsDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly, does: func(context.Context, apps.Event) (plugins.Outcome, error) { return "", errHost }}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		for range 2 * dispatch.BreakerFailures {
			s.Transcript(say("c", "1", "one"))
			synctest.Wait()
		}
		if got := d.Stats()[0]; got.Breaker != "closed" || got.Dropped[dispatch.ReasonHostError] != 10 || len(l.got()) != 10 {
			t.Errorf("stats %+v, gaps %v", got, l.got())
		}
	})
}

func TestProbeThatTheHostFailedGivesItsPlaceToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, does: answers(append(fails(5), "")...)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		openBreaker(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Complete(event.Conversation{ID: "c1"})
		s.Complete(event.Conversation{ID: "c2"})
		synctest.Wait()
		time.Sleep(dispatch.BreakerOpenFor)
		synctest.Wait()
		// c1 was the probe and is to be tried again; c2 took its place and closed the breaker.
		got := l.invocations()
		if len(got) != 2 || got[0].Conversation != "c1" || got[0].Final || got[1].Conversation != "c2" || got[1].Outcome != plugins.OK {
			t.Fatalf("invocations %+v", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := l.invocations(); len(got) != 3 || got[2].Conversation != "c1" || got[2].Outcome != plugins.OK || got[2].Attempt != 2 {
			t.Errorf("invocations %+v", got)
		}
	})
}

func TestCompletionsWaitForTheBreakerAndSpendNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Five failures, a failed probe, then all goes well.
		a := &fakeApp{name: "a", caps: everything, does: answers(append(fails(5), plugins.DeadlineExceeded)...)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		openBreaker(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		for i := range 10 {
			done := s.Complete(event.Conversation{ID: fmt.Sprint("c", i)})
			synctest.Wait()
			if !isDone(done) {
				t.Error("the channel is open though the breaker is")
			}
		}
		time.Sleep(dispatch.BreakerOpenFor - time.Nanosecond)
		synctest.Wait()
		if got := len(a.called()); got != 5 {
			t.Fatalf("%d calls while the breaker was open", got-5)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := len(a.called()); got != 6 {
			t.Fatalf("%d calls in half-open, want one probe", got-5)
		}
		time.Sleep(dispatch.BreakerOpenFor)
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		final := map[string]int{}
		for _, inv := range l.invocations() {
			if inv.Final && inv.Outcome == plugins.OK {
				final[inv.Conversation] = inv.Attempt
			}
		}
		want := map[string]int{"c0": 2}
		for i := range 9 {
			want[fmt.Sprint("c", i+1)] = 1
		}
		if !reflect.DeepEqual(final, want) {
			t.Errorf("attempts that ended ok %v, want %v", final, want)
		}
	})
}

func TestAudioIsRejectedWhileTheBreakerIsOpenAndTheNextPieceSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, does: answers(fails(5)...)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		openBreaker(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		s.Audio("c", pcm(0, 2000)) // two pieces and a half
		synctest.Wait()
		time.Sleep(dispatch.BreakerOpenFor)
		s.Audio("c", pcm(2000, 400))
		synctest.Wait()
		ps := a.pieces(t)
		if len(ps) != 1 || ps[0].Start != 1600 || ps[0].Dropped != 3200 {
			t.Errorf("pieces %+v, want one from sample 1600 after 3200 dropped bytes", ps)
		}
		var lost int64
		for _, g := range l.got() {
			lost += g.Bytes
		}
		if lost != 3200 {
			t.Errorf("gaps %v, want 3200 bytes", l.got())
		}
	})
}

func TestCompletionsAreNeverDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conversations, workers = 50, 8
		var fakes []*fakeApp
		for i := range 7 {
			fakes = append(fakes, &fakeApp{name: fmt.Sprint("app", i), caps: conversationOnly, does: func(context.Context, apps.Event) (plugins.Outcome, error) {
				time.Sleep(3 * time.Second) // in the bubble's time
				return plugins.OK, nil
			}})
		}
		d := start(t, dispatch.Options{Workers: workers, PerApp: 2, Queue: 1}, fakes...)
		defer drain(t, d)
		var l listener
		for i := range conversations {
			s := d.Open(l.options("u", fmt.Sprint("s", i)))
			go func() {
				s.Complete(event.Conversation{ID: conversationID(i)})
				s.Close()
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		got := map[string]int{}
		for _, inv := range l.invocations() {
			if inv.Outcome == plugins.OK && inv.Final {
				got[inv.App+" "+inv.Conversation]++
			}
		}
		if len(got) != conversations*7 || len(l.invocations()) != conversations*7 {
			t.Errorf("%d results of %d app and conversation pairs, want %d", len(l.invocations()), len(got), conversations*7)
		}
		if p := d.Pool(); p.PeakRunning != workers || p.Running != 0 || p.Waiting != 0 {
			t.Errorf("pool %+v, want a peak of all %d workers and nothing left", p, workers)
		}
		for _, f := range fakes {
			if f.most > 2 {
				t.Errorf("%s: %d at once, want its share of 2", f.name, f.most)
			}
		}
	})
}

func conversationID(i int) string { return fmt.Sprint("c", i) }

func TestCompleteWithoutAppsAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, dispatch.Options{}, &fakeApp{name: "a", caps: transcriptOnly})
		defer drain(t, d)
		s := d.Open(dispatch.SessionOptions{UID: "u", ID: "s"})
		defer s.Close()
		if !isDone(s.Complete(event.Conversation{ID: "c"})) {
			t.Error("the channel is open")
		}
	})
}

func TestLateFailureDoesNotKeepTheBreakerOpenLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		const n = dispatch.BreakerFailures + 1
		for i := range n {
			s := d.Open(dispatch.SessionOptions{UID: "u", ID: fmt.Sprint("s", i)})
			defer s.Close()
			s.Transcript(say("c", "1", "one"))
		}
		synctest.Wait()
		for range n - 1 {
			a.release <- plugins.Trap
		}
		synctest.Wait()
		time.Sleep(dispatch.BreakerOpenFor - time.Second)
		a.release <- plugins.Trap // began before the breaker opened
		synctest.Wait()
		time.Sleep(time.Second)
		if got := d.Stats()[0].Breaker; got != "half_open" {
			t.Errorf("breaker %s 30 s after it opened, want half_open", got)
		}
	})
}
