package conversation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

func TestResultsAreStoredWithoutHoldingUpAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(nil)
		r.store.gate = make(chan struct{})
		deliver := r.dispatch.last().o.Deliver
		out := []event.Output{{App: "a", Data: json.RawMessage(`1`)}}
		for i := range 100 {
			deliver(apps.Invocation{ID: fmt.Sprint(i), App: "a", Conversation: s.Conversation(), Kind: event.KindTranscript, Outcome: plugins.OK, Outputs: out})
		}
		deliver(apps.Invocation{ID: "quiet", App: "a", Kind: event.KindTranscript, Outcome: plugins.OK})
		deliver(apps.Invocation{ID: "failed", App: "a", Kind: event.KindTranscript, Outcome: plugins.Trap, Err: "x"})
		close(r.store.gate)
		r.close()
		if len(r.store.results) != 100 {
			t.Fatalf("stored %d results, want 100", len(r.store.results))
		}
		for i, res := range r.store.results {
			if res.Invocation != fmt.Sprint(i) {
				t.Fatalf("result %d is of invocation %s: out of order", i, res.Invocation)
			}
		}
	})
}

func TestOnlyTheFailureOfACompletionIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.start(nil)
		deliver := r.dispatch.last().o.Deliver
		deliver(apps.Invocation{ID: "2", App: "a", Kind: event.KindConversation, Outcome: plugins.Trap, Err: "x"})
		deliver(apps.Invocation{ID: "3", App: "a", Kind: event.KindTranscript, Outcome: plugins.Trap, Err: "x"})
		r.close()
		if got := r.store.results; len(got) != 1 || got[0].Invocation != "2" || got[0].Outcome != "trap" || got[0].Error != "x" || got[0].Attempt != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestResultsOfAConversationThatIsNotThereDoNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.start(nil)
		r.store.fail(fmt.Errorf("adding: %w", store.ErrNotFound))
		r.dispatch.last().o.Deliver(apps.Invocation{ID: "i", App: "a", Kind: event.KindConversation, Outcome: plugins.OK, Outputs: []event.Output{{}}})
		r.close()
		if r.store.tries != 1 {
			t.Errorf("tried %d times", r.store.tries)
		}
	})
}

func TestFlushGivesUpWithItsContextAndSaysWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.start(nil)
		r.store.fail(errors.New("disk full"))
		for range 3 {
			r.dispatch.last().o.Deliver(apps.Invocation{App: "a", Conversation: "c", Kind: event.KindConversation, Outcome: plugins.OK, Outputs: []event.Output{{}}})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := r.Flush(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 results") {
			t.Errorf("got %v", err)
		}
		ok(t, r.Close(t.Context()))
	})
}
