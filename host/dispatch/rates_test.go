package dispatch_test

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The session has 8,000 samples a second. Each app gets them at the rate that
// it asked for, in pieces that are as long and follow one another.
func TestAudioComesAtTheRateAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := []*fakeApp{
			{name: "stream", caps: everything, piece: 100 * time.Millisecond},
			{name: "same", caps: everything, piece: 100 * time.Millisecond, rate: 8_000},
			{name: "double", caps: everything, piece: 100 * time.Millisecond, rate: 16_000},
			{name: "six", caps: everything, piece: 200 * time.Millisecond, rate: 48_000},
		}
		d := start(t, dispatch.Options{}, as...)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		for at := 0; at < 4000; at += 160 {
			s.Audio("c", int64(at), pcm(at, 160))
		}
		s.EndAudio("c")
		synctest.Wait()
		for i, want := range []struct{ rate, samples, pieces int }{{8_000, 800, 5}, {8_000, 800, 5}, {16_000, 1600, 5}, {48_000, 9600, 3}} {
			ps := as[i].pieces(t)
			if len(ps) != want.pieces {
				t.Errorf("%s: %d pieces, want %d", as[i].name, len(ps), want.pieces)
			}
			total := int64(0)
			for n, p := range ps {
				if p.Rate != want.rate || p.Start != total || n < len(ps)-1 && len(p.PCM) != 2*want.samples {
					t.Errorf("%s: a piece of %d samples at %d Hz from %d; want %d at %d from %d", as[i].name, len(p.PCM)/2, p.Rate, p.Start, want.samples, want.rate, total)
				}
				total += int64(len(p.PCM) / 2)
			}
			if total != int64(want.rate/2) {
				t.Errorf("%s: %d samples in all, want half a second of %d", as[i].name, total, want.rate)
			}
		}
		if s.BufferedAudio() != 0 || len(l.got()) != 0 {
			t.Errorf("%d bytes are left, gaps %v", s.BufferedAudio(), l.got())
		}
	})
}

// What comes after a completion is another conversation, and begins at 0.
func TestResampledAudioOfACompletedConversationGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, rate: 48_000}
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		s.Audio("c_1", 0, pcm(0, 81))
		l.complete(s, "c_1", "a")
		s.Audio("c_2", 0, pcm(0, 800))
		s.EndAudio("c_2")
		synctest.Wait()
		ps := a.pieces(t)
		if len(ps) != 2 || ps[0].Conversation != "c_1" || len(ps[0].PCM) != 2*486 || ps[1].Conversation != "c_2" || ps[1].Start != 0 || len(ps[1].PCM) != 2*4800 {
			t.Fatalf("got %d pieces, want 486 samples of c_1 and 4800 of c_2", len(ps))
		}
		if evs := a.called(); evs[1].Kind != event.KindConversation {
			t.Errorf("after c_1's audio came %v, want its completion", evs[1].Kind)
		}
	})
}

// Bytes that are told as dropped are those that the app would have got.
func TestDropsAreInBytesOfTheRateAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, rate: 16_000, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{AudioBuffer: 6400}, a) // two pieces
		var l listener
		s := audioSession(d, &l)
		s.Audio("c", 0, pcm(0, 900))
		synctest.Wait() // one runs
		s.Audio("c", 900, pcm(0, 3100))
		s.EndAudio("c")
		var lost int64
		for _, g := range l.got() {
			lost += g.Bytes
		}
		if want := int64(2*8000 - 3200 - 6400); lost != want {
			t.Errorf("%d bytes are told as dropped, want %d", lost, want)
		}
		a.release <- plugins.OK
		synctest.Wait()
		if ps := a.pieces(t); len(ps) != 2 || ps[1].Start != 4800 || ps[1].Dropped != 6400 {
			t.Errorf("the second of %d pieces is %+v, want one at 4800 after 6400 dropped", len(ps), ps[1])
		}
		a.release <- plugins.OK
		a.release <- plugins.OK
		synctest.Wait()
		s.Close()
		s.Audio("c", 4000, pcm(0, 100))
		if got := l.got(); got[len(got)-1].Bytes != 400 {
			t.Errorf("after the close %d bytes are told as dropped, want 400", got[len(got)-1].Bytes)
		}
		drain(t, d)
	})
}

// Another version of an app may ask for another rate. Its audio goes on there;
// what the one before had not taken is dropped and told.
func TestAnotherVersionMayWantAnotherRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond}
		d := start(t, dispatch.Options{}, before)
		defer drain(t, d)
		var l listener
		s := audioSession(d, &l)
		defer s.Close()
		s.Audio("c", 0, pcm(0, 900))
		synctest.Wait()
		after := &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, rate: 16_000}
		replace(d, new(retired), after)
		s.Audio("c", 900, pcm(0, 800))
		s.EndAudio("c")
		synctest.Wait()
		want := []dispatch.Gap{{App: "a", Kind: event.KindAudio, Bytes: 200, Reason: dispatch.ReasonNotInstalled}}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		if ps := after.pieces(t); len(ps) != 1 || ps[0].Rate != 16_000 || ps[0].Start != 1800 || len(ps[0].PCM) != 3200 {
			t.Errorf("got %d pieces, want one of 1600 samples at 16000 Hz from 1800", len(ps))
		}
	})
}
