package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "demand")
	ctx := t.Context()
	want := conversation("c_1", "ann", event.Segment{ID: "1", Text: "Zoë said <b>no</b> & left", Speaker: "A", IsUser: true, Start: 0.5, End: 1.25})
	good, bad := result("minutes", "i_1"), result("keywords", "i_2")
	good.Outputs[0].Data = []byte(`{"html":"<p>&</p>"}`) // kept as it is
	bad.Outcome, bad.Error, bad.Attempt, bad.Outputs = "trap", `app "keywords": unreachable`, 2, nil

	s := open(t, dir)
	must(t, s.AddResult(ctx, "c_1", good)) // before its conversation completes
	rev := appendTo(t, s, part(want, want.Segments...), 0)
	must(t, s.Complete(ctx, want, nil))
	must(t, s.AddResult(ctx, "c_1", bad))
	must(t, s.Settle(ctx, part(want), rev))
	must(t, s.Close(ctx))

	s = open(t, dir)
	got, err := s.Conversation(ctx, "c_1")
	must(t, err)
	if !reflect.DeepEqual(got.Conversation, want) {
		t.Errorf("conversation\n got %+v\nwant %+v", got.Conversation, want)
	}
	if !reflect.DeepEqual(got.Outputs, good.Outputs) {
		t.Errorf("outputs\n got %+v\nwant %+v", got.Outputs, good.Outputs)
	}
	page, err := s.Conversations(ctx, "ann", 20, "")
	must(t, err)
	if len(page.Conversations) != 1 || !reflect.DeepEqual(page.Conversations[0], got) || page.Next != "" {
		t.Errorf("list: %+v", page)
	}
	if open, err := s.Unfinished(ctx); err != nil || len(open) != 0 {
		t.Errorf("unfinished: %v, %v, want none", open, err)
	}
}

// What the disk holds when a call returned is what a host that dies leaves, so
// a copy of the directory, taken while the store is open, is what the next
// host finds.
func TestWhatWasAcknowledgedSurvivesAnUncleanStop(t *testing.T) {
	ctx := t.Context()
	dir, dead := t.TempDir(), filepath.Join(t.TempDir(), "dead")
	s := open(t, dir)
	head := conversation("c_open", "ann")
	first := part(head, event.Segment{ID: "b", Text: "second", Start: 2, End: 3}, event.Segment{ID: "a", Text: "frist", Start: 1, End: 2})
	rev := appendTo(t, s, first, 0)
	head.AudioMillis, head.Language = 90_000, "fr"
	second := part(head, event.Segment{ID: "a", Text: "first", Start: 1, End: 2}, event.Segment{ID: "c", Text: "third", Start: 3, End: 4})
	second.Seq, second.AudioBytes, second.Audio = 7, 9000, &audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1}
	rev = appendTo(t, s, second, rev)
	appendTo(t, s, part(conversation("c_silent", "bob")), 0) // a head alone
	closing := part(conversation("c_done", "ann"), event.Segment{ID: "x"})
	closing.Closing, closing.Next, closing.Due = true, "c_next", []string{"minutes"}
	done := appendTo(t, s, closing, 0)
	must(t, s.Complete(ctx, conversation("c_done", "ann", event.Segment{ID: "x"}), closing.Due))
	must(t, s.AddResult(ctx, "c_done", result("minutes", "i_1")))
	must(t, os.CopyFS(dead, os.DirFS(dir)))

	s = open(t, dead)
	for range 2 { // asking changes nothing
		got, err := s.Unfinished(ctx)
		must(t, err)
		if len(got) != 3 || got[0].Conversation.ID != "c_done" || got[1].Conversation.ID != "c_open" || got[2].Conversation.ID != "c_silent" {
			t.Fatalf("unfinished: %+v, want c_done, c_open and c_silent", got)
		}
		want := store.Held{Part: second, Revision: rev}
		want.Conversation.Segments = []event.Segment{
			{ID: "a", Text: "first", Start: 1, End: 2}, {ID: "b", Text: "second", Start: 2, End: 3}, {ID: "c", Text: "third", Start: 3, End: 4}}
		want.Conversation.CompletedAt, want.Conversation.Reason = time.Time{}, ""
		if !reflect.DeepEqual(got[1], want) {
			t.Errorf("got %+v\nwant %+v", got[1], want)
		}
		if want := (store.Held{Part: closing, Revision: done, Completed: true}); !reflect.DeepEqual(got[0], want) {
			t.Errorf("got %+v\nwant %+v", got[0], want)
		}
	}
	r, err := s.Conversation(ctx, "c_done")
	must(t, err)
	if len(r.Outputs) != 1 || len(r.Segments) != 1 {
		t.Errorf("c_done: %+v, want its segment and its output", r)
	}
	if _, err := s.Conversation(ctx, "c_open"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an open conversation: %v, want ErrNotFound", err)
	}
	must(t, s.Settle(ctx, closing, done))
	must(t, s.Complete(ctx, conversation("c_open", "ann"), nil))
	must(t, s.Settle(ctx, second, rev))
	if got, err := s.Unfinished(ctx); err != nil || len(got) != 1 {
		t.Errorf("after two were settled: %v, %v, want c_silent alone", got, err)
	}
}

