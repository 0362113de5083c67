package streams

import (
	"context"
	"errors"
	"time"
)

// Churn is what is left of clients that came and went.
type Churn struct {
	Cycles         int     `json:"cycles"`
	PerSecond      float64 `json:"per_second"`
	RSSBefore      int64   `json:"rss_before"` // bytes, after some cycles that are not counted
	RSSGrowth      int64   `json:"rss_growth"` // bytes; below 0 when less was resident in the end
	GoroutinesLeft int     `json:"goroutines_left"`
	FDsLeft        int     `json:"fds_left"`
}

const (
	churnAtOnce  = 200
	churnFrames  = 5
	cyclesStream = 2.5 // cycles for each of Options.Streams: 20,000 for 8,000
)

// left is what a server holds.
type left struct {
	rss        int64
	goroutines int
	fds        int
	sessions   int
}

func (s *server) holds(ctx context.Context) (l left, err error) {
	now, err := s.host.Scrape(ctx)
	if err != nil {
		return l, err
	}
	u, err := s.Usage()
	return left{u.RSS, int(now["go_goroutines"]), u.FDs, int(now["auricle_sessions_open"])}, err
}

// calm waits until the host holds no session and enough says that nothing is
// held besides, for as long as Options.Settle at most.
func (b *bench) calm(ctx context.Context, s *server, enough func(left) bool) (l left, err error) {
	until := time.Now().Add(b.o.Settle)
	for {
		if l, err = s.holds(ctx); err != nil {
			return l, err
		}
		if l.sessions == 0 && enough(l) || time.Now().After(until) {
			if l.sessions > 0 {
				b.doubt("%d sessions are still open %v after the last client left", l.sessions, b.o.Settle)
			}
			return l, nil
		}
		pause(ctx, time.Second)
		if ctx.Err() != nil {
			return l, ctx.Err()
		}
	}
}

func (b *bench) churn(ctx context.Context) error {
	cycles := int(float64(b.o.Streams) * cyclesStream)
	b.say("churn: %d clients come and go, %d at a time", cycles, min(churnAtOnce, cycles))
	host, err := b.startHost(ctx, graceConfig)
	if err != nil {
		return err
	}
	measure := func() error {
		o := order{Do: "cycles", Group: "churn", Address: host.address, N: max(1, cycles/20), AtOnce: churnAtOnce, Frames: churnFrames, Audio: true}
		if _, err := b.load.do(ctx, o); err != nil {
			return err
		}
		if _, err := b.calm(ctx, host, func(left) bool { return true }); err != nil {
			return err
		}
		if _, err := b.settled(ctx, host, 10*time.Second); err != nil {
			return err
		}
		before, err := host.holds(ctx)
		if err != nil {
			return err
		}
		o.First, o.N = o.N, cycles
		a, err := b.load.do(ctx, o)
		if err != nil {
			return err
		}
		after, err := b.calm(ctx, host, func(l left) bool {
			return l.rss <= before.rss && l.goroutines <= before.goroutines && l.fds <= before.fds
		})
		b.report.Churn = &Churn{
			Cycles: cycles, PerSecond: float64(cycles) / a.TookSeconds, RSSBefore: before.rss, RSSGrowth: after.rss - before.rss,
			GoroutinesLeft: max(0, after.goroutines-before.goroutines), FDsLeft: max(0, after.fds-before.fds),
		}
		b.say("  %+v", *b.report.Churn)
		return err
	}
	return errors.Join(measure(), host.Stop())
}

// graceConfig has sessions whose clients vanished end soon.
const graceConfig = `conversation {
  grace = "2s"
}
`
