package jobs_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
)

func TestHostsShareJobsAndKeepToAnAppsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conversations = 60
		m := newMemory()
		var now, most atomic.Int64
		does := func(string, string, int) dispatch.Attempt {
			n := now.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(100 * time.Millisecond)
			now.Add(-1)
			return ended(plugins.OK)
		}
		half := func(perApp int) int { return perApp / 2 }
		alive := func(string) bool { return true }
		h1 := start(t, m, newDispatch(does), jobs.Options{HostID: "h1", Share: half, Alive: alive})
		defer h1.close(t)
		h2 := start(t, m, newDispatch(does), jobs.Options{HostID: "h2", Share: half, Alive: alive})
		defer h2.close(t)
		for i := range conversations { // all found by one of them
			h1.Start(m.add(fmt.Sprintf("c%02d", i), "a"))
		}
		time.Sleep(time.Minute)
		if got := len(m.invocations()); got != conversations || len(m.recorded()) != 0 {
			t.Fatalf("%d results, records %q", got, m.recorded())
		}
		for i := range conversations {
			c := fmt.Sprintf("c%02d", i)
			if n := len(h1.dispatch.called("a", c)) + len(h2.dispatch.called("a", c)); n != 1 {
				t.Errorf("%s: called %d times", c, n)
			}
		}
		if most.Load() > perApp || h1.dispatch.most["a"] > perApp/2 || h2.dispatch.most["a"] > perApp/2 {
			t.Errorf("%d at once, of them %d and %d on a host; want at most %d and %d", most.Load(), h1.dispatch.most["a"], h2.dispatch.most["a"], perApp, perApp/2)
		}
		if n1, n2 := h1.dispatch.total(), h2.dispatch.total(); n1 < conversations/4 || n2 < conversations/4 {
			t.Errorf("one host ran %d and the other %d: not shared", n1, n2)
		}
	})
}

func TestJobOfADeadHostIsClaimedAtNoCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		w := m.add("c", "a")
		if _, err := (&connection{memory: m}).PutJob(t.Context(), store.Job{
			App: "a", Conversation: "c", UID: "u", State: store.JobRunning, Host: "h1", Attempts: 1,
			Reason: "app_error", Last: &store.Attempt{Outcome: "app_error"},
		}, 0); err != nil {
			t.Fatal(err)
		}
		var dead atomic.Bool
		h2 := start(t, m, newDispatch(in(ended(plugins.AppError))), jobs.Options{HostID: "h2", Alive: func(host string) bool { return host == "h1" && !dead.Load() }})
		defer h2.close(t)
		time.Sleep(time.Minute)
		if got := h2.dispatch.total(); got != 0 {
			t.Fatalf("%d calls while its host is alive", got)
		}
		dead.Store(true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if job := m.job("a", w.Conversation.ID); h2.dispatch.total() != 1 || job.Attempts != 2 || job.State != store.JobWaiting {
			t.Errorf("5 s after its host's death: %d calls, %+v", h2.dispatch.total(), job)
		}
	})
}

func TestJobOfTheHostsEarlierLifeIsClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add("done", "a")
		m.add("c", "a")
		before := &connection{memory: m}
		for _, c := range []string{"done", "c"} {
			if _, err := before.PutJob(t.Context(), store.Job{App: "a", Conversation: c, UID: "u", State: store.JobRunning, Host: "h1"}, 0); err != nil {
				t.Fatal(err)
			}
		}
		// It died between the result and the removal of the record.
		if _, err := before.FinishJob(t.Context(), "done", store.Result{App: "a", Invocation: "i_before"}); err != nil {
			t.Fatal(err)
		}
		h := start(t, m, newDispatch(in()), jobs.Options{HostID: "h1", Alive: func(string) bool { return true }})
		defer h.close(t)
		synctest.Wait()
		if len(h.dispatch.called("a", "c")) != 1 || len(h.dispatch.called("a", "done")) != 0 || len(m.recorded()) != 0 || m.invocations()[id{"a", "done"}] != "i_before" {
			t.Errorf("calls %v, records %q", h.dispatch.calls, m.recorded())
		}
	})
}

