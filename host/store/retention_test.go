package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/prometheus/client_golang/prometheus"
)

// retained opens a store over dir with limits, and returns it once it has
// removed as many of one kind as it should.
func retained(t *testing.T, dir string, r store.Retention, kind, reason string, n int) *store.Store {
	t.Helper()
	reg := prometheus.NewRegistry()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Retention: r, Registerer: reg})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close(context.Background())) })
	deadline := time.After(10 * time.Second)
	for {
		got := value(t, reg, "auricle_store_removed_total", kind, reason)
		if got == float64(n) {
			return s
		}
		select {
		case <-deadline:
			t.Fatalf("removed %v of kind %s by %s, want %d", got, kind, reason, n)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestConversationsAreRemovedByAge(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir)
	large := conversation("c_large", "ann")
	for i := range 400 {
		large.Segments = append(large.Segments, event.Segment{ID: fmt.Sprint(i), Text: strings.Repeat("x", 16<<10)})
	}
	must(t, s.Complete(ctx, conversation("c_1", "ann"), nil))
	must(t, s.Complete(ctx, large, nil)) // in parts
	must(t, s.AddResult(ctx, "c_1", result("loudness", "i_1")))
	_, err := s.FinishJob(ctx, "c_1", result("minutes", "i_2"))
	must(t, err)
	appendTo(t, s, part(conversation("c_open", "ann")), 0)
	must(t, s.Close(ctx))

	s = retained(t, dir, store.Retention{Conversations: store.Limit{Age: time.Nanosecond}}, "conversation", "age", 2)
	if p, err := s.Conversations(ctx, "ann", 10, ""); err != nil || len(p.Conversations) != 0 {
		t.Errorf("left: %+v, %v, want none", p, err)
	}
	if _, err := s.Conversation(ctx, "c_1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("c_1: %v, want ErrNotFound", err)
	}
	if apps, err := s.Finished(ctx, "c_1"); err != nil || len(apps) != 0 {
		t.Errorf("results of c_1: %v, %v, want none", apps, err)
	}
	if open, err := s.Unfinished(ctx); err != nil || len(open) != 1 {
		t.Errorf("open: %+v, %v, want what was open before", open, err)
	}
	// The next may have the same id: nothing of the former is in it.
	must(t, s.Complete(ctx, conversation("c_1", "bob"), nil))
	if r, err := s.Conversation(ctx, "c_1"); err != nil || len(r.Outputs) != 0 || r.UID != "bob" {
		t.Errorf("c_1 anew: %+v, %v", r, err)
	}
}

func TestTheOldestConversationsAreRemovedBySize(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for i := range 10 {
		must(t, s.Complete(t.Context(), conversation(fmt.Sprint("c_", i), "ann", event.Segment{ID: "1", Text: strings.Repeat("x", 10_000)}), nil))
	}
	must(t, s.Close(t.Context()))
	s = retained(t, dir, store.Retention{Conversations: store.Limit{Age: time.Hour, Bytes: 45_000}}, "conversation", "bytes", 6)
	if got := ids(t, s, "ann", 3, func() {}); !slices.Equal(got, []string{"c_9", "c_8", "c_7", "c_6"}) {
		t.Errorf("left: %v, want the newest four", got)
	}
}

func TestOutputsAreRemovedAlone(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir)
	must(t, s.Complete(ctx, conversation("c_1", "ann"), nil))
	for i := range 3 {
		must(t, s.AddResult(ctx, "c_1", result("loudness", fmt.Sprint("i_", i))))
	}
	must(t, s.Close(ctx))
	s = retained(t, dir, store.Retention{Outputs: store.Limit{Age: time.Nanosecond}}, "output", "age", 3)
	if r, err := s.Conversation(ctx, "c_1"); err != nil || len(r.Outputs) != 0 {
		t.Errorf("c_1: %+v, %v, want it without outputs", r, err)
	}
}

func TestDeadLettersAreRemovedByTheirOwnAge(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir)
	for i, state := range []store.JobState{store.JobWaiting, store.JobDead, store.JobRunning, store.JobDead} {
		_, err := s.PutJob(ctx, store.Job{App: fmt.Sprint("app", i), Conversation: "c_1", State: state}, 0)
		must(t, err)
	}
	must(t, s.Close(ctx))
	s = retained(t, dir, store.Retention{DeadLetters: store.Limit{Age: time.Nanosecond}}, "dead_letter", "age", 2)
	jobs, err := s.Jobs(ctx, "c_1")
	if err != nil || len(jobs) != 2 || jobs[0].App != "app0" || jobs[1].App != "app2" {
		t.Errorf("left: %+v, %v, want those that wait or run", jobs, err)
	}
}
