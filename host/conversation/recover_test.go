package conversation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// left is a part of a conversation that another host has left.
func left(id, host string, segs ...event.Segment) store.Part {
	return store.Part{
		Conversation: event.Conversation{ID: "c_" + id, Session: "s_" + id, UID: "ada", Language: "en", StartedAt: time.Now().UTC(), Segments: segs},
		Seq:          7, AudioBytes: 320, Host: host,
	}
}

func TestRecoverAdoptsWhatNobodyHoldsAndCompletesItAfterTheGrace(t *testing.T) {
	for name, c := range map[string]struct {
		holder  string
		adopted bool
	}{
		"handed over":             {"", true},
		"an earlier life's":       {"me", true},
		"of a host that is gone":  {"dead", true},
		"of a host that is alive": {"alive", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, conversation.Options{HostID: "me", Grace: 30 * time.Second})
				r.store.leave(t, left("1", c.holder, segment("b", "x", 1), segment("a", "x", 0)), 0)
				alive := func(host string) bool { return host == "alive" }
				ok(t, r.Recover(t.Context(), alive))
				ok(t, r.Recover(t.Context(), alive)) // again, which changes nothing
				if !c.adopted {
					want(t, "holder", r.store.open()["c_1"], c.holder)
					r.close()
					return
				}
				want(t, "holder", r.store.open()["c_1"], "me")
				time.Sleep(30*time.Second - 1)
				synctest.Wait()
				if got := r.store.conversations(); len(got) != 0 {
					t.Fatalf("completed one nanosecond early: %+v", got)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				got := r.store.conversations()
				if len(got) != 1 || got[0].Reason != event.ReasonRecovered || got[0].Segments[0].ID != "a" || got[0].CompletedAt.Before(got[0].StartedAt) {
					t.Fatalf("got %+v", got)
				}
				want(t, "apps", r.dispatch.last().log(), "complete; close")
				if o := r.dispatch.last().o; o.UID != "ada" || o.ID != "s_1" || !o.Recovered {
					t.Errorf("mailboxes: got %+v; apps are to be told that what they kept is lost", o)
				}
				r.close()
			})
		})
	}
}

func TestAnAdoptedSessionIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{HostID: "me", Grace: 30 * time.Second, Silence: time.Minute})
		done := left("1", "dead", segment("a", "done", 0))
		done.Closing, done.Next, done.Due = true, "c_2", []string{"minutes"}
		r.store.leave(t, done, 0)
		open := left("2", "dead", segment("a", "open", 0))
		open.Conversation.Session = "s_1"
		r.store.leave(t, open, 0)
		ok(t, r.Recover(t.Context(), nil))
		if works := r.jobs.started(); len(works) != 1 || works[0].Conversation.ID != "c_1" || works[0].Boxes != nil || works[0].Held.Due[0] != "minutes" {
			t.Errorf("jobs: got %+v", works)
		}
		s, client := r.resume("s_1", nil)
		if y := client.last(); y.Conversation != "c_2" || y.Seq != 7 || y.AudioBytes != 320 {
			t.Errorf("ready: got %+v", y)
		}
		want(t, "told", client.take(), "completed #1 omitted; open #2; ack 7 320")
		time.Sleep(time.Minute - 1) // silence counts from the recovery
		ok(t, s.Transcript(8, []event.Segment{segment("b", "more", 1)}))
		synctest.Wait()
		if parts := r.store.appended(); len(parts[len(parts)-1].Conversation.Segments) != 1 {
			t.Errorf("appended %+v, want what is new alone at last", parts)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		got := r.store.conversations()
		if len(got) != 2 || got[1].Reason != event.ReasonSilence || len(got[1].Segments) != 2 {
			t.Errorf("got %+v", got)
		}
		r.close()
	})
}

func TestAHostThatStopsAndStartsAgainLosesNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newRig(t, conversation.Options{HostID: "a"})
		talking, silent, between := first.start(nil), first.start(pcm16k), first.start(nil)
		ok(t, talking.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, between.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, between.Finish())
		synctest.Wait()
		conversations := map[string]string{}
		for _, y := range first.client.ready {
			conversations[y.Session] = y.Conversation
		}
		first.close()
		if got := first.store.conversations(); len(got) != 1 {
			t.Fatalf("completed %+v, want the one that was finished", got)
		}

		second := newRigOn(t, first.store, conversation.Options{HostID: "b", Grace: time.Minute})
		ok(t, second.Recover(t.Context(), nil))
		s, client := second.resume(talking.Session(), nil)
		want(t, "conversation", client.last().Conversation, conversations[talking.Session()])
		ok(t, s.Transcript(2, []event.Segment{segment("b", "y", 1)}))
		s, client = second.resume(silent.Session(), pcm16k)
		want(t, "conversation", client.last().Conversation, conversations[silent.Session()])
		want(t, "told", client.take(), "")
		ok(t, s.Audio(make([]byte, 320)))
		_, client = second.resume(between.Session(), nil)
		if y := client.last(); y.Seq != 1 || y.Conversation == conversations[between.Session()] {
			t.Errorf("ready: got %+v", y)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		got := second.store.conversations()
		if len(got) != 3 {
			t.Errorf("completed %d conversations, want the 3 in which something was said: %+v", len(got), got)
		}
		second.close()
	})
}

func TestWhatWasHandedOverWithNothingSaidLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newRig(t, conversation.Options{})
		s := first.start(nil)
		first.close()
		second := newRigOn(t, first.store, conversation.Options{Grace: time.Minute})
		ok(t, second.Recover(t.Context(), nil))
		time.Sleep(time.Minute)
		synctest.Wait()
		if open, done := second.store.open(), second.store.conversations(); len(open) != 0 || len(done) != 0 {
			t.Errorf("open %v, completed %v", open, done)
		}
		if _, err := second.Start(t.Context(), conversation.StartRequest{UID: "ada", Session: s.Session()}, &recorder{}); !errors.Is(err, conversation.ErrUnknownSession) {
			t.Errorf("got %v", err)
		}
		second.close()
	})
}

