package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/prometheus/client_golang/prometheus"
)

func TestOfTwoWritersOfARevisionOneIsFenced(t *testing.T) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	c := conversation("c_1", "ann")
	rev := appendTo(t, s, part(c, event.Segment{ID: "1"}), 0)
	next := appendTo(t, s, part(c, event.Segment{ID: "2"}), rev)
	for name, write := range map[string]func(after store.Revision) error{
		"append": func(after store.Revision) error {
			_, err := s.Append(ctx, part(c, event.Segment{ID: "lost"}), after)
			return err
		},
		"settle": func(after store.Revision) error { return s.Settle(ctx, part(c), after) },
	} {
		for _, after := range []store.Revision{0, rev, next + 1} {
			if err := write(after); !errors.Is(err, store.ErrFenced) {
				t.Errorf("%s after %d, where %d is the newest: %v, want ErrFenced", name, after, next, err)
			}
		}
	}
	must(t, s.Ready()) // losing is no failure of the store
	held, err := s.Session(ctx, "s_1")
	must(t, err)
	if len(held) != 1 || held[0].Revision != next || len(held[0].Conversation.Segments) != 2 {
		t.Errorf("held: %+v, want segments 1 and 2 at revision %d", held, next)
	}
	must(t, s.Settle(ctx, part(c), next))
	if _, err := s.Append(ctx, part(c, event.Segment{ID: "3"}), next); !errors.Is(err, store.ErrFenced) {
		t.Errorf("appending to what was settled: %v, want ErrFenced", err)
	}
}

// Writes that wait together are one batch, and one of them that has lost fails
// alone.
func TestALoserFailsAlone(t *testing.T) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	const n = 60
	taken := appendTo(t, s, part(conversation("c_7", "ann")), 0)
	revs := make([]store.Revision, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			revs[i], err = s.Append(ctx, part(conversation(fmt.Sprintf("c_%d", i), "ann"), event.Segment{ID: fmt.Sprint(i)}), 0)
			if lost := errors.Is(err, store.ErrFenced); lost != (i == 7) || !lost && err != nil {
				t.Errorf("conversation %d: %v, want ErrFenced for 7 alone", i, err)
			}
		})
	}
	wg.Wait()
	revs[7] = taken
	held, err := s.Unfinished(ctx)
	must(t, err)
	if len(held) != n {
		t.Fatalf("%d are held, want %d", len(held), n)
	}
	for _, h := range held {
		var i int
		fmt.Sscanf(h.Conversation.ID, "c_%d", &i)
		if h.Revision != revs[i] {
			t.Errorf("%s is at revision %d, its writer was told %d", h.Conversation.ID, h.Revision, revs[i])
		}
		if i != 7 && (len(h.Conversation.Segments) != 1 || h.Conversation.Segments[0].ID != fmt.Sprint(i)) {
			t.Errorf("%s holds %v", h.Conversation.ID, h.Conversation.Segments)
		}
	}
}

func TestASessionIsToldWhatIsHeldOfIt(t *testing.T) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	if _, err := s.Session(ctx, "s_1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session that never was: %v, want ErrNotFound", err)
	}
	if _, err := s.Session(ctx, "*"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session that can't be: %v, want ErrNotFound", err)
	}
	first := part(conversation("c_1", "ann", event.Segment{ID: "1"}), event.Segment{ID: "1"})
	first.Closing, first.Next, first.Seq, first.AudioBytes, first.Due = true, "c_2", 4, 640, []string{"minutes"}
	rev := appendTo(t, s, first, 0)
	other := conversation("c_3", "bob")
	other.Session = "s_2"
	appendTo(t, s, part(other), 0)
	must(t, s.Complete(ctx, first.Conversation, first.Due))
	must(t, s.Settle(ctx, first, rev))
	second := part(conversation("c_2", "ann"), event.Segment{ID: "2"})
	appendTo(t, s, second, 0)

	held, err := s.Session(ctx, "s_1")
	must(t, err)
	if len(held) != 2 {
		t.Fatalf("held: %+v, want c_1 and c_2", held)
	}
	h := held[0]
	if h.Conversation.ID != "c_1" || !h.Settled || !h.Completed || !h.Closing || h.Next != "c_2" || h.Seq != 4 || h.AudioBytes != 640 || h.Conversation.UID != "ann" || len(h.Conversation.Segments) != 0 {
		t.Errorf("c_1: %+v, want what a session is told of a settled conversation", h)
	}
	if h = held[1]; h.Conversation.ID != "c_2" || h.Settled || h.Completed || !reflect.DeepEqual(h.Conversation.Segments, second.Conversation.Segments) {
		t.Errorf("c_2: %+v", h)
	}
	if open, err := s.Unfinished(ctx); err != nil || len(open) != 2 || open[0].Conversation.ID != "c_2" {
		t.Errorf("unfinished: %+v, %v, want c_2 and c_3", open, err)
	}
}

