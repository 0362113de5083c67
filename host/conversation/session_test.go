package conversation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

var pcm16k = &audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1}

// rig is sessions with fakes on both sides. Make it in a synctest bubble, so
// that time is false and every wait ends when nothing more can happen.
type rig struct {
	t        *testing.T
	store    *fakeStore
	dispatch *fakeDispatcher
	jobs     *fakeJobs
	client   *recorder
	*conversation.Sessions
}

func newRig(t *testing.T, o conversation.Options) *rig {
	return newRigOn(t, &fakeStore{}, o)
}

// newRigOn is another host, or a host's next life, on a store.
func newRigOn(t *testing.T, f *fakeStore, o conversation.Options) *rig {
	r := &rig{t: t, store: f, dispatch: &fakeDispatcher{}, jobs: &fakeJobs{store: f}, client: &recorder{}}
	o.Store, o.Dispatch, o.Jobs = r.store, r.dispatch, r.jobs
	r.Sessions = conversation.New(o)
	return r
}

func (r *rig) start(format *audio.Format) *conversation.Attachment {
	r.t.Helper()
	s, err := r.Start(r.t.Context(), conversation.StartRequest{UID: "ada", Audio: format, Language: "en"}, r.client)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// resume resumes a session with a client of its own.
func (r *rig) resume(session string, format *audio.Format) (*conversation.Attachment, *recorder) {
	r.t.Helper()
	c := &recorder{}
	s, err := r.Start(r.t.Context(), conversation.StartRequest{UID: "ada", Session: session, Audio: format}, c)
	if err != nil {
		r.t.Fatal(err)
	}
	return s, c
}

func (r *rig) close() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Hour)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		r.t.Error(err)
	}
	if err := r.Flush(ctx); err != nil {
		r.t.Error(err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var in *conversation.InputError
	if !errors.As(err, &in) || in.Code != code {
		t.Errorf("got error %v, want code %s", err, code)
	}
}

func TestFinishCompletesOnDiskBeforeTheClientIsToldAndThenTellsTheApps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(pcm16k)
		first := r.client.last().Conversation
		ok(t, s.Audio(make([]byte, 3200)))
		ok(t, s.Transcript(1, []event.Segment{segment("b", "second", 2), segment("a", "first", 0)}))
		synctest.Wait()
		want(t, "after a transcript", r.client.take(), "open #1; ack 1 3200")

		r.store.hold()
		ok(t, s.Finish())
		synctest.Wait()
		r.store.gate <- struct{}{} // the last part
		synctest.Wait()
		want(t, "before the store has it", r.client.take(), "completing #1")
		want(t, "apps before the store has it", r.dispatch.last().log(), "transcript b,a")
		r.store.gate <- struct{}{}
		synctest.Wait()
		want(t, "after the store has it", r.client.take(), "completed #1; open #2")
		want(t, "apps after", r.dispatch.last().log(), "transcript b,a; complete")

		c := r.client.conversations()[0]
		if c.ID != first || c.Reason != event.ReasonFinish || c.AudioMillis != 100 || c.UID != "ada" || c.Language != "en" || c.Session != s.Session() {
			t.Errorf("completed conversation: got %+v", c)
		}
		if len(c.Segments) != 2 || c.Segments[0].ID != "a" {
			t.Errorf("segments are not in order of start: %+v", c.Segments)
		}
		if stored := r.store.conversations(); len(stored) != 1 || stored[0].ID != first {
			t.Errorf("stored: got %+v", stored)
		}
		close(r.store.gate)
		r.close()
		want(t, "a conversation with nothing said is not completed", r.client.take(), "")
	})
}

func TestContentAfterFinishBelongsToTheNextConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(nil)
		r.store.hold()
		ok(t, s.Transcript(1, []event.Segment{segment("a", "one", 0)}))
		synctest.Wait()
		ok(t, s.Finish())
		ok(t, s.Transcript(2, []event.Segment{segment("a", "two", 0)}))
		close(r.store.gate)
		synctest.Wait()
		want(t, "told", r.client.take(), "open #1; completing #1; open #2; ack 1 0; completed #1; ack 2 0")
		ok(t, s.Finish())
		r.close()
		got := r.store.conversations()
		if len(got) != 2 || got[0].Segments[0].Text != "one" || got[1].Segments[0].Text != "two" || got[1].Reason != event.ReasonFinish {
			t.Errorf("stored: got %+v", got)
		}
	})
}

func TestFinishWithNothingSaidIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(pcm16k)
		refused(t, s.Finish(), wire.CodeEmptyConversation)
		ok(t, s.Audio(nil))
		refused(t, s.Finish(), wire.CodeEmptyConversation)
		ok(t, s.Audio([]byte{1, 2}))
		ok(t, s.Finish())
		r.close()
	})
}

func TestAConversationAtItsBoundsCompletesAndTheNextBegins(t *testing.T) {
	for name, o := range map[string]conversation.Options{
		"segments": {MaxConversationSegments: 3},
		"bytes":    {MaxConversationBytes: 3 * 300},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, o)
				s := r.start(nil)
				for i := range 7 {
					ok(t, s.Transcript(uint64(i+1), []event.Segment{segment(fmt.Sprint(i), strings.Repeat("x", 100), float64(i))}))
					synctest.Wait()
				}
				ok(t, s.Finish())
				r.close()
				var sizes []int
				for _, c := range r.store.conversations() {
					sizes = append(sizes, len(c.Segments))
				}
				if !slices.Equal(sizes, []int{3, 3, 1}) {
					t.Errorf("got conversations of %v segments, want 3, 3, 1", sizes)
				}
				if got := r.store.conversations()[0].Reason; got != event.ReasonFull {
					t.Errorf("got reason %s, want %s", got, event.ReasonFull)
				}
			})
		})
	}
}

func TestSilenceCompletesToTheNanosecond(t *testing.T) {
	const silence = 2 * time.Second
	for name, c := range map[string]struct {
		talk func(t *testing.T, s *conversation.Attachment) // what is said; silence is measured from when it returns
	}{
		"after a segment": {func(t *testing.T, s *conversation.Attachment) {
			ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
			time.Sleep(silence - 1)
			ok(t, s.Transcript(2, []event.Segment{segment("b", "x", 0)}))
		}},
		"after audio, without segments": {func(t *testing.T, s *conversation.Attachment) {
			for range 10 {
				ok(t, s.Audio(make([]byte, 3200)))
				time.Sleep(silence - 1)
			}
			ok(t, s.Audio(make([]byte, 3200)))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, conversation.Options{Silence: silence})
				s := r.start(pcm16k)
				c.talk(t, s)
				time.Sleep(silence - 1)
				synctest.Wait()
				if got := r.client.take(); strings.Contains(got, "completing") {
					t.Errorf("one nanosecond early: %q", got)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if got := r.client.take(); !strings.Contains(got, "completing #1; ") || !strings.Contains(got, "completed #1; open #2") {
					t.Errorf("after the silence: %q", got)
				}
				if got := r.store.conversations()[0].Reason; got != event.ReasonSilence {
					t.Errorf("got reason %s", got)
				}
				ok(t, s.Transcript(9, []event.Segment{segment("a", "y", 0)})) // the session goes on
				r.close()
			})
		})
	}
}

func TestAudioDoesNotKeepAConversationWithSegmentsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{Silence: 2 * time.Second})
		s := r.start(pcm16k)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		for range 30 {
			time.Sleep(100 * time.Millisecond)
			ok(t, s.Audio(make([]byte, 3200)))
		}
		synctest.Wait()
		c := r.store.conversations()
		if len(c) != 1 || c[0].AudioMillis != 1900 && c[0].AudioMillis != 2000 {
			t.Errorf("got %+v, want one conversation of about 2 s", c)
		}
		r.close()
	})
}

func TestALostStreamsConversationWaitsOutTheGraceToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{Grace: 30 * time.Second})
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		synctest.Wait()
		r.client.take()
		s.Detach()
		time.Sleep(30*time.Second - 1)
		synctest.Wait()
		if got := r.store.conversations(); len(got) != 0 {
			t.Fatalf("completed one nanosecond early: %+v", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		got := r.store.conversations()
		if len(got) != 1 || got[0].Reason != event.ReasonLost {
			t.Fatalf("got %+v", got)
		}
		want(t, "apps", r.dispatch.last().log(), "transcript a; complete; close")
		want(t, "a client that is gone is told nothing", r.client.take(), "")
		r.close()
	})
}

