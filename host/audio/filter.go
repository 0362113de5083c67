package audio

import (
	"math"
	"slices"
	"sync"
)

// The low-pass filter of a Resampler is a sinc under a Kaiser window. In units
// of the lower of both rates' Nyquist frequency: it passes what lies below 0.9
// and stops what lies above 1.
const (
	filterCutoff = 0.95
	filterZeroes = 52  // zero crossings of the sinc on each side: what the transition's width takes
	filterBeta   = 8.5 // of the window: more than 80 dB
)

// prototypeSteps is how finely the prototype is tabulated between two zero
// crossings. Interpolating linearly costs about -105 dB.
const prototypeSteps = 512

// filterAt returns the filter at t zero crossings from its middle.
func filterAt(t float64) float64 {
	t = math.Abs(t)
	if t >= filterZeroes {
		return 0
	}
	w := bessel0(filterBeta*math.Sqrt(1-t*t/filterZeroes/filterZeroes)) / bessel0(filterBeta)
	if t == 0 {
		return w
	}
	return w * math.Sin(math.Pi*t) / (math.Pi * t)
}

// bessel0 is the modified Bessel function of the first kind of order 0, by its
// power series.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= x * x / 4 / (k * k)
		sum += term
	}
	return sum
}

// prototype is the right half of filterAt in a table.
var prototype = sync.OnceValue(func() []float32 {
	p := make([]float32, filterZeroes*prototypeSteps+2) // the last two are 0
	for i := range p {
		p[i] = float32(filterAt(float64(i) / prototypeSteps))
	}
	return p
})

// filter has what turns one rate into another: for each phase, which is where
// a sample of the output lies between two of the input, the weights of the
// input's samples around it. It isn't changed once it is made.
type filter struct {
	up, down int     // the ratio of the rates, in lowest terms: output to input
	taps     int     // samples of the input that make one of the output; a multiple of 8
	scale    float64 // zero crossings in a sample of the input
	rows     []float32
}

// commonRates are those whose filters are tabulated, and kept once made: 2 MB
// for all that there can be. With others, of which there are tens of
// thousands, each sample's weights are made from the prototype.
var commonRates = []int{8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000}

var filters struct {
	mu   sync.Mutex // guards kept
	kept map[[2]int]*filter
}

func newFilter(from, to int) *filter {
	g := gcd(from, to)
	f := &filter{up: to / g, down: from / g}
	f.scale = filterCutoff * min(1, float64(to)/float64(from))
	f.taps = 8 * int(math.Ceil(2*filterZeroes/f.scale/8))
	if !slices.Contains(commonRates, from) || !slices.Contains(commonRates, to) {
		return f
	}
	key := [2]int{f.up, f.down}
	filters.mu.Lock()
	defer filters.mu.Unlock()
	if kept := filters.kept[key]; kept != nil {
		return kept
	}
	f.rows = make([]float32, f.up*f.taps)
	weights := make([]float64, f.taps)
	for phase := range f.up {
		sum := 0.0
		for k := range weights {
			weights[k] = filterAt(f.distance(phase, k))
			sum += weights[k]
		}
		for k, w := range weights {
			f.rows[phase*f.taps+k] = float32(w / sum)
		}
	}
	if filters.kept == nil {
		filters.kept = map[[2]int]*filter{}
	}
	filters.kept[key] = f
	return f
}

// distance returns how many zero crossings lie between the k-th of the input's
// samples and the output's.
func (f *filter) distance(phase, k int) float64 {
	return (float64(k-f.taps/2+1) - float64(phase)/float64(f.up)) * f.scale
}

// weights returns a phase's weights, whose sum is 1 so that no phase is louder
// than another. They may be in scratch, which has taps.
func (f *filter) weights(phase int, scratch []float32) []float32 {
	if f.rows != nil {
		return f.rows[phase*f.taps:][:f.taps]
	}
	p := prototype()
	sum := float32(0)
	at, step := f.distance(phase, 0)*prototypeSteps, f.scale*prototypeSteps
	for k := range scratch {
		t := min(math.Abs(at), filterZeroes*prototypeSteps)
		i := int(t)
		w := p[i] + (p[i+1]-p[i])*float32(t-float64(i))
		scratch[k] = w
		sum += w
		at += step
	}
	for k := range scratch {
		scratch[k] /= sum
	}
	return scratch
}

// dot multiplies. Both are of one length, a multiple of 8. Four sums, as one
// would wait for itself.
func dot(x, h []float32) float32 {
	var a, b, c, d float32
	for len(x) >= 8 && len(h) >= 8 {
		a += x[0]*h[0] + x[4]*h[4]
		b += x[1]*h[1] + x[5]*h[5]
		c += x[2]*h[2] + x[6]*h[6]
		d += x[3]*h[3] + x[7]*h[7]
		x, h = x[8:], h[8:]
	}
	return (a + b) + (c + d)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
