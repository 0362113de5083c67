package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
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

func TestConversationRunsOnceAndIsAnsweredOnce(t *testing.T) {
	for _, c := range []struct {
		outcome plugins.Outcome // "": the host's fault
		want    dispatch.Attempt
	}{
		{plugins.OK, dispatch.Attempt{App: "a", Invocation: apps.Invocation{Outcome: plugins.OK}}},
		{plugins.Trap, dispatch.Attempt{App: "a", Invocation: apps.Invocation{Outcome: plugins.Trap, Err: "it failed"}}},
		{plugins.DeadlineExceeded, dispatch.Attempt{App: "a", Invocation: apps.Invocation{Outcome: plugins.DeadlineExceeded, Err: "it failed"}}},
		{"", dispatch.Attempt{App: "a", Deferred: dispatch.ReasonHostError, Invocation: apps.Invocation{
			Outcome: apps.Dropped, Err: `app "a": on conversation: it could not be run, by a fault of the host's: no instance could be made`,
		}}},
	} {
		t.Run(string(c.outcome), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &fakeApp{name: "a", caps: conversationOnly, does: answers(c.outcome)}
				d := start(t, dispatch.Options{}, a)
				s := d.Open(dispatch.SessionOptions{UID: "u", ID: "s"})
				var got []dispatch.Attempt
				done := s.Complete(event.Conversation{ID: "c", UID: "u"}, []string{"a"}, func(a dispatch.Attempt) { got = append(got, a) })
				synctest.Wait()
				if !isDone(done) {
					t.Error("the channel is open after the answer")
				}
				s.Close()
				if err := d.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				if len(got) != 1 || len(a.called()) != 1 {
					t.Fatalf("answered %d times and called %d times, want once each", len(got), len(a.called()))
				}
				inv := got[0].Invocation
				if inv.ID == "" || inv.App != "a" || inv.UID != "u" || inv.Session != "s" || inv.Conversation != "c" || inv.Kind != event.KindConversation {
					t.Errorf("invocation %+v", inv)
				}
				got[0].Invocation = apps.Invocation{Outcome: inv.Outcome, Err: inv.Err}
				if !reflect.DeepEqual(got[0], c.want) {
					t.Errorf("got  %+v\nwant %+v", got[0], c.want)
				}
				var payload event.Conversation
				if err := json.Unmarshal(a.called()[0].Payload, &payload); err != nil || payload.ID != "c" {
					t.Errorf("payload %+v (%v)", payload, err)
				}
			})
		})
	}
}

func TestOnlyWhatIsDueAndInstalledIsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: conversationOnly}
		other := &fakeApp{name: "other", caps: conversationOnly}
		deaf := &fakeApp{name: "deaf", caps: transcriptOnly}
		hers := &fakeApp{name: "hers", caps: conversationOnly, users: []string{"someone else"}}
		d := start(t, dispatch.Options{}, a, other, deaf, hers)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		<-l.complete(s, "c", "a", "deaf", "hers", "gone")
		want := []string{"deaf not_installed", "hers not_installed", "gone not_installed"}
		if got := l.putOff(); !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}
		if got := [3]int{len(a.called()), len(other.called()), len(l.invocations())}; got != [3]int{1, 0, 1} {
			t.Errorf("calls of a and other, and answers: %v, want [1 0 1]", got)
		}
		for app, want := range map[string]dispatch.Room{
			"a": {Runs: dispatch.DefaultWorkers / 4}, "deaf": {Deferred: dispatch.ReasonNotInstalled}, "gone": {Deferred: dispatch.ReasonNotInstalled},
		} {
			if got := d.Room(app); got != want {
				t.Errorf("room of %s: %+v, want %+v", app, got, want)
			}
		}
		for app, want := range map[string]string{"a": "", "deaf": dispatch.ReasonNotInstalled, "hers": dispatch.ReasonNotInstalled, "gone": dispatch.ReasonNotInstalled} {
			if got := d.Lacks("u", app); got != want {
				t.Errorf("u lacks %s: %q, want %q", app, got, want)
			}
		}
	})
}

func TestConversationsBeyondTheQueueArePutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: conversationOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 1, Queue: 3}, a)
		defer drain(t, d)
		var l listener
		for i := range 5 { // one runs, three wait
			s := d.Open(l.options("u", fmt.Sprint("s", i)))
			defer s.Close()
			l.complete(s, fmt.Sprint("c", i), "a")
			synctest.Wait()
		}
		if got, want := l.putOff(), []string{"a queue_full"}; !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}
		if got, want := d.Room("a"), (dispatch.Room{Deferred: dispatch.ReasonQueueFull}); got != want {
			t.Errorf("room %+v, want %+v", got, want)
		}
		for range 4 {
			a.release <- plugins.OK
			synctest.Wait()
		}
		if got := len(l.invocations()); got != 4 {
			t.Errorf("%d ran, want 4", got)
		}
		if got := d.Room("a"); got.Runs != 1 {
			t.Errorf("room %+v once all have run", got)
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
		time.Sleep(dispatch.BreakerOpenFor)
		l.complete(s, "c1", "a")
		l.complete(s, "c2", "a")
		synctest.Wait()
		// c1 was the probe and could not be run; c2 took its place and closed the breaker.
		if got, want := l.putOff(), []string{"a host_error"}; !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}
		if got := l.invocations(); len(got) != 1 || got[0].Conversation != "c2" || d.Stats()[0].Breaker != "closed" {
			t.Errorf("invocations %+v, breaker %s", got, d.Stats()[0].Breaker)
		}
	})
}

