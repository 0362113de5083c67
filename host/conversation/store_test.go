package conversation_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// acks is a client that passes on what it is told of acks and completions.
type acks struct {
	acked     chan uint64
	completed chan event.Conversation
}

func newAcks() *acks { return &acks{make(chan uint64, 64), make(chan event.Conversation, 64)} }

func (a *acks) Ack(seq uint64, _ int64) { a.acked <- seq }
func (a *acks) Conversation(_ string, _ conversation.State, c *event.Conversation) {
	if c != nil {
		a.completed <- *c
	}
}
func (a *acks) Output(event.Output)           {}
func (a *acks) Gap(dispatch.Gap)              {}
func (a *acks) Warn(*conversation.InputError) {}

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

func openStore(ctx context.Context, t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(ctx, store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatWasAcknowledgedIsRecoveredFromTheRealStore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()

	// A host completes one conversation, acknowledges a segment of the next,
	// and is gone without a word.
	first := openStore(ctx, t, dir)
	mailboxes := &fakeDispatcher{}
	m := conversation.New(conversation.Options{Store: first, Dispatch: mailboxes})
	client := newAcks()
	s, err := m.Start(ctx, conversation.StartRequest{UID: "ada", Language: "en"}, client)
	ok(t, err)
	ok(t, s.Transcript(1, []event.Segment{segment("a", "helo", 0)}))
	receive(ctx, t, "the ack of 1", client.acked)
	ok(t, s.Transcript(2, []event.Segment{segment("a", "hello", 0), segment("b", "you", 1)}))
	ok(t, s.Finish())
	done := receive(ctx, t, "the completion", client.completed)
	mailboxes.last().o.Deliver(apps.Invocation{ID: "i_1", App: "minutes", Conversation: done.ID, Kind: event.KindConversation, Outcome: plugins.OK,
		Outputs: []event.Output{{App: "minutes", Conversation: done.ID, Event: "conversation", Invocation: "i_1", Kind: event.OutputEmitted, Data: json.RawMessage(`{"title":"x"}`)}}})
	ok(t, m.Flush(ctx))
	ok(t, s.Transcript(3, []event.Segment{segment("c", "left open", 0)}))
	for receive(ctx, t, "the ack of 3", client.acked) != 3 {
	}
	left := s.Conversation()
	ok(t, first.Close(ctx))
	defer func() { // of the host that is gone: nothing waits to be written
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = m.Close(ctx) // fails: its store is closed
	}()

	second := openStore(ctx, t, dir)
	again := &fakeDispatcher{}
	n := conversation.New(conversation.Options{Store: second, Dispatch: again})
	ok(t, n.Recover(ctx))
	page, err := second.Conversations(ctx, "ada", 10, "")
	ok(t, err)
	if len(page.Conversations) != 2 {
		t.Fatalf("got %d conversations, want both", len(page.Conversations))
	}
	got, err := second.Conversation(ctx, left)
	ok(t, err)
	if got.Reason != event.ReasonRecovered || len(got.Segments) != 1 || got.Segments[0].Text != "left open" || got.Language != "en" {
		t.Errorf("recovered: got %+v", got.Conversation)
	}
	got, err = second.Conversation(ctx, done.ID)
	ok(t, err)
	if got.Reason != event.ReasonFinish || len(got.Segments) != 2 || got.Segments[0].Text != "hello" || len(got.Outputs) != 1 {
		t.Errorf("completed: got %+v", got)
	}
	want(t, "apps after the recovery", again.last().log(), "complete; close")
	ok(t, n.Close(ctx))
	ok(t, n.Flush(ctx))
	ok(t, second.Close(ctx))
}
