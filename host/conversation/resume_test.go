package conversation_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

func TestALostSessionIsResumedUntilTheGraceIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{Grace: 30 * time.Second, Silence: time.Hour})
		s := r.start(pcm16k)
		ok(t, s.Audio(make([]byte, 3200)))
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		synctest.Wait()
		s.Detach()
		time.Sleep(30*time.Second - 1)
		eve := conversation.StartRequest{UID: "eve", Session: s.Session(), Audio: pcm16k}
		if _, err := r.Start(t.Context(), eve, r.client); !errors.Is(err, conversation.ErrUnknownSession) {
			t.Errorf("another user's: got %v", err)
		}
		again, client := r.resume(s.Session(), pcm16k)
		y := client.last()
		if y.Session != s.Session() || y.Conversation != r.client.last().Conversation || y.Seq != 1 || y.AudioBytes != 3200 || y.Audio != "discarded" {
			t.Errorf("ready: got %+v", y)
		}
		want(t, "told after ready", client.take(), "open #1; ack 1 3200")
		time.Sleep(time.Hour - 30*time.Second) // longer than the grace, and just short of the silence
		ok(t, again.Transcript(2, []event.Segment{segment("b", "x", 1)}))
		ok(t, again.Finish())
		synctest.Wait()
		want(t, "told", client.take(), "completing #1; ack 2 3200; completed #1; open #2")

		again.Detach()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if _, err := r.Start(t.Context(), eve, client); !errors.Is(err, conversation.ErrUnknownSession) {
			t.Errorf("another user's, from the store: got %v", err)
		}
		r.close()
	})
}

func TestASessionThatHasEndedIsNotResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{Grace: time.Second})
		ended, lost := r.start(nil), r.start(nil)
		ok(t, ended.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, lost.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, ended.End())
		ok(t, ended.Wait(t.Context()))
		lost.Detach()
		time.Sleep(time.Second)
		synctest.Wait()
		for name, s := range map[string]*conversation.Attachment{"ended": ended, "lost": lost} {
			if _, err := r.Start(t.Context(), conversation.StartRequest{UID: "ada", Session: s.Session()}, r.client); !errors.Is(err, conversation.ErrUnknownSession) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		r.close()
	})
}

func TestTheNewerStreamHasTheSessionAndTheOlderIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{Grace: time.Second, MaxSessions: 1})
		older := r.start(nil)
		ok(t, older.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		synctest.Wait()
		r.client.take()
		newer, client := r.resume(older.Session(), nil)
		want(t, "the older is told", r.client.take(), "superseded")
		refused(t, older.Transcript(2, []event.Segment{segment("b", "old", 0)}), wire.CodeAfterEnd)
		refused(t, older.Finish(), wire.CodeAfterEnd)
		refused(t, older.End(), wire.CodeAfterEnd)
		older.Detach()
		time.Sleep(time.Minute)
		ok(t, newer.Transcript(2, []event.Segment{segment("b", "new", 0)}))
		synctest.Wait()
		want(t, "the newer is told", client.take(), "open #1; ack 1 0; ack 2 0")
		want(t, "the older is told nothing more", r.client.take(), "")
		r.close()
	})
}

func TestAResumeWithAnotherFormatNamesBothAndChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(pcm16k)
		for _, f := range []*audio.Format{nil, {Codec: audio.MuLaw, Rate: 16000, Channels: 1}} {
			_, err := r.Start(t.Context(), conversation.StartRequest{UID: "ada", Session: s.Session(), Audio: f}, &recorder{})
			if !errors.Is(err, conversation.ErrFormatChanged) || !strings.Contains(err.Error(), pcm16k.String()) {
				t.Errorf("got %v", err)
			}
		}
		ok(t, s.Audio([]byte{0, 0}))
		want(t, "told", r.client.take(), "open #1")
		r.close()
	})
}