func TestALostStreamWithNothingSaidWaitsOutTheGraceToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{Grace: 30 * time.Second})
		s := r.start(nil)
		s.Detach()
		time.Sleep(30*time.Second - 1)
		synctest.Wait()
		want(t, "apps before", r.dispatch.last().log(), "")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		want(t, "apps after", r.dispatch.last().log(), "close")
		if len(r.store.appended()) != 0 {
			t.Errorf("it left %+v", r.store.appended())
		}
		r.close()
	})
}

func TestEndWaitsForTheAppsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.dispatch.answer = make(chan struct{})
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		synctest.Wait()
		ok(t, s.End())
		ended := make(chan error)
		go func() { ended <- s.Wait(t.Context()) }()
		synctest.Wait()
		want(t, "told", r.client.take(), "open #1; ack 1 0; completing #1; completed #1")
		refused(t, s.Transcript(2, []event.Segment{segment("b", "x", 0)}), wire.CodeAfterEnd)
		refused(t, s.Finish(), wire.CodeAfterEnd)
		select {
		case <-ended:
			t.Fatal("ended before the apps had answered")
		default:
		}
		work := r.jobs.started()[0]
		if work.Held.Next != "" || !work.Held.Closing || work.Held.Due[0] != "minutes" || work.Held.Revision == 0 || work.Held.Completed {
			t.Errorf("work: got %+v", work.Held)
		}
		work.Deliver(apps.Invocation{App: "minutes", Kind: event.KindConversation, Outcome: plugins.OK,
			Outputs: []event.Output{{App: "minutes", Data: json.RawMessage(`{}`)}}})
		close(r.dispatch.answer)
		ok(t, <-ended)
		want(t, "told at last", r.client.take(), "output minutes {}")
		want(t, "apps", r.dispatch.last().log(), "transcript a; complete; close")
		r.close()
		if len(r.store.results) != 0 {
			t.Errorf("what jobs have stored was stored again: %+v", r.store.results)
		}
	})
}

func TestEndGivesUpWithItsContextAndTheSessionClosesAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.store.fail(errors.New("disk full"))
		s := r.start(nil)
		ok(t, s.Transcript(1, []event.Segment{segment("a", "x", 0)}))
		ok(t, s.End())
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := s.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		r.store.fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.store.conversations(); len(got) != 1 || got[0].Reason != event.ReasonEnd {
			t.Errorf("got %+v", got)
		}
		want(t, "apps", r.dispatch.last().log(), "transcript a; complete; close")
		r.close()
	})
}

func TestAudioIsConvertedForTheAppsThatMayHaveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.dispatch.wantsAudio = true
		s := r.start(&audio.Format{Codec: audio.PCM16, Rate: 8000, Channels: 2})
		want(t, "audience", r.client.last().Audio, "buffered")
		ok(t, s.Audio([]byte{2, 0, 4, 0, 6, 0, 8, 0}))
		if got := r.dispatch.last().audio; !slices.Equal(got, []byte{3, 0, 7, 0}) {
			t.Errorf("got %v, want the mean of both channels", got)
		}
		// While no app wants it, it goes by, and counts.
		r.dispatch.wantsAudio = false
		ok(t, s.Audio(make([]byte, 40)))
		r.dispatch.wantsAudio = true
		ok(t, s.Audio([]byte{1, 0, 1, 0}))
		if got := r.dispatch.last().starts; !slices.Equal(got, []int64{0, 12}) {
			t.Errorf("frames from samples %v of the conversation, want 0 and 12", got)
		}
		if got := r.dispatch.last().o.Rate; got != 8000 {
			t.Errorf("got rate %d", got)
		}
		r.store.hold()
		ok(t, s.Finish())
		synctest.Wait()
		want(t, "before the store has it", r.dispatch.last().log(), "end audio")
		close(r.store.gate)
		r.close()
	})
}

