package wav_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/cmd/auricle/wav"
	"github.com/auricle-dev/auricle/host/audio"
)

// wavBytes writes a WAV file: a fmt chunk of the given fields and a data chunk.
func wavBytes(tag, channels uint16, rate uint32, bits uint16, data []byte) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00")
	le := binary.LittleEndian
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, channels)
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, rate*uint32(channels)*uint32(bits)/8)
	b = le.AppendUint16(b, channels*bits/8)
	b = le.AppendUint16(b, bits)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	le.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

// withChunk puts a chunk of n bytes before the data chunk.
func withChunk(b []byte, n int) []byte {
	chunk := binary.LittleEndian.AppendUint32([]byte("LIST"), uint32(n))
	chunk = append(chunk, make([]byte, n+n%2)...)
	at := bytes.Index(b, []byte("data"))
	return append(append(append([]byte(nil), b[:at]...), chunk...), b[at:]...)
}

// extensible rewraps a plain fmt chunk the way newer programs write it.
func extensible(b []byte) []byte {
	out := append([]byte(nil), b[:16]...)
	out = binary.LittleEndian.AppendUint32(out, 40)
	out = append(out, b[20:36]...)
	tag := binary.LittleEndian.Uint16(b[20:])
	binary.LittleEndian.PutUint16(out[20:], 0xfffe)
	out = append(out, 22, 0, 16, 0, 4, 0, 0, 0)
	out = binary.LittleEndian.AppendUint16(out, tag)
	out = append(out, "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"...)
	return append(out, b[36:]...)
}

// goodWAV and badWAV are the table of the tests and the fuzzer's seeds.
var goodWAV = []struct {
	name   string
	bytes  []byte
	format audio.Format
	data   string
}{
	{"16-bit mono", wavBytes(1, 1, 16000, 16, []byte("abcdef")), audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1}, "abcdef"},
	{"16-bit stereo", wavBytes(1, 2, 48000, 16, []byte("abcdefgh")), audio.Format{Codec: audio.PCM16, Rate: 48000, Channels: 2}, "abcdefgh"},
	{"mu-law", wavBytes(7, 1, 8000, 8, []byte("abc")), audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 1}, "abc"},
	{"a chunk of odd length before the data", withChunk(wavBytes(1, 1, 8000, 16, []byte("ab")), 7), audio.Format{Codec: audio.PCM16, Rate: 8000, Channels: 1}, "ab"},
	{"extensible", extensible(wavBytes(1, 1, 44100, 16, []byte("abcd"))), audio.Format{Codec: audio.PCM16, Rate: 44100, Channels: 1}, "abcd"},
}

var badWAV = []struct {
	name  string
	bytes []byte
	want  string
}{
	{"empty", nil, "0 bytes are too short for one"},
	{"something else", []byte("ID3\x03 this is an MP3 file"), `it begins with "ID3\x03", not with RIFF…WAVE`},
	{"RIFF of another kind", []byte("RIFF\x00\x00\x00\x00AVI LIST"), "not with RIFF…WAVE"},
	{"64-bit sizes", []byte("RF64\xff\xff\xff\xffWAVEds64"), "the RF64 variant is not supported"},
	{"cut within the header", wavBytes(1, 1, 8000, 16, []byte("ab"))[:30], "ends within its fmt chunk"},
	{"no fmt chunk", []byte("RIFF\x00\x00\x00\x00WAVELIST\x00\x00\x00\x00"), "it has no fmt chunk"},
	{"no data chunk", wavBytes(1, 1, 8000, 16, nil)[:36], "it has no data chunk"},
	{"data before fmt", append([]byte("RIFF\x00\x00\x00\x00WAVEdata\x02\x00\x00\x00ab"), wavBytes(1, 1, 8000, 16, nil)[12:]...), "data chunk comes before its fmt chunk"},
	{"cut within the sound", wavBytes(1, 1, 8000, 16, []byte("abcdef"))[:46], "promises 6 bytes of sound, the file holds 2"},
	{"no sound", wavBytes(1, 1, 8000, 16, nil), "it holds no sound"},
	{"half a frame", wavBytes(1, 2, 8000, 16, []byte("abcdef")), "6 bytes of sound are not a whole number of 4-byte frames"},
	{"24-bit", wavBytes(1, 1, 48000, 24, []byte("abc")), "it is 24-bit PCM, not 16-bit; convert it"},
	{"8-bit", wavBytes(1, 1, 8000, 8, []byte("ab")), "it is 8-bit PCM"},
	{"floating point", wavBytes(3, 1, 48000, 32, []byte("abcd")), "32-bit floating-point numbers"},
	{"A-law", wavBytes(6, 1, 8000, 8, []byte("ab")), "it is A-law"},
	{"MP3 within", wavBytes(0x55, 1, 8000, 0, []byte("ab")), "of format 0x0055"},
	{"rate of 0", wavBytes(1, 1, 0, 16, []byte("ab")), "audio rate 0 is not supported"},
	{"rate too high", wavBytes(1, 1, 96000, 16, []byte("ab")), "audio rate 96000 is not supported"},
	{"six channels", wavBytes(1, 6, 48000, 16, []byte("abcdefghijkl")), "audio channels 6 is not supported"},
	{"no channels", wavBytes(1, 0, 48000, 16, []byte("ab")), "audio channels 0 is not supported"},
	{"short fmt chunk", []byte("RIFF\x00\x00\x00\x00WAVEfmt \x04\x00\x00\x00\x01\x00\x01\x00"), "its fmt chunk has 4 bytes"},
}

func TestWAVFilesAreReadAsTheyStand(t *testing.T) {
	for _, tt := range goodWAV {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "talk.wav")
			if err := os.WriteFile(path, tt.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			w, err := wav.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if w.Format != tt.format {
				t.Errorf("got %v, want %v", w.Format, tt.format)
			}
			for range 2 { // each reader begins anew
				got, err := io.ReadAll(w.Reader())
				if err != nil || string(got) != tt.data {
					t.Errorf("got %q, %v; want %q", got, err, tt.data)
				}
			}
		})
	}
}

func TestUnusableWAVFilesSayWhy(t *testing.T) {
	for _, tt := range badWAV {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "talk.wav")
			if err := os.WriteFile(path, tt.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := wav.Open(path)
			if !errors.Is(err, wav.ErrUnusable) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), path) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := wav.Open(t.TempDir()); !errors.Is(err, wav.ErrUnusable) {
		t.Errorf("a directory: got %v", err)
	}
}

// FuzzOpen holds what is accepted to its bounds: the sound is part of the
// file, in whole frames of a format that the host takes.
func FuzzOpen(f *testing.F) {
	for _, tt := range goodWAV {
		f.Add(tt.bytes)
	}
	for _, tt := range badWAV {
		f.Add(tt.bytes)
	}
	path := filepath.Join(f.TempDir(), "talk.wav")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := wav.Open(path)
		if err != nil {
			if !errors.Is(err, wav.ErrUnusable) {
				t.Errorf("got %v, which is no ErrUnusable", err)
			}
			return
		}
		defer w.Close()
		if err := w.Format.Check(); err != nil {
			t.Error(err)
		}
		sound, err := io.ReadAll(w.Reader())
		if err != nil || int64(len(sound)) != w.Bytes || len(sound) == 0 || len(sound)%w.Format.FrameBytes() != 0 {
			t.Errorf("read %d bytes of %d, %v", len(sound), w.Bytes, err)
		}
		if len(b) < 44 || !bytes.Contains(b[44:], sound) {
			t.Error("the sound is not part of the file behind its headers")
		}
	})
}