func TestASettledConversationIsForgottenInTime(t *testing.T) {
	reg := prometheus.NewRegistry()
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir(), SessionMemory: time.Second, Registerer: reg})
	must(t, err)
	defer s.Close(context.Background())
	if held, err := s.Unfinished(t.Context()); err != nil || len(held) != 0 { // as a host does at its start
		t.Fatal(held, err)
	}
	rev := appendTo(t, s, part(conversation("c_1", "ann")), 0)
	must(t, s.Settle(t.Context(), part(conversation("c_1", "ann")), rev))
	appendTo(t, s, part(conversation("c_2", "ann")), 0) // is not
	deadline := time.After(10 * time.Second)
	for {
		held, err := s.Session(t.Context(), "s_1")
		must(t, err)
		kept := value(t, reg, "auricle_store_stream_messages", "OPEN")
		if len(held) == 1 && held[0].Conversation.ID == "c_2" && kept == 1 {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("after 10 s, its session is told %+v and %v messages are kept, want c_2 alone after 1 s", held, kept)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestTheFirstResultOfAJobCounts(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir)
	must(t, s.Complete(ctx, conversation("c_1", "ann"), []string{"minutes", "notes.summary"}))
	finish := func(app, invocation string, want bool) {
		t.Helper()
		if first, err := s.FinishJob(ctx, "c_1", result(app, invocation)); first != want || err != nil {
			t.Errorf("%s of %s: first %v, %v, want %v", invocation, app, first, err, want)
		}
	}
	finish("minutes", "i_1", true)
	finish("minutes", "i_2", false)
	finish("minutes", "i_1", true) // again
	finish("notes.summary", "i_3", true)
	must(t, s.AddResult(ctx, "c_1", result("loudness", "i_4"))) // in real time: no job's
	must(t, s.Close(ctx))

	s = open(t, dir)
	finish("minutes", "i_2", false)
	apps, err := s.Finished(ctx, "c_1")
	if err != nil || !slices.Equal(apps, []string{"minutes", "notes.summary"}) {
		t.Errorf("finished: %v, %v", apps, err)
	}
	r, err := s.Conversation(ctx, "c_1")
	must(t, err)
	var got []string
	for _, o := range r.Outputs {
		got = append(got, o.Invocation)
	}
	if !slices.Equal(got, []string{"i_1", "i_3", "i_4"}) {
		t.Errorf("outputs of %v, want those of i_1, i_3 and i_4", got)
	}
	if apps, err := s.Finished(ctx, "c_2"); err != nil || len(apps) != 0 {
		t.Errorf("finished of another: %v, %v, want none", apps, err)
	}
}

func TestAJobHasOneOwner(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir)
	must(t, s.Complete(ctx, conversation("c_1", "ann"), nil))
	job := store.Job{App: "minutes", Conversation: "c_1", UID: "ann", Session: "s_1", State: store.JobWaiting, Since: noon, Next: noon, Attempts: 1, Reason: "trap",
		Last: &store.Attempt{Invocation: "i_1", Outcome: "trap", At: noon, Stack: []string{"main"}, Log: []store.LogLine{{Level: "info", Text: "<b>"}}}}
	rev, err := s.PutJob(ctx, job, 0)
	must(t, err)
	claims := make([]error, 8)
	var wg sync.WaitGroup
	for i := range claims {
		wg.Go(func() {
			mine := job
			mine.State, mine.Host = store.JobRunning, fmt.Sprint(i)
			_, claims[i] = s.PutJob(ctx, mine, rev)
		})
	}
	wg.Wait()
	won := 0
	for _, err := range claims {
		if err == nil {
			won++
		} else if !errors.Is(err, store.ErrFenced) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 claims won, want 1", won)
	}
	if _, err := s.PutJob(ctx, job, 0); !errors.Is(err, store.ErrFenced) {
		t.Errorf("making it again: %v, want ErrFenced", err)
	}
	must(t, s.Close(ctx))

	s = open(t, dir)
	r, err := s.Conversation(ctx, "c_1")
	must(t, err)
	jobs, err := s.Jobs(ctx, "c_1")
	must(t, err)
	if len(jobs) != 1 || !reflect.DeepEqual(jobs, r.Jobs) || !reflect.DeepEqual(jobs[0].Last, job.Last) || jobs[0].State != store.JobRunning {
		t.Errorf("jobs %+v, of its record %+v, want the claimed one", jobs, r.Jobs)
	}
	if err := s.DropJob(ctx, "minutes", "c_1", rev); !errors.Is(err, store.ErrFenced) {
		t.Errorf("dropping an older revision: %v, want ErrFenced", err)
	}
	must(t, s.DropJob(ctx, "minutes", "c_1", rev+1))
	if jobs, err := s.Jobs(ctx, "c_1"); err != nil || len(jobs) != 0 || jobs == nil {
		t.Errorf("after it was dropped: %+v, %v, want none", jobs, err)
	}
	if _, err := s.PutJob(ctx, job, 0); err != nil {
		t.Errorf("making it anew: %v", err)
	}
}

