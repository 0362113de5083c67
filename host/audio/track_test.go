package audio_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/auricle-dev/auricle/host/audio"
)

func newTrack(t *testing.T, bound int64, from, to int) (*audio.Track, *audio.Reader) {
	t.Helper()
	track, err := audio.NewTrack(bound, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return track, track.Add("app")
}

func TestTrackAtTheStreamsRateIsABuffer(t *testing.T) {
	track, r := newTrack(t, 0, 12_345, 12_345)
	track.Write("c", 7, pcm(1, 2, 3))
	if p, ok := r.Next(0, 0); !ok || p.Start != 7 || !bytes.Equal(p.PCM, pcm(1, 2, 3)) {
		t.Errorf("got %+v %v, want what was written", p, ok)
	}
}

// Pieces are of exactly the length asked for, whatever the frames were, follow
// one another, and are together what resampling all at once gives.
func TestTrackYieldsWholePiecesThatFollowOneAnother(t *testing.T) {
	in := sine(44_100, 440, 10_000, 44_100+17)
	want := resampled(t, 44_100, 16_000, in)
	track, r := newTrack(t, 0, 44_100, 16_000)
	var got []byte
	var lengths []int
	next := int64(0)
	take := func() {
		for p, ok := r.Next(6400, 6400); ok; p, ok = r.Next(6400, 6400) {
			if p.Start != next || p.Conversation != "c" {
				t.Errorf("a piece of %s at %d, want one of c at %d", p.Conversation, p.Start, next)
			}
			got, lengths, next = append(got, p.PCM...), append(lengths, len(p.PCM)), next+int64(len(p.PCM)/2)
		}
	}
	for at := 0; at < len(in); at += 1000 {
		if d := track.Write("c", int64(at/2), in[at:min(at+1000, len(in))]); d != nil {
			t.Fatalf("dropped %v", d)
		}
		take()
	}
	track.EndConversation("c")
	take()
	if !bytes.Equal(got, want) || !slices.Equal(lengths, []int{6400, 6400, 6400, 6400, 6400, len(want) - 5*6400}) {
		t.Errorf("%d bytes in pieces of %v, want %d bytes in pieces of 6400", len(got), lengths, len(want))
	}
}

// Nothing of one conversation is heard in the next, and what was held back of
// the first is not lost when the second simply begins.
func TestTrackBeginsEachConversationAnew(t *testing.T) {
	first, second := sine(48_000, 1000, 20_000, 4800), sine(48_000, 300, 5000, 4801)
	track, r := newTrack(t, 0, 48_000, 8_000)
	track.Write("c_1", 0, first)
	track.Write("c_2", 0, second)
	track.EndConversation("c_2")
	for _, want := range []struct {
		id  string
		pcm []byte
	}{{"c_1", resampled(t, 48_000, 8_000, first)}, {"c_2", resampled(t, 48_000, 8_000, second)}} {
		p, ok := r.Next(0, 0)
		if !ok || p.Conversation != want.id || p.Start != 0 || !bytes.Equal(p.PCM, want.pcm) {
			t.Errorf("got %d bytes of %s from %d, want %d of %s from 0", len(p.PCM), p.Conversation, p.Start, len(want.pcm), want.id)
		}
	}
}

// Audio that goes on elsewhere, where an app was switched on late for example,
// keeps its place.
func TestTrackKeepsItsPlaceOverAGap(t *testing.T) {
	track, r := newTrack(t, 0, 48_000, 16_000)
	track.Write("c", 480_001, make([]byte, 2*4800))
	track.Write("c", 960_000, make([]byte, 2*300))
	track.EndConversation("c")
	for _, want := range [][2]int{{160_001, 1600}, {320_000, 100}} {
		p, ok := r.Next(0, 0)
		if !ok || p.Start != int64(want[0]) || len(p.PCM) != 2*want[1] {
			t.Errorf("got %d samples from %d, want %d from %d", len(p.PCM)/2, p.Start, want[1], want[0])
		}
	}
	if _, ok := r.Next(0, 0); ok || track.Buffered() != 0 {
		t.Errorf("%d bytes are left", track.Buffered())
	}
}

// What is dropped counts as the app would have got it, however long the frame.
func TestTrackDropsInBytesOfItsRate(t *testing.T) {
	track, r := newTrack(t, 3200, 48_000, 16_000)
	var lost int64
	count := func(drops []audio.Drop) {
		for _, d := range drops {
			lost += d.Bytes
		}
	}
	count(track.Write("c", 0, make([]byte, 2*48_000)))
	count(track.EndConversation("c"))
	p, ok := r.Next(0, 0)
	if !ok || p.Start != 14_400 || len(p.PCM) != 3200 || p.Dropped != 28_800 || lost != 28_800 {
		t.Errorf("got %d bytes from %d after %d dropped, %d told; want 3200 from 14400 after 28800", len(p.PCM), p.Start, p.Dropped, lost)
	}
}
