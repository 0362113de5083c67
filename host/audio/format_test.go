package audio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
)

func pcm(samples ...int16) []byte {
	var b []byte
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

func TestFormatCheck(t *testing.T) {
	for _, f := range []audio.Format{
		{Codec: audio.PCM16, Rate: 8000, Channels: 1},
		{Codec: audio.PCM16, Rate: 44100, Channels: 2},
		{Codec: audio.MuLaw, Rate: 8000, Channels: 1},
		{Codec: audio.MuLaw, Rate: 48000, Channels: 2},
		{Codec: audio.ALaw, Rate: 8000, Channels: 1},
		{Codec: audio.PCM8, Rate: 8000, Channels: 1},
		{Codec: audio.Opus, Rate: 16000, Channels: 1},
		{Codec: audio.Opus, Rate: 48000, Channels: 2},
	} {
		if err := f.Check(); err != nil {
			t.Errorf("%v: %v", f, err)
		}
	}
	for _, c := range []struct {
		f    audio.Format
		want string
	}{
		{audio.Format{Codec: "aac", Rate: 16000, Channels: 1}, `audio codec "aac" is not supported; supported: pcm_s16le, pcm_u8, pcm_mulaw, pcm_alaw, opus`},
		{audio.Format{Codec: "lc3", Rate: 16000, Channels: 1}, `audio codec "lc3" is not supported; supported: pcm_s16le, pcm_u8, pcm_mulaw, pcm_alaw, opus`},
		{audio.Format{Codec: "opus_fs320", Rate: 16000, Channels: 1}, `audio codec "opus_fs320" is not supported; supported: pcm_s16le, pcm_u8, pcm_mulaw, pcm_alaw, opus`},
		{audio.Format{Rate: 16000, Channels: 1}, `audio codec "" is not supported; supported: pcm_s16le, pcm_u8, pcm_mulaw, pcm_alaw, opus`},
		{audio.Format{Codec: "a\n\x00b", Rate: 16000, Channels: 1}, `audio codec "a\n\x00b" is not supported; supported: pcm_s16le, pcm_u8, pcm_mulaw, pcm_alaw, opus`},
		{audio.Format{Codec: audio.PCM16, Rate: 0, Channels: 1}, `audio rate 0 is not supported; supported: 8000 to 48000 Hz`},
		{audio.Format{Codec: audio.PCM16, Rate: -16000, Channels: 1}, `audio rate -16000 is not supported; supported: 8000 to 48000 Hz`},
		{audio.Format{Codec: audio.PCM16, Rate: 7999, Channels: 1}, `audio rate 7999 is not supported; supported: 8000 to 48000 Hz`},
		{audio.Format{Codec: audio.PCM16, Rate: 48001, Channels: 1}, `audio rate 48001 is not supported; supported: 8000 to 48000 Hz`},
		{audio.Format{Codec: audio.Opus, Rate: 44100, Channels: 1}, `audio rate 44100 is not supported; supported: 8000, 12000, 16000, 24000 or 48000 Hz with opus`},
		{audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 0}, `audio channels 0 is not supported; supported: 1 (mono) or 2 (stereo)`},
		{audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 3}, `audio channels 3 is not supported; supported: 1 (mono) or 2 (stereo)`},
	} {
		err := c.f.Check()
		if err == nil || err.Error() != c.want {
			t.Errorf("%v: got %v, want %s", c.f, err, c.want)
		}
		var fe *audio.FormatError
		if !errors.As(err, &fe) {
			t.Errorf("%v: %T holds no *FormatError", c.f, err)
		}
	}
}

func TestFormatCheckReportsEveryField(t *testing.T) {
	err := audio.Format{Codec: "mp3", Rate: 1, Channels: 9}.Check()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 3 {
		t.Fatalf("got %v, want three errors", err)
	}
}