func TestJobsAreFollowed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := open(t, t.TempDir())
	job := func(i int) store.Job {
		return store.Job{App: "minutes", Conversation: fmt.Sprintf("c_%d", i), State: store.JobWaiting}
	}
	old, err := s.PutJob(ctx, job(1), 0)
	must(t, err)
	gone, err := s.PutJob(ctx, job(2), 0)
	must(t, err)
	must(t, s.DropJob(ctx, "minutes", "c_2", gone)) // of which nobody is told
	changes := make(chan store.JobChange, 100)
	ended := make(chan error, 1)
	go func() { ended <- s.FollowJobs(ctx, func(c store.JobChange) { changes <- c }) }()
	want := func(w store.JobChange) {
		t.Helper()
		select {
		case c := <-changes:
			if !reflect.DeepEqual(c, w) {
				t.Errorf("told %+v, want %+v", c, w)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("not told of %+v", w)
		}
	}
	want(store.JobChange{Job: job(1), Revision: old})
	want(store.JobChange{Synced: true})
	created, err := s.PutJob(ctx, job(3), 0)
	must(t, err)
	want(store.JobChange{Job: job(3), Revision: created})
	running := job(1)
	running.State, running.Host = store.JobRunning, "here"
	rev, err := s.PutJob(ctx, running, old)
	must(t, err)
	want(store.JobChange{Job: running, Revision: rev})
	must(t, s.DropJob(ctx, "minutes", "c_3", created))
	want(store.JobChange{Job: store.Job{App: "minutes", Conversation: "c_3"}, Revision: rev + 1, Gone: true})
	cancel()
	must(t, <-ended)

	// Whoever still follows when the store closes is told so.
	go func() { ended <- s.FollowJobs(context.Background(), func(c store.JobChange) { changes <- c }) }()
	want(store.JobChange{Job: running, Revision: rev})
	must(t, s.Close(context.Background()))
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Errorf("following a store that closed: %v, want ErrClosed", err)
	}
}
