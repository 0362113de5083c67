package client

import (
	"time"

	"github.com/auricle-dev/auricle/sdk/wire"
)

// pacer holds audio back to the rate that the host allows: a bucket of bytes
// that fills with time. It outlives connections, since what is sent again after
// one was lost counts too.
type pacer struct {
	frame int     // bytes of one sample of all channels; what is sent is a multiple
	real  float64 // bytes a second of real time

	rate, burst float64 // bytes a second, bytes; rate 0: no limit
	tokens      float64
	at          time.Time // when tokens was right
}

func newPacer(f *wire.Format) pacer {
	if f == nil {
		return pacer{frame: 1}
	}
	frame := f.Channels
	if f.Codec == wire.PCM16 {
		frame *= 2
	}
	frame = max(frame, 1)
	return pacer{frame: frame, real: float64(frame * max(f.Rate, 1))}
}

// hold takes the host's limits. Half of the burst is left unused: what was
// sent in good time may arrive bunched together.
func (p *pacer) hold(l wire.Limits, now time.Time) {
	rate := max(l.AudioRate, 0) * p.real
	burst := max(float64(l.AudioBurstMillis)/1000*p.real/2, float64(p.frame))
	if rate != 0 && p.rate == 0 {
		p.tokens, p.at = burst, now
	}
	p.rate, p.burst = rate, burst
	p.tokens = min(p.tokens, burst)
}

// whole returns the largest number of whole samples' bytes in n.
func (p *pacer) whole(n int) int { return n / p.frame * p.frame }

// most returns how many bytes of audio may go into one message.
func (p *pacer) most(message int) int {
	if p.rate > 0 {
		message = min(message, int(p.burst))
	}
	return max(p.whole(message), p.frame)
}

// take takes n bytes, at most most's, out of the bucket and returns 0; when
// there are too few it takes none, and returns when there will be enough.
func (p *pacer) take(n int, now time.Time) time.Duration {
	if p.rate == 0 {
		return 0
	}
	p.tokens = min(p.tokens+now.Sub(p.at).Seconds()*p.rate, p.burst)
	p.at = now
	if lacks := float64(n) - p.tokens; lacks > 0 {
		return time.Duration(lacks/p.rate*float64(time.Second)) + time.Nanosecond
	}
	p.tokens -= float64(n)
	return 0
}
