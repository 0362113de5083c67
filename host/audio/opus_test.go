package audio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/audio"
)

// vectors are packets that libopus' encoder made, with what its decoder makes
// of them (opus/vectors.c). Distance is the least signal to noise, in dB; 0
// says that not a bit differs. CELT is floating point, and the libopus that made
// them uses SSE, which adds in another order and rounds otherwise now and then.
var vectors = []struct {
	name     string
	rate     int // decoded to
	distance float64
}{
	{"silk_wb_20ms", 16_000, 0},
	{"silk_nb_60ms", 8_000, 0},
	{"silk_wb_stereo", 24_000, 0},
	{"silk_dtx", 16_000, 0}, // half of it packets that say nothing
	{"hybrid_fb_20ms", 48_000, 95},
	{"hybrid_swb_10ms", 16_000, 95},
	{"celt_wb_10ms", 16_000, 95},
	{"celt_fb_stereo", 48_000, 95},
	{"celt_fb_2.5ms", 12_000, 95},
	{"mixed", 16_000, 95}, // goes from mode to mode
}

// vector reads the packets of one, and the PCM that they are.
func vector(t testing.TB, name string) (packets [][]byte, pcm []byte) {
	t.Helper()
	read := func(ext string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", "opus", name+ext))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for b := read(".packets"); len(b) > 0; {
		n := int(binary.LittleEndian.Uint16(b))
		packets = append(packets, b[2:2+n])
		b = b[2+n:]
	}
	return packets, read(".pcm")
}

// decoders are shared: compiling libopus takes a while.
var decoders audio.Decoders

