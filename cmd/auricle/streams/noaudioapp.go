package streams

import (
	"context"
	"errors"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

// Floored is what a server takes that reads and discards.
type Floored struct {
	Streams          int     `json:"streams"`
	CPUPerStreamHour float64 `json:"cpu_s_per_stream_hour"` // seconds of CPU for an hour of a stream
	RSSPerStream     float64 `json:"rss_per_stream"`        // bytes
	Cores            float64 `json:"cores"`
	LateP99Millis    float64 `json:"late_p99_ms"`
}

// NoAudioApp is what a host takes for the same, whose audio no app wants.
type NoAudioApp struct {
	Streams             int     `json:"streams"`
	CPURatio            float64 `json:"cpu_ratio"` // over the floor's
	CPUPerStreamHour    float64 `json:"cpu_s_per_stream_hour"`
	RSSPerStream        float64 `json:"rss_per_stream"` // bytes
	Flatness            float64 `json:"flatness"`       // CPU of a stream among all, over that among FewStreams
	FewStreams          int     `json:"few_streams"`
	FloorFlatness       float64 `json:"floor_flatness"`
	GoroutinesPerStream float64 `json:"goroutines_per_stream"`
	Cores               float64 `json:"cores"`
	LateP99Millis       float64 `json:"late_p99_ms"`
}

const fewStreams = 500

// framesPerHour makes the CPU for a frame that for an hour of a stream. Where the
// generator was late, it is still that of what was sent.
const framesPerHour = 36_000

// cost is what streams took of one server.
type cost struct {
	few, all   float64 // CPU s of a stream in an hour
	rss        float64 // of a stream, bytes
	goroutines float64 // of a stream
	cores      float64
	late       float64 // ms
}

func (b *bench) noAudioApp(ctx context.Context) error {
	var floors, hosts []cost
	for round := range b.o.Rounds {
		b.say("no_audio_app: round %d of %d, %d streams to the floor and to a host in turn", round+1, b.o.Rounds, b.o.Streams)
		floor, err := b.startFloor()
		if err != nil {
			return err
		}
		c, err := b.costOf(ctx, floor, "floor")
		if err := errors.Join(err, floor.Stop()); err != nil {
			return err
		}
		floors = append(floors, c)
		host, err := b.startHost(ctx, "")
		if err != nil {
			return err
		}
		c, err = b.costOf(ctx, host, "host")
		if err := errors.Join(err, host.Stop()); err != nil {
			return err
		}
		hosts = append(hosts, c)
	}
	var ratios []float64
	for i, h := range hosts {
		ratios = append(ratios, over(h.all, floors[i].all))
	}
	few := b.few()
	b.report.Floor = &Floored{
		Streams: b.o.Streams, CPUPerStreamHour: median(floors, func(c cost) float64 { return c.all }),
		RSSPerStream: median(floors, func(c cost) float64 { return c.rss }),
		Cores:        median(floors, func(c cost) float64 { return c.cores }), LateP99Millis: median(floors, func(c cost) float64 { return c.late }),
	}
	flatness := func(c cost) float64 { return over(c.all, c.few) }
	b.report.NoAudioApp = &NoAudioApp{
		Streams: b.o.Streams, CPURatio: figures.Median(ratios), CPUPerStreamHour: median(hosts, func(c cost) float64 { return c.all }),
		RSSPerStream: median(hosts, func(c cost) float64 { return c.rss }), Flatness: median(hosts, flatness), FewStreams: few,
		FloorFlatness: median(floors, flatness), GoroutinesPerStream: median(hosts, func(c cost) float64 { return c.goroutines }),
		Cores: median(hosts, func(c cost) float64 { return c.cores }), LateP99Millis: median(hosts, func(c cost) float64 { return c.late }),
	}
	return nil
}

// over returns a/b, 0 where b is nothing: of few streams for a short time the
// system may count none.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// few is how many streams those among many are compared with.
func (b *bench) few() int { return max(1, min(fewStreams, b.o.Streams/2)) }

func median(costs []cost, of func(cost) float64) float64 {
	var vs []float64
	for _, c := range costs {
		vs = append(vs, of(c))
	}
	return figures.Median(vs)
}

// costOf measures a server with few streams and then with all.
func (b *bench) costOf(ctx context.Context, s *server, group string) (c cost, err error) {
	bare := s.host == nil
	if err := b.warm(ctx, s); err != nil {
		return c, err
	}
	empty, err := b.settled(ctx, s, 10*time.Second)
	if err != nil {
		return c, err
	}
	var before map[string]float64
	if !bare {
		if before, err = s.host.Scrape(ctx); err != nil {
			return c, err
		}
	}
	open := order{Do: "open", Group: group, Address: s.address, N: b.few(), PerSecond: connectRate, Bare: bare, Audio: true}
	if _, err := b.load.do(ctx, open); err != nil {
		return c, err
	}
	if _, err := b.settled(ctx, s, 10*time.Second); err != nil {
		return c, err
	}
	used, a, err := b.window(ctx, s, group)
	if err != nil {
		return c, err
	}
	c.few = used.CPU.Seconds() / float64(max(a.Frames, 1)) * framesPerHour
	open.N = b.o.Streams - b.few()
	if _, err := b.load.do(ctx, open); err != nil {
		return c, err
	}
	if _, err := b.settled(ctx, s, 20*time.Second); err != nil {
		return c, err
	}
	if used, a, err = b.window(ctx, s, group); err != nil {
		return c, err
	}
	c.cores = used.CPU.Seconds() / a.TookSeconds
	c.all = used.CPU.Seconds() / float64(max(a.Frames, 1)) * framesPerHour
	held, err := b.resident(ctx, s)
	if err != nil {
		return c, err
	}
	c.rss = float64(held.RSS-empty.RSS) / float64(a.Streams)
	c.late = a.LateP99
	if !bare {
		now, err := s.host.Scrape(ctx)
		if err != nil {
			return c, err
		}
		c.goroutines = (now["go_goroutines"] - before["go_goroutines"]) / float64(a.Streams)
	}
	b.say("  %s: %d streams take %.2f cores, %.1f CPU s an hour each (%.1f among %d), %.1f KB each; frames %.1f ms late (p99)",
		group, a.Streams, c.cores, c.all, c.few, b.few(), c.rss/1000, c.late)
	_, err = b.load.do(ctx, order{Do: "close", Group: group, How: endReset})
	return c, err
}

// warm has a server do once what it will do often, so that its code is resident
// before its memory is looked at.
func (b *bench) warm(ctx context.Context, s *server) error {
	o := order{Do: "open", Group: "warm", Address: s.address, N: min(64, b.o.Streams), Bare: s.host == nil, Audio: true}
	if _, err := b.load.do(ctx, o); err != nil {
		return err
	}
	pause(ctx, time.Second)
	_, err := b.load.do(ctx, order{Do: "close", Group: "warm", How: endReset})
	return err
}
