package jobs_test

//go:generate sh -c "ls testdata/*.wat | sed s/[.]wat// | xargs -I{} wat2wasm {}.wat -o {}.wasm"

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// running is a host's apps, dispatch and jobs, all real.
type running struct {
	*jobs.Jobs
	dispatch  *dispatch.Dispatcher
	delivered chan apps.Invocation
	close     func()
}

// runModules starts a host that has each module under the name of the app that
// it is.
func runModules(t *testing.T, s jobs.Store, modules map[string]string, o jobs.Options) *running {
	t.Helper()
	engine, err := plugins.New(t.Context(), plugins.Options{HostModules: []plugins.HostModule{apps.HostModule()}})
	if err != nil {
		t.Fatal(err)
	}
	var cs []config.App
	for name, module := range modules {
		cs = append(cs, config.App{
			Name: name, Module: filepath.FromSlash(module), Users: []string{"*"}, State: event.StateSession,
			Grant: []event.Capability{event.CapAudio, event.CapTranscript, event.CapConversation}, Limits: config.AppLimits{Fuel: 1_000_000},
		})
	}
	set, problems := apps.Load(t.Context(), engine, cs)
	if problems.HasFault() {
		t.Fatal(problems)
	}
	r := &running{delivered: make(chan apps.Invocation, 16)}
	if r.dispatch, err = dispatch.New(dispatch.Options{Apps: set}); err != nil {
		t.Fatal(err)
	}
	o.Store, o.Dispatch, o.Apps = s, jobs.DispatchTo(r.dispatch), func() *apps.Set { return set }
	if r.Jobs, err = jobs.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go r.Run(ctx) // ends with Stop; Close waits for it
	r.close = func() {
		defer cancel()
		r.Stop()
		for _, f := range []func(context.Context) error{r.dispatch.Drain, r.Close, set.Close, engine.Close} {
			if err := f(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	return r
}

// complete begins a conversation's work in a session of its own.
func (r *running) complete(w jobs.Work) <-chan struct{} {
	s := r.dispatch.Open(dispatch.SessionOptions{UID: "u", ID: w.Conversation.Session})
	w.Held.Due = r.Due("u")
	w.Boxes, w.Deliver = s, func(inv apps.Invocation) { r.delivered <- inv }
	done := r.Start(w)
	s.Close()
	return done
}

// next returns what is delivered next, within an hour of the bubble's time.
func (r *running) next(t *testing.T) apps.Invocation {
	t.Helper()
	select {
	case inv := <-r.delivered:
		return inv
	case <-time.After(time.Hour):
		t.Fatal("nothing was delivered")
		return apps.Invocation{}
	}
}

func TestModuleThatFailsTwiceIsDoneInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		r := runModules(t, &connection{memory: m}, map[string]string{"early": "testdata/early.wasm"}, jobs.Options{})
		defer r.close()
		<-r.complete(m.add("c"))
		inv := r.next(t)
		if took := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); took < 28*time.Second || took > 43*time.Second {
			t.Errorf("done after %v, want the third attempt to be it", took)
		}
		synctest.Wait()
		want := []string{
			"early c waiting app_error 1", "early c running app_error 1",
			"early c waiting app_error 2", "early c running app_error 2",
		}
		if got := m.puts(); !reflect.DeepEqual(got, want) || len(m.recorded()) != 0 {
			t.Errorf("records were %q, want %q; left: %q", got, want, m.recorded())
		}
		if res := m.result("early", "c"); res.Invocation != inv.ID || res.Attempt != 3 || len(res.Outputs) != 1 || !strings.Contains(string(res.Outputs[0].Data), `"id":"c"`) {
			t.Errorf("result %+v", res)
		}
		if n := len(r.delivered); n != 0 {
			t.Errorf("%d more were delivered", n)
		}
	})
}

func TestTrapBecomesADeadLetterThatTheMendedModuleWorksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		broken := runModules(t, &connection{memory: m}, map[string]string{"notes": "testdata/broken.wasm"}, jobs.Options{})
		<-broken.complete(m.add("c"))
		time.Sleep(time.Hour)
		job, err := broken.Show(t.Context(), "notes", "c")
		if err != nil || job.State != store.JobDead || job.Reason != "trap" || job.Attempts != 2 || job.Last == nil {
			t.Fatalf("%+v, %v", job, err)
		}
		last := *job.Last
		if len(last.Module) != 64 || last.Version != "1.0.0" || last.Invocation == "" || last.Outcome != "trap" || !strings.Contains(last.Error, "unreachable") ||
			last.Fuel == 0 || last.FuelLimit != 1_000_000 || last.WallMicros < 0 || last.At.IsZero() {
			t.Errorf("last attempt %+v", last)
		}
		if !reflect.DeepEqual(last.Log, []store.LogLine{{Level: "info", Text: "taking notes"}}) || len(last.Stack) == 0 {
			t.Errorf("log %v, stack %q", last.Log, last.Stack)
		}
		broken.close()

		mended := runModules(t, &connection{memory: m}, map[string]string{"notes": "testdata/mended.wasm"}, jobs.Options{})
		defer mended.close()
		synctest.Wait()
		if n, err := mended.Retry(t.Context(), jobs.Filter{App: "notes", Reason: "trap"}); n != 1 || err != nil {
			t.Fatalf("retried %d (%v)", n, err)
		}
		synctest.Wait()
		if res := m.result("notes", "c"); res.Outcome != "ok" || len(res.Outputs) != 1 || len(m.recorded()) != 0 {
			t.Errorf("result %+v, records %q", res, m.recorded())
		}
	})
}

// A conversation that is run again elsewhere finds nothing of its session's
// state, and the app is told.
func TestRecoveredWorkIsToldThatTheStateIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		r := runModules(t, &connection{memory: m}, map[string]string{"counter": "../apps/testdata/counter.wasm"}, jobs.Options{})
		defer r.close()
		w := m.add("c", "counter")
		w.Deliver = func(inv apps.Invocation) { r.delivered <- inv }
		<-r.Start(w)
		if inv := r.next(t); !inv.Restarted || inv.Conversation != "c" {
			t.Errorf("%+v", inv)
		}
	})
}

func TestOpenBreakerPutsWorkOffUntilItCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		r := runModules(t, &connection{memory: m}, map[string]string{"counter": "../apps/testdata/counter.wasm"}, jobs.Options{})
		defer r.close()
		s := r.dispatch.Open(dispatch.SessionOptions{UID: "u", ID: "s"})
		for range 5 { // in a row, which opens the breaker
			s.Transcript(event.Transcript{Conversation: "c", Segments: []event.Segment{{ID: "1", Text: "trap"}}})
			synctest.Wait()
		}
		s.Close()
		<-r.complete(m.add("c"))
		synctest.Wait()
		if job := m.job("counter", "c"); job.Reason != dispatch.ReasonBreakerOpen || job.Attempts != 0 {
			t.Fatalf("%+v", job)
		}
		began := time.Now()
		inv := r.next(t)
		if took := time.Since(began); took != 30*time.Second || inv.Outcome != plugins.OK {
			t.Errorf("run after %v: %s; want it when the breaker lets it, after 30 s", took, inv.Outcome)
		}
	})
}