func TestJobsOfAnAppThatIsNotInstalledWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		d := newDispatch(in(ended(plugins.AppError)))
		h := start(t, m, d, jobs.Options{})
		defer h.close(t)
		<-h.begin(m.add("c", "a"))
		synctest.Wait()
		d.set("a", &dispatch.Room{Deferred: dispatch.ReasonNotInstalled})
		d.set("b", &dispatch.Room{Deferred: dispatch.ReasonNotInstalled})
		// One that a host that died was running when the app was removed.
		if _, err := (&connection{memory: m}).PutJob(t.Context(), store.Job{
			App: "b", Conversation: "c", State: store.JobRunning, Host: "h9", Attempts: 1, Last: &store.Attempt{Outcome: "trap"},
		}, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if job := m.job("b", "c"); job.State != store.JobWaiting || job.Reason != "not_installed" || job.Host != "" || job.Attempts != 1 || job.Last == nil {
			t.Errorf("of the dead host: %+v", job)
		}
		if job := m.job("a", "c"); job.State != store.JobWaiting || job.Reason != "not_installed" || job.Attempts != 1 || job.Last == nil {
			t.Errorf("%+v, want it waiting with its attempt kept", job)
		}
		if got := len(m.puts()); got != 4 {
			t.Errorf("records written: %q, want it said once", m.puts())
		}
		d.set("a", nil)
		h.Wake()
		synctest.Wait()
		if len(d.called("a", "c")) != 2 || len(m.recorded()) != 1 {
			t.Errorf("once installed: %d calls, records %q", len(d.called("a", "c")), m.recorded())
		}
	})
}

func TestJobOfAUserWhoHasTheAppNoLongerWaitsAndHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		d := newDispatch(in())
		d.without = "bert"
		d.set("a", &dispatch.Room{Runs: 1})
		h := start(t, m, d, jobs.Options{})
		defer h.close(t)
		w := m.add("c1", "a")
		w.Conversation.UID = "bert"
		<-h.Start(w)
		<-h.Start(m.add("c2", "a"))
		time.Sleep(24 * time.Hour)
		if got := m.recorded(); !reflect.DeepEqual(got, []string{"a c1 waiting not_installed"}) || d.total() != 1 {
			t.Errorf("records %q, %d calls", got, d.total())
		}
		if got := m.puts(); len(got) != 4 { // two records, a claim, and the reason, once
			t.Errorf("written %q", got)
		}
		d.mu.Lock()
		d.without = ""
		d.mu.Unlock()
		time.Sleep(time.Minute)
		if len(m.recorded()) != 0 {
			t.Errorf("records %q once the user has the app again", m.recorded())
		}
	})
}

func TestJobsBeyondTheBoundAreRunToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, live, dead = 8, 50, 20
		m := newMemory()
		before := &connection{memory: m}
		put := func(c string, s store.JobState) {
			m.add(c, "a")
			if _, err := before.PutJob(t.Context(), store.Job{App: "a", Conversation: c, UID: "u", State: s, Reason: "trap", Since: time.Now()}, 0); err != nil {
				t.Fatal(err)
			}
		}
		for i := range dead {
			put(fmt.Sprintf("dead%02d", i), store.JobDead)
		}
		for i := range live {
			put(fmt.Sprintf("live%02d", i), store.JobWaiting)
		}
		registry := prometheus.NewRegistry()
		h := start(t, m, newDispatch(in()), jobs.Options{Loaded: most, Registerer: registry})
		defer h.close(t)
		time.Sleep(time.Minute)
		if got := len(m.invocations()); got != live {
			t.Errorf("%d of %d jobs were run", got, live)
		}
		page, err := h.List(jobs.Filter{}, jobs.MaxPage, "")
		if err != nil || len(page.Jobs) != most || !page.Partial {
			t.Errorf("%d dead letters listed, partial %v (%v); want the bound of %d", len(page.Jobs), page.Partial, err, most)
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
			# HELP auricle_jobs_partly_loaded 1 while the store has more jobs than are loaded.
			# TYPE auricle_jobs_partly_loaded gauge
			auricle_jobs_partly_loaded 1
		`), "auricle_jobs_partly_loaded"); err != nil {
			t.Error(err)
		}
		for range dead {
			if _, err := h.Drop(t.Context(), jobs.Filter{State: store.JobDead}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if got := m.recorded(); len(got) != 0 {
			t.Errorf("records %q are left", got)
		}
	})
}

func TestStoreThatIsAwayDelaysJobsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := start(t, m, newDispatch(in(ended(plugins.AppError))), jobs.Options{})
		defer h.close(t)
		<-h.begin(m.add("c", "a"))
		synctest.Wait()
		h.store.broken.Store(true)
		time.Sleep(10 * time.Minute)
		if got := h.dispatch.total(); got != 1 {
			t.Fatalf("%d calls, want none that no claim allows", got)
		}
		h.store.broken.Store(false)
		time.Sleep(time.Minute)
		if h.dispatch.total() != 2 || len(m.recorded()) != 0 {
			t.Errorf("%d calls, records %q", h.dispatch.total(), m.recorded())
		}
	})
}

// A job is run again by another host only if its own could not write what came
// of it: then what the first makes of it in the end is let go.
func TestOvertakenHostLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		goOn := make(chan struct{})
		slow := newDispatch(func(_, _ string, n int) dispatch.Attempt {
			if n == 1 {
				return ended(plugins.AppError)
			}
			<-goOn
			return ended(plugins.OK)
		})
		h1 := start(t, m, slow, jobs.Options{HostID: "h1"})
		defer h1.close(t)
		<-h1.begin(m.add("c", "a"))
		time.Sleep(10 * time.Second)
		if job := m.job("a", "c"); job.State != store.JobRunning || job.Host != "h1" {
			t.Fatalf("%+v", job)
		}
		h2 := start(t, m, newDispatch(in()), jobs.Options{HostID: "h2"}) // to it h1 looks dead
		defer h2.close(t)
		synctest.Wait()
		close(goOn)
		synctest.Wait()
		if h2.dispatch.total() != 1 || len(m.recorded()) != 0 || len(h1.got()) != 0 || !strings.HasPrefix(m.invocations()[id{"a", "c"}], "i_1") {
			t.Errorf("%d calls by the other, records %q, delivered %q, result %v", h2.dispatch.total(), m.recorded(), h1.got(), m.invocations())
		}
		// And it goes on with what comes.
		<-h1.begin(m.add("c2", "b"))
	})
}

func TestEarlierJobsOfAnAppGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var order []string
		d := newDispatch(func(_, c string, _ int) dispatch.Attempt {
			order = append(order, c)
			return ended(plugins.OK)
		})
		d.set("a", &dispatch.Room{Runs: 1})
		before := &connection{memory: m}
		for i, c := range []string{"third", "first", "second"} {
			m.add(c, "a")
			if _, err := before.PutJob(t.Context(), store.Job{
				App: "a", Conversation: c, UID: "u", State: store.JobWaiting, Next: time.Now().Add(time.Duration([]int{3, 1, 2}[i]) * time.Minute),
			}, 0); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour) // the host was down
		h := start(t, m, d, jobs.Options{})
		defer h.close(t)
		synctest.Wait()
		if want := []string{"first", "second", "third"}; !reflect.DeepEqual(order, want) {
			t.Errorf("ran %q, want %q", order, want)
		}
	})
}

// Who follows is told of the last change of a job only: it may never hear of
// one that has come and gone.
func TestJobsThatEndUntoldAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		h := &host{store: &connection{memory: m, deaf: true}, dispatch: newDispatch(func(_, _ string, n int) dispatch.Attempt {
			if n == 1 {
				return ended(plugins.AppError)
			}
			return ended(plugins.OK)
		})}
		h.start(t, jobs.Options{})
		defer h.close(t)
		<-h.begin(m.add("c1", "a"))
		<-h.begin(m.add("c2", "a"))
		synctest.Wait()
		other := &connection{memory: m}
		if err := other.DropJob(t.Context(), "a", "c2", m.jobs[id{"a", "c2"}].revision); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if len(h.dispatch.called("a", "c1")) != 2 || len(h.dispatch.called("a", "c2")) != 1 {
			t.Errorf("calls %v", h.dispatch.calls)
		}
		if page, err := h.List(jobs.Filter{}, 10, ""); err != nil || len(page.Jobs) != 0 {
			t.Errorf("still listed: %v (%v)", names(page.Jobs), err)
		}
	})
}