func TestBadInputIsRefusedWholeAndTheSessionGoesOn(t *testing.T) {
	good := segment("a", "x", 1)
	with := func(change func(*event.Segment)) []event.Segment {
		bad := good
		change(&bad)
		return []event.Segment{good, bad}
	}
	many := make([]event.Segment, conversation.MaxSegments+1)
	for i := range many {
		many[i] = segment(fmt.Sprint(i), "x", 0)
	}
	bad := []struct {
		name string
		seq  uint64
		segs []event.Segment
		code string
		want string // in the message
	}{
		{"seq 0", 0, []event.Segment{good}, wire.CodeBadSeq, "from 1"},
		{"seq beyond 2^53", 1 << 53, []event.Segment{good}, wire.CodeBadSeq, "at most"},
		{"seq that was left out", 2, []event.Segment{good}, wire.CodeBadSeq, "seq 2 comes after 3"},
		{"no segments", 4, nil, wire.CodeBadSegment, "0 segments"},
		{"too many segments", 4, many, wire.CodeBadSegment, "1001 segments"},
		{"no id", 4, with(func(s *event.Segment) { s.ID = "" }), wire.CodeBadSegment, "segments[1].id"},
		{"long id", 4, with(func(s *event.Segment) { s.ID = strings.Repeat("x", 129) }), wire.CodeBadSegment, "segments[1].id"},
		{"long text", 4, with(func(s *event.Segment) { s.Text = strings.Repeat("x", 16<<10+1) }), wire.CodeBadSegment, "segments[1].text"},
		{"long speaker", 4, with(func(s *event.Segment) { s.Speaker = strings.Repeat("x", 129) }), wire.CodeBadSegment, "segments[1].speaker"},
		{"end before start", 4, with(func(s *event.Segment) { s.End = 0.5 }), wire.CodeBadSegment, "segments[1].end"},
		{"negative start", 4, with(func(s *event.Segment) { s.Start = -1 }), wire.CodeBadSegment, "segments[1].start"},
		{"start not a number", 4, with(func(s *event.Segment) { s.Start = math.NaN() }), wire.CodeBadSegment, "segments[1].start"},
		{"end infinite", 4, with(func(s *event.Segment) { s.End = math.Inf(1) }), wire.CodeBadSegment, "segments[1].end"},
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(&audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 2})
		ok(t, s.Transcript(3, []event.Segment{good}))
		for _, b := range bad {
			err := s.Transcript(b.seq, b.segs)
			refused(t, err, b.code)
			if err != nil && !strings.Contains(err.Error(), b.want) {
				t.Errorf("%s: got %q, want it to name %q", b.name, err, b.want)
			}
		}
		refused(t, s.Audio(make([]byte, 6)), wire.CodeHalfSample)
		ok(t, s.Audio(make([]byte, 8)))
		ok(t, s.Transcript(4, []event.Segment{segment("b", "y", 2)}))
		ok(t, s.Finish())
		r.close()
		c := r.store.conversations()
		if len(c) != 1 || len(c[0].Segments) != 2 {
			t.Errorf("got %+v, want the two good segments", c)
		}
	})
}

func TestAudioWithoutADeclaredFormatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		s := r.start(nil)
		want(t, "audience", r.client.last().Audio, "none")
		refused(t, s.Audio(make([]byte, 8)), wire.CodeNoAudio)
		r.close()
	})
}

func TestDispatchMayCallBackFromWithinACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, conversation.Options{})
		r.dispatch.wantsAudio = true
		s := r.start(pcm16k)
		box := r.dispatch.last()
		box.onCall = func() {
			box.o.Gap(dispatch.Gap{App: "loudness", Reason: "buffer_full"})
			box.o.Deliver(apps.Invocation{App: "keywords", Outcome: plugins.OK, Outputs: []event.Output{{App: "keywords", Data: json.RawMessage(`1`)}}})
		}
		ok(t, s.Audio([]byte{0, 0}))
		want(t, "told", r.client.take(), "open #1; gap buffer_full; output keywords 1")
		r.close()
	})
}