func opusDecoder(t testing.TB, rate int) *audio.Decoder {
	t.Helper()
	d, err := decoders.New(audio.Format{Codec: audio.Opus, Rate: rate, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestOpusIsDecodedAsLibopusDoes(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			packets, want := vector(t, v.name)
			d := opusDecoder(t, v.rate)
			format := audio.Format{Codec: audio.Opus, Rate: v.rate, Channels: 1}
			var got []byte
			for i, p := range packets {
				n, err := format.Samples(p)
				if err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				before := len(got)
				if got, err = d.AppendMono(got, p); err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				if len(got)-before != n*audio.SampleBytes {
					t.Fatalf("packet %d: %d bytes, though it says %d samples", i, len(got)-before, n)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%d bytes, want %d", len(got), len(want))
			}
			var signal, noise float64
			differ := 0
			for i := 0; i < len(want); i += 2 {
				w := float64(int16(binary.LittleEndian.Uint16(want[i:])))
				g := float64(int16(binary.LittleEndian.Uint16(got[i:])))
				signal, noise = signal+w*w, noise+(w-g)*(w-g)
				if w != g {
					differ++
				}
				if math.Abs(w-g) > 1 {
					t.Fatalf("sample %d is %v, want %v", i/2, g, w)
				}
			}
			distance := 10 * math.Log10(signal/noise)
			t.Logf("%d of %d samples differ, by 1: %.1f dB", differ, len(want)/2, distance)
			if differ > 0 && (v.distance == 0 || distance < v.distance) {
				t.Errorf("%d samples differ (%.1f dB), want %v dB, or none for 0", differ, distance, v.distance)
			}
		})
	}
}

// What a packet is long is in its first bytes: RFC 6716, sections 3.1 and 3.2.
var goodPackets = []struct {
	name   string
	packet []byte
	ms     float64
}{
	{"SILK, 10 ms", packet(0<<3, 5), 10},
	{"SILK, 20 ms", packet(1<<3, 5), 20},
	{"SILK, 40 ms", packet(6<<3, 5), 40},
	{"SILK, 60 ms", packet(11<<3, 5), 60},
	{"hybrid, 10 ms", packet(12<<3, 5), 10},
	{"hybrid, 20 ms", packet(15<<3, 5), 20},
	{"CELT, 2.5 ms", packet(16<<3, 5), 2.5},
	{"CELT, 5 ms", packet(17<<3, 5), 5},
	{"CELT, 20 ms", packet(31<<3, 5), 20},
	{"a lost one", packet(31<<3, 0), 20},
	{"the longest frame", packet(31<<3, 1275), 20},
	{"two frames", packet(1<<3|1, 6), 40},
	{"two frames of nothing", packet(1<<3|1, 0), 40},
	{"two of two lengths", packet(1<<3|2, 6, 2), 40},
	{"two of two lengths, the first empty", packet(1<<3|2, 6, 0), 40},
	{"a length of two bytes", packet(1<<3|2, 300, 252, 0), 40},
	{"three frames", packet(1<<3|3, 9, 3), 60},
	{"six frames", packet(1<<3|3, 12, 6), 120},
	{"48 frames", packet(16<<3|3, 96, 48), 120},
	{"three of three lengths", packet(1<<3|3, 9, 0x80|3, 2, 3), 60},
	{"padding", packet(1<<3|3, 10, 0x40|1, 4), 20},
	{"long padding", packet(1<<3|3, 300, 0x40|1, 255, 10), 20},
	{"nothing but padding", packet(1<<3|3, 7, 0x40|1, 7), 20},
}

var badPackets = []struct {
	name   string
	packet []byte
	want   string
}{
	{"nothing", nil, "it is empty"},
	{"a frame beyond its limit", packet(1<<3, 1276), "1276 bytes, more than 1275"},
	{"two frames of an odd length", packet(1<<3|1, 5), "5 bytes are not two frames"},
	{"two frames beyond the limit", packet(1<<3|1, 2552), "1276 bytes each"},
	{"no first length", packet(1<<3|2, 0), "first frame is cut off"},
	{"half a first length", packet(1<<3|2, 0, 253), "first frame is cut off"},
	{"a first frame that is cut off", packet(1<<3|2, 3, 4), "first frame is cut off"},
	{"a second frame beyond the limit", packet(1<<3|2, 1280, 4), "second frame is 1276 bytes"},
	{"no number of frames", packet(1<<3|3, 0), "number of its frames is missing"},
	{"no frame", packet(1<<3|3, 4, 0), "it has 0 frames"},
	{"more than 120 ms", packet(1<<3|3, 7, 7), "it has 7 frames of 20 ms"},
	{"49 of 2.5 ms", packet(16<<3|3, 49, 49), "it has 49 frames of 2.5 ms"},
	{"frames of unequal lengths", packet(1<<3|3, 7, 2), "7 bytes are not 2 frames"},
	{"frames beyond the limit", packet(1<<3|3, 2552, 2), "1276 bytes each"},
	{"no length of the padding", packet(1<<3|3, 0, 0x40|1), "length of its padding is cut off"},
	{"padding that is cut off", packet(1<<3|3, 3, 0x40|1, 4), "its padding is cut off"},
	{"lengths that are cut off", packet(1<<3|3, 0, 0x80|3, 2), "length of a frame is cut off"},
	{"frames that are cut off", packet(1<<3|3, 4, 0x80|3, 2, 3), "its frames are cut off"},
	{"a last frame beyond the limit", packet(1<<3|3, 1278, 0x80|2, 2), "its last frame is 1276 bytes"},
	{"more than any packet", packet(1<<3|3, 65_536, 0x41, 255), "65539 bytes, more than 65536"},
}

// packet is a first byte, more of the header, and a body of so many bytes.
func packet(toc byte, body int, header ...byte) []byte {
	return append(append([]byte{toc}, header...), make([]byte, body)...)
}

func TestOpusPacketSaysHowLongItIs(t *testing.T) {
	for _, c := range goodPackets {
		for _, rate := range []int{8_000, 12_000, 16_000, 24_000, 48_000} {
			n, err := audio.Format{Codec: audio.Opus, Rate: rate, Channels: 1}.Samples(c.packet)
			if err != nil || float64(n) != c.ms*float64(rate)/1000 {
				t.Errorf("%s at %d Hz: %d samples, %v, want %v ms", c.name, rate, n, err, c.ms)
			}
		}
		if out, err := opusDecoder(t, 48_000).AppendMono(nil, c.packet); err != nil || float64(len(out)) != c.ms*96 {
			t.Errorf("%s: decoded to %d bytes, %v, want %v ms", c.name, len(out), err, c.ms)
		}
	}
}

func TestWhatIsNoOpusPacketIsRefusedAndNamed(t *testing.T) {
	d := opusDecoder(t, 16_000)
	for _, c := range badPackets {
		_, err := audio.Format{Codec: audio.Opus, Rate: 16_000, Channels: 1}.Samples(c.packet)
		if !errors.Is(err, audio.ErrBadPacket) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
		got, err := d.AppendMono([]byte("before"), c.packet)
		if !errors.Is(err, audio.ErrBadPacket) || string(got) != "before" {
			t.Errorf("%s: decoded to %q, %v", c.name, got, err)
		}
	}
}

// A packet that is refused leaves no trace: those after it sound as if it had
// not been there.
func TestDecoderGoesOnAfterGarbage(t *testing.T) {
	packets, want := vector(t, "silk_wb_20ms")
	d := opusDecoder(t, 16_000)
	var got []byte
	for _, p := range packets {
		for _, bad := range badPackets {
			if _, err := d.AppendMono(nil, bad.packet); !errors.Is(err, audio.ErrBadPacket) {
				t.Fatalf("%s: %v", bad.name, err)
			}
		}
		var err error
		if got, err = d.AppendMono(got, p); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("what was refused is heard")
	}
}

func TestDecodersAreIndependentAndCounted(t *testing.T) {
	before := decoders.Open()
	var wg sync.WaitGroup
	for _, v := range vectors[:4] {
		for range 4 {
			d := opusDecoder(t, v.rate)
			wg.Go(func() {
				packets, want := vector(t, v.name)
				var got []byte
				for _, p := range packets {
					var err error
					if got, err = d.AppendMono(got, p); err != nil {
						t.Error(err)
						return
					}
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s: beside others it is another", v.name)
				}
				if n := d.Bytes(); n <= 0 || n > 128<<10 {
					t.Errorf("a decoder holds %d bytes, want 128 KiB at most", n)
				}
			})
		}
	}
	wg.Wait()
	if n := decoders.Open() - before; n != 16 {
		t.Errorf("%d decoders are open, want 16", n)
	}
}

func TestDecoderOfPCMHasNoState(t *testing.T) {
	d, err := decoders.New(audio.Format{Codec: audio.MuLaw, Rate: 8_000, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := d.AppendMono(nil, []byte{0x80, 0xff})
	if err != nil || !bytes.Equal(got, pcm(32124, 0)) || d.Bytes() != 0 {
		t.Errorf("got %v, %v, %d bytes held", got, err, d.Bytes())
	}
	if _, err := decoders.New(audio.Format{Codec: "aac", Rate: 8_000, Channels: 1}); err == nil {
		t.Error("there is a decoder of aac")
	}
}

func TestClosedDecoders(t *testing.T) {
	var ds audio.Decoders
	format := audio.Format{Codec: audio.Opus, Rate: 16_000, Channels: 1}
	open, err := ds.New(format)
	if err != nil {
		t.Fatal(err)
	}
	if err := ds.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ds.Close(t.Context()); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if _, err := ds.New(format); !errors.Is(err, audio.ErrClosed) {
		t.Errorf("New: %v, want ErrClosed", err)
	}
	if _, err := open.AppendMono(nil, packet(1<<3, 5)); err == nil || errors.Is(err, audio.ErrBadPacket) {
		t.Errorf("decoding: %v, want an error that is not the packet's", err)
	}
	open.Close()
	open.Close()
	if n := ds.Open(); n != 0 {
		t.Errorf("%d are open", n)
	}
}

// Whatever comes: it is refused as a bad packet, or becomes as many samples as
// it says; and then speech is decoded as long as ever.
func FuzzOpus(f *testing.F) {
	for _, v := range vectors {
		packets, _ := vector(f, v.name)
		f.Add(packets[len(packets)/2])
	}
	for _, c := range goodPackets {
		f.Add(c.packet)
	}
	for _, c := range badPackets {
		f.Add(c.packet[:min(len(c.packet), 4096)])
	}
	speech, _ := vector(f, "silk_wb_20ms")
	d := opusDecoder(f, 16_000) // one for all: what one input leaves is the next one's past
	format := audio.Format{Codec: audio.Opus, Rate: 16_000, Channels: 1}
	f.Fuzz(func(t *testing.T, p []byte) {
		n, bad := format.Samples(p)
		if bad == nil && (n < 40 || n > 1920) {
			t.Fatalf("a packet of %d samples", n)
		}
		out, err := d.AppendMono(nil, p)
		switch {
		case err != nil && !errors.Is(err, audio.ErrBadPacket):
			t.Fatal(err)
		case err == nil && (bad != nil || len(out) != n*audio.SampleBytes):
			t.Fatalf("%d bytes, though it says %d samples, %v", len(out), n, bad)
		case err != nil && len(out) != 0:
			t.Fatalf("%d bytes beside %v", len(out), err)
		}
		if out, err := d.AppendMono(nil, speech[len(p)%len(speech)]); err != nil || len(out) != 640 {
			t.Fatalf("then speech: %d bytes, %v", len(out), err)
		}
	})
}

// The figures of docs/audio.md.
func BenchmarkOpus(b *testing.B) {
	for _, v := range vectors {
		b.Run(fmt.Sprintf("%s/rate=%d", v.name, v.rate), func(b *testing.B) {
			packets, pcm := vector(b, v.name)
			d := opusDecoder(b, v.rate)
			out := make([]byte, 0, 2*5760)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := d.AppendMono(out, packets[i%len(packets)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			seconds := float64(len(pcm)/2) / float64(v.rate) / float64(len(packets))
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/seconds*3600, "s/audio-hour")
			b.ReportMetric(float64(d.Bytes()), "B/decoder")
		})
	}
}

// What a stream's first packet takes once libopus is compiled.
func BenchmarkOpusFirstPacket(b *testing.B) {
	packets, _ := vector(b, "silk_wb_20ms")
	for b.Loop() {
		d, err := decoders.New(audio.Format{Codec: audio.Opus, Rate: 16_000, Channels: 1})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.AppendMono(nil, packets[0]); err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}
