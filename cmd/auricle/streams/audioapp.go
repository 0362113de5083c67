package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

// AudioApp is what a host takes that calls an app in Go with every second of
// each stream's audio.
type AudioApp struct {
	Streams      int   `json:"streams"`
	Dropped      int64 `json:"dropped"` // pieces of audio, by the host's own count and by what its clients were told, whichever is more
	DroppedBytes int64 `json:"dropped_bytes"`
	Failed       int64 `json:"failed"` // invocations that ended otherwise than ok
	// Reasons and Outcomes say why audio was dropped and how invocations ended,
	// since the first stream was opened.
	Reasons       map[string]int64 `json:"reasons"`
	Outcomes      map[string]int64 `json:"outcomes"`
	PerSecond     float64          `json:"invocations_per_s"`
	OutputsPerSec float64          `json:"outputs_per_s"` // that the clients got
	Cores         float64          `json:"cores"`
	CPUMillis     float64          `json:"cpu_ms_per_invocation"` // with all that the stream takes besides
	RSSPerStream  float64          `json:"rss_per_stream"`        // bytes
	LateP99Millis float64          `json:"late_p99_ms"`
}

const audioAppStreams = 1500

// audioAppConfig installs the app. It has all the time until its next call: the
// machine is full, and one that is held up is not to count as one that hangs.
const audioAppConfig = `app "level" {
  module = %q
  grant  = ["audio"]
  limits {
    wall = "1s"
  }
}
`

func (b *bench) audioApp(ctx context.Context) error {
	n := min(audioAppStreams, b.o.Streams)
	b.say("audio_app: %d streams, an app in Go called every second for each", n)
	module, err := b.audioGuest(ctx)
	if err != nil {
		return err
	}
	host, err := b.startHost(ctx, fmt.Sprintf(audioAppConfig, module))
	if err != nil {
		return err
	}
	measure := func() error {
		if err := b.warm(ctx, host); err != nil {
			return err
		}
		empty, err := b.settled(ctx, host, 10*time.Second)
		if err != nil {
			return err
		}
		began, err := host.host.Scrape(ctx)
		if err != nil {
			return err
		}
		out := &AudioApp{Streams: n}
		open := order{Do: "open", Group: "app", Address: host.address, N: n, PerSecond: connectRate / 2, Audio: true}
		if _, err := b.load.do(ctx, open); err != nil {
			return err
		}
		if _, err := b.settled(ctx, host, 10*time.Second); err != nil {
			return err
		}
		var gaps int64
		var perSecond, outputs, cores, each, rss, late []float64
		for range b.o.Rounds {
			before, err := host.host.Scrape(ctx)
			if err != nil {
				return err
			}
			from := time.Now()
			used, a, err := b.window(ctx, host, "app")
			if err != nil {
				return err
			}
			now, err := host.host.Scrape(ctx)
			if err != nil {
				return err
			}
			took := time.Since(from).Seconds()
			invocations := 0.0
			for _, n := range ran(before, now) {
				invocations += float64(n)
			}
			gaps += a.Gaps
			perSecond = append(perSecond, invocations/took)
			outputs = append(outputs, float64(a.Outputs)/a.TookSeconds)
			cores = append(cores, used.CPU.Seconds()/a.TookSeconds)
			each = append(each, 1000*used.CPU.Seconds()/a.TookSeconds/max(invocations/took, 1e-9))
			rss = append(rss, float64(used.RSS-empty.RSS)/float64(n))
			late = append(late, a.LateP99)
		}
		out.PerSecond, out.OutputsPerSec, out.Cores = figures.Median(perSecond), figures.Median(outputs), figures.Median(cores)
		out.CPUMillis, out.RSSPerStream, out.LateP99Millis = figures.Median(each), figures.Median(rss), figures.Median(late)
		now, err := host.host.Scrape(ctx)
		if err != nil {
			return err
		}
		out.Dropped = max(gaps, int64(now["auricle_dropped_events_total"]-began["auricle_dropped_events_total"]))
		out.DroppedBytes = int64(now["auricle_audio_dropped_bytes_total"] - began["auricle_audio_dropped_bytes_total"])
		out.Reasons, out.Outcomes = child.Grown(began, now, "auricle_dropped_events_total"), ran(began, now)
		for outcome, n := range out.Outcomes {
			if outcome != "ok" {
				out.Failed += n
			}
		}
		b.report.AudioApp = out
		b.say("  %.0f invocations a second %v, %d dropped %v, %.2f cores", out.PerSecond, out.Outcomes, out.Dropped, out.Reasons, out.Cores)
		if out.Failed > 0 || out.Dropped > 0 {
			b.doubt("app: invocations ended %v, audio was dropped %v", out.Outcomes, out.Reasons)
		}
		if !out.keptUp() {
			b.doubt("app: %.0f of %d calls a second were made: audio was waiting more and more, although none was dropped yet", out.PerSecond, n)
		}
		_, err = b.load.do(ctx, order{Do: "close", Group: "app", How: endReset})
		return err
	}
	return errors.Join(measure(), host.Stop())
}

// keptUp reports whether the app was called about once a second for each stream.
func (a *AudioApp) keptUp() bool { return a.PerSecond >= 0.95*float64(a.Streams) }

// ran returns how many invocations ended how between two looks, without those
// that never ran.
func ran(before, now map[string]float64) map[string]int64 {
	out := child.Grown(before, now, "auricle_invocations_total")
	delete(out, "dropped")
	delete(out, "rejected")
	return out
}