// The values of ITU-T G.711, table 2a/2b, at both ends of every segment.
func TestMuLawFollowsG711(t *testing.T) {
	f := audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 1}
	for _, c := range []struct {
		b    byte
		want int16
	}{
		{0x80, 32124}, {0x8f, 16764}, {0x90, 15996}, {0x9f, 8316}, {0xa0, 7932}, {0xaf, 4092},
		{0xb0, 3900}, {0xbf, 1980}, {0xc0, 1884}, {0xcf, 924}, {0xd0, 876}, {0xdf, 396},
		{0xe0, 372}, {0xef, 132}, {0xf0, 120}, {0xfe, 8}, {0xff, 0}, {0x7f, 0}, {0x7e, -8},
		{0x70, -120}, {0x0f, -16764}, {0x01, -31100}, {0x00, -32124},
	} {
		got, err := f.AppendMono(nil, []byte{c.b})
		if err != nil || !bytes.Equal(got, pcm(c.want)) {
			t.Errorf("%#02x: got %v, %v, want %d", c.b, int16(binary.LittleEndian.Uint16(got)), err, c.want)
		}
	}
}

func TestMuLawIsSymmetricAndMonotonic(t *testing.T) {
	f := audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 1}
	last := int16(math.MaxInt16)
	for b := 0x80; b <= 0xff; b++ {
		out, err := f.AppendMono(nil, []byte{byte(b), byte(b) &^ 0x80})
		if err != nil {
			t.Fatal(err)
		}
		plus, minus := int16(binary.LittleEndian.Uint16(out)), int16(binary.LittleEndian.Uint16(out[2:]))
		if plus != -minus || plus >= last {
			t.Errorf("%#02x: %d and %d after %d", b, plus, minus, last)
		}
		last = plus
	}
}

// The values of ITU-T G.711, table 1a, at both ends of every segment. Its
// decoder's outputs have 13 bits; here they have 16.
func TestALawFollowsG711(t *testing.T) {
	f := audio.Format{Codec: audio.ALaw, Rate: 8000, Channels: 1}
	for _, c := range []struct {
		b    byte // as sent: even bits inverted
		want int16
	}{
		{0xd5, 8}, {0xda, 248}, {0xc5, 264}, {0xca, 504}, {0xf5, 528}, {0xfa, 1008}, {0xe5, 1056}, {0xea, 2016},
		{0x95, 2112}, {0x9a, 4032}, {0x85, 4224}, {0x8a, 8064}, {0xb5, 8448}, {0xba, 16128}, {0xa5, 16896}, {0xaa, 32256},
		{0x55, -8}, {0x5a, -248}, {0x45, -264}, {0x2a, -32256},
	} {
		got, err := f.AppendMono(nil, []byte{c.b})
		if err != nil || !bytes.Equal(got, pcm(c.want)) {
			t.Errorf("%#02x: got %v, %v, want %d", c.b, int16(binary.LittleEndian.Uint16(got)), err, c.want)
		}
	}
}

// The encoder of G.711 by the nearest of its values gives back every byte.
func TestG711RoundTrips(t *testing.T) {
	for _, codec := range []audio.Codec{audio.MuLaw, audio.ALaw} {
		f := audio.Format{Codec: codec, Rate: 8000, Channels: 1}
		var all []byte
		for b := range 256 {
			all = append(all, byte(b))
		}
		out, err := f.AppendMono(nil, all)
		if err != nil {
			t.Fatal(err)
		}
		values := map[int16]int{}
		for b := range 256 {
			v := int16(binary.LittleEndian.Uint16(out[2*b:]))
			encode := muLawByte
			if codec == audio.ALaw {
				encode = aLawByte
			}
			if got := encode(v); got != byte(b) && v != 0 { // mu-law has two zeroes
				t.Errorf("%s: %#02x is %d, which is sent as %#02x", codec, b, v, got)
			}
			values[v]++
		}
		if want := map[audio.Codec]int{audio.MuLaw: 255, audio.ALaw: 256}[codec]; len(values) != want {
			t.Errorf("%s: %d values, want %d", codec, len(values), want)
		}
	}
}

// muLawByte encodes as G.711 describes it: by the segment's decision values.
func muLawByte(v int16) byte {
	sign, m := byte(0x80), int(v)
	if m < 0 {
		sign, m = 0, -m
	}
	m = min(m>>2+33, 8191) // 14 bits
	segment := 0
	for m>>(segment+6) != 0 {
		segment++
	}
	return sign | ^(byte(segment<<4)|byte(m>>(segment+1)&15))&0x7f
}

