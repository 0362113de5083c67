package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

// Disturbed is how late acknowledgements come to healthy streams beside others
// that misbehave. Each ratio is the median of the 99th percentiles of the
// windows with the disturbance over that of the windows without, which took
// turns with them; the percentiles themselves show how much it varies.
type Disturbed struct {
	Streams          int     `json:"streams"` // healthy ones, a transcript a second each
	HungAppRatio     float64 `json:"hung_app_ratio"`
	SlowReadersRatio float64 `json:"slow_readers_ratio"`
	StormRatio       float64 `json:"storm_ratio"`
	HungApp          Beside  `json:"hung_app"`
	SlowReaders      Beside  `json:"slow_readers"`
	Storm            Beside  `json:"storm"`
}

// Beside is one disturbance.
type Beside struct {
	Streams       int       `json:"streams"`           // that disturb
	Closed        int64     `json:"closed"`            // of these, by the host meanwhile
	QuietP99      []float64 `json:"quiet_ack_p99_ms"`  // window by window
	DisturbedP99  []float64 `json:"ack_p99_ms"`        // window by window
	LateP99Millis float64   `json:"late_p99_ms"`       // of the generator in the disturbed windows, median
	StormSeconds  []float64 `json:"storm_s,omitempty"` // until all were back
}

func (b Beside) ratio() float64 {
	return over(figures.Median(b.DisturbedP99), figures.Median(b.QuietP99))
}

const (
	healthyStreams = 300
	healthyMillis  = 1000
	hungStreams    = 50
	hungMillis     = 100
	slowReaders    = 100
	slowMillis     = 20
	slowFill       = 10 * time.Second // until what the host sends them has nowhere to go
	stormStreams   = 1000
)

func (b *bench) disturbed(ctx context.Context) error {
	healthy, hung, slow, storm := min(healthyStreams, b.o.Streams), min(hungStreams, b.o.Streams), min(slowReaders, b.o.Streams), max(1, min(stormStreams, b.o.Streams/8))
	config, err := b.hungAppConfig(hung)
	if err != nil {
		return err
	}
	host, err := b.startHost(ctx, config)
	if err != nil {
		return err
	}
	// From a process of their own, so that what is measured of the healthy ones is
	// not how busy their own process is with the others.
	if b.disturber, err = b.startLoad(); err != nil {
		return errors.Join(err, host.Stop())
	}
	d := &Disturbed{Streams: healthy}
	fill := min(slowFill, 2*b.o.Window)
	measure := func() (err error) {
		if err := b.warm(ctx, host); err != nil {
			return err
		}
		open := order{Do: "open", Group: "healthy", Address: host.address, N: healthy, PerSecond: connectRate, TranscriptMillis: healthyMillis}
		if _, err := b.load.do(ctx, open); err != nil {
			return err
		}
		pause(ctx, b.o.Window/2)

		b.say("disturbed: %d healthy streams beside %d users of a hung app", healthy, hung)
		d.HungApp, err = b.beside(ctx, host, order{Group: "hung", N: hung, TranscriptMillis: hungMillis}, 0, nil)
		if err != nil {
			return err
		}
		b.say("disturbed: %d healthy streams beside %d that read nothing, half of which say nothing either", healthy, slow)
		d.SlowReaders, err = b.beside(ctx, host, order{Group: "slow", N: slow, FinishMillis: slowMillis, Mute: true, HalfSilent: true}, fill, nil)
		if err != nil {
			return err
		}
		b.say("disturbed: %d healthy streams beside %d that all connect again at once", healthy, storm)
		var took []float64
		d.Storm, err = b.beside(ctx, host, order{Group: "storm", N: storm, Audio: true}, 0, func() error {
			a, err := b.disturber.do(ctx, order{Do: "storm", Group: "storm"})
			took = append(took, a.TookSeconds)
			return err
		})
		d.Storm.StormSeconds = took
		if err != nil {
			return err
		}
		d.HungAppRatio, d.SlowReadersRatio, d.StormRatio = d.HungApp.ratio(), d.SlowReaders.ratio(), d.Storm.ratio()
		b.report.Disturbed = d
		_, err = b.load.do(ctx, order{Do: "close", Group: "healthy", How: endReset})
		return err
	}
	return errors.Join(measure(), b.disturber.Stop(), host.Stop())
}

// hungAppConfig installs an app that never returns, for the first n users of
// the group hung.
func (b *bench) hungAppConfig(n int) (string, error) {
	path, err := b.guest("hung.wasm")
	if err != nil {
		return "", err
	}
	var users []string
	for i := range n {
		users = append(users, fmt.Sprintf("%q", fmt.Sprintf("hung-%d", i)))
	}
	return fmt.Sprintf("app \"hung\" {\n  module = %q\n  grant = [\"transcript\"]\n  users = [%s]\n}\n", path, strings.Join(users, ", ")), nil
}

// beside measures the healthy streams without and with a disturbance, in turns.
// The disturbing streams are open in the disturbed windows only, from fill
// before; during is called in each of these windows, at its beginning.
func (b *bench) beside(ctx context.Context, host *server, disturbing order, fill time.Duration, during func() error) (r Beside, err error) {
	r.Streams = disturbing.N
	disturbing.Do, disturbing.Address, disturbing.PerSecond = "open", host.address, connectRate
	var late []float64
	for range b.o.Rounds + 1 { // so that the median has one on each side
		_, quiet, err := b.window(ctx, host, "healthy")
		if err != nil {
			return r, err
		}
		if _, err := b.disturber.do(ctx, disturbing); err != nil {
			return r, err
		}
		pause(ctx, fill)
		if during != nil {
			pause(ctx, b.o.Window/5)
		}
		_, loud, err := b.windowDuring(ctx, host, "healthy", during)
		if err != nil {
			return r, err
		}
		a, err := b.disturber.do(ctx, order{Do: "figures", Group: disturbing.Group})
		if err != nil {
			return r, err
		}
		r.Closed += a.Broken
		if _, err := b.disturber.do(ctx, order{Do: "close", Group: disturbing.Group, How: endReset}); err != nil {
			return r, err
		}
		r.QuietP99, r.DisturbedP99, late = append(r.QuietP99, quiet.AckP99), append(r.DisturbedP99, loud.AckP99), append(late, loud.LateP99)
		pause(ctx, b.o.Window/5) // until the host has seen that they left
	}
	r.LateP99Millis = figures.Median(late)
	b.say("  p99 of acknowledgements: quiet %.1f ms, disturbed %.1f ms; %d of the disturbing streams were closed", r.QuietP99, r.DisturbedP99, r.Closed)
	return r, nil
}
