package streams

import (
	"context"
	"errors"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

// Transcripts is what a host takes for streams with audio that no app wants and
// a transcript of one segment every 2 s each, and how soon it acknowledges.
type Transcripts struct {
	Streams          int     `json:"streams"`
	PerSecond        float64 `json:"per_second"` // transcripts acknowledged
	AckP50Millis     float64 `json:"ack_p50_ms"`
	AckP99Millis     float64 `json:"ack_p99_ms"`
	Cores            float64 `json:"cores"`
	CPUPerStreamHour float64 `json:"cpu_s_per_stream_hour"`
	RSSPerStream     float64 `json:"rss_per_stream"` // bytes
	LateP99Millis    float64 `json:"late_p99_ms"`
}

const (
	transcriptMillis  = 2000
	transcriptStreams = 2000 // at most: each transcript is synced to the disk
)

func (b *bench) transcripts(ctx context.Context) error {
	n := min(transcriptStreams, b.o.Streams)
	b.say("transcripts: %d streams", n)
	host, err := b.startHost(ctx, "")
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
		open := order{Do: "open", Group: "transcripts", Address: host.address, N: n, PerSecond: connectRate, Audio: true, TranscriptMillis: transcriptMillis}
		if _, err := b.load.do(ctx, open); err != nil {
			return err
		}
		if _, err := b.settled(ctx, host, 10*time.Second); err != nil {
			return err
		}
		var rounds []Transcripts
		for range b.o.Rounds {
			used, a, err := b.window(ctx, host, "transcripts")
			if err != nil {
				return err
			}
			cores := used.CPU.Seconds() / a.TookSeconds
			rounds = append(rounds, Transcripts{
				Streams: a.Streams, PerSecond: float64(a.Acks) / a.TookSeconds, AckP50Millis: a.AckP50, AckP99Millis: a.AckP99, Cores: cores,
				CPUPerStreamHour: cores / float64(a.Streams) * 3600, RSSPerStream: float64(used.RSS-empty.RSS) / float64(a.Streams), LateP99Millis: a.LateP99,
			})
		}
		of := func(f func(Transcripts) float64) float64 {
			var vs []float64
			for _, r := range rounds {
				vs = append(vs, f(r))
			}
			return figures.Median(vs)
		}
		b.report.Transcripts = &Transcripts{
			Streams:      n,
			PerSecond:    of(func(t Transcripts) float64 { return t.PerSecond }),
			AckP50Millis: of(func(t Transcripts) float64 { return t.AckP50Millis }), AckP99Millis: of(func(t Transcripts) float64 { return t.AckP99Millis }),
			Cores: of(func(t Transcripts) float64 { return t.Cores }), CPUPerStreamHour: of(func(t Transcripts) float64 { return t.CPUPerStreamHour }),
			RSSPerStream: of(func(t Transcripts) float64 { return t.RSSPerStream }), LateP99Millis: of(func(t Transcripts) float64 { return t.LateP99Millis }),
		}
		_, err = b.load.do(ctx, order{Do: "close", Group: "transcripts", How: endReset})
		return err
	}
	return errors.Join(measure(), host.Stop())
}