func TestASecondCompleteChangesNothing(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir)
	first := conversation("c_1", "ann", event.Segment{ID: "1", Text: "first"})
	must(t, s.Complete(ctx, first, nil))
	must(t, s.Complete(ctx, conversation("c_1", "ann", event.Segment{ID: "1", Text: "second"}), nil))
	must(t, s.Complete(ctx, conversation("c_1", "bob"), nil)) // not even whose it is
	check := func() {
		t.Helper()
		got, err := s.Conversation(ctx, "c_1")
		must(t, err)
		if !reflect.DeepEqual(got.Conversation, first) {
			t.Errorf("got %+v, want what was completed first", got.Conversation)
		}
		for uid, n := range map[string]int{"ann": 1, "bob": 0} {
			if p, err := s.Conversations(ctx, uid, 10, ""); err != nil || len(p.Conversations) != n {
				t.Errorf("%s has %d conversations, %v, want %d", uid, len(p.Conversations), err, n)
			}
		}
	}
	check()
	must(t, s.Close(ctx))
	s = open(t, dir)
	must(t, s.Complete(ctx, conversation("c_1", "ann"), nil))
	check()
}

func TestManyCompletesOfOneConversationKeepOne(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := s.Complete(t.Context(), conversation("c_1", "ann", event.Segment{ID: fmt.Sprint(i)}), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p, err := s.Conversations(t.Context(), "ann", 100, "")
	if err != nil || len(p.Conversations) != 1 || len(p.Conversations[0].Segments) != 1 {
		t.Errorf("got %+v, %v, want one conversation", p, err)
	}
}

func TestAResultIsKeptOnce(t *testing.T) {
	ctx := t.Context()
	s := open(t, t.TempDir())
	must(t, s.Complete(ctx, conversation("c_1", "ann"), nil))
	for range 3 {
		must(t, s.AddResult(ctx, "c_1", result("minutes", "i_1")))
	}
	must(t, s.AddResult(ctx, "c_1", result("minutes", "i_2")))
	must(t, s.AddResult(ctx, "c_2", result("minutes", "i_1"))) // another conversation's
	r, err := s.Conversation(ctx, "c_1")
	must(t, err)
	if len(r.Outputs) != 2 || r.Outputs[0].Invocation != "i_1" || r.Outputs[1].Invocation != "i_2" {
		t.Errorf("got %+v, want one output each of i_1 and i_2, in order", r.Outputs)
	}
}

func TestMoreResultsThanOneBatchAreAllRead(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 1,100 synced messages")
	}
	s := open(t, t.TempDir())
	must(t, s.Complete(t.Context(), conversation("c_1", "ann"), nil))
	const n, callers = 1100, 50
	var wg sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			for i := w; i < n; i += callers {
				if err := s.AddResult(t.Context(), "c_1", result("loudness", fmt.Sprintf("i_%d", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r, err := s.Conversation(t.Context(), "c_1")
	must(t, err)
	seen := map[string]bool{}
	for _, o := range r.Outputs {
		seen[o.Invocation] = true
	}
	if len(r.Outputs) != n || len(seen) != n {
		t.Errorf("got %d outputs of %d invocations, want %d", len(r.Outputs), len(seen), n)
	}
	// In a list beside another, too.
	must(t, s.Complete(t.Context(), conversation("c_2", "ann"), nil))
	must(t, s.AddResult(t.Context(), "c_2", result("minutes", "i_1")))
	p, err := s.Conversations(t.Context(), "ann", 10, "")
	if err != nil || len(p.Conversations) != 2 || len(p.Conversations[0].Outputs) != 1 || len(p.Conversations[1].Outputs) != n {
		t.Errorf("listed %d conversations, %v, want c_2 with 1 output and c_1 with %d", len(p.Conversations), err, n)
	}
}

func TestALargeConversationIsKeptInParts(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	s := open(t, dir)
	var segs []event.Segment
	for i := range 330 { // over 5 MB: two parts
		segs = append(segs, event.Segment{ID: fmt.Sprint(i), Text: strings.Repeat(fmt.Sprintf("%06d ", i), 16<<10/7), Start: float64(i), End: float64(i)})
	}
	want := conversation("c_1", "ann", segs...)
	rev := appendTo(t, s, part(want, segs...), 0)
	if got, err := s.Unfinished(ctx); err != nil || len(got) != 1 || got[0].Revision != rev || !reflect.DeepEqual(got[0].Conversation.Segments, segs) {
		t.Fatalf("unfinished: %v, %v, want all of its segments", len(got), err)
	}
	must(t, s.Complete(ctx, want, nil))
	must(t, s.Complete(ctx, want, nil))
	must(t, s.Close(ctx))
	s = open(t, dir)
	got, err := s.Conversation(ctx, "c_1")
	must(t, err)
	if !reflect.DeepEqual(got.Conversation, want) {
		t.Error("it came back changed")
	}
	if p, err := s.Conversations(ctx, "ann", 100, ""); err != nil || len(p.Conversations) != 1 {
		t.Errorf("listed %d, %v, want 1", len(p.Conversations), err)
	}
}

func TestWhatCanNotBeKeptIsRefused(t *testing.T) {
	ctx := t.Context()
	reg := prometheus.NewRegistry()
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Registerer: reg})
	must(t, err)
	defer s.Close(context.Background())
	huge := result("minutes", "i_1")
	huge.Error = strings.Repeat("x", store.MaxMessageBytes)
	refused := func(p store.Part) error {
		_, err := s.Append(ctx, p, 0)
		return err
	}
	nameless := conversation("c_1", "ann")
	nameless.Session = "s.1"
	for _, c := range []struct {
		name string
		err  error
		is   error
		says string
	}{
		{"an id that is two tokens", s.Complete(ctx, conversation("c.1", "ann"), nil), store.ErrBadID, `"c.1"`},
		{"an id that is a wildcard", refused(part(conversation(">", "ann"))), store.ErrBadID, `">"`},
		{"no id", s.Complete(ctx, conversation("", "ann"), nil), store.ErrBadID, "0 bytes"},
		{"a long id", s.Complete(ctx, conversation(strings.Repeat("c", 129), "ann"), nil), store.ErrBadID, "129 bytes"},
		{"no uid", refused(part(conversation("c_1", ""))), store.ErrBadID, "uid of 0 bytes"},
		{"a long uid", s.Complete(ctx, conversation("c_1", strings.Repeat("u", 129)), nil), store.ErrBadID, "uid of 129 bytes"},
		{"a bad session id", refused(part(nameless)), store.ErrBadID, `session id "s.1"`},
		{"a bad invocation id", s.AddResult(ctx, "c_1", result("a", "i 1")), store.ErrBadID, `"i 1"`},
		{"a result over the limit", s.AddResult(ctx, "c_1", huge), store.ErrTooLarge, "at most 4194304"},
		{"a segment over the limit", refused(part(conversation("c_1", "ann"), event.Segment{ID: "1", Text: huge.Error})), store.ErrTooLarge, "at most 4194304"},
	} {
		if !errors.Is(c.err, c.is) || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: got %.200v, want %v saying %s", c.name, c.err, c.is, c.says)
		}
	}
	if err := s.Ready(); err != nil {
		t.Errorf("the store is not ready after callers' faults: %v", err)
	}
	n, err := testutil.GatherAndCount(reg, "auricle_store_errors_total")
	if err != nil || n == 0 {
		t.Errorf("errors counted in %d series, %v", n, err)
	}
	must(t, testutil.GatherAndCompare(reg, strings.NewReader(`# HELP auricle_store_errors_total Operations of the store that failed. A conversation that does not exist is no failure, nor is one that another host has taken over.
# TYPE auricle_store_errors_total counter
auricle_store_errors_total{operation="add_memories"} 0
auricle_store_errors_total{operation="add_result"} 2
auricle_store_errors_total{operation="announce"} 0
auricle_store_errors_total{operation="append"} 4
auricle_store_errors_total{operation="complete"} 4
auricle_store_errors_total{operation="drop_job"} 0
auricle_store_errors_total{operation="finish_job"} 0
auricle_store_errors_total{operation="forget_memories"} 0
auricle_store_errors_total{operation="list"} 0
auricle_store_errors_total{operation="put_choices"} 0
auricle_store_errors_total{operation="put_job"} 0
auricle_store_errors_total{operation="put_values"} 0
auricle_store_errors_total{operation="read"} 0
auricle_store_errors_total{operation="session"} 0
auricle_store_errors_total{operation="settle"} 0
auricle_store_errors_total{operation="unfinished"} 0
`), "auricle_store_errors_total"))
}

func TestOneHostADirectory(t *testing.T) {
	if os.Getenv("AURICLE_TEST_HOLD_DIR") != "" {
		holdDir(t)
		return
	}
	dir := t.TempDir()
	check := func() {
		t.Helper()
		_, err := store.Open(t.Context(), store.Options{Dir: dir})
		if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "data_dir") {
			t.Errorf("got %v, want ErrLocked naming %s and what to do", err, dir)
		}
	}
	s := open(t, dir)
	check()
	must(t, s.Ready()) // the other's attempt did it no harm
	must(t, s.Close(t.Context()))

	// Another process, which then dies without closing anything.
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestOneHostADirectory$")
	other.Env = append(os.Environ(), "AURICLE_TEST_HOLD_DIR="+dir)
	stdout, err := other.StdoutPipe()
	must(t, err)
	must(t, other.Start())
	line := make([]byte, 5)
	if _, err := stdout.Read(line); err != nil || string(line) != "held\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	check()
	must(t, other.Process.Kill())
	if err := other.Wait(); err == nil {
		t.Error("the other process ended by itself")
	}
	left := stagings(t, dir)
	s = open(t, dir)
	for _, folder := range left {
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("the killed process's %s is still there", folder)
		}
	}
	r, err := s.Conversation(t.Context(), "c_other")
	if err != nil || r.UID != "ann" {
		t.Errorf("what the killed process completed: %+v, %v", r, err)
	}
	if got, err := s.Unfinished(t.Context()); err != nil || len(got) != 1 || got[0].Conversation.ID != "c_left" {
		t.Errorf("what it left open: %v, %v, want c_left", got, err)
	}
}