func TestConversationsArePutOffWhileTheBreakerIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan plugins.Outcome)
		failing := answers(fails(dispatch.BreakerFailures)...)
		n := 0
		a := &fakeApp{name: "a", caps: everything, does: func(ctx context.Context, ev apps.Event) (plugins.Outcome, error) {
			if n++; n <= dispatch.BreakerFailures {
				return failing(ctx, ev)
			}
			return <-block, nil
		}}
		registry := prometheus.NewRegistry()
		d := start(t, dispatch.Options{Registerer: registry}, a)
		defer drain(t, d)
		openBreaker(t, d)
		opens := time.Now().Add(dispatch.BreakerOpenFor)
		var l1, l2 listener
		s1, s2 := d.Open(l1.options("u", "s1")), d.Open(l2.options("u", "s2"))
		defer s1.Close()
		defer s2.Close()
		<-l1.complete(s1, "c1", "a")
		if got := l1.put; len(got) != 1 || got[0].Deferred != dispatch.ReasonBreakerOpen || !got[0].Until.Equal(opens) {
			t.Errorf("put off: %+v, want until %v", got, opens)
		}
		if got, want := d.Room("a"), (dispatch.Room{Deferred: dispatch.ReasonBreakerOpen, Until: opens}); got != want {
			t.Errorf("room %+v, want %+v", got, want)
		}
		time.Sleep(dispatch.BreakerOpenFor)
		if got, want := d.Room("a"), (dispatch.Room{Runs: 1}); got != want {
			t.Errorf("room of a half-open breaker: %+v, want %+v", got, want)
		}
		l1.complete(s1, "c2", "a") // the probe
		synctest.Wait()
		<-l2.complete(s2, "c3", "a")
		if got := l2.put; len(got) != 1 || got[0].Deferred != dispatch.ReasonBreakerOpen || !got[0].Until.After(time.Now()) {
			t.Errorf("put off while the probe runs: %+v, want a later time", got)
		}
		if got := d.Room("a"); got.Runs != 0 {
			t.Errorf("room while the probe runs: %+v", got)
		}
		block <- plugins.OK
		synctest.Wait()
		if got := d.Room("a"); got.Runs != dispatch.DefaultWorkers/4 || len(l1.invocations()) != 1 {
			t.Errorf("room %+v and %d answers after the probe", got, len(l1.invocations()))
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
			# HELP auricle_completions_deferred_total Turns of apps at a completed conversation that were put off, by app and reason.
			# TYPE auricle_completions_deferred_total counter
			auricle_completions_deferred_total{app="a",reason="breaker_open"} 2
		`), "auricle_completions_deferred_total"); err != nil {
			t.Error(err)
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
		s.Audio("c", 0, pcm(0, 2000)) // two pieces and a half
		synctest.Wait()
		time.Sleep(dispatch.BreakerOpenFor)
		s.Audio("c", 2000, pcm(2000, 400))
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

func TestEveryAppIsAnsweredForEveryConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conversations, workers = 50, 8
		var fakes []*fakeApp
		for i := range 7 {
			fakes = append(fakes, &fakeApp{name: fmt.Sprint("app", i), caps: conversationOnly, does: func(context.Context, apps.Event) (plugins.Outcome, error) {
				time.Sleep(3 * time.Second) // in the bubble's time
				return plugins.OK, nil
			}})
		}
		d := start(t, dispatch.Options{Workers: workers, PerApp: 2, Queue: conversations}, fakes...)
		defer drain(t, d)
		var l listener
		var due []string
		for _, f := range fakes {
			due = append(due, f.name)
		}
		for i := range conversations {
			s := d.Open(l.options("u", fmt.Sprint("s", i)))
			go func() {
				l.complete(s, fmt.Sprint("c", i), due...)
				s.Close()
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		got := map[string]int{}
		for _, inv := range l.invocations() {
			if inv.Outcome == plugins.OK {
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

func TestCompleteWithoutAppsAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, dispatch.Options{}, &fakeApp{name: "a", caps: transcriptOnly})
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		if !isDone(l.complete(s, "c")) {
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
