package conversation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

func TestASegmentSentAgainReplacesTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "helo", 0), segment("b", "you", 1)}))
		synctest.Wait()
		ok(t, s.Transcript(2, []event.Segment{segment("a", "hello", 0)}))
		synctest.Wait()
		ok(t, s.Finish())
		synctest.Wait()
		segs := r.store.conversations()[0].Segments
		if len(segs) != 2 || segs[0].Text != "hello" || segs[1].Text != "you" {
			t.Errorf("got %+v", segs)
		}
		var texts []string
		for _, p := range r.store.appended() {
			for _, a := range p.Conversation.Segments {
				texts = append(texts, a.Text)
			}
		}
		want(t, "appended", strings.Join(texts, " "), "helo you hello")
		r.close()
	})
}

func TestAckComesOnlyAfterTheSyncedAppendAndCoversTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.store.hold()
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("1", "x", 0)}))
		synctest.Wait()                         // the journal is at the store with it
		for seq := uint64(2); seq <= 5; seq++ { // and the reader does not wait
			ok(t, s.Transcript(seq, []event.Segment{segment(fmt.Sprint(seq), "x", 0)}))
		}
		synctest.Wait()
		want(t, "with the store blocked", r.client.take(), "open #1")
		r.store.gate <- struct{}{}
		synctest.Wait()
		want(t, "after the first write", r.client.take(), "ack 1 0")
		r.store.gate <- struct{}{}
		synctest.Wait()
		want(t, "after the second", r.client.take(), "ack 5 0")
		close(r.store.gate)
		r.close()
	})
}

func TestAFailingStoreIsTriedAgainAndTheClientToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.store.fail(errors.New("disk full"))
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		time.Sleep(20 * time.Second) // of false time: 100 ms, 200 ms … 5 s apart
		synctest.Wait()
		ok(t, s.Transcript(2, []event.Segment{segment("b", "x", 0)}))
		ok(t, s.Finish())
		synctest.Wait()
		want(t, "while it fails", r.client.take(), "open #1; warn store_unavailable; completing #1")
		if r.store.tries < 6 || r.store.tries > 12 {
			t.Errorf("tried %d times in 20 s", r.store.tries)
		}
		r.store.fail(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		want(t, "when it is back", r.client.take(), "ack 1 0; ack 2 0; completed #1; open #2")
		r.close()
	})
}

func TestWhenTooMuchWaitsForTheStoreMessagesAreRefusedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{MaxCompleting: 2, MaxConversationSegments: 1, Silence: time.Minute})
		r.store.fail(errors.New("disk full"))
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, s.Transcript(2, []event.Segment{segment("b", "x", 0)}))
		ok(t, s.Transcript(3, []event.Segment{segment("c", "x", 0)}))
		err := s.Transcript(4, []event.Segment{segment("d", "x", 0)})
		refused(t, err, wire.CodeStoreUnavailable)
		if in := (*conversation.InputError)(nil); errors.As(err, &in) && in.Seq != 4 {
			t.Errorf("the refusal names seq %d, want 4", in.Seq)
		}
		refused(t, s.Finish(), wire.CodeStoreUnavailable)
		time.Sleep(5 * time.Minute) // silence finds no room either
		r.store.fail(nil)
		time.Sleep(10 * time.Second)
		ok(t, s.Transcript(4, []event.Segment{segment("d", "x", 0)}))
		ok(t, s.Finish())
		r.close()
		var ids []string
		for _, c := range r.store.conversations() {
			for _, g := range c.Segments {
				ids = append(ids, g.ID)
			}
		}
		want(t, "stored", strings.Join(ids, " "), "a b c d")
	})
}

func TestAudioIsAcknowledgedEveryTwoSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(pcm16k)
		for range 45 { // 4.5 s
			ok(t, s.Audio(make([]byte, 3200)))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		got := strings.Split(r.client.take(), "; ")
		if len(got) != 4 || got[3] != "ack 0 144000" {
			t.Errorf("got %q, want open and 3 acks, the last of all 144000 bytes", got)
		}
		r.close()
	})
}
