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
		r.start(nil)
		r.store.hold()
		deliver := r.dispatch.last().o.Deliver
		out := []event.Output{{App: "a", Data: json.RawMessage(`1`)}}
		for i := range 100 {
			deliver(apps.Invocation{ID: fmt.Sprint(i), App: "a", Conversation: r.client.last().Conversation, Kind: event.KindTranscript, Outcome: plugins.OK, Outputs: out})
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

func TestResultsOfAConversationThatIsNotThereDoNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.start(nil)
		r.store.fail(fmt.Errorf("adding: %w", store.ErrNotFound))
		r.dispatch.last().o.Deliver(apps.Invocation{ID: "i", App: "a", Kind: event.KindTranscript, Outcome: plugins.OK, Outputs: []event.Output{{}}})
		ok(t, r.Flush(t.Context()))
		if r.store.tries != 1 {
			t.Errorf("tried %d times", r.store.tries)
		}
		r.store.fail(nil)
		r.close()
	})
}

func TestFlushGivesUpWithItsContextAndSaysWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.start(nil)
		r.store.fail(errors.New("disk full"))
		for range 3 {
			r.dispatch.last().o.Deliver(apps.Invocation{App: "a", Conversation: "c", Kind: event.KindTranscript, Outcome: plugins.OK, Outputs: []event.Output{{}}})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := r.Flush(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 results") {
			t.Errorf("got %v", err)
		}
		r.store.fail(nil)
		ok(t, r.Close(t.Context()))
	})
}
