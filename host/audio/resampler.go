package audio

import (
	"encoding/binary"
	"fmt"
	"math"
)

// resampleBlock is how many samples a Resampler takes at once.
const resampleBlock = 1024

// Resampler turns s16le mono of one rate into another: what lies below 0.9 of
// the lower rate's Nyquist frequency stays as it is, and what lies above that
// frequency is more than 80 dB down, so that nothing is folded back.
//
// It takes a stretch of audio in pieces of any size, and puts out the same
// whatever the sizes: Reset begins a stretch, Append takes more of it, Flush
// ends it. Silence is taken to lie before and behind it. A sample of the output
// lies where it belongs, not later; Append holds back those for which what
// follows is still missing, less than 55 samples of the lower rate. It is for
// one goroutine at a time.
type Resampler struct {
	f       *filter
	x       []float32 // the input that is still wanted, of which the next sample's begins at next
	next    int
	phase   int   // of the next sample
	in, pos int64 // of the input since Reset: samples taken, and where the next sample lies
	scratch []float32
}

// NewResampler returns a Resampler at the beginning of a stretch that starts
// at 0. The error names a rate that is not MinRate to MaxRate.
func NewResampler(from, to int) (*Resampler, error) {
	for _, rate := range []int{from, to} {
		if rate < MinRate || rate > MaxRate {
			return nil, fmt.Errorf("resampling %d Hz to %d Hz: a rate is %d to %d Hz", from, to, MinRate, MaxRate)
		}
	}
	r := &Resampler{f: newFilter(from, to)}
	r.x = make([]float32, 0, r.f.taps+resampleBlock)
	if r.f.rows == nil {
		r.scratch = make([]float32, r.f.taps)
	}
	r.Reset(0)
	return r, nil
}

// Reset begins a stretch whose first sample is number start of something
// longer, a conversation for example, and returns the number of the first
// sample that it becomes. Two stretches of which one begins where the other
// ends become two that do, too. What was held back of the one before is gone;
// Flush gives it.
func (r *Resampler) Reset(start int64) (first int64) {
	up, down := int64(r.f.up), int64(r.f.down)
	first = start/down*up + (start%down*up+down-1)/down // rounded up, without overflow
	// It lies at first*down/up, which is at or behind start.
	ahead := first/up*down - start
	part := first % up * down
	r.pos = ahead + part/up
	r.phase = int(part % up)
	r.in = 0
	r.x = r.x[:r.f.taps/2-1]
	clear(r.x)
	r.next = int(r.pos)
	return first
}

// Append takes pcm, whole samples of the stretch, and appends what it becomes
// to dst. It allocates only when dst has too little room.
func (r *Resampler) Append(dst, pcm []byte) []byte {
	for len(pcm) >= SampleBytes {
		n := min(len(pcm)/SampleBytes, resampleBlock)
		r.forget()
		for i := range n {
			r.x = append(r.x, float32(int16(binary.LittleEndian.Uint16(pcm[2*i:]))))
		}
		r.in += int64(n)
		dst = r.make(dst)
		pcm = pcm[SampleBytes*n:]
	}
	return dst
}

// Flush ends the stretch and appends what was held back of it to dst. In all a
// stretch from a to b becomes, with both rates, the samples from a*to/from to
// b*to/from, both rounded up. Reset must follow.
func (r *Resampler) Flush(dst []byte) []byte {
	r.forget()
	for range r.f.taps / 2 {
		r.x = append(r.x, 0)
	}
	return r.make(dst)
}

// forget lets go of the input that no sample wants any more.
func (r *Resampler) forget() {
	n := min(r.next, len(r.x))
	r.x = r.x[:copy(r.x, r.x[n:])]
	r.next -= n
}

// make appends the samples for which there is enough of the input.
func (r *Resampler) make(dst []byte) []byte {
	taps, up, down := r.f.taps, r.f.up, r.f.down
	for r.next+taps <= len(r.x) && r.pos < r.in {
		v := dot(r.x[r.next:r.next+taps], r.f.weights(r.phase, r.scratch))
		v = min(max(v, math.MinInt16), math.MaxInt16)
		dst = binary.LittleEndian.AppendUint16(dst, uint16(int16(math.RoundToEven(float64(v)))))
		r.phase += down
		steps := r.phase / up
		r.phase -= steps * up
		r.next += steps
		r.pos += int64(steps)
	}
	return dst
}
