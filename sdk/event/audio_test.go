package event_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// wireCases are audio events and what they weigh on the wire.
var wireCases = []struct {
	name  string
	audio event.Audio
	bytes int
}{
	{"empty", event.Audio{Channels: 1}, 30},
	{"one sample", event.Audio{Rate: 8000, Channels: 1, PCM: []byte{1, 2}}, 32},
	{"full", event.Audio{
		Rate: 48_000, Channels: 1, Start: 1 << 40, Dropped: 960, Session: "s_1", Conversation: "c_2", UID: "ü",
		PCM: []byte{0, 0x80, 0xff, 0x7f},
	}, 42},
	{"restarted", event.Audio{Rate: 8000, Channels: 1, Session: "s", Restarted: true, PCM: []byte{1, 2}}, 37},
	{"long ids", event.Audio{Rate: 16_000, Channels: 1, UID: strings.Repeat("x", 65_535)}, 30 + 65_535},
}

func TestAudioSurvivesTheWire(t *testing.T) {
	for _, c := range wireCases {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.audio.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) != c.bytes {
				t.Errorf("got %d bytes, want %d", len(b), c.bytes)
			}
			var got event.Audio
			if err := got.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
			if !same(got, c.audio) {
				t.Errorf("got %+v, want %+v", got, c.audio)
			}
		})
	}
}

func TestAudioIsAppendedToWhatIsThere(t *testing.T) {
	b, err := (&event.Audio{Rate: 8000, Channels: 1, PCM: []byte{1, 2}}).AppendBinary([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b, []byte("before")) || len(b) != len("before")+32 {
		t.Errorf("got %q", b)
	}
}

func TestAudioWithAnIdThatHasNoLengthIsRefused(t *testing.T) {
	a := event.Audio{Rate: 8000, Channels: 1, Session: strings.Repeat("x", 65_536)}
	if b, err := a.AppendBinary(nil); err == nil {
		t.Errorf("got %d bytes, want an error", len(b))
	}
}

func TestUnmarshalBinarySkipsAHeaderFromTheFuture(t *testing.T) {
	a := event.Audio{Rate: 8000, Channels: 1, Session: "s", PCM: []byte{1, 2}}
	b, err := a.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	head := binary.LittleEndian.Uint32(b)
	const more = "\xfe\xff\xff\xff a new field" // flags, but not the one that is known
	b = slices.Insert(b, int(head), []byte(more)...)
	binary.LittleEndian.PutUint32(b, head+uint32(len(more)))
	var got event.Audio
	if err := got.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if !same(got, a) {
		t.Errorf("got %+v, want %+v", got, a)
	}
}

func TestUnmarshalBinaryRefuses(t *testing.T) {
	good, err := (&event.Audio{Rate: 8000, Channels: 1, Session: "abc", PCM: []byte{1, 2}}).AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"nothing", func([]byte) []byte { return nil }, "shorter than a header"},
		{"half a header", func(b []byte) []byte { return b[:23] }, "shorter than a header"},
		{"a header size below the least", func(b []byte) []byte { b[0] = 23; return b }, "header size 23"},
		{"a header size beyond the end", func(b []byte) []byte { b[3] = 0xff; return b }, "header size"},
		{"another format", func(b []byte) []byte { b[10] = 2; return b }, "unknown format 2"},
		{"an id beyond the header", func(b []byte) []byte { b[24] = 200; return b }, "an id runs past"},
		{"a header that ends within its ids", func(b []byte) []byte { b[0] = 30; return b }, "an id runs past"},
		{"an id that is not UTF-8", func(b []byte) []byte { b[26] = 0xff; return b }, "not UTF-8"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			was := event.Audio{UID: "kept"}
			got := was
			err := got.UnmarshalBinary(bad.change(slices.Clone(good)))
			if !errors.Is(err, event.ErrBadAudio) || !strings.Contains(err.Error(), bad.want) {
				t.Errorf("got error %v, want one with %q", err, bad.want)
			}
			if !same(got, was) {
				t.Errorf("a refused event left %+v", got)
			}
		})
	}
}

// FuzzAudio holds UnmarshalBinary to what it says: what it takes is written
// back as the same event, and what it refuses is refused with ErrBadAudio.
func FuzzAudio(f *testing.F) {
	for _, c := range wireCases[:4] {
		b, err := c.audio.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var a, again event.Audio
		if err := a.UnmarshalBinary(b); err != nil {
			if !errors.Is(err, event.ErrBadAudio) {
				t.Fatalf("got %v, want ErrBadAudio", err)
			}
			return
		}
		wire, err := a.AppendBinary(nil)
		if err != nil {
			t.Fatalf("writing what was read: %v", err)
		}
		if len(wire) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(wire))
		}
		if err := again.UnmarshalBinary(wire); err != nil {
			t.Fatalf("reading what was written: %v", err)
		}
		if !same(a, again) {
			t.Fatalf("got %+v, want %+v", again, a)
		}
		n := 0
		for range a.Samples() {
			n++
		}
		if n != len(a.PCM)/2 {
			t.Fatalf("%d samples of %d bytes", n, len(a.PCM))
		}
	})
}

// same reports whether a and b are equal; no PCM is as good as empty PCM.
func same(a, b event.Audio) bool {
	if !bytes.Equal(a.PCM, b.PCM) {
		return false
	}
	a.PCM, b.PCM = nil, nil
	return reflect.DeepEqual(a, b)
}

func TestSamplesAreSignedAndLittleEndian(t *testing.T) {
	a := event.Audio{PCM: []byte{0x00, 0x80, 0xff, 0xff, 0x00, 0x00, 0xff, 0x7f, 0x55}}
	want := []int16{-32768, -1, 0, 32767}
	if got := slices.Collect(a.Samples()); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: half a sample at the end is left out", got, want)
	}
	for s := range a.Samples() {
		if s != -32768 {
			t.Errorf("got %d first", s)
		}
		break
	}
}

func TestOffsetAndDuration(t *testing.T) {
	for _, c := range []struct {
		audio            event.Audio
		offset, duration time.Duration
	}{
		{event.Audio{Rate: 16_000, Channels: 1, Start: 24_000, PCM: make([]byte, 32_000)}, 1500 * time.Millisecond, time.Second},
		{event.Audio{Rate: 8000, Channels: 1, Start: 8000 * 86_400 * 365, PCM: make([]byte, 16)}, 365 * 24 * time.Hour, time.Millisecond},
		{event.Audio{Start: 5, PCM: make([]byte, 4)}, 0, 0}, // no rate, no time
	} {
		if got := c.audio.Offset(); got != c.offset {
			t.Errorf("Offset at %d: got %v, want %v", c.audio.Start, got, c.offset)
		}
		if got := c.audio.Duration(); got != c.duration {
			t.Errorf("Duration of %d bytes: got %v, want %v", len(c.audio.PCM), got, c.duration)
		}
	}
}
