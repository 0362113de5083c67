package jobs_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
)

func TestWorkThatIsDoneAtOnceLeavesNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := start(t, m, newDispatch(in()), jobs.Options{})
		defer h.close(t)
		done := h.begin(m.add("c", "a", "b"))
		<-done
		synctest.Wait()
		if len(m.invocations()) != 2 || len(m.puts()) != 0 || !m.settled("c") || len(h.got()) != 2 {
			t.Errorf("results %v, records %q, settled %v, delivered %q", m.invocations(), m.puts(), m.settled("c"), h.got())
		}
		r := m.result("a", "c")
		if r.Event != "conversation" || r.Outcome != "ok" || r.Attempt != 1 {
			t.Errorf("result %+v", r)
		}
	})
}

func TestConversationOfWhichNothingIsDueIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := start(t, m, newDispatch(in()), jobs.Options{})
		defer h.close(t)
		<-h.begin(m.add("c"))
		synctest.Wait()
		if !m.settled("c") {
			t.Error("not settled")
		}
	})
}

func TestResultIsStoredBeforeItIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := start(t, m, newDispatch(in()), jobs.Options{})
		defer h.close(t)
		h.store.broken.Store(true)
		done := h.begin(m.add("c", "a"))
		time.Sleep(time.Minute)
		if isDone(done) || len(h.got()) != 0 || m.settled("c") {
			t.Fatalf("with the store away: done %v, delivered %q, settled %v", isDone(done), h.got(), m.settled("c"))
		}
		h.store.broken.Store(false)
		<-done
		synctest.Wait()
		if len(h.got()) != 1 || !m.settled("c") || len(h.dispatch.called("a", "c")) != 1 {
			t.Errorf("delivered %q, settled %v, %d calls", h.got(), m.settled("c"), len(h.dispatch.called("a", "c")))
		}
	})
}

func TestFailedWorkIsTriedUntilItEndsOK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := start(t, m, newDispatch(in(ended(plugins.AppError), ended(plugins.AppError))), jobs.Options{})
		defer h.close(t)
		<-h.begin(m.add("c", "a"))
		synctest.Wait()
		job := m.job("a", "c")
		if job.State != store.JobWaiting || job.Attempts != 1 || job.Reason != "app_error" || job.UID != "u" || job.Session != "s_c" || job.Since.IsZero() || !m.settled("c") {
			t.Fatalf("after the first attempt: %+v, settled %v", job, m.settled("c"))
		}
		if last := job.Last; last == nil || last.Error != "it failed" || last.Module != "sum" || last.Version != "1.0.0" || last.Invocation != "i_1" || last.Outcome != "app_error" {
			t.Errorf("its last attempt: %+v", job.Last)
		}
		time.Sleep(5 * time.Minute)
		calls := h.dispatch.called("a", "c")
		if len(calls) != 3 {
			t.Fatalf("%d calls, want 3", len(calls))
		}
		for i, want := range []time.Duration{7058823529, 28235294118} {
			if got := calls[i+1].Sub(calls[i]); got < want*8/10 || got > want*12/10 {
				t.Errorf("wait %d was %v, want %v ±20 %%", i+1, got, want)
			}
		}
		if got := m.recorded(); len(got) != 0 {
			t.Errorf("records %q are left", got)
		}
		if got := h.got(); !reflect.DeepEqual(got, []string{"i_3"}) || m.result("a", "c").Attempt != 3 {
			t.Errorf("delivered %q, result %+v; want the third attempt's", got, m.invocations())
		}
		// A retry has no session to go on in, and its app is told so.
		if o := h.dispatch.options; len(o) != 2 || !o[0].Recovered || o[0].UID != "u" || o[0].ID != "s_c" || o[0].Language != "en" {
			t.Errorf("sessions opened for the retries: %+v", o)
		}
	})
}

