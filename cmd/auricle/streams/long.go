package streams

import (
	"context"
	"errors"
	"time"
)

// Long is what an hour of talk of each stream leaves behind.
type Long struct {
	Streams   int     `json:"streams"`
	Hours     float64 `json:"hours"`      // of talk, all streams together
	Speed     float64 `json:"speed"`      // times real time, all streams together
	RSSBefore int64   `json:"rss_before"` // bytes, after a minute of each
	RSSGrowth int64   `json:"rss_growth"` // bytes
}

const (
	longStreams = 100
	longFrames  = 36_000 // an hour
	longWarm    = 600    // a minute
)

func (b *bench) long(ctx context.Context) error {
	n := max(1, min(longStreams, b.o.Streams/8))
	b.say("long: %d streams talk for an hour, as fast as the host takes it", n)
	host, err := b.startHost(ctx, graceConfig)
	if err != nil {
		return err
	}
	measure := func() error {
		o := order{Do: "talk", Group: "long", Address: host.address, N: n, AtOnce: n, Frames: longWarm, Audio: true}
		if _, err := b.load.do(ctx, o); err != nil {
			return err
		}
		if _, err := b.calm(ctx, host, func(left) bool { return true }); err != nil {
			return err
		}
		before, err := b.settled(ctx, host, 10*time.Second)
		if err != nil {
			return err
		}
		o.First, o.Frames = n, longFrames
		a, err := b.load.do(ctx, o)
		if err != nil {
			return err
		}
		after, err := b.calm(ctx, host, func(l left) bool { return l.rss <= before.RSS })
		b.report.Long = &Long{Streams: n, Hours: float64(n), Speed: float64(n) * 3600 / a.TookSeconds, RSSBefore: before.RSS, RSSGrowth: after.rss - before.RSS}
		b.say("  %+v", *b.report.Long)
		return err
	}
	return errors.Join(measure(), host.Stop())
}
