package stream

import (
	"time"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/config"
)

// pace bounds how fast a stream's audio comes: a burst at once, and beyond it
// some times real time on average. It is the generic cell rate algorithm (ITU-T
// I.371), which needs one time. The zero pace admits everything.
type pace struct {
	perByte float64       // ns that a byte of audio takes at the highest rate
	burst   time.Duration // that it takes to send the burst at that rate
	until   time.Time     // when what came would have come at that rate
}

// newPace returns the pace of a stream with audio of format f; nil is none.
func newPace(f *audio.Format, c config.Stream) pace {
	if f == nil || c.AudioRate <= 0 {
		return pace{}
	}
	return pace{
		perByte: float64(time.Second) / float64(f.Rate*f.FrameBytes()*c.AudioRate),
		burst:   c.AudioBurst / time.Duration(c.AudioRate),
	}
}

// admit reports whether n more bytes may come now.
func (p *pace) admit(now time.Time, n int) bool {
	if p.perByte == 0 {
		return true
	}
	if p.until.Before(now) {
		p.until = now
	}
	next := p.until.Add(time.Duration(float64(n) * p.perByte))
	if next.Sub(now) > p.burst {
		return false
	}
	p.until = next
	return true
}

// burstMillis is what clients are told of c's burst; 0 where there is no limit.
func burstMillis(c config.Stream) int64 {
	if c.AudioRate <= 0 {
		return 0
	}
	return c.AudioBurst.Milliseconds()
}
