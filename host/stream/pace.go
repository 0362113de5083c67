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
	format *audio.Format // nil: no limit
	rate   time.Duration // how many times real time
	burst  time.Duration // that it takes to send the burst at that rate
	until  time.Time     // when what came would have come at that rate
}

// refusedAs is how long a frame that can't be taken counts as: what a packet
// of Opus usually is, so that garbage is no way around the limit.
const refusedAs = 20 * time.Millisecond

// newPace returns the pace of a stream with audio of format f; nil is none.
func newPace(f *audio.Format, c config.Stream) pace {
	if f == nil || c.AudioRate <= 0 {
		return pace{}
	}
	return pace{format: f, rate: time.Duration(c.AudioRate), burst: c.AudioBurst / time.Duration(c.AudioRate)}
}

// admit reports whether frame may come now.
func (p *pace) admit(now time.Time, frame []byte) bool {
	if p.format == nil {
		return true
	}
	d := refusedAs
	if samples, err := p.format.Samples(frame); err == nil {
		d = p.format.SamplesDuration(int64(samples))
	}
	if p.until.Before(now) {
		p.until = now
	}
	next := p.until.Add(d / p.rate)
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
