package dispatch_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

func TestLaggingAppGetsTranscriptsMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Transcript(say("c", "0", "first"))
		synctest.Wait()
		s.Transcript(say("c", "1", "one", "2", "too"))
		s.Transcript(say("c", "3", "three"))
		s.Transcript(say("c", "2", "two"))
		s.Transcript(say("other", "1", "else"))
		for range 3 {
			a.release <- plugins.OK
			synctest.Wait()
		}
		want := []string{"first", "one two three", "else"}
		if got := a.transcripts(t); !reflect.DeepEqual(got, want) {
			t.Errorf("transcript events %q, want %q", got, want)
		}
		if got := l.got(); len(got) != 0 {
			t.Errorf("gaps %v, want none: nothing was lost", got)
		}
	})
}

func TestMergedTranscriptIsBounded(t *testing.T) {
	for _, c := range []struct {
		name    string
		n       int
		text    string
		dropped int
	}{
		{"segments", dispatch.MaxPendingSegments + 7, "x", 7},
		{"bytes", 20, strings.Repeat("x", 16<<10), 5}, // 15 of 16 KiB and a bit fit into 256 KiB
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &fakeApp{name: "a", caps: transcriptOnly, release: make(chan plugins.Outcome)}
				d := start(t, dispatch.Options{}, a)
				defer drain(t, d)
				var l listener
				s := d.Open(l.options("u", "s"))
				defer s.Close()
				s.Transcript(say("c", "first", "first"))
				synctest.Wait()
				for i := range c.n {
					s.Transcript(say("c", fmt.Sprint(i), c.text))
				}
				s.Transcript(say("c", fmt.Sprint(c.n-1), "newest")) // still found by its id
				a.release <- plugins.OK
				synctest.Wait()
				lost := 0
				for _, g := range l.got() {
					if g.Reason != dispatch.ReasonMailboxFull {
						t.Errorf("gap %v", g)
					}
					lost += g.Segments
				}
				got := strings.Fields(a.transcripts(t)[1])
				if lost != c.dropped || len(got) != c.n-c.dropped || got[len(got)-1] != "newest" {
					t.Errorf("dropped %d, kept %d ending in %.10q; want %d and %d", lost, len(got), got[len(got)-1], c.dropped, c.n-c.dropped)
				}
			})
		})
	}
}

func TestPendingConversationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Transcript(say("c", "0", "runs"))
		synctest.Wait()
		for i := range dispatch.MaxPendingConversations + 1 {
			s.Transcript(say(fmt.Sprint("c", i), "1", fmt.Sprint(i), "2", "x"))
		}
		want := []dispatch.Gap{{App: "a", Kind: event.KindTranscript, Segments: 2, Reason: dispatch.ReasonMailboxFull}}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		a.release <- plugins.OK
		synctest.Wait()
		if got := a.transcripts(t)[1]; got != "1 x" {
			t.Errorf("the next event is %q, want the oldest kept, %q", got, "1 x")
		}
	})
}

// pcm returns n samples that count up from at.
func pcm(at, n int) []byte {
	b := make([]byte, 0, 2*n)
	for i := range n {
		v := uint16(at + i)
		b = append(b, byte(v), byte(v>>8))
	}
	return b
}

func audioSession(d *dispatch.Dispatcher, l *listener) *dispatch.Session {
	o := l.options("u", "s")
	o.Rate = 8000
	return d.Open(o)
}

func TestAudioComesInPiecesOfTheLengthAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast := &fakeApp{name: "fast", caps: everything, piece: 100 * time.Millisecond}
		slow := &fakeApp{name: "slow", caps: []event.Capability{event.CapAudio}, piece: 250 * time.Millisecond}
		d := start(t, dispatch.Options{}, fast, slow)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		for i := range 30 { // 600 ms in frames of 20 ms
			s.Audio("c1", int64(160*i), pcm(160*i, 160))
			synctest.Wait()
		}
		s.Audio("c1", 4800, pcm(4800, 10))
		synctest.Wait()
		if got, want := s.BufferedAudio(), int64(2*(810)); got != want {
			t.Errorf("%d bytes buffered, want what is due to the slower: %d", got, want)
		}
		<-l.complete(s, "c1", "fast", "slow")
		s.Audio("c2", 0, pcm(0, 800))
		synctest.Wait()
		type piece struct {
			conversation string
			start        int64
			samples      int
		}
		list := func(a *fakeApp) (ps []piece) {
			for _, p := range a.pieces(t) {
				if p.Rate != 8000 || p.Channels != 1 || p.UID != "u" || p.Session != "s" || p.Dropped != 0 {
					t.Errorf("piece %+v", p)
				}
				if p.PCM[0] != byte(p.Start) {
					t.Errorf("piece at %d begins with sample %d", p.Start, p.PCM[0])
				}
				ps = append(ps, piece{p.Conversation, p.Start, len(p.PCM) / 2})
			}
			return ps
		}
		want := []piece{{"c1", 0, 800}, {"c1", 800, 800}, {"c1", 1600, 800}, {"c1", 2400, 800}, {"c1", 3200, 800}, {"c1", 4000, 800}, {"c1", 4800, 10}, {"c2", 0, 800}}
		if got := list(fast); !reflect.DeepEqual(got, want) {
			t.Errorf("fast: %v, want %v", got, want)
		}
		want = []piece{{"c1", 0, 2000}, {"c1", 2000, 2000}, {"c1", 4000, 810}}
		if got := list(slow); !reflect.DeepEqual(got, want) {
			t.Errorf("slow: %v, want %v", got, want)
		}
		// What is left of the audio comes before the conversation.
		kinds := ""
		for _, ev := range fast.called() {
			kinds += ev.Kind.String()[:1]
		}
		if kinds != "aaaaaaaca" {
			t.Errorf("order of events %q, want the conversation after its audio", kinds)
		}
	})
}

func TestNoAudioBufferWithoutConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: transcriptOnly}
		b := &fakeApp{name: "b", caps: everything, users: []string{"someone else"}}
		d := start(t, dispatch.Options{}, a, b)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		frame := pcm(0, 1600)
		if n := testing.AllocsPerRun(100, func() { s.Audio("c", 0, frame) }); n != 0 {
			t.Errorf("%v allocations a frame, want 0", n)
		}
		if s.WantsAudio() || s.BufferedAudio() != 0 || len(l.got()) != 0 {
			t.Errorf("wants audio %v, %d bytes, gaps %v", s.WantsAudio(), s.BufferedAudio(), l.got())
		}
		without := d.Open(dispatch.SessionOptions{UID: "someone else", ID: "s2"})
		defer without.Close()
		if without.WantsAudio() {
			t.Error("a session without audio wants it")
		}
	})
}

func TestAudioBeyondTheBufferIsDroppedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{AudioBuffer: 4800}, a) // three pieces
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		for i := range 6 { // one runs, three fit, two are lost
			s.Audio("c", int64(800*i), pcm(800*i, 800))
			synctest.Wait()
		}
		if got := s.BufferedAudio(); got != 4800 {
			t.Errorf("%d bytes buffered, want the bound of 4800", got)
		}
		var lost int64
		for _, g := range l.got() {
			if g.Reason != dispatch.ReasonBufferFull || g.Kind != event.KindAudio || g.App != "a" {
				t.Errorf("gap %+v", g)
			}
			lost += g.Bytes
		}
		if lost != 3200 {
			t.Errorf("gaps tell of %d bytes, want 3200", lost)
		}
		for range 4 {
			a.release <- plugins.OK
			synctest.Wait()
		}
		ps := a.pieces(t)
		if len(ps) != 4 || ps[1].Start != 2400 || ps[1].Dropped != 3200 || ps[2].Dropped != 0 {
			t.Errorf("%d pieces; the second starts at %d after %d dropped bytes; want 4, 2400, 3200", len(ps), ps[1].Start, ps[1].Dropped)
		}
		if got := s.BufferedAudio(); got != 0 {
			t.Errorf("%d bytes buffered after all was taken", got)
		}
	})
}

// An app that lags and wants the latest audio gets the newest whole piece; all
// else is counted and told, to the client and with the piece.
func TestLaggingAppGetsTheLatestAudioOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, latest: true, release: make(chan plugins.Outcome)}
		all := &fakeApp{name: "all", caps: []event.Capability{event.CapAudio}, piece: 100 * time.Millisecond}
		d := start(t, dispatch.Options{}, a, all)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		for i := range 5 { // the first runs; of the others the last whole one is the newest
			s.Audio("c", int64(800*i), pcm(800*i, 800))
			synctest.Wait()
		}
		s.Audio("c", 4000, pcm(4000, 300))
		a.release <- plugins.OK
		synctest.Wait()
		want := []dispatch.Gap{{App: "a", Kind: event.KindAudio, Bytes: 4800, Reason: dispatch.ReasonSuperseded}}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		// The conversation comes after the newest piece and the short rest.
		s.Audio("c", 4300, pcm(4300, 1700))
		done := l.complete(s, "c", "a")
		for range 3 {
			a.release <- plugins.OK
			synctest.Wait()
		}
		a.release <- plugins.OK
		<-done
		type piece struct {
			start   int64
			samples int
			dropped uint32
		}
		var got []piece
		for _, p := range a.pieces(t) {
			got = append(got, piece{p.Start, len(p.PCM) / 2, p.Dropped})
		}
		if want := []piece{{0, 800, 0}, {3200, 800, 4800}, {4800, 800, 1600}, {5600, 400, 0}}; !reflect.DeepEqual(got, want) {
			t.Errorf("pieces %v, want %v", got, want)
		}
		if n := len(all.pieces(t)); n != 8 {
			t.Errorf("another app had %d pieces, want all 8", n)
		}
		if n := a.count(event.KindConversation); n != 1 {
			t.Errorf("%d conversations, want 1", n)
		}
		if n := s.BufferedAudio(); n != 0 {
			t.Errorf("%d bytes buffered, want none", n)
		}
	})
}

func TestAudioStaysBufferedWhileTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 1, Queue: 1}, a)
		defer drain(t, d)
		var busy, l listener
		for i := range 2 {
			s := d.Open(busy.options("u", fmt.Sprint("busy", i)))
			defer s.Close()
			s.Transcript(say("c", "1", "one"))
			synctest.Wait()
		}
		s := audioSession(d, &l)
		defer s.Close()
		s.Audio("c", 0, pcm(0, 800))
		if got := s.BufferedAudio(); got != 1600 || len(l.got()) != 0 {
			t.Fatalf("%d bytes buffered, gaps %v", got, l.got())
		}
		a.release <- plugins.OK
		a.release <- plugins.OK
		synctest.Wait()
		s.Audio("c", 800, pcm(800, 800))
		a.release <- plugins.OK
		a.release <- plugins.OK
		synctest.Wait()
		if ps := a.pieces(t); len(ps) != 2 || ps[0].Start != 0 || ps[0].Dropped != 0 {
			t.Errorf("pieces %v, want both, whole", ps)
		}
	})
}

func TestEndAudioGivesTheShortRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		s.Audio("c", 0, pcm(0, 100))
		s.EndAudio("c")
		synctest.Wait()
		if ps := a.pieces(t); len(ps) != 1 || len(ps[0].PCM) != 200 {
			t.Errorf("pieces %v, want the 100 samples", ps)
		}
	})
}

func TestCloseDropsRealtimeWorkAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		s.Transcript(say("c", "1", "one"))
		synctest.Wait()
		s.Transcript(say("c", "2", "two"))
		s.Audio("c", 0, pcm(0, 100))
		s.Close()
		s.Close() // a second one does nothing
		s.Transcript(say("c", "3", "three"))
		s.Audio("c", 100, pcm(100, 50))
		a.release <- plugins.OK
		synctest.Wait()
		want := []dispatch.Gap{
			{App: "a", Kind: event.KindTranscript, Segments: 1, Reason: dispatch.ReasonSessionClosed},
			{App: "a", Kind: event.KindAudio, Bytes: 200, Reason: dispatch.ReasonSessionClosed},
			{App: "a", Kind: event.KindTranscript, Segments: 1, Reason: dispatch.ReasonSessionClosed},
			{App: "a", Kind: event.KindAudio, Bytes: 100, Reason: dispatch.ReasonSessionClosed},
		}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		if len(a.called()) != 1 || len(l.invocations()) != 1 || s.BufferedAudio() != 0 {
			t.Errorf("%d calls, %d deliveries, %d bytes; want the one that ran", len(a.called()), len(l.invocations()), s.BufferedAudio())
		}
	})
}

func TestCloseKeepsWhatCameBeforeACompletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := &fakeApp{name: "both", caps: everything, release: make(chan plugins.Outcome)}
		ears := &fakeApp{name: "ears", caps: []event.Capability{event.CapAudio}, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{}, both, ears)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		s.Transcript(say("c", "1", "one"))
		synctest.Wait()
		s.Transcript(say("c", "2", "two"))
		s.Audio("c", 0, pcm(0, 100))
		done := l.complete(s, "c", "both")
		s.Audio("next", 0, pcm(0, 60))
		s.Transcript(say("next", "1", "next"))
		s.Close()
		for range 4 {
			both.release <- plugins.OK
			synctest.Wait()
		}
		if isDone(done) {
			t.Error("Complete's channel closed before the audio app had its rest")
		}
		ears.release <- plugins.OK
		synctest.Wait()
		if !isDone(done) {
			t.Error("Complete's channel is open though all have answered")
		}
		if got, want := both.transcripts(t), []string{"one", "two"}; !reflect.DeepEqual(got, want) {
			t.Errorf("transcripts %q, want %q", got, want)
		}
		if both.count(event.KindConversation) != 1 || both.count(event.KindAudio) != 1 || ears.count(event.KindAudio) != 1 {
			t.Errorf("calls %v and %v", both.called(), ears.called())
		}
		var bytes int64
		for _, g := range l.got() {
			if g.Reason != dispatch.ReasonSessionClosed {
				t.Errorf("gap %v", g)
			}
			bytes += g.Bytes
		}
		if bytes != 240 || s.BufferedAudio() != 0 {
			t.Errorf("%d bytes told as dropped and %d buffered, want 120 for each of two apps and none", bytes, s.BufferedAudio())
		}
	})
}