func TestRecoverCompletesWhatIsClosingOnceAndLeavesAloneWhatIsInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{HostID: "me"})
		r.jobs.store = nil // nothing is settled
		r.dispatch.answer = make(chan struct{})
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, s.End())
		synctest.Wait()
		ok(t, r.Recover(t.Context(), nil)) // the session is here
		ctx := t.Context()
		go s.Wait(ctx) // ends when the apps have answered
		synctest.Wait()
		closing := left("1", "dead", segment("a", "x", 0))
		closing.Closing, closing.Conversation.Reason = true, event.ReasonFinish
		r.store.leave(t, closing, 0)
		ok(t, r.Recover(t.Context(), nil))
		ok(t, r.Recover(t.Context(), nil))
		n := map[string]int{}
		for _, w := range r.jobs.started() {
			n[w.Conversation.ID]++
		}
		if len(n) != 2 || n["c_1"] != 2 || len(r.jobs.started()) != 3 { // fakeJobs is done at once with what is left
			t.Errorf("work began %v times", n)
		}
		if got := r.store.conversations(); len(got) != 2 || got[1].Reason != event.ReasonFinish {
			t.Errorf("completed %+v, want each once, with its own reason", got)
		}
		close(r.dispatch.answer)
		r.close()
	})
}

func TestRecoverReportsWhatItCouldNotTakeOverAndFindsItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{HostID: "me", Grace: time.Second})
		r.store.leave(t, left("1", "dead", segment("a", "x", 0)), 0)
		closing := left("2", "dead", segment("a", "x", 0))
		closing.Closing = true
		r.store.leave(t, closing, 0)
		r.store.fail(errors.New("disk full"))
		err := r.Recover(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "c_1") || !strings.Contains(err.Error(), "c_2") {
			t.Errorf("got %v, want both named", err)
		}
		r.store.fail(nil)
		ok(t, r.Recover(t.Context(), nil))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.store.conversations(); len(got) != 2 {
			t.Errorf("got %+v", got)
		}
		r.close()
	})
}

func TestAdoptedSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{MaxSessions: 3, Grace: time.Hour})
		for i := range 10 {
			r.store.leave(t, left(fmt.Sprint(i), "dead", segment("a", "x", 0)), 0)
		}
		ok(t, r.Recover(t.Context(), nil))
		synctest.Wait()
		if got := r.store.conversations(); len(got) != 7 || got[0].Reason != event.ReasonRecovered {
			t.Errorf("completed %d at once, want 7: %+v", len(got), got)
		}
		r.close()
	})
}

// jumping is a wall clock that jumps.
type jumping struct{ by time.Duration }

func (j *jumping) now() time.Time { return time.Now().Add(j.by) }

func TestAWallClockThatJumpsCompletesAndDatesNothingWrongly(t *testing.T) {
	for name, by := range map[string]time.Duration{"ahead": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var wall jumping
				r := newRig(t, conversation.Options{HostID: "a", Silence: 2 * time.Minute, Grace: 30 * time.Second, Now: wall.now})
				s := r.start(nil)
				ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
				wall.by = by
				time.Sleep(time.Minute)
				s.Detach()
				time.Sleep(29 * time.Second)
				s, _ = r.resume(s.Session(), nil)
				synctest.Wait()
				if got := r.store.conversations(); len(got) != 0 {
					t.Fatalf("completed too early: %+v", got)
				}
				ok(t, s.Finish())
				ok(t, s.Transcript(2, []event.Segment{segment("a", "x", 0)}))
				synctest.Wait()
				first := r.store.conversations()[0]
				if d := first.CompletedAt.Sub(first.StartedAt); d != 89*time.Second {
					t.Errorf("it is dated to have taken %v, want 89 s", d)
				}

				// And over to a host whose clock is elsewhere again.
				r.close()
				elsewhere := jumping{by: -2 * by}
				n := newRigOn(t, r.store, conversation.Options{HostID: "b", Grace: 30 * time.Second, Now: elsewhere.now})
				ok(t, n.Recover(t.Context(), nil))
				time.Sleep(29 * time.Second)
				again, client := n.resume(s.Session(), nil)
				second := client.last().Conversation
				ok(t, again.Finish())
				synctest.Wait()
				got := n.store.conversations()
				if len(got) != 2 || got[1].ID != second || got[1].CompletedAt.Before(got[1].StartedAt) {
					t.Errorf("got %+v", got)
				}
				ok(t, again.Transcript(3, []event.Segment{segment("a", "x", 0)}))
				ok(t, again.Finish())
				synctest.Wait()
				third := n.store.conversations()[2]
				if !(first.ID < second && second < third.ID) {
					t.Errorf("ids go backwards: %s, %s, %s", first.ID, second, third.ID)
				}
				n.close()
			})
		})
	}
}

func TestIDsNeverGoBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wall jumping
		r := newRig(t, conversation.Options{Now: wall.now})
		for i := range 100 {
			wall.by = time.Duration(i%7-3) * time.Hour
			r.start(nil)
		}
		for i := 1; i < len(r.client.ready); i++ {
			was, is := r.client.ready[i-1], r.client.ready[i]
			if was.Session >= is.Session || was.Conversation >= is.Conversation {
				t.Fatalf("%+v comes after %+v", is, was)
			}
		}
		r.close()
	})
}
