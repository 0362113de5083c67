package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
)

// fill makes three dead letters of a and of b each, for c1 to c3, and one job of
// a that waits, for c4.
func fill(t *testing.T, does func(app, conversation string, n int) dispatch.Attempt) (*memory, *host) {
	t.Helper()
	m := newMemory()
	before := &connection{memory: m}
	put := func(j store.Job) {
		j.UID, j.Since = "u", time.Now()
		if _, err := before.PutJob(t.Context(), j, 0); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i <= 3; i++ {
		c := fmt.Sprint("c", i)
		m.add(c, "a", "b")
		put(store.Job{App: "a", Conversation: c, State: store.JobDead, Reason: "trap", Attempts: 2, Last: &store.Attempt{Outcome: "trap", Fuel: 7}})
		put(store.Job{App: "b", Conversation: c, State: store.JobDead, Reason: "app_error", Attempts: 5, Last: &store.Attempt{Outcome: "app_error"}})
	}
	m.add("c4", "a")
	put(store.Job{App: "a", Conversation: "c4", State: store.JobWaiting, Reason: "app_error", Attempts: 1, Next: time.Now().Add(time.Hour), Last: &store.Attempt{Outcome: "app_error"}})
	return m, start(t, m, newDispatch(does), jobs.Options{})
}

func names(js []store.Job) (out []string) {
	for _, j := range js {
		out = append(out, j.Conversation+" "+j.App)
	}
	return out
}

func TestListIsFilteredAndPaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := fill(t, in())
		defer h.close(t)
		for _, c := range []struct {
			f    jobs.Filter
			want []string
		}{
			{jobs.Filter{}, []string{"c4 a", "c3 a", "c3 b", "c2 a", "c2 b", "c1 a", "c1 b"}},
			{jobs.Filter{App: "a"}, []string{"c4 a", "c3 a", "c2 a", "c1 a"}},
			{jobs.Filter{Conversation: "c2"}, []string{"c2 a", "c2 b"}},
			{jobs.Filter{Reason: "app_error"}, []string{"c4 a", "c3 b", "c2 b", "c1 b"}},
			{jobs.Filter{Reason: "app_error", State: store.JobDead}, []string{"c3 b", "c2 b", "c1 b"}},
			{jobs.Filter{State: store.JobRunning}, nil},
		} {
			for _, limit := range []int{1, 2, 100} {
				var got []string
				cursor := ""
				for {
					page, err := h.List(c.f, limit, cursor)
					if err != nil || len(page.Jobs) > limit || page.Partial || page.Jobs == nil {
						t.Fatalf("%+v: %+v, %v", c.f, page, err)
					}
					got = append(got, names(page.Jobs)...)
					if cursor = page.Next; cursor == "" {
						break
					}
				}
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("%+v, %d a page: %q, want %q", c.f, limit, got, c.want)
				}
			}
		}
		for _, bad := range []string{"x", "e30", "W10"} {
			if _, err := h.List(jobs.Filter{}, 10, bad); !errors.Is(err, store.ErrBadCursor) {
				t.Errorf("cursor %q: %v", bad, err)
			}
		}
		if _, err := h.List(jobs.Filter{}, jobs.MaxPage+1, ""); err == nil {
			t.Error("no error for a page too large")
		}
	})
}

func TestShowHasTheLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := fill(t, in())
		defer h.close(t)
		job, err := h.Show(t.Context(), "a", "c1")
		if err != nil || job.Last == nil || job.Last.Fuel != 7 {
			t.Errorf("%+v, %v", job, err)
		}
		if _, err := h.Show(t.Context(), "nobody", "c1"); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("no such job: %v", err)
		}
	})
}

