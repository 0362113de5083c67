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

func TestCloseCompletesWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		attached, lost := r.start(nil), r.start(nil)
		ok(t, attached.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, lost.Transcript(1, []event.Segment{segment("b", "x", 0)}))
		lost.Detach()
		r.start(nil) // nothing said
		ok(t, r.Close(t.Context()))
		got := r.store.conversations()
		if len(got) != 2 || got[0].Reason != event.ReasonShutdown || got[1].Reason != event.ReasonShutdown {
			t.Errorf("got %+v, want two of reason shutdown", got)
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

func TestRecoverCompletesWhatAnEarlierHostLeftOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.store.left = []event.Conversation{{ID: "c_1", Session: "s_1", UID: "ada",
			Segments: []event.Segment{segment("b", "x", 1), segment("a", "x", 0)}}}
		ok(t, r.Recover(t.Context()))
		got := r.store.conversations()
		if len(got) != 1 || got[0].Reason != event.ReasonRecovered || got[0].Segments[0].ID != "a" || got[0].CompletedAt.IsZero() {
			t.Errorf("got %+v", got)
		}
		want(t, "apps", r.dispatch.last().log(), "complete; close")
		want(t, "uid", r.dispatch.last().o.UID, "ada")
		if !r.dispatch.last().o.Recovered {
			t.Error("the apps are not told that what they kept is lost")
		}
		r.close()
	})
}

func TestRecoverReportsWhatItCouldNotComplete(t *testing.T) {
	r := newRig(t, conversation.Options{})
	r.store.left = []event.Conversation{{ID: "c_1"}, {ID: "c_2"}}
	r.store.fail(errors.New("disk full"))
	err := r.Recover(t.Context())
	if err == nil || !strings.Contains(err.Error(), "c_1") || !strings.Contains(err.Error(), "c_2") {
		t.Errorf("got %v, want both named", err)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{MaxSessions: 2, Grace: time.Hour})
		a, b := r.start(nil), r.start(nil)
		if _, err := r.Start(t.Context(), conversation.StartRequest{UID: "x"}, r.client); !errors.Is(err, conversation.ErrTooManySessions) {
			t.Errorf("got %v", err)
		}
		// Lost ones make room; beyond as many, the longest lost is completed at once.
		for i, s := range []*conversation.Session{a, b, nil} {
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
		if c := r.store.conversations(); c[0].Session != a.ID() || c[0].Reason != event.ReasonLost {
			t.Errorf("got %+v", c)
		}
		r.close()
	})
}

func TestTwoSessionsOfOneUserAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		a, b := r.start(nil), r.start(nil)
		if a.ID() == b.ID() || a.Conversation() == b.Conversation() {
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
		r.close()
		ok(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP auricle_conversations_completed_total Conversations completed and on synced disk, by reason.
# TYPE auricle_conversations_completed_total counter
auricle_conversations_completed_total{reason="shutdown"} 1
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
