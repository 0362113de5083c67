package conversation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/event"
)

func TestCloseHandsOverWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{HostID: "a"})
		attached, lost := r.start(nil), r.start(nil)
		ok(t, attached.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, lost.Transcript(1, []event.Segment{segment("b", "x", 0)}))
		lost.Detach()
		r.start(nil) // nothing said
		ok(t, r.Close(t.Context()))
		if got := r.store.conversations(); len(got) != 0 {
			t.Errorf("completed %+v, want none", got)
		}
		open := r.store.open()
		for id, host := range open {
			if host != "" {
				t.Errorf("%s is still held by %q", id, host)
			}
		}
		if len(open) != 3 {
			t.Errorf("handed over %v, want all 3 sessions", open)
		}
		for _, b := range r.dispatch.sessions {
			if !strings.HasSuffix(b.log(), "close") {
				t.Errorf("mailboxes were left open after %q", b.log())
			}
		}
		if _, err := r.Start(t.Context(), conversation.StartRequest{UID: "x"}, r.client); !errors.Is(err, conversation.ErrClosed) {
			t.Errorf("Start after Close: got %v", err)
		}
		ok(t, r.Close(t.Context()))
	})
}

func TestCloseFinishesWhatIsBeingCompleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.store.hold()
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "one", 0)}))
		ok(t, s.Finish())
		ok(t, s.Transcript(2, []event.Segment{segment("a", "two", 0)}))
		closed := make(chan error)
		go func() { closed <- r.Close(t.Context()) }()
		synctest.Wait()
		close(r.store.gate)
		ok(t, <-closed)
		got := r.store.conversations()
		if len(got) != 1 || got[0].Reason != event.ReasonFinish || got[0].Segments[0].Text != "one" {
			t.Errorf("completed %+v, want the one that was finished", got)
		}
		if open := r.store.open(); len(open) != 1 {
			t.Errorf("handed over %v, want the other one", open)
		}
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		r.store.fail(errors.New("disk full"))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		begin := time.Now()
		err := r.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 session") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took != 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{MaxSessions: 2, Grace: time.Hour})
		a, b := r.start(nil), r.start(nil)
		if _, err := r.Start(t.Context(), conversation.StartRequest{UID: "x"}, r.client); !errors.Is(err, conversation.ErrTooManySessions) {
			t.Errorf("got %v", err)
		}
		// Lost ones make room; beyond as many, the longest lost is completed at once.
		for i, s := range []*conversation.Attachment{a, b, nil} {
			if s == nil {
				s = r.start(nil)
			}
			ok(t, s.Transcript(1, []event.Segment{segment("x", "x", 0)}))
			s.Detach()
			synctest.Wait()
			if got, want := len(r.store.conversations()), i/2; got != want {
				t.Errorf("after %d lost streams %d conversations are completed, want %d", i+1, got, want)
			}
		}
		if c := r.store.conversations(); c[0].Session != a.Session() || c[0].Reason != event.ReasonLost {
			t.Errorf("got %+v", c)
		}
		r.close()
	})
}

func TestTwoSessionsOfOneUserAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		a, b := r.start(nil), r.start(nil)
		if a.Session() == b.Session() || r.client.ready[0].Conversation == r.client.ready[1].Conversation {
			t.Fatal("ids are shared")
		}
		ok(t, a.Transcript(1, []event.Segment{segment("x", "of a", 0)}))
		ok(t, b.Transcript(1, []event.Segment{segment("x", "of b", 0)}))
		ok(t, a.Finish())
		synctest.Wait()
		got := r.store.conversations()
		if len(got) != 1 || got[0].Segments[0].Text != "of a" {
			t.Errorf("got %+v", got)
		}
		r.close()
	})
}

func TestMetricsCountSessionsConversationsAndAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRig(t, conversation.Options{Registerer: reg})
		s := r.start(pcm16k)
		ok(t, s.Audio(make([]byte, 320)))
		ok(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP auricle_audio_discarded_bytes_total Audio taken from clients and let go at once because no app of the user may have it, in bytes as they sent it.
# TYPE auricle_audio_discarded_bytes_total counter
auricle_audio_discarded_bytes_total 320
# HELP auricle_conversations_open Conversations in which something was said and that are not on disk yet.
# TYPE auricle_conversations_open gauge
auricle_conversations_open 1
# HELP auricle_sessions_open Sessions, with or without a stream attached.
# TYPE auricle_sessions_open gauge
auricle_sessions_open 1
`), "auricle_audio_discarded_bytes_total", "auricle_conversations_open", "auricle_sessions_open"))
		ok(t, s.Finish())
		r.close()
		ok(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP auricle_conversations_completed_total Conversations completed and on synced disk, by reason.
# TYPE auricle_conversations_completed_total counter
auricle_conversations_completed_total{reason="finish"} 1
# HELP auricle_conversations_open Conversations in which something was said and that are not on disk yet.
# TYPE auricle_conversations_open gauge
auricle_conversations_open 0
# HELP auricle_sessions_open Sessions, with or without a stream attached.
# TYPE auricle_sessions_open gauge
auricle_sessions_open 0
`), "auricle_conversations_completed_total", "auricle_conversations_open", "auricle_sessions_open"))
	})
}

func TestStartRefusesAudioThatIsNotSupported(t *testing.T) {
	r := newRig(t, conversation.Options{})
	_, err := r.Start(t.Context(), conversation.StartRequest{UID: "x", Audio: &audio.Format{Codec: "pcm_s16le", Channels: 1}}, r.client)
	var bad *audio.FormatError
	if !errors.As(err, &bad) || bad.Field != "rate" {
		t.Errorf("got %v, want a fault of the rate", err)
	}
}
