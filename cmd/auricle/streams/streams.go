// Package streams measures how many live streams a host holds, at what cost
// each, and what becomes of them beside others that misbehave.
//
// The host, the load generator and the floor, a server that reads and discards,
// are processes of their own, of this same command. What a server uses is what
// the system says of its process. The host and the floor are measured in turns,
// so that the machine's moods hit both; compare ratios, not figures of
// different runs.
//
// The generator shares the machine. How late it sent its frames is part of each
// figure: where it was late, the machine was full, and Report.Problems says so.
package streams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

// The scenarios, in the order in which they run.
const (
	ScenarioNoAudioApp  = "no_audio_app" // with the floor
	ScenarioTranscripts = "transcripts"
	ScenarioAudioApp    = "audio_app"
	ScenarioChurn       = "churn"
	ScenarioLong        = "long"
	ScenarioDisturbed   = "disturbed"
)

// Scenarios are all of them.
var Scenarios = []string{ScenarioNoAudioApp, ScenarioTranscripts, ScenarioAudioApp, ScenarioChurn, ScenarioLong, ScenarioDisturbed}

// Options say how much to measure.
type Options struct {
	Command  []string  // starts this program as the part that the next argument names; see PartHost
	Dir      string    // for stores and logs; it must exist
	Progress io.Writer // what is being done, a line each; nil discards

	Streams int           // live streams; 0 means 8,000. The other scenarios shrink with it.
	Only    []string      // scenarios; none means all
	Rounds  int           // of what is measured in turns; 0 means 2
	Window  time.Duration // of one measurement; 0 means 10 s
	Settle  time.Duration // how long what a host held may take to be given back at most; 0 means 150 s: Go collects garbage every 2 min
	App     string        // file of a module that takes audio every second; "" builds one
}

// Report is what was measured. Its JSON form is that of `auricle bench streams
// -json`. A scenario that did not run is nil.
type Report struct {
	Machine     figures.Machine `json:"machine"`
	Streams     int             `json:"streams"`
	Floor       *Floored        `json:"floor,omitempty"`
	NoAudioApp  *NoAudioApp     `json:"no_audio_app,omitempty"`
	Transcripts *Transcripts    `json:"transcripts,omitempty"`
	AudioApp    *AudioApp       `json:"audio_app,omitempty"`
	Churn       *Churn          `json:"churn,omitempty"`
	Long        *Long           `json:"long,omitempty"`
	Disturbed   *Disturbed      `json:"disturbed,omitempty"`
	Problems    []string        `json:"problems"` // what makes a figure doubtful; never nil
}

// bench is one run.
type bench struct {
	o         Options
	dir       string
	load      *loader
	disturber *loader // of the streams that disturb
	children  []*child.Child
	report    Report
}

const (
	defaultStreams = 8000
	connectRate    = 500 // streams a second that are opened before a measurement
	// lateMillis is how late the 99th percentile of frames may be sent before
	// the machine counts as full.
	lateMillis = 100
)