func TestDeadLettersByOutcome(t *testing.T) {
	const trap, failed, slow = plugins.Trap, plugins.AppError, plugins.DeadlineExceeded
	host := dispatch.Attempt{Deferred: dispatch.ReasonHostError, Invocation: apps.Invocation{Err: "no instance"}}
	all := func(a dispatch.Attempt) func(string, string, int) dispatch.Attempt {
		return func(string, string, int) dispatch.Attempt { return a }
	}
	for _, c := range []struct {
		name   string
		does   func(string, string, int) dispatch.Attempt
		calls  int
		reason string
	}{
		{"trap", all(ended(trap)), 2, "trap"},
		{"fuel", all(ended(plugins.FuelExhausted)), 2, "fuel_exhausted"},
		{"memory", all(ended(plugins.MemoryExceeded)), 2, "memory_exceeded"},
		{"app error", all(ended(failed)), 5, "app_error"},
		{"deadline", all(ended(slow)), 5, "deadline_exceeded"},
		{"host error", all(host), 5, "host_error"},
		{"deadlines then trap", in(ended(slow), ended(slow), ended(trap)), 3, "trap"},
		{"breaker costs none", in(deferred("breaker_open"), ended(trap), deferred("queue_full"), deferred("breaker_open"), ended(trap)), 5, "trap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				registry := prometheus.NewRegistry()
				h := start(t, m, newDispatch(c.does), jobs.Options{Registerer: registry})
				defer h.close(t)
				h.begin(m.add("c", "a"))
				time.Sleep(time.Hour)
				job := m.job("a", "c")
				if got := len(h.dispatch.called("a", "c")); got != c.calls || job.State != store.JobDead || job.Reason != c.reason || !job.Next.IsZero() || job.Host != "" || job.Last == nil {
					t.Errorf("%d calls, want %d; %+v", got, c.calls, job)
				}
				if len(h.got()) != 0 || !m.settled("c") {
					t.Errorf("delivered %q, settled %v", h.got(), m.settled("c"))
				}
				if err := testutil.GatherAndCompare(registry, strings.NewReader(`
					# HELP auricle_dead_letters_total Jobs that had all their attempts in vain, by app and reason.
					# TYPE auricle_dead_letters_total counter
					auricle_dead_letters_total{app="a",reason="`+c.reason+`"} 1
					# HELP auricle_jobs Jobs in the store, as far as they are loaded, by state.
					# TYPE auricle_jobs gauge
					auricle_jobs{state="dead"} 1
					auricle_jobs{state="running"} 0
					auricle_jobs{state="waiting"} 0
				`), "auricle_dead_letters_total", "auricle_jobs"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestWorkIsPutOffWithoutCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		registry := prometheus.NewRegistry()
		open := deferred(dispatch.ReasonBreakerOpen)
		open.Until = time.Now().Add(30 * time.Second)
		d := newDispatch(in(open))
		h := start(t, m, d, jobs.Options{Registerer: registry})
		defer h.close(t)
		d.set("a", &dispatch.Room{Deferred: dispatch.ReasonBreakerOpen, Until: open.Until})
		<-h.begin(m.add("c", "a"))
		synctest.Wait()
		if job := m.job("a", "c"); job.State != store.JobWaiting || job.Reason != "breaker_open" || job.Attempts != 0 || !job.Next.Equal(open.Until) || job.Last != nil || !m.settled("c") {
			t.Fatalf("%+v, settled %v", job, m.settled("c"))
		}
		// The breaker opens anew before its time has come.
		d.set("a", &dispatch.Room{Deferred: dispatch.ReasonBreakerOpen, Until: open.Until.Add(time.Minute)})
		time.Sleep(89 * time.Second)
		if got := len(d.called("a", "c")); got != 1 || len(m.puts()) != 1 {
			t.Fatalf("%d calls and records %q while the breaker is open", got, m.puts())
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
			# HELP auricle_job_oldest_waiting_seconds Age of the oldest job that is not dead.
			# TYPE auricle_job_oldest_waiting_seconds gauge
			auricle_job_oldest_waiting_seconds 89
		`), "auricle_job_oldest_waiting_seconds"); err != nil {
			t.Error(err)
		}
		d.set("a", nil)
		time.Sleep(2 * time.Second)
		if calls := d.called("a", "c"); len(calls) != 2 || !calls[1].Equal(open.Until.Add(time.Minute)) {
			t.Errorf("called at %v, want the second time when the breaker opens at %v", calls, open.Until.Add(time.Minute))
		}
		if r := m.result("a", "c"); r.Attempt != 1 || len(h.got()) != 1 {
			t.Errorf("result %+v, delivered %q", r, h.got())
		}
	})
}

func TestHalfOpenBreakerGetsOneJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		goOn := make(chan struct{})
		d := newDispatch(func(string, string, int) dispatch.Attempt {
			<-goOn
			return ended(plugins.OK)
		})
		d.set("a", &dispatch.Room{Runs: 1})
		h := start(t, m, d, jobs.Options{})
		defer h.close(t)
		for _, c := range []string{"c1", "c2", "c3"} {
			h.Start(m.add(c, "a"))
		}
		synctest.Wait()
		if got := d.total(); got != 1 {
			t.Fatalf("%d ran at once, want the probe", got)
		}
		d.set("a", nil)
		goOn <- struct{}{}
		synctest.Wait()
		if got := d.total(); got != 3 {
			t.Errorf("%d ran once the breaker had closed, want all", got)
		}
		close(goOn)
	})
}

func TestShutdownCostsNothingAndLeavesTheWorkToTheNextHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := start(t, m, newDispatch(func(app, _ string, _ int) dispatch.Attempt {
			if app == "b" {
				return deferred(dispatch.ReasonShutdown)
			}
			return ended(plugins.OK)
		}), jobs.Options{HostID: "h1"})
		w := m.add("c", "a", "b")
		<-h.begin(w)
		h.close(t)
		if len(m.puts()) != 0 || m.settled("c") || len(m.invocations()) != 1 {
			t.Fatalf("records %q, settled %v, results %v", m.puts(), m.settled("c"), m.invocations())
		}
		next := start(t, m, newDispatch(in()), jobs.Options{HostID: "h2"})
		defer next.close(t)
		w.Held.Completed = true
		<-next.Start(w)
		synctest.Wait()
		if len(next.dispatch.called("a", "c")) != 0 || len(next.dispatch.called("b", "c")) != 1 || !m.settled("c") || len(m.recorded()) != 0 {
			t.Errorf("calls of a %d and b %d, settled %v, records %q", len(next.dispatch.called("a", "c")), len(next.dispatch.called("b", "c")), m.settled("c"), m.recorded())
		}
		if r := m.result("b", "c"); r.Attempt != 1 {
			t.Errorf("result %+v, want that of a first attempt", r)
		}
	})
}

func TestClaimedJobThatAShutdownPutsOffWaitsForAnotherHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		d := newDispatch(nil)
		d.does = func(_, _ string, n int) dispatch.Attempt {
			if n == 1 {
				return ended(plugins.AppError)
			}
			d.set("a", &dispatch.Room{Deferred: dispatch.ReasonShutdown}) // it drains
			return deferred(dispatch.ReasonShutdown)
		}
		h := start(t, m, d, jobs.Options{HostID: "h1"})
		<-h.begin(m.add("c", "a"))
		time.Sleep(time.Minute)
		if got := len(d.called("a", "c")); got != 2 {
			t.Fatalf("%d calls, want 2", got)
		}
		if job := m.job("a", "c"); job.State != store.JobWaiting || job.Attempts != 1 || job.Reason != "app_error" || job.Host != "" || job.Last == nil {
			t.Errorf("%+v, want it as it was", job)
		}
		h.close(t)
	})
}

func TestOnlyWhatIsMissingIsRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		dead := newDispatch(in())
		h := start(t, m, newDispatch(in()), jobs.Options{HostID: "h2"})
		defer h.close(t)
		w := m.add("c", "has-result", "has-job", "missing")
		earlier := &connection{memory: m}
		if _, err := earlier.FinishJob(t.Context(), "c", store.Result{App: "has-result", Invocation: "i_before"}); err != nil {
			t.Fatal(err)
		}
		if _, err := earlier.PutJob(t.Context(), store.Job{App: "has-job", Conversation: "c", State: store.JobDead, Reason: "trap"}, 0); err != nil {
			t.Fatal(err)
		}
		w.Boxes, w.Held.Completed = dead, true // a session that came back does not get what was begun elsewhere
		<-h.Start(w)
		synctest.Wait()
		if got := h.dispatch.total(); got != 1 || len(h.dispatch.called("missing", "c")) != 1 || dead.total() != 0 {
			t.Errorf("%d calls, of them %d of the missing one", got, len(h.dispatch.called("missing", "c")))
		}
		if got := m.invocations(); got[id{"has-result", "c"}] != "i_before" || got[id{"missing", "c"}] == "" || !m.settled("c") {
			t.Errorf("results %v, settled %v", got, m.settled("c"))
		}
		if got := m.recorded(); !reflect.DeepEqual(got, []string{"has-job c dead trap"}) {
			t.Errorf("records %q", got)
		}
	})
}

// A host that dies once its result is stored has done the work, though nothing
// else says so.
func TestHostThatDiesBetweenResultAndSettleIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h1 := start(t, m, newDispatch(in()), jobs.Options{HostID: "h1"})
		w := m.add("c", "a")
		w.Boxes = h1.dispatch
		w.Deliver = func(apps.Invocation) { h1.store.broken.Store(true) } // it dies here
		<-h1.Start(w)
		synctest.Wait()
		if m.settled("c") {
			t.Fatal("a host settled after its death")
		}
		h2 := start(t, m, newDispatch(in()), jobs.Options{HostID: "h2"})
		defer h2.close(t)
		w.Boxes, w.Deliver = nil, h2.deliver
		<-h2.Start(w)
		synctest.Wait()
		if h2.dispatch.total() != 0 || !m.settled("c") || len(m.puts()) != 0 || len(h2.got()) != 0 {
			t.Errorf("%d calls, settled %v, records %q, delivered %q", h2.dispatch.total(), m.settled("c"), m.puts(), h2.got())
		}
		if err := abandon(t, h1); err != nil {
			t.Errorf("closing the dead host: %v", err) // what it did is written
		}
	})
}

// abandon closes a host whose store is away: what it could not write is in the
// error.
func abandon(t *testing.T, h *host) error {
	t.Helper()
	h.stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := h.Close(ctx)
	synctest.Wait()
	return err
}

func TestSecondResultIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		registry := prometheus.NewRegistry()
		h := start(t, m, newDispatch(in()), jobs.Options{Registerer: registry})
		defer h.close(t)
		w := m.add("c", "a")
		if _, err := (&connection{memory: m}).FinishJob(t.Context(), "c", store.Result{App: "a", Invocation: "i_other"}); err != nil {
			t.Fatal(err)
		}
		<-h.begin(w)
		synctest.Wait()
		if got := h.got(); len(got) != 0 || m.invocations()[id{"a", "c"}] != "i_other" || !m.settled("c") {
			t.Errorf("delivered %q, results %v, settled %v", got, m.invocations(), m.settled("c"))
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
			# HELP auricle_job_results_total Results of apps for completed conversations: first, which count, and duplicate, which are let go.
			# TYPE auricle_job_results_total counter
			auricle_job_results_total{result="duplicate"} 1
		`), "auricle_job_results_total"); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseSaysWhatTheStoreDidNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := start(t, m, newDispatch(in()), jobs.Options{})
		h.store.broken.Store(true)
		done := h.begin(m.add("c", "a"))
		synctest.Wait()
		err := abandon(t, h)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 results and records") || !isDone(done) || m.settled("c") {
			t.Errorf("%v, done %v, settled %v", err, isDone(done), m.settled("c"))
		}
	})
}

func TestBadOptionsAreAllNamed(t *testing.T) {
	_, err := jobs.New(jobs.Options{Attempts: 21, Over: -1})
	for _, want := range []string{"needs a Store", "21 attempts", "-1ns of waits"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to say %q", err, want)
		}
	}
}