func TestRetryRunsDeadLettersWithAllTheirAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := fill(t, func(app, _ string, _ int) dispatch.Attempt {
			if app == "b" {
				return ended(plugins.AppError)
			}
			return ended(plugins.OK)
		})
		defer h.close(t)
		if n, err := h.Retry(t.Context(), jobs.Filter{App: "a"}); n != 4 || err != nil {
			t.Errorf("retried %d (%v), want 4", n, err)
		}
		synctest.Wait()
		if len(m.invocations()) != 4 || len(m.recorded()) != 3 {
			t.Errorf("%d results, records %q", len(m.invocations()), m.recorded())
		}
		if n, err := h.Retry(t.Context(), jobs.Filter{App: "b", Conversation: "c1"}); n != 1 || err != nil {
			t.Errorf("retried %d (%v), want 1", n, err)
		}
		synctest.Wait()
		if job := m.job("b", "c1"); job.State != store.JobWaiting || job.Attempts != 1 {
			t.Errorf("after the first new attempt: %+v", job)
		}
		time.Sleep(time.Hour)
		if job := m.job("b", "c1"); job.State != store.JobDead || job.Attempts != 5 || len(h.dispatch.called("b", "c1")) != 5 {
			t.Errorf("in the end: %+v, %d calls", job, len(h.dispatch.called("b", "c1")))
		}
		if n, err := h.Retry(t.Context(), jobs.Filter{App: "nobody"}); n != 0 || err != nil {
			t.Errorf("of nothing: %d (%v)", n, err)
		}
	})
}

func TestDropRemovesJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := fill(t, in())
		defer h.close(t)
		if n, err := h.Drop(t.Context(), jobs.Filter{Reason: "trap"}); n != 3 || err != nil {
			t.Errorf("dropped %d (%v), want 3", n, err)
		}
		if page, err := h.List(jobs.Filter{App: "a"}, 10, ""); err != nil || !reflect.DeepEqual(names(page.Jobs), []string{"c4 a"}) {
			t.Errorf("left: %v (%v)", names(page.Jobs), err)
		}
		if n, err := h.Drop(t.Context(), jobs.Filter{}); n != 4 || err != nil {
			t.Errorf("dropped %d (%v), want the other 4", n, err)
		}
		time.Sleep(24 * time.Hour)
		if len(m.recorded()) != 0 || h.dispatch.total() != 0 {
			t.Errorf("records %q, %d calls", m.recorded(), h.dispatch.total())
		}
	})
}

func TestRunningJobsAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		m, h := fill(t, func(string, string, int) dispatch.Attempt {
			<-goOn
			return ended(plugins.OK)
		})
		defer h.close(t)
		if _, err := h.Retry(t.Context(), jobs.Filter{Conversation: "c4"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if m.job("a", "c4").State != store.JobRunning {
			t.Fatalf("%+v", m.job("a", "c4"))
		}
		for name, f := range map[string]func() (int, error){
			"retry": func() (int, error) { return h.Retry(t.Context(), jobs.Filter{Conversation: "c4"}) },
			"drop":  func() (int, error) { return h.Drop(t.Context(), jobs.Filter{Conversation: "c4"}) },
		} {
			if n, err := f(); n != 0 || err != nil {
				t.Errorf("%s: %d (%v)", name, n, err)
			}
		}
		close(goOn)
	})
}

func TestWhatIsNotLoadedYetIsNotTakenForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, h := fill(t, in())
		h.close(t)
		next, err := jobs.New(jobs.Options{Store: &connection{memory: m}, Dispatch: newDispatch(in()), Apps: func() *apps.Set { return &apps.Set{} }})
		if err != nil {
			t.Fatal(err)
		}
		if page, err := next.List(jobs.Filter{}, 10, ""); err != nil || len(page.Jobs) != 0 || !page.Partial {
			t.Errorf("before Run: %+v (%v), want it to be called partial", page, err)
		}
		if n, err := next.Drop(t.Context(), jobs.Filter{}); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without Run: dropped %d, %v", n, err)
		}
		dropped := make(chan int)
		go func() {
			n, err := next.Drop(t.Context(), jobs.Filter{State: store.JobDead})
			if err != nil {
				t.Error(err)
			}
			dropped <- n
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		go next.Run(ctx)
		if n := <-dropped; n != 6 {
			t.Errorf("dropped %d, want the 6 dead letters that are loaded first", n)
		}
		cancel()
		if err := next.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestOperatorIsToldWhenTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h := fill(t, in())
		defer h.close(t)
		h.store.broken.Store(true)
		if n, err := h.Drop(t.Context(), jobs.Filter{}); n != 0 || !errors.Is(err, errBroken) {
			t.Errorf("%d, %v", n, err)
		}
		h.store.broken.Store(false)
	})
}
