package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// watched is a real store that says what Jobs has been told.
type watched struct {
	*store.Store
	told    chan store.JobChange
	dropped chan string // conversations
}

func (w *watched) DropJob(ctx context.Context, app, conversation string, after store.Revision) error {
	err := w.Store.DropJob(ctx, app, conversation, after)
	if err == nil {
		w.dropped <- conversation
	}
	return err
}

// end waits until a job has been removed.
func (w *watched) end(t *testing.T) {
	t.Helper()
	select {
	case <-w.dropped:
	case <-time.After(time.Minute):
		t.Fatal("no job came to its end")
	}
}

func (w *watched) FollowJobs(ctx context.Context, f func(store.JobChange)) error {
	return w.Store.FollowJobs(ctx, func(c store.JobChange) {
		f(c)
		w.told <- c
	})
}

// await waits until Jobs has been told what is wanted.
func (w *watched) await(t *testing.T, what string, is func(store.JobChange) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		select {
		case c := <-w.told:
			if is(c) {
				return
			}
		case <-ctx.Done():
			t.Fatalf("%s: never told", what)
		}
	}
}

func synced(c store.JobChange) bool { return c.Synced }
func dead(c store.JobChange) bool   { return c.Job.State == store.JobDead }

// openStore opens a store on disk; the test closes it.
func openStore(t *testing.T, dir string) *watched {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return &watched{s, make(chan store.JobChange, 1000), make(chan string, 1000)}
}

func (w *watched) close(t *testing.T) {
	t.Helper()
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// closing stores a conversation up to where its work is due.
func (w *watched) closing(t *testing.T, id string, due ...string) jobs.Work {
	t.Helper()
	now := time.Now().UTC()
	c := event.Conversation{ID: id, UID: "u", Session: "s_" + id, StartedAt: now, CompletedAt: now, Reason: event.ReasonFinish, Segments: []event.Segment{{ID: "1", Text: "hello"}}}
	p := store.Part{Conversation: c, Host: "h1", Closing: true, Next: id + "_next", Due: due}
	revision, err := w.Append(t.Context(), p, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Complete(t.Context(), c, due); err != nil {
		t.Fatal(err)
	}
	return jobs.Work{Conversation: c, Held: store.Held{Part: p, Revision: revision}}
}

// outputs returns how many outputs the store has of a conversation, and what is
// still to be done.
func (w *watched) outputs(t *testing.T, id string) (int, []store.Job) {
	t.Helper()
	r, err := w.Conversation(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return len(r.Outputs), r.Jobs
}

func TestDeadLetterOutlastsTheHostAndIsWorkedOffByTheNext(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	brief := jobs.Options{HostID: "h1", Over: 10 * time.Millisecond}
	broken := runModules(t, s, map[string]string{"notes": "testdata/broken.wasm"}, brief)
	<-broken.complete(s.closing(t, "c_1", "notes"))
	s.await(t, "a dead letter", dead)
	broken.close()
	if n, js := s.outputs(t, "c_1"); n != 0 || len(js) != 1 || js[0].Attempts != 2 || js[0].Last == nil || !strings.Contains(js[0].Last.Error, "unreachable") {
		t.Errorf("%d outputs, jobs %+v", n, js)
	}
	left, err := s.Unfinished(t.Context())
	if err != nil || len(left) != 0 {
		t.Errorf("unfinished though the job is recorded: %+v (%v)", left, err)
	}
	s.close(t)

	s = openStore(t, dir)
	defer s.close(t)
	mended := runModules(t, s, map[string]string{"notes": "testdata/mended.wasm"}, brief)
	defer mended.close()
	if n, err := mended.Retry(t.Context(), jobs.Filter{App: "notes"}); n != 1 || err != nil {
		t.Fatalf("retried %d (%v)", n, err)
	}
	s.end(t)
	if n, js := s.outputs(t, "c_1"); n != 1 || len(js) != 0 {
		t.Errorf("%d outputs, jobs %+v", n, js)
	}
}

func TestWorkOfADeadHostIsDoneOnceHoweverOftenItIsFound(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.close(t)
	r := runModules(t, s, map[string]string{"notes": "testdata/mended.wasm"}, jobs.Options{HostID: "h2"})
	defer r.close()
	s.closing(t, "c_1", "notes") // and then it died
	for range 2 {
		left, err := s.Unfinished(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range left {
			<-r.Start(jobs.Work{Conversation: h.Conversation, Held: h})
			<-r.Start(jobs.Work{Conversation: h.Conversation, Held: h})
		}
	}
	s.end(t)
	if n, js := s.outputs(t, "c_1"); n != 1 || len(js) != 0 {
		t.Errorf("%d outputs, jobs %+v", n, js)
	}
}

func TestHostsOnOneStoreDoEachJobOnce(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.close(t)
	half := func(perApp int) int { return perApp / 2 }
	alive := func(string) bool { return true }
	var hosts []*running
	for _, id := range []string{"h1", "h2"} {
		r := runModules(t, s, map[string]string{"notes": "testdata/mended.wasm"}, jobs.Options{HostID: id, Share: half, Alive: alive})
		defer r.close()
		s.await(t, "all jobs", synced)
		hosts = append(hosts, r)
	}
	const conversations = 40
	for i := range conversations {
		w := s.closing(t, fmt.Sprint("c_", i), "notes")
		<-hosts[i%2].Start(w) // as recovered: every one becomes a job
	}
	for range conversations {
		s.end(t)
	}
	for i := range conversations {
		if n, js := s.outputs(t, fmt.Sprint("c_", i)); n != 1 || len(js) != 0 {
			t.Errorf("c_%d: %d outputs, jobs %+v", i, n, js)
		}
	}
}