func aLawByte(v int16) byte {
	sign, m := byte(0x80), int(v)>>4
	if v < 0 {
		sign, m = 0, int(-v)>>4
	}
	segment := 0
	for m>>(segment+4) != 0 {
		segment++
	}
	step := m >> max(segment-1, 0) & 15
	return (sign | byte(segment<<4) | byte(step)) ^ 0x55
}

func TestAppendMono(t *testing.T) {
	const lo, hi = math.MinInt16, math.MaxInt16
	for _, c := range []struct {
		name string
		f    audio.Format
		src  []byte
		want []byte
	}{
		{"mono is kept as it is", audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1}, pcm(1, -2, hi, lo), pcm(1, -2, hi, lo)},
		{"stereo is the mean", audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 2}, pcm(10, 20, -10, -20, 3, 4, -3, -4), pcm(15, -15, 3, -3)},
		{"the mean does not overflow", audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 2}, pcm(hi, hi, lo, lo, lo, hi), pcm(hi, lo, 0)},
		{"mu-law stereo", audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 2}, []byte{0x80, 0x80, 0x00, 0x80, 0xff, 0xf0}, pcm(32124, 0, 60)},
		{"A-law stereo", audio.Format{Codec: audio.ALaw, Rate: 8000, Channels: 2}, []byte{0xaa, 0xaa, 0x2a, 0xaa, 0xd5, 0xd5}, pcm(32256, 0, 8)},
		{"unsigned", audio.Format{Codec: audio.PCM8, Rate: 8000, Channels: 1}, []byte{0, 1, 127, 128, 129, 255}, pcm(lo, -32512, -256, 0, 256, 32512)},
		{"unsigned stereo", audio.Format{Codec: audio.PCM8, Rate: 8000, Channels: 2}, []byte{0, 255, 128, 130}, pcm(-128, 256)},
		{"nothing", audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 2}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.f.AppendMono([]byte("before"), c.src)
			if err != nil {
				t.Fatal(err)
			}
			if want := append([]byte("before"), c.want...); !bytes.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if n, err := c.f.Samples(c.src); n != len(c.want)/audio.SampleBytes || err != nil {
				t.Errorf("Samples is %d, %v, want %d", n, err, len(c.want)/audio.SampleBytes)
			}
		})
	}
}

func TestAppendMonoRefusesHalfASample(t *testing.T) {
	for _, c := range []struct {
		f audio.Format
		n int
	}{
		{audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1}, 3},
		{audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 2}, 2}, // one channel's sample
		{audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 2}, 7},
		{audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 2}, 5},
		{audio.Format{Codec: audio.ALaw, Rate: 8000, Channels: 2}, 1},
		{audio.Format{Codec: audio.PCM8, Rate: 8000, Channels: 2}, 3},
	} {
		dst := []byte("before")
		got, err := c.f.AppendMono(dst, make([]byte, c.n))
		if !errors.Is(err, audio.ErrPartialSample) {
			t.Errorf("%v, %d bytes: got %v, want ErrPartialSample", c.f, c.n, err)
		}
		if string(got) != "before" {
			t.Errorf("%v, %d bytes: dst became %q", c.f, c.n, got)
		}
	}
}

func TestAppendMonoRefusesWhatCheckRefuses(t *testing.T) {
	for _, f := range []audio.Format{{}, {Codec: "aac", Rate: 16000, Channels: 1}, {Codec: audio.PCM16, Rate: 16000, Channels: 3}, {Codec: audio.MuLaw, Rate: 16000, Channels: -1}} {
		got, err := f.AppendMono(nil, make([]byte, 12))
		var fe *audio.FormatError
		if !errors.As(err, &fe) || got != nil {
			t.Errorf("%v: got %v, %v, want a *FormatError", f, got, err)
		}
	}
}