// holdDir is the other process of TestOneHostADirectory.
func holdDir(t *testing.T) {
	s := open(t, os.Getenv("AURICLE_TEST_HOLD_DIR"))
	must(t, s.Complete(t.Context(), conversation("c_other", "ann"), nil))
	appendTo(t, s, part(conversation("c_left", "ann"), event.Segment{ID: "1", Text: "and then"}), 0)
	fmt.Println("held")
	<-t.Context().Done() // killed before
}

func TestADirectoryThatCanNotBeWrittenIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		_, err := store.Open(t.Context(), store.Options{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "data directory "+dir+" can't be used") || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("got %v, want an error naming %s and why", err, dir)
		}
	}
	// Something in the way of the server's own files, deeper inside.
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600))
	if _, err := store.Open(t.Context(), store.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error naming %s", err, dir)
	}
	// A failed Open leaves nothing behind that keeps another from opening.
	must(t, os.Remove(filepath.Join(dir, "jetstream")))
	open(t, dir)
	if _, err := store.Open(t.Context(), store.Options{}); err == nil {
		t.Error("no directory at all was accepted")
	}
}

func TestAClosedStoreRefuses(t *testing.T) {
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	must(t, err)
	must(t, s.Ready())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := s.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, appendErr := s.Append(ctx, part(conversation("c_1", "ann")), 0)
	_, putErr := s.PutJob(ctx, store.Job{App: "a", Conversation: "c_1"}, 0)
	for name, err := range map[string]error{
		"Ready":      s.Ready(),
		"Append":     appendErr,
		"Settle":     s.Settle(ctx, part(conversation("c_1", "ann")), 0),
		"PutJob":     putErr,
		"DropJob":    s.DropJob(ctx, "a", "c_1", 1),
		"FollowJobs": s.FollowJobs(ctx, func(store.JobChange) { t.Error("told of a job") }),
		"Complete":   s.Complete(ctx, conversation("c_1", "ann"), nil),
		"AddResult":  s.AddResult(ctx, "c_1", result("a", "i_1")),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
	if _, err := s.Conversation(ctx, "c_1"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Conversation: %v", err)
	}
	if _, err := s.Conversations(ctx, "ann", 1, ""); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Conversations: %v", err)
	}
	if _, err := s.Unfinished(ctx); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Unfinished: %v", err)
	}
}

