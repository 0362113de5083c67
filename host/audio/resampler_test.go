package audio_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/auricle-dev/auricle/host/audio"
)

// targets are the rates that apps may ask for.
var targets = []int{8_000, 16_000, 24_000, 48_000}

// sources are some that clients have; 12,345 is none whose filter is kept.
var sources = []int{8_000, 11_025, 12_000, 12_345, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000}

func sine(rate int, hz, amplitude float64, n int) []byte {
	b := make([]byte, 0, 2*n)
	for i := range n {
		v := amplitude * math.Sin(2*math.Pi*math.Mod(hz*float64(i)/float64(rate), 1))
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(math.Round(v))))
	}
	return b
}

func resampled(t testing.TB, from, to int, pcm []byte) []byte {
	t.Helper()
	r, err := audio.NewResampler(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return r.Flush(r.Append(nil, pcm))
}

// tone returns the amplitude of a frequency in the middle of pcm, and the root
// mean square of all else that is there, both in units of a sample.
func tone(pcm []byte, rate int, hz float64) (amplitude, rest float64) {
	n := len(pcm) / 2
	skip := n / 8 // what the filter makes of the beginning and the end
	// Least squares on sine and cosine.
	var ss, sc, cc, sx, cx, xx float64
	for i := skip; i < n-skip; i++ {
		s, c := math.Sincos(2 * math.Pi * math.Mod(hz*float64(i)/float64(rate), 1))
		x := float64(int16(binary.LittleEndian.Uint16(pcm[2*i:])))
		ss, sc, cc, sx, cx, xx = ss+s*s, sc+s*c, cc+c*c, sx+s*x, cx+c*x, xx+x*x
	}
	det := ss*cc - sc*sc
	a, b := (sx*cc-cx*sc)/det, (cx*ss-sx*sc)/det
	return math.Hypot(a, b), math.Sqrt(max(0, xx-a*sx-b*cx) / float64(n-2*skip))
}

func db(ratio float64) float64 { return 20 * math.Log10(ratio) }

// What passes stays as loud, to 0.01 dB, and nothing is added to it that is
// louder than rounding to 16 bits is.
func TestResamplerPassesWhatBothRatesHave(t *testing.T) {
	const amplitude = 16_000
	for _, from := range sources {
		for _, to := range targets {
			if from == to {
				continue
			}
			nyquist := float64(min(from, to)) / 2
			worst, noisiest := 0.0, math.Inf(1)
			for _, part := range []float64{0.01, 0.1, 0.25, 0.5, 0.7, 0.8, 0.85, 0.9} {
				hz := math.Round(part * nyquist)
				got, rest := tone(resampled(t, from, to, sine(from, hz, amplitude, from/4)), to, hz)
				gain, snr := db(got/amplitude), db(got/math.Sqrt2/rest)
				if math.Abs(gain) > math.Abs(worst) {
					worst = gain
				}
				noisiest = min(noisiest, snr)
			}
			t.Logf("%5d to %5d Hz: ripple %.4f dB, signal to noise %.1f dB", from, to, worst, noisiest)
			if math.Abs(worst) > 0.01 || noisiest < 85 {
				t.Errorf("%d to %d Hz: ripple of %.4f dB and signal to noise of %.1f dB; want at most 0.01 and at least 85", from, to, worst, noisiest)
			}
		}
	}
}

// What the lower rate can't have is gone, and not folded back to where it
// would be heard; and nothing is mirrored above what the higher one got.
func TestResamplerStopsWhatWouldAlias(t *testing.T) {
	const amplitude = 30_000
	for _, from := range sources {
		for _, to := range targets {
			if to >= from {
				continue
			}
			quietest := math.Inf(1)
			for hz := float64(to)/2 + 1; hz < float64(from)/2; hz += float64(from-to) / 2 / 17 {
				out := resampled(t, from, to, sine(from, math.Round(hz), amplitude, from/4))
				_, rest := tone(out, to, 0.123)
				// 0.29 is what rounding to 16 bits leaves by itself.
				quietest = min(quietest, db(amplitude/math.Sqrt2/max(rest, 0.29)))
			}
			t.Logf("%5d to %5d Hz: what would alias is %.1f dB down", from, to, quietest)
			if quietest < 80 {
				t.Errorf("%d to %d Hz: what would alias is %.1f dB down, want 80", from, to, quietest)
			}
		}
	}
}

// An impulse comes out where it went in: nothing is late.
func TestResamplerDelaysNothing(t *testing.T) {
	for _, from := range sources {
		for _, to := range targets {
			in := make([]byte, 2*from/2)
			at := from / 4
			binary.LittleEndian.PutUint16(in[2*at:], 20_000)
			out := resampled(t, from, to, in)
			peak, loudest := 0, int16(0)
			for i := range len(out) / 2 {
				if v := int16(binary.LittleEndian.Uint16(out[2*i:])); v > loudest {
					peak, loudest = i, v
				}
			}
			if want := float64(at) * float64(to) / float64(from); math.Abs(float64(peak)-want) > 1 {
				t.Errorf("%d to %d Hz: an impulse at %v came at %d", from, to, want, peak)
			}
		}
	}
}

func TestResampledLengthIsExact(t *testing.T) {
	for _, from := range sources {
		for _, to := range targets {
			for _, n := range []int{0, 1, 2, 5, 159, 160, 161, from/10 - 1, from} {
				got := len(resampled(t, from, to, make([]byte, 2*n))) / 2
				if want := (n*to + from - 1) / from; got != want {
					t.Errorf("%d samples of %d Hz became %d of %d Hz, want %d", n, from, got, to, want)
				}
			}
		}
	}
}

func TestResamplerHoldsBackLittle(t *testing.T) {
	for _, from := range sources {
		for _, to := range targets {
			if from == to {
				continue
			}
			r, err := audio.NewResampler(from, to)
			if err != nil {
				t.Fatal(err)
			}
			got := len(r.Append(nil, make([]byte, 2*from))) / 2
			if late := float64(to-got) / float64(to) * float64(min(from, to)); late > 60 {
				t.Errorf("%d to %d Hz: %.1f samples of the lower rate were held back, want 60 at most", from, to, late)
			}
		}
	}
}

func TestResamplerStopsAtTheEndsOfTheScale(t *testing.T) {
	in := make([]byte, 0, 16_000)
	for i := range 8000 {
		v := int16(math.MaxInt16)
		if i/40%2 == 1 {
			v = math.MinInt16
		}
		in = binary.LittleEndian.AppendUint16(in, uint16(v))
	}
	out := resampled(t, 8000, 48_000, in)
	last := int16(0)
	for i := 600; i < len(out)/2-600; i++ {
		v := int16(binary.LittleEndian.Uint16(out[2*i:]))
		if i > 600 && math.Abs(float64(v)-float64(last)) > 50_000 {
			t.Fatalf("from %d to %d in one sample: it wrapped around", last, v)
		}
		last = v
	}
}

func TestResamplerRefusesOtherRates(t *testing.T) {
	for _, c := range [][2]int{{0, 8000}, {8000, 0}, {7999, 16_000}, {16_000, 48_001}, {-8000, 8000}} {
		if _, err := audio.NewResampler(c[0], c[1]); err == nil {
			t.Errorf("%d to %d Hz was taken", c[0], c[1])
		}
	}
}

func TestResamplerDoesNotAllocateWithRoom(t *testing.T) {
	pcm := make([]byte, 2*12_345/50)
	dst := make([]byte, 0, 8*len(pcm))
	for _, from := range []int{16_000, 12_345} {
		r, err := audio.NewResampler(from, 48_000)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(50, func() { r.Append(dst, pcm) }); n != 0 {
			t.Errorf("%d Hz: %v allocations, want 0", from, n)
		}
	}
}

// Whatever the sizes of the pieces, and wherever a stretch is cut in two, the
// output is the same and as long as it must be.
func FuzzResampler(f *testing.F) {
	f.Add(uint16(44_100), uint8(3), uint64(1), uint32(0), uint16(1000), uint16(77))
	f.Add(uint16(48_000), uint8(0), uint64(2), uint32(12_345), uint16(4000), uint16(3))
	f.Add(uint16(8_000), uint8(3), uint64(3), uint32(7), uint16(500), uint16(250))
	f.Add(uint16(12_347), uint8(1), uint64(4), uint32(1<<31), uint16(3000), uint16(1))
	f.Fuzz(func(t *testing.T, from uint16, target uint8, seed uint64, start uint32, samples, cut uint16) {
		to := targets[int(target)%len(targets)]
		whole, err := audio.NewResampler(int(from), to)
		if err != nil {
			return
		}
		rnd := rand.New(rand.NewPCG(seed, 1))
		pcm := make([]byte, 2*(int(samples)%1024))
		for i := range pcm {
			pcm[i] = byte(rnd.Uint32())
		}
		first := whole.Reset(int64(start))
		want := whole.Flush(whole.Append(nil, pcm))
		up := func(n int64) int64 { return (n*int64(to) + int64(from) - 1) / int64(from) }
		if n := int64(len(want) / 2); first != up(int64(start)) || first+n != up(int64(start)+int64(len(pcm)/2)) {
			t.Fatalf("%d samples from %d of %d Hz became %d from %d of %d Hz", len(pcm)/2, start, from, n, first, to)
		}

		parts, err := audio.NewResampler(int(from), to)
		if err != nil {
			t.Fatal(err)
		}
		parts.Append(nil, pcm) // a stretch before leaves nothing behind
		parts.Reset(int64(start))
		var got []byte
		for rest := pcm; len(rest) > 0; {
			n := min(len(rest), 2*(1+rnd.IntN(int(cut)+1)))
			got = parts.Append(got, rest[:n])
			rest = rest[n:]
		}
		if got = parts.Flush(got); !bytes.Equal(got, want) {
			t.Fatalf("in pieces it is another: %d and %d bytes", len(got), len(want))
		}

		// A gap in the middle loses no place.
		middle := min(int64(cut), int64(len(pcm)/2))
		again := whole.Reset(int64(start))
		n := len(whole.Flush(whole.Append(nil, pcm[:2*middle]))) / 2
		if next := whole.Reset(int64(start) + middle); again+int64(n) != next {
			t.Fatalf("a stretch ended at %d, and the next began at %d", again+int64(n), next)
		}
	})
}

func BenchmarkResampler(b *testing.B) {
	for _, c := range [][2]int{{48_000, 16_000}, {48_000, 8_000}, {16_000, 8_000}, {8_000, 16_000}, {16_000, 48_000}, {44_100, 16_000}, {44_101, 16_000}} {
		b.Run(fmt.Sprintf("%dto%d", c[0], c[1]), func(b *testing.B) {
			r, err := audio.NewResampler(c[0], c[1])
			if err != nil {
				b.Fatal(err)
			}
			pcm := sine(c[0], 440, 10_000, c[0]/50)
			dst := make([]byte, 0, 8*len(pcm))
			b.ReportAllocs()
			for b.Loop() {
				dst = r.Append(dst[:0], pcm)
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)*50*3600, "s/audio-hour")
		})
	}
}