func TestAStreamThatComesBackIsToldOfCompletionsThatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{Grace: time.Hour, Silence: time.Minute})
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, s.Finish())
		synctest.Wait()
		time.Sleep(10 * time.Minute) // it knows of this one by now
		ok(t, s.Transcript(2, []event.Segment{segment("a", "x", 0)}))
		synctest.Wait()
		s.Detach()
		time.Sleep(10 * time.Minute)
		_, client := r.resume(s.Session(), nil)
		want(t, "told", client.take(), "completed #1 omitted; ack 2 0")
		if got := r.store.conversations(); len(got) != 2 || got[1].Reason != event.ReasonSilence {
			t.Errorf("got %+v", got)
		}
		// A stream may have been broken when it was told.
		_, client = r.resume(s.Session(), nil)
		want(t, "told again", client.take(), "completed #1 omitted; ack 2 0")
		r.close()
	})
}

func TestTranscriptsThatComeAgainAreAcknowledgedAndOnesThatComeLateAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(nil)
		for _, seq := range []uint64{1, 2, 5} {
			ok(t, s.Transcript(seq, []event.Segment{segment("a", "newest", 0)}))
		}
		r.store.hold()
		ok(t, s.Transcript(6, []event.Segment{segment("b", "y", 1)}))
		synctest.Wait()
		close(r.store.gate)
		synctest.Wait()
		r.client.take()
		for _, seq := range []uint64{1, 2, 5, 6} {
			ok(t, s.Transcript(seq, []event.Segment{segment("a", "old", 0)}))
			want(t, "a duplicate", r.client.take(), "ack 6 0")
		}
		for _, seq := range []uint64{3, 4} {
			refused(t, s.Transcript(seq, []event.Segment{segment("a", "late", 0)}), wire.CodeBadSeq)
		}
		for seq := uint64(10); seq < 1000; seq += 10 { // what is remembered is bounded
			ok(t, s.Transcript(seq, []event.Segment{segment("a", "newest", 0)}))
		}
		refused(t, s.Transcript(985, []event.Segment{segment("a", "late", 0)}), wire.CodeBadSeq)
		ok(t, s.Finish())
		synctest.Wait()
		if segs := r.client.conversations()[0].Segments; len(segs) != 2 || segs[0].Text != "newest" {
			t.Errorf("got %+v", segs)
		}
		r.close()
	})
}

func TestAnotherHostResumesASessionAndTheFirstIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, conversation.Options{HostID: "a"})
		b := newRigOn(t, a.store, conversation.Options{HostID: "b"})
		s := a.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "one", 0)}))
		ok(t, s.Finish())
		ok(t, s.Transcript(2, []event.Segment{segment("a", "two", 0)}))
		synctest.Wait()
		a.client.take()
		first := a.store.conversations()[0].ID

		there, client := b.resume(s.Session(), nil)
		if y := client.last(); y.Seq != 2 || y.Conversation == first {
			t.Errorf("ready: got %+v", y)
		}
		want(t, "told on b", client.take(), "completed #1 omitted; open #2; ack 2 0")
		ok(t, s.Transcript(3, []event.Segment{segment("b", "to a", 1)})) // the first stream still talks
		synctest.Wait()
		want(t, "told on a", a.client.take(), "superseded")
		refused(t, s.Finish(), wire.CodeAfterEnd)
		ok(t, there.Transcript(3, []event.Segment{segment("b", "to b", 1)}))
		ok(t, there.Finish())
		a.close() // and completes nothing
		b.close()
		got := a.store.conversations()
		if len(got) != 2 || len(got[1].Segments) != 2 || got[1].Segments[1].Text != "to b" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAClaimElsewhereLetsTheSessionGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, conversation.Options{HostID: "a", Grace: time.Minute})
		b := newRigOn(t, a.store, conversation.Options{HostID: "b"})
		s := a.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "one", 0)}))
		synctest.Wait()
		a.client.take()
		a.Lost(s.Session()) // a rumour
		synctest.Wait()
		want(t, "told after a rumour", a.client.take(), "")
		b.resume(s.Session(), nil)
		a.Lost(s.Session())
		synctest.Wait()
		want(t, "told", a.client.take(), "superseded")
		want(t, "apps on a", a.dispatch.last().log(), "transcript a; close")
		back, client := a.resume(s.Session(), nil) // and back again
		a.Lost(s.Session())                        // told late
		synctest.Wait()
		want(t, "told when it is back", client.take(), "open #1; ack 1 0")
		ok(t, back.Transcript(2, []event.Segment{segment("b", "two", 0)}))
		synctest.Wait()
		want(t, "told at last", client.take(), "ack 2 0")
		a.close()
		b.close()
		if len(a.store.conversations()) != 0 {
			t.Errorf("completed %+v", a.store.conversations())
		}
	})
}