// Everything that a write which succeeded has written is there afterwards,
// also when the store was closed in the middle of it.
func TestCloseLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		kept []string
	)
	some := make(chan struct{}, 1)
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("c_%d_%d", w, i)
				if err := s.Complete(context.Background(), conversation(id, "ann"), nil); err != nil {
					if !errors.Is(err, store.ErrClosed) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				kept = append(kept, id)
				mu.Unlock()
				select {
				case some <- struct{}{}:
				default:
				}
			}
		})
	}
	<-some
	cut, cancel := context.WithCancel(t.Context())
	cancel() // no patience: operations under way are cut off
	must(t, s.Close(cut))
	wg.Wait()
	s = open(t, dir)
	for _, id := range kept {
		if _, err := s.Conversation(t.Context(), id); err != nil {
			t.Errorf("%s was acknowledged: %v", id, err)
		}
	}
}

func TestACancelledCallerGetsItsOwnError(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Complete(ctx, conversation("c_1", "ann"), nil); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "c_1") {
		t.Errorf("got %v, want context.Canceled and the conversation's id", err)
	}
	must(t, s.Ready())
}

func TestAStoreCanBeOpenedAgainWithTheSameRegistry(t *testing.T) {
	dir, reg := t.TempDir(), prometheus.NewRegistry()
	for range 2 {
		s, err := store.Open(t.Context(), store.Options{Dir: dir, Registerer: reg})
		must(t, err)
		must(t, s.AddResult(t.Context(), "c_1", result("minutes", "i_1")))
		if n, err := testutil.GatherAndCount(reg, "auricle_store_write_duration_seconds"); n != 1 || err != nil {
			t.Errorf("%d series of write durations, %v, want 1", n, err)
		}
		must(t, s.Close(t.Context()))
	}
}
