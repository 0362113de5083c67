package conversation_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// told is a client that passes on what it is told.
type told struct {
	ready      chan conversation.Ready
	acked      chan uint64
	completed  chan string // ids; the content is the store's
	superseded chan struct{}
}

func newTold() *told {
	return &told{make(chan conversation.Ready, 1), make(chan uint64, 64), make(chan string, 64), make(chan struct{}, 1)}
}

func (c *told) Ready(r conversation.Ready)    { c.ready <- r }
func (c *told) Ack(seq uint64, _ int64)       { c.acked <- seq }
func (c *told) Apps(string, []*apps.App)      {}
func (c *told) Output(event.Output)           {}
func (c *told) Gap(dispatch.Gap)              {}
func (c *told) Warn(*conversation.InputError) {}
func (c *told) Superseded()                   { c.superseded <- struct{}{} }
func (c *told) Failed()                       {}
func (c *told) Conversation(id string, st wire.State, _ *event.Conversation) {
	if st == wire.StateCompleted {
		c.completed <- id
	}
}

func receive[T any](ctx context.Context, t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-ctx.Done():
		t.Fatalf("waiting for %s: %v", what, ctx.Err())
		panic("unreachable")
	}
}

// untilAck waits until seq is acknowledged.
func (c *told) untilAck(ctx context.Context, t *testing.T, seq uint64) {
	t.Helper()
	for receive(ctx, t, "an ack", c.acked) != seq {
	}
}

// settlers settle what completes, as the work of no app.
type settlers struct{ store *store.Store }

func (settlers) Due(string) []string { return nil }

func (j settlers) Start(w jobs.Work) <-chan struct{} {
	done := make(chan struct{})
	close(done)
	_ = j.store.Settle(context.Background(), w.Held.Part, w.Held.Revision) // where it fails it is found again
	return done
}

// shared is a store that two hosts of a test share.
type shared struct{ *store.Store }

func (shared) Shared() bool { return true }

// life is a host's life on a data directory.
type life struct {
	*conversation.Sessions
	store *store.Store
	boxes *fakeDispatcher
}

func begin(ctx context.Context, t *testing.T, dir, host string) *life {
	t.Helper()
	s, err := store.Open(ctx, store.Options{Dir: dir})
	ok(t, err)
	return beginOn(s, host)
}

func beginOn(s *store.Store, host string) *life {
	boxes := &fakeDispatcher{}
	return &life{conversation.New(conversation.Options{Store: shared{s}, Dispatch: boxes, Jobs: settlers{s}, HostID: host}), s, boxes}
}

// crash takes the store from under the sessions: nothing more is written.
func (l *life) crash(ctx context.Context, t *testing.T) {
	t.Helper()
	ok(t, l.store.Close(ctx))
	gone, cancel := context.WithCancel(ctx)
	cancel()
	t.Cleanup(func() { _ = l.Close(gone) }) // it can't hand anything over
}

// stop is an orderly end.
func (l *life) stop(ctx context.Context, t *testing.T) {
	t.Helper()
	ok(t, l.Close(ctx))
	ok(t, l.Flush(ctx))
	ok(t, l.store.Close(ctx))
}

func (l *life) start(ctx context.Context, t *testing.T, session string) (*conversation.Attachment, *told, conversation.Ready) {
	t.Helper()
	c := newTold()
	s, err := l.Start(ctx, conversation.StartRequest{UID: "ada", Language: "en", Session: session}, c)
	ok(t, err)
	return s, c, <-c.ready
}