func TestAppendMonoDoesNotAllocateWithRoom(t *testing.T) {
	src := make([]byte, 6400)
	dst := make([]byte, 0, 4*len(src))
	for _, f := range []audio.Format{
		{Codec: audio.PCM16, Rate: 16000, Channels: 1}, {Codec: audio.PCM16, Rate: 16000, Channels: 2},
		{Codec: audio.MuLaw, Rate: 8000, Channels: 1}, {Codec: audio.MuLaw, Rate: 8000, Channels: 2},
		{Codec: audio.ALaw, Rate: 8000, Channels: 2}, {Codec: audio.PCM8, Rate: 8000, Channels: 1},
	} {
		if n := testing.AllocsPerRun(20, func() {
			if _, err := f.AppendMono(dst, src); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations a frame, want 0", f, n)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for _, c := range []struct {
		f    audio.Format
		n    int64 // bytes
		want time.Duration
	}{
		{audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1}, 32000, time.Second},
		{audio.Format{Codec: audio.PCM16, Rate: 48000, Channels: 2}, 192000 / 50, 20 * time.Millisecond},
		{audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 1}, 8001, time.Second + 125*time.Microsecond},
		{audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 2}, 3, 0}, // not yet a sample of both
		{audio.Format{Codec: audio.ALaw, Rate: 8000, Channels: 1}, 8000 * 86400 * 365, 365 * 24 * time.Hour},
		{audio.Format{Codec: audio.PCM8, Channels: 1}, 8000, 0},
		{audio.Format{Codec: audio.Opus, Rate: 48000, Channels: 1}, 8000, 0},
		{audio.Format{Codec: audio.PCM16, Rate: 16000, Channels: 1}, -2, 0},
	} {
		if got := c.f.Duration(c.n); got != c.want {
			t.Errorf("%v, %d bytes: got %v, want %v", c.f, c.n, got, c.want)
		}
	}
	if got := (audio.Format{Codec: audio.Opus, Rate: 48000, Channels: 2}).SamplesDuration(960); got != 20*time.Millisecond {
		t.Errorf("960 samples of Opus at 48 kHz: got %v, want 20ms", got)
	}
}

func FuzzAppendMono(f *testing.F) {
	f.Add("pcm_s16le", 16000, 1, []byte{1, 2, 3})
	f.Add("pcm_s16le", 16000, 2, []byte{0xff, 0x7f, 0xff, 0x7f})
	f.Add("pcm_mulaw", 8000, 2, []byte{0, 0x80, 0xff, 0x7f})
	f.Add("pcm_alaw", 8000, 1, []byte{0x55, 0xd5})
	f.Add("pcm_u8", 8000, 2, []byte{0, 255})
	f.Add("opus", 0, -1, []byte{})
	f.Fuzz(func(t *testing.T, codec string, rate, channels int, src []byte) {
		format := audio.Format{Codec: audio.Codec(codec), Rate: rate, Channels: channels}
		before := bytes.Clone(src)
		got, err := format.AppendMono(nil, src)
		if !bytes.Equal(src, before) {
			t.Fatal("src was changed")
		}
		if err != nil {
			if len(got) != 0 {
				t.Fatalf("%d bytes beside %v", len(got), err)
			}
			return
		}
		if want := len(src) / format.FrameBytes() * audio.SampleBytes; len(got) != want {
			t.Fatalf("%v: %d bytes became %d, want %d", format, len(src), len(got), want)
		}
		// A frame in two parts is the same as in one.
		half := len(src) / format.FrameBytes() / 2 * format.FrameBytes()
		parts, err := format.AppendMono(nil, src[:half])
		if err == nil {
			parts, err = format.AppendMono(parts, src[half:])
		}
		if err != nil || !bytes.Equal(parts, got) {
			t.Fatalf("in two parts: %v, %v, want %v", parts, err, got)
		}
	})
}

func BenchmarkAppendMono(b *testing.B) {
	for _, f := range []audio.Format{
		{Codec: audio.PCM16, Rate: 48000, Channels: 1}, {Codec: audio.PCM16, Rate: 48000, Channels: 2},
		{Codec: audio.MuLaw, Rate: 48000, Channels: 1}, {Codec: audio.MuLaw, Rate: 48000, Channels: 2},
	} {
		b.Run(f.String(), func(b *testing.B) {
			src := make([]byte, 48000/50*f.FrameBytes()) // 20 ms
			dst := make([]byte, 0, 4*len(src))
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				out, err := f.AppendMono(dst, src)
				if err != nil || len(out) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
