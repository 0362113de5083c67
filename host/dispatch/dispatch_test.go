package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
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

var (
	transcriptOnly   = []event.Capability{event.CapTranscript}
	conversationOnly = []event.Capability{event.CapConversation}
	everything       = []event.Capability{event.CapAudio, event.CapTranscript, event.CapConversation}
)

func TestEventsOfOneAppRunInOrderAndOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: []event.Capability{event.CapTranscript, event.CapConversation}, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Transcript(say("c1", "1", "one"))
		synctest.Wait()
		s.Transcript(say("c1", "2", "two"))
		done := l.complete(s, "c1", "a")
		s.Transcript(say("c2", "1", "three"))
		synctest.Wait()
		if got := len(a.called()); got != 1 {
			t.Fatalf("%d events began while the first one ran, want 1", got)
		}
		for range 4 {
			a.release <- plugins.OK
			synctest.Wait()
		}
		var got []string
		for _, inv := range l.invocations() {
			got = append(got, inv.Kind.String()+" "+inv.Conversation)
		}
		want := []string{"transcript c1", "transcript c1", "conversation c1", "transcript c2"}
		if !reflect.DeepEqual(got, want) || a.overlap {
			t.Errorf("ran %v, overlapping %v; want %v in turn", got, a.overlap, want)
		}
		if !isDone(done) {
			t.Error("Complete's channel is open though the app has answered")
		}
	})
}

func TestResultIsDeliveredBeforeTheNextEventBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		delivering, goOn := make(chan struct{}), make(chan struct{})
		s := d.Open(dispatch.SessionOptions{UID: "u", ID: "s", Deliver: func(apps.Invocation) {
			delivering <- struct{}{}
			<-goOn
		}})
		defer s.Close()
		s.Transcript(say("c", "1", "one"))
		<-delivering
		s.Transcript(say("c", "2", "two"))
		synctest.Wait()
		if got := len(a.called()); got != 1 {
			t.Errorf("%d events began before the first was delivered, want 1", got)
		}
		goOn <- struct{}{}
		<-delivering
		goOn <- struct{}{}
	})
}

func TestSlowAppDoesNotDelayOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fakeApp{name: "slow", caps: transcriptOnly, release: make(chan plugins.Outcome)}
		quick := &fakeApp{name: "quick", caps: transcriptOnly}
		d := start(t, dispatch.Options{Workers: 4, PerApp: 3}, slow, quick)
		defer drain(t, d)
		var l listener
		for i := range 20 { // more sessions than workers
			s := d.Open(l.options("u", fmt.Sprint("s", i)))
			defer s.Close()
			s.Transcript(say("c", "1", "one"))
		}
		synctest.Wait()
		if got := quick.count(event.KindTranscript); got != 20 {
			t.Errorf("the quick app got %d of 20 events while the slow one hung", got)
		}
		if slow.most != 3 || d.Pool().Running != 3 {
			t.Errorf("the slow app held %d workers at most and the pool ran %d, want its share of 3", slow.most, d.Pool().Running)
		}
		if got := appStats(t, d, "slow"); got.Running != 3 || got.Waiting != 17 {
			t.Errorf("slow app: %d running and %d waiting, want 3 and 17", got.Running, got.Waiting)
		}
	})
}

func TestSessionsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: conversationOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 1, PerApp: 1}, a)
		defer drain(t, d)
		var l listener
		s1, s2 := d.Open(l.options("u", "s1")), d.Open(l.options("u", "s2"))
		defer s1.Close()
		defer s2.Close()
		for i := range 3 {
			l.complete(s1, fmt.Sprint("a", i), "a")
		}
		l.complete(s2, "b0", "a")
		for range 4 {
			a.release <- plugins.OK
			synctest.Wait()
		}
		if got := l.invocations(); got[1].Conversation != "b0" {
			t.Errorf("the other session's event ran as %v, want it second", got)
		}
	})
}

func TestSessionsOfOneUserAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s1, s2 := d.Open(l.options("u", "s1")), d.Open(l.options("u", "s2"))
		defer s1.Close()
		defer s2.Close()
		s1.Transcript(say("c1", "1", "one"))
		s2.Transcript(say("c2", "1", "one"))
		synctest.Wait()
		if a.most != 2 {
			t.Errorf("%d ran at once, want both sessions'", a.most)
		}
	})
}

func TestOnlyTheUsersAppsGetEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine := &fakeApp{name: "mine", caps: everything, users: []string{"u"}}
		other := &fakeApp{name: "other", caps: everything, users: []string{"someone"}}
		deaf := &fakeApp{name: "deaf", users: []string{"u"}}
		d := start(t, dispatch.Options{}, mine, other, deaf)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Transcript(say("c", "1", "one"))
		<-l.complete(s, "c", "mine")
		if got := [3]int{len(mine.called()), len(other.called()), len(deaf.called())}; got != [3]int{2, 0, 0} {
			t.Errorf("events by app: %v, want [2 0 0]", got)
		}
	})
}

func TestEventCarriesTheSessionsIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		s := d.Open(dispatch.SessionOptions{UID: "u", ID: "s", Language: "nl"})
		defer s.Close()
		s.Transcript(event.Transcript{UID: "someone else", Conversation: "c", Segments: []event.Segment{{ID: "1", Text: "hallo"}}})
		synctest.Wait()
		ev := a.called()[0]
		if ev.UID != "u" || ev.Session != "s" || ev.Conversation != "c" {
			t.Errorf("event %+v", ev)
		}
		want := `{"session":"s","conversation":"c","uid":"u","language":"nl","segments":[{"id":"1","text":"hallo","is_user":false,"start":0,"end":0}]}`
		if string(ev.Payload) != want {
			t.Errorf("payload %s, want %s", ev.Payload, want)
		}
	})
}

func TestFullQueueDropsTranscriptsAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 1, Queue: 2}, a)
		defer drain(t, d)
		ls := make([]listener, 5)
		for i := range ls {
			s := d.Open(ls[i].options("u", fmt.Sprint("s", i)))
			defer s.Close()
			s.Transcript(say("c", "1", "one", "2", "two"))
			synctest.Wait()
		}
		want := []dispatch.Gap{{App: "a", Kind: event.KindTranscript, Segments: 2, Reason: dispatch.ReasonQueueFull}}
		for i := range ls {
			if got := ls[i].got(); i < 3 && len(got) != 0 || i >= 3 && !reflect.DeepEqual(got, want) {
				t.Errorf("session %d: gaps %v; one runs, two wait, the rest is dropped", i, got)
			}
		}
		st := appStats(t, d, "a")
		if st.Dropped[dispatch.ReasonQueueFull] != 2 || st.Outcomes[apps.Dropped] != 2 {
			t.Errorf("counted %v, outcomes %v; want 2", st.Dropped, st.Outcomes)
		}
	})
}

func TestDispatcherOfBadOptionsSaysAllThatIsWrong(t *testing.T) {
	_, err := dispatch.NewWith(dispatch.Options{Workers: 2, PerApp: 3, Queue: -1}, nil, nil)
	for _, want := range []string{"must not be negative", "more than the pool's 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to say %q", err, want)
		}
	}
	if _, err := dispatch.New(dispatch.Options{}); err == nil {
		t.Error("no error without apps")
	}
}

func TestPanicOfOurOwnHarmsNoOtherEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		a := &fakeApp{name: "a", caps: []event.Capability{event.CapTranscript, event.CapConversation}}
		a.does = func(context.Context, apps.Event) (plugins.Outcome, error) {
			if n++; n == 1 {
				panic("a fault of ours")
			}
			return plugins.OK, nil
		}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		o := l.options("u", "s")
		o.Deliver = func(i apps.Invocation) {
			l.deliver(i)
			panic("a fault of the caller's")
		}
		s := d.Open(o)
		defer s.Close()
		s.Transcript(say("c", "1", "one"))
		synctest.Wait()
		want := []dispatch.Gap{{App: "a", Kind: event.KindTranscript, Segments: 1, Reason: dispatch.ReasonHostError}}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		<-s.Complete(event.Conversation{ID: "c"}, []string{"a"}, func(a dispatch.Attempt) {
			l.answer(a)
			panic("a fault of the caller's")
		})
		if got := l.invocations(); len(got) != 1 || got[0].Outcome != plugins.OK {
			t.Errorf("after the panic: %v, want one ok", got)
		}
	})
}

func TestCountsAndPercentiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		a := &fakeApp{name: "a", caps: transcriptOnly}
		d := start(t, dispatch.Options{Registerer: reg}, a)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		for range dispatch.RecentInvocations + 10 {
			s.Transcript(say("c", "1", "one"))
			synctest.Wait()
		}
		st := appStats(t, d, "a")
		if st.Outcomes[plugins.OK] != dispatch.RecentInvocations+10 || st.Fuel != (dispatch.Percentiles{P50: 100, P90: 100, P99: 100, Max: 100}) || st.WallMicros.P99 != 1000 {
			t.Errorf("stats %+v", st)
		}
		want := `
			# HELP auricle_invocations_total Invocations by app, event and outcome; dropped and rejected count events that never ran.
			# TYPE auricle_invocations_total counter
			auricle_invocations_total{app="a",event="transcript",outcome="ok"} 1034
			# HELP auricle_breaker_open 1 while the app's breaker is open or half-open.
			# TYPE auricle_breaker_open gauge
			auricle_breaker_open{app="a"} 0
			# HELP auricle_pool_running_invocations Invocations on a worker.
			# TYPE auricle_pool_running_invocations gauge
			auricle_pool_running_invocations 0
		`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "auricle_invocations_total", "auricle_breaker_open", "auricle_pool_running_invocations"); err != nil {
			t.Error(err)
		}
	})
}

func TestMetricsThatAreTakenAreAnErrorAndLeaveNothingBehind(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "auricle_completions_deferred_total", Help: "x"}))
	if _, err := dispatch.NewWith(dispatch.Options{Registerer: reg}, nil, nil); err == nil {
		t.Fatal("no error")
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 1 {
		t.Errorf("%d metrics left (%v), want the one of before", n, err)
	}
}

func TestManyAtOnceAreRaceFreeAndInOrder(t *testing.T) {
	a := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond}
	b := &fakeApp{name: "b", caps: everything, piece: 200 * time.Millisecond}
	d := start(t, dispatch.Options{Workers: 3, PerApp: 2, Queue: 4}, a, b)
	var putOff atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			var l listener
			o := l.options("u", fmt.Sprint("s", i))
			o.Rate = 8000
			s := d.Open(o)
			for c := range 4 {
				id := fmt.Sprintf("c%d", c)
				for n := range 20 {
					s.Audio(id, int64(400*n), make([]byte, 800))
					s.Transcript(say(id, fmt.Sprint(n), "word"))
				}
				<-l.complete(s, id, "a", "b")
			}
			s.Close()
			for _, put := range l.putOff() {
				putOff.Add(1)
				if !strings.HasSuffix(put, dispatch.ReasonQueueFull) {
					t.Errorf("put off: %s", put)
				}
			}
			last := map[string]string{}
			for _, inv := range l.invocations() {
				if inv.Kind != event.KindConversation {
					continue
				}
				if inv.Conversation <= last[inv.App] {
					t.Errorf("%s: conversation %s came after %s", inv.App, inv.Conversation, last[inv.App])
				}
				last[inv.App] = inv.Conversation
			}
		})
	}
	wg.Wait()
	if err := d.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if a.overlap || b.overlap || d.Pool().PeakRunning > 3 || a.most > 2 {
		t.Errorf("overlap %v %v, peak %d of 3, app a %d of 2", a.overlap, b.overlap, d.Pool().PeakRunning, a.most)
	}
	if ran := a.count(event.KindConversation) + b.count(event.KindConversation); ran == 0 || ran+int(putOff.Load()) != 128 {
		t.Errorf("%d conversation events ran and %d were put off, want 128 in all", ran, putOff.Load())
	}
	if p := d.Pool(); p.Running != 0 || p.Waiting != 0 {
		t.Errorf("left in the pool: %+v", p)
	}
}

var errHost = errors.New("no instance could be made")