func TestAWriteThatArrivedThoughTheStoreSaidOtherwiseFencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(nil)
		r.store.beDeaf(true)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		time.Sleep(time.Second)
		ok(t, s.Transcript(2, []event.Segment{segment("b", "x", 1)}))
		ok(t, s.Finish())
		time.Sleep(time.Second)
		r.store.beDeaf(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, "told", r.client.take(), "open #1; warn store_unavailable; completing #1; ack 1 0; ack 2 0; completed #1; open #2")
		if got := r.store.conversations(); len(got) != 1 || len(got[0].Segments) != 2 {
			t.Errorf("got %+v", got)
		}
		r.close()
	})
}

func TestAJournalThatPanicsLetsTheSessionGoAsACrashWould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		synctest.Wait()
		r.client.take()
		r.store.panic(true)
		ok(t, s.Transcript(2, []event.Segment{segment("b", "x", 1)}))
		synctest.Wait()
		want(t, "told", r.client.take(), "failed")
		want(t, "apps", r.dispatch.sessions[0].log(), "transcript a; transcript b; close")
		r.store.panic(false)
		s, client := r.resume(s.Session(), nil)
		if y := client.last(); y.Seq != 1 {
			t.Errorf("ready: got %+v, want what was acknowledged", y)
		}
		s.Detach()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.store.conversations(); len(got) != 1 || len(got[0].Segments) != 1 {
			t.Errorf("completed %+v, want what was acknowledged", got)
		}
		r.close()
	})
}

func TestTwoStreamsThatResumeFromTheStoreAtOnceShareOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, conversation.Options{HostID: "a"})
		s := a.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "one", 0)}))
		synctest.Wait()
		b := newRigOn(t, a.store, conversation.Options{HostID: "b"})
		a.store.hold()
		clients := []*recorder{{}, {}}
		for _, c := range clients {
			go func() {
				_, err := b.Start(t.Context(), conversation.StartRequest{UID: "ada", Session: s.Session()}, c)
				if err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		close(a.store.gate)
		synctest.Wait()
		first, second := clients[0].take(), clients[1].take()
		if strings.Contains(first, "superseded") == strings.Contains(second, "superseded") {
			t.Errorf("told %q and %q, want one of them superseded", first, second)
		}
		if len(b.dispatch.sessions) != 1 {
			t.Errorf("there are %d sessions", len(b.dispatch.sessions))
		}
		b.close()
		a.close()
	})
}

func TestAConversationOfAudioAloneIsInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{HostID: "a"})
		s := r.start(pcm16k)
		ok(t, s.Audio(make([]byte, 3200)))
		synctest.Wait()
		p := r.store.appended()
		if len(p) != 1 || p[0].Conversation.StartedAt.IsZero() || p[0].Host != "a" || *p[0].Audio != *pcm16k || len(p[0].Conversation.Segments) != 0 {
			t.Errorf("got %+v", p)
		}
		var none store.Revision
		if r.store.records[p[0].Conversation.ID].after != none {
			t.Error("it is not the first")
		}
		r.close()
	})
}
