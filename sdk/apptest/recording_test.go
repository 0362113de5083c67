package apptest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// wav returns a WAV file of 16-bit PCM, with a chunk that is none of ours.
func wav(channels, rate int, pcm []byte) []byte {
	var b bytes.Buffer
	chunk := func(name string, body []byte) {
		b.WriteString(name)
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(body))))
		b.Write(body)
		if len(body)%2 == 1 {
			b.WriteByte(0)
		}
	}
	b.WriteString("RIFF\x00\x00\x00\x00WAVE")
	format := binary.LittleEndian.AppendUint16(nil, 1)
	format = binary.LittleEndian.AppendUint16(format, uint16(channels))
	format = binary.LittleEndian.AppendUint32(format, uint32(rate))
	format = binary.LittleEndian.AppendUint32(format, uint32(rate*2*channels))
	format = binary.LittleEndian.AppendUint16(format, uint16(2*channels))
	format = binary.LittleEndian.AppendUint16(format, 16)
	chunk("LIST", []byte("odd"))
	chunk("fmt ", format)
	chunk("data", pcm)
	return b.Bytes()
}

// recording writes a recording to a folder and reads it back.
func recording(t testing.TB, audio []byte, texts ...string) *apptest.Recording {
	dir := t.TempDir()
	r := apptest.Recording{Language: "en", Metadata: map[string]string{"title": "x"}, Segments: apptest.Say("Ann", texts...).Segments}
	if audio != nil {
		r.Audio = "talk.wav"
		if err := os.WriteFile(filepath.Join(dir, r.Audio), audio, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "transcript.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return apptest.Conversation(t, path)
}

func TestARecordingIsSlicedIntoEvents(t *testing.T) {
	r := recording(t, wav(1, 8000, make([]byte, 40_000)), "one", "two", "three")
	var sizes []int
	for _, e := range r.Transcripts(2) {
		sizes = append(sizes, len(e.(*event.Transcript).Segments))
	}
	if !slices.Equal(sizes, []int{2, 1}) {
		t.Errorf("got transcripts of %v segments, want 2 and 1", sizes)
	}
	if c := r.Completed(); len(c.Segments) != 3 || c.AudioMillis != 6000 || c.Metadata["title"] != "x" || c.Language != "en" {
		t.Errorf("got %+v", c)
	}
	var starts []int64
	for _, e := range r.Pieces(t, time.Second) {
		a := e.(*event.Audio)
		starts = append(starts, a.Start)
		if a.Rate != 8000 {
			t.Errorf("got a rate of %d", a.Rate)
		}
	}
	if !slices.Equal(starts, []int64{0, 8000, 16_000}) {
		t.Errorf("got pieces at %v", starts)
	}
}

func TestStereoIsMixed(t *testing.T) {
	r := recording(t, wav(2, 8000, []byte{10, 0, 20, 0, 0, 0x80, 0, 0x80, 0xff, 0x7f, 0x01, 0x80}), "one")
	a := r.Pieces(t, time.Second)[0].(*event.Audio)
	if got := slices.Collect(a.Samples()); !slices.Equal(got, []int16{15, -32768, 0}) {
		t.Errorf("got %v", got)
	}
}

func TestAudioThatCannotBeReadFailsTheTest(t *testing.T) {
	good := wav(1, 8000, []byte{1, 2})
	for _, bad := range []struct {
		name  string
		audio []byte
		want  string
	}{
		{"none", nil, "has no audio"},
		{"not a WAV file", []byte("OggS and so on"), "not a WAV file"},
		{"float", bytes.Replace(good, []byte{1, 0, 1, 0}, []byte{3, 0, 1, 0}, 1), "only 16-bit PCM"},
		{"no data", good[:len(good)-10], "no data chunk"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			r := recording(t, bad.audio, "one")
			if got := failure(t, func(t testing.TB) { r.Pieces(t, time.Second) }); !strings.Contains(got, bad.want) {
				t.Errorf("got %q, want %q in it", got, bad.want)
			}
		})
	}
}

func TestSineAndPieces(t *testing.T) {
	pcm := apptest.Sine(8000, 1000, 1, 1500*time.Millisecond)
	if len(pcm) != 24_000 {
		t.Fatalf("got %d bytes, want 24,000", len(pcm))
	}
	a := event.Audio{PCM: pcm[:16]}
	if got := slices.Collect(a.Samples()); !slices.Equal(got, []int16{0, 23170, 32767, 23170, 0, -23170, -32767, -23170}) {
		t.Errorf("got %v", got)
	}
	if n := len(apptest.Pieces(t, 8000, pcm, time.Second)); n != 2 {
		t.Errorf("got %d pieces, want 2", n)
	}
}
