package conversation_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/event"
)

// startNamed gives a stream of ada's the session named "talk".
func (r *rig) startNamed(t *testing.T) (*conversation.Attachment, *recorder) {
	t.Helper()
	client := &recorder{}
	a, err := r.Start(t.Context(), conversation.StartRequest{UID: "ada", Name: "talk"}, client)
	if err != nil {
		t.Fatal(err)
	}
	return a, client
}

func TestANamedSessionIsOneOnWhateverHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		one := newRigOn(t, f, conversation.Options{HostID: "one", Grace: time.Minute})
		two := newRigOn(t, f, conversation.Options{HostID: "two", Grace: time.Minute})
		a, _ := one.startNamed(t)
		ok(t, a.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		synctest.Wait()
		b, client := two.startNamed(t) // the first host does not know that its stream is dead
		if got := client.last().Seq; got != 1 {
			t.Errorf("the other host goes on from %d, want 1", got)
		}
		ok(t, b.Transcript(2, []event.Segment{segment("b", "x", 1)}))
		synctest.Wait()
		ok(t, one.FinishNamed(t.Context(), "ada", "talk", "en")) // from the host that lost it
		ok(t, two.FinishNamed(t.Context(), "ada", "talk", "de"))
		ok(t, one.FinishNamed(t.Context(), "ada", "talk", ""))
		all := f.conversations()
		if len(all) != 1 || len(all[0].Segments) != 2 || all[0].Reason != event.ReasonFinish || all[0].Language != "en" || !strings.HasSuffix(all[0].ID, "_talk") {
			t.Errorf("got %+v", all)
		}
		for _, r := range []*rig{one, two} {
			if _, err := r.Start(t.Context(), conversation.StartRequest{UID: "ada", Name: "talk"}, client); !errors.Is(err, conversation.ErrFinished) {
				t.Errorf("got %v, want ErrFinished", err)
			}
			if err := r.FinishNamed(t.Context(), "eve", "talk", ""); !errors.Is(err, conversation.ErrUnknownSession) {
				t.Errorf("another user's: got %v", err)
			}
			if err := r.FinishNamed(t.Context(), "ada", "other", ""); !errors.Is(err, conversation.ErrUnknownSession) {
				t.Errorf("one that there never was: got %v", err)
			}
			r.close()
		}
	})
}

func TestANamedSessionThatWasLostGoesOnAsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		r := newRigOn(t, f, conversation.Options{Grace: time.Minute})
		a, _ := r.startNamed(t)
		ok(t, a.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		synctest.Wait()
		a.Detach()
		time.Sleep(time.Minute)
		synctest.Wait()
		ok(t, r.FinishNamed(t.Context(), "ada", "talk", "")) // it is completed, and stays so
		a, client := r.startNamed(t)
		if got := client.last().Seq; got != 0 {
			t.Errorf("it goes on from %d, want 0", got)
		}
		ok(t, a.Transcript(1, []event.Segment{segment("a", "y", 0)}))
		changed, err := a.AssignSpeaker([]string{"a", "gone"}, "Ana", true)
		if err != nil || len(changed) != 1 || changed[0].Speaker != "Ana" || !changed[0].IsUser || changed[0].Text != "y" {
			t.Errorf("got %+v, %v", changed, err)
		}
		if changed, err = a.AssignSpeaker([]string{"a"}, "Ana", true); err != nil || len(changed) != 0 {
			t.Errorf("again: got %+v, %v", changed, err)
		}
		ok(t, r.FinishNamed(t.Context(), "ada", "talk", ""))
		refused(t, a.Transcript(2, []event.Segment{segment("b", "x", 0)}), "after_end")
		all := f.conversations()
		if len(all) != 2 || all[0].Reason != event.ReasonLost || all[1].Reason != event.ReasonFinish || all[1].Segments[0].Speaker != "Ana" {
			t.Errorf("got %+v", all)
		}
		r.close()
	})
}

func TestANamedSessionInWhichNothingWasSaidLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		r := newRigOn(t, f, conversation.Options{})
		r.startNamed(t)
		ok(t, r.FinishNamed(t.Context(), "ada", "talk", ""))
		synctest.Wait()
		if len(f.conversations()) != 0 || len(f.open()) != 0 || r.Len() != 0 {
			t.Errorf("left: %v, %v, %d sessions", f.conversations(), f.open(), r.Len())
		}
		r.close()
	})
}

func TestASessionsOwnSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeStore{}
		r := newRigOn(t, f, conversation.Options{Silence: time.Minute})
		a, err := r.Start(t.Context(), conversation.StartRequest{UID: "ada", Kind: "omi", Silence: 2 * time.Second}, r.client)
		ok(t, err)
		if !strings.HasPrefix(a.Session(), "s_omi_") {
			t.Errorf("the session is %s", a.Session())
		}
		ok(t, a.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		time.Sleep(2*time.Second - 1)
		synctest.Wait()
		if n := len(f.conversations()); n != 0 {
			t.Error("completed too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := len(f.conversations()); n != 1 {
			t.Errorf("%d completed after the session's own silence, want 1", n)
		}
		a.Detach()
		if w := r.Waiting("ada", "omi"); len(w) != 1 || w[0].Session != a.Session() || w[0].Name != "" {
			t.Errorf("waiting: %+v", w)
		}
		if w := r.Waiting("eve", "omi"); len(w) != 0 {
			t.Errorf("of another user: %+v", w)
		}
		r.close()
	})
}
