package dispatch_test

import (
	"context"
	"errors"
	"reflect"
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
		l.complete(s, "c", "a")
		synctest.Wait()
		result := make(chan error)
		go func() { result <- d.Drain(t.Context()) }()
		synctest.Wait()
		s.Transcript(say("c", "2", "two"))
		s.Audio("c", 0, pcm(0, 800))
		want := []dispatch.Gap{
			{App: "a", Kind: event.KindTranscript, Segments: 1, Reason: dispatch.ReasonShutdown},
			{App: "a", Kind: event.KindAudio, Bytes: 1600, Reason: dispatch.ReasonShutdown},
		}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		if got, want := d.Room("a"), (dispatch.Room{Deferred: dispatch.ReasonShutdown}); got != want {
			t.Errorf("room %+v, want %+v", got, want)
		}
		a.release <- plugins.OK
		synctest.Wait()
		select {
		case err := <-result:
			t.Fatalf("Drain returned %v before the conversation was run", err)
		default:
		}
		a.release <- plugins.Trap
		if err := <-result; err != nil {
			t.Error(err)
		}
		if err := d.Drain(t.Context()); err != nil {
			t.Errorf("a second Drain: %v", err)
		}
		if got := l.invocations(); len(got) != 2 || got[1].Outcome != plugins.Trap {
			t.Errorf("invocations %+v", got)
		}
	})
}

func TestWhatIsNotRunWhenTheTimeToDrainEndsIsPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 1}, a)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		first := l.complete(s, "c1", "a")
		synctest.Wait()
		second := l.complete(s, "c2", "a")
		s.Transcript(say("c3", "1", "one"))
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := d.Drain(ctx)
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("Drain took %v, want its 20 s", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain: %v", err)
		}
		if !isDone(first) || !isDone(second) {
			t.Error("Complete's channels are open")
		}
		if got, want := l.putOff(), []string{"a shutdown", "a shutdown"}; !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}
		if len(l.invocations()) != 0 || len(a.called()) != 1 || d.Pool().Running != 0 {
			t.Errorf("%d answered, %d called, %d running", len(l.invocations()), len(a.called()), d.Pool().Running)
		}
		// Afterwards a completion is put off at once.
		if !isDone(l.complete(s, "c4", "a")) || len(l.putOff()) != 3 {
			t.Errorf("a Complete after Drain: %q", l.putOff())
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