// Run measures. When ctx ends it stops what it has started, and returns ctx's
// error. Beside an error, the report holds what was measured before it.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	if o.Streams == 0 {
		o.Streams = defaultStreams
	}
	if o.Rounds == 0 {
		o.Rounds = 2
	}
	if o.Window == 0 {
		o.Window = 10 * time.Second
	}
	if o.Settle == 0 {
		o.Settle = 150 * time.Second
	}
	if len(o.Only) == 0 {
		o.Only = Scenarios
	}
	b := &bench{o: o, report: Report{Machine: figures.ThisMachine(), Streams: o.Streams, Problems: []string{}}}
	if b.dir, err = os.MkdirTemp(o.Dir, "streams-"); err != nil {
		return b.report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	defer func() {
		for _, c := range slices.Backward(b.children) {
			select {
			case <-c.Exited:
			default:
				err = errors.Join(err, c.Stop())
			}
		}
	}()
	if _, err := child.UsageOf(os.Getpid()); err != nil {
		return b.report, err
	}
	if b.load, err = b.startLoad(); err != nil {
		return b.report, err
	}
	for _, s := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{ScenarioNoAudioApp, b.noAudioApp},
		{ScenarioTranscripts, b.transcripts},
		{ScenarioAudioApp, b.audioApp},
		{ScenarioChurn, b.churn},
		{ScenarioLong, b.long},
		{ScenarioDisturbed, b.disturbed},
	} {
		if !slices.Contains(o.Only, s.name) {
			continue
		}
		if err := s.measure(ctx); err != nil {
			return b.report, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return b.report, nil
}

func (b *bench) say(format string, args ...any) {
	if b.o.Progress != nil {
		fmt.Fprintf(b.o.Progress, format+"\n", args...)
	}
}

// doubt notes what makes a figure doubtful.
func (b *bench) doubt(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	b.report.Problems = append(b.report.Problems, what)
	b.say("%s", what)
}

// resident returns what a server holds once that falls no more: what came and
// went while its streams were opened is given back by and by. It waits Settle at
// most.
func (b *bench) resident(ctx context.Context, s *server) (child.Usage, error) {
	const falls = 20 * time.Second // without another low, it is the last
	until, lowAt := time.Now().Add(b.o.Settle), time.Now()
	low, err := s.Usage()
	for err == nil && time.Now().Before(until) && time.Since(lowAt) < falls && ctx.Err() == nil {
		pause(ctx, 500*time.Millisecond)
		var now child.Usage
		if now, err = s.Usage(); err == nil && now.RSS < low.RSS-low.RSS/100 {
			low, lowAt = now, time.Now()
		}
	}
	if err != nil {
		return low, err
	}
	now, err := s.Usage()
	return now, errors.Join(err, ctx.Err())
}

// settled waits until what a server resides in has been steady for a while,
// for as long as bound or Options.Settle at most, and returns what it uses then.
func (b *bench) settled(ctx context.Context, s *server, bound time.Duration) (child.Usage, error) {
	const (
		every  = 250 * time.Millisecond
		steady = 6 // looks
	)
	until := time.Now().Add(min(bound, b.o.Settle))
	last, err := s.Usage()
	for same := 0; err == nil && same < steady && time.Now().Before(until); {
		pause(ctx, every)
		if ctx.Err() != nil {
			return last, ctx.Err()
		}
		var now child.Usage
		now, err = s.Usage()
		if diff := now.RSS - last.RSS; max(diff, -diff) <= max(last.RSS/200, 256<<10) {
			same++
		} else {
			same = 0
		}
		last = now
	}
	return last, err
}

// window has a group go on for a while, and returns what the server used
// meanwhile, and what the generator saw.
func (b *bench) window(ctx context.Context, s *server, group string) (used child.Usage, a answer, err error) {
	return b.windowDuring(ctx, s, group, nil)
}

// windowDuring is window, with something done at its beginning.
func (b *bench) windowDuring(ctx context.Context, s *server, group string, do func() error) (used child.Usage, a answer, err error) {
	if _, err = b.load.do(ctx, order{Do: "reset", Group: group}); err != nil {
		return used, a, err
	}
	before, err := s.Usage()
	if err != nil {
		return used, a, err
	}
	end := time.Now().Add(b.o.Window)
	if do != nil {
		if err := do(); err != nil {
			return used, a, err
		}
	}
	pause(ctx, time.Until(end))
	after, err := s.Usage()
	if err != nil {
		return used, a, err
	}
	if a, err = b.load.do(ctx, order{Do: "figures", Group: group}); err != nil {
		return used, a, err
	}
	after.CPU -= before.CPU
	a.TookSeconds = after.At.Sub(before.At).Seconds()
	if a.LateP99 > lateMillis {
		b.doubt("%s: frames were sent %.0f ms late (p99): the machine was full, and the figures are of less than real time", group, a.LateP99)
	}
	if a.Broken > 0 {
		b.doubt("%s: %d streams broke: %q", group, a.Broken, a.Problems)
	} else if len(a.Problems) > 0 {
		b.doubt("%s: %q", group, a.Problems)
	}
	return after, a, ctx.Err()
}