func TestASessionIsResumedAfterACrashFromWhatWasAcknowledged(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()

	first := begin(ctx, t, dir, "a")
	s, client, ready := first.start(ctx, t, "")
	done := ready.Conversation
	ok(t, s.Transcript(1, []event.Segment{segment("a", "helo", 0)}))
	client.untilAck(ctx, t, 1)
	ok(t, s.Transcript(2, []event.Segment{segment("a", "hello", 0), segment("b", "you", 1)}))
	ok(t, s.Finish())
	want(t, "completed", receive(ctx, t, "the completion", client.completed), done)
	ok(t, s.Transcript(3, []event.Segment{segment("c", "left open", 0)}))
	client.untilAck(ctx, t, 3)
	first.crash(ctx, t)
	ok(t, s.Transcript(4, []event.Segment{segment("d", "never stored", 1)}))

	second := begin(ctx, t, dir, "a")
	ok(t, second.Recover(ctx, nil))
	s, client, ready = second.start(ctx, t, s.Session())
	open := ready.Conversation
	if ready.Seq != 3 || open == done {
		t.Errorf("ready: got %+v, want the second conversation after seq 3", ready)
	}
	ok(t, s.Transcript(3, []event.Segment{segment("c", "a duplicate", 0)}))
	ok(t, s.Transcript(4, []event.Segment{segment("d", "sent again", 1)}))
	client.untilAck(ctx, t, 4)
	ok(t, s.Finish())
	for receive(ctx, t, "the completion", client.completed) != open {
	}
	ok(t, s.Transcript(5, []event.Segment{segment("e", "left open again", 0)}))
	client.untilAck(ctx, t, 5)
	second.stop(ctx, t)

	third := begin(ctx, t, dir, "a") // resumes from the store itself
	_, _, ready = third.start(ctx, t, s.Session())
	if ready.Seq != 5 {
		t.Errorf("ready: got %+v", ready)
	}
	page, err := third.store.Conversations(ctx, "ada", 10, "")
	ok(t, err)
	if len(page.Conversations) != 2 {
		t.Fatalf("got %d completed conversations, want 2", len(page.Conversations))
	}
	got, err := third.store.Conversation(ctx, open)
	ok(t, err)
	if got.Reason != event.ReasonFinish || len(got.Segments) != 2 || got.Segments[0].Text != "left open" || got.Segments[1].Text != "sent again" || got.Language != "en" {
		t.Errorf("got %+v", got.Conversation)
	}
	got, err = third.store.Conversation(ctx, done)
	ok(t, err)
	if len(got.Segments) != 2 || got.Segments[0].Text != "hello" {
		t.Errorf("got %+v", got.Conversation)
	}
	third.stop(ctx, t)
}

func TestTwoHostsOnOneStoreFenceEachOther(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	a := begin(ctx, t, t.TempDir(), "a")
	b := beginOn(a.store, "b")
	s, onA, ready := a.start(ctx, t, "")
	ok(t, s.Transcript(1, []event.Segment{segment("a", "to a", 0)}))
	onA.untilAck(ctx, t, 1)

	there, onB, again := b.start(ctx, t, s.Session())
	if again.Conversation != ready.Conversation || again.Seq != 1 {
		t.Errorf("ready: got %+v", again)
	}
	ok(t, s.Transcript(2, []event.Segment{segment("b", "to a, too late", 1)}))
	ok(t, s.Finish())
	receive(ctx, t, "a to be told", onA.superseded)
	ok(t, there.Transcript(2, []event.Segment{segment("b", "to b", 1)}))
	ok(t, there.End())
	ok(t, there.Wait(ctx))
	want(t, "completed on b", receive(ctx, t, "the completion", onB.completed), ready.Conversation)
	if _, err := a.Start(ctx, conversation.StartRequest{UID: "ada", Session: s.Session()}, newTold()); !errors.Is(err, conversation.ErrUnknownSession) {
		t.Errorf("resuming what has ended: got %v", err)
	}
	got, err := a.store.Conversation(ctx, ready.Conversation)
	ok(t, err)
	if len(got.Segments) != 2 || got.Segments[1].Text != "to b" {
		t.Errorf("got %+v", got.Conversation)
	}
	ok(t, b.Close(ctx))
	a.stop(ctx, t)
}
