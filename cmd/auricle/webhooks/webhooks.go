// Package webhooks measures what webhook apps cost whom, and what becomes of
// their neighbours when one hangs: the same four apps called the old way, called
// by a host's webhook bridge, and run in the host as Wasm.
//
// What calls the apps, and the server that is the webhooks, are processes of
// their own, of this same command; the clients are in this one. They stream live
// segments, and complete a conversation each. What is measured is the same in
// all forms: the time from when a client sends a segment until it has an app's
// result that was made of it, and what the system says that the calling process
// uses, not the webhooks' server.
//
// The cases take turns, round by round, each in a fresh process, so that the
// machine's moods hit all; compare ratios of one run.
package webhooks

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
	"github.com/auricle-dev/auricle/cmd/auricle/webhooks/work"
)

// Form is how the apps are made and called.
type Form string

// The forms, in the order in which they are measured.
const (
	FormThreads Form = "threads" // webhooks, called the old way; see Threads
	FormBridge  Form = "bridge"  // the same webhooks, called by a host's bridge
	FormWasm    Form = "wasm"    // Wasm modules, in a host
)

// Forms are all of them.
var Forms = []Form{FormThreads, FormBridge, FormWasm}

// Options say how much to measure.
type Options struct {
	Command  []string  // starts this program as the part that the next argument names; see PartServer
	Dir      string    // for stores and logs; it must exist
	Progress io.Writer // what is being done, a line each; nil discards

	Streams int           // 0 means 20: with 50, the bridge fills two cores now and then
	Talk    time.Duration // for which each stream talks; 0 means 15 s
	Every   time.Duration // time between two segments of a stream; 0 means 1 s
	Rounds  int           // 0 means 5
	Only    []Form        // none means all
	App     string        // file of the module that is the Wasm apps; "" builds it

	// Away is how much longer than its work a webhook takes to answer, as one on
	// another machine would. 0 is none: what is measured is what calling costs.
	Away time.Duration
	// Patience is how long results are waited for after the last segment; 0 means
	// 3 s. What has not come then is counted as missing.
	Patience time.Duration
}

// bench is one run.
type bench struct {
	o        Options
	dir      string
	webhooks string // URL of their server
	module   string // file; "" where no Wasm is measured
	report   Report
}

// Run measures. When ctx ends it stops what it has started, and returns ctx's
// error. Beside an error, the report holds no figures.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	if o.Streams == 0 {
		o.Streams = 20
	}
	if o.Talk == 0 {
		o.Talk = 15 * time.Second
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Patience == 0 {
		o.Patience = 3 * time.Second
	}
	if len(o.Only) == 0 {
		o.Only = Forms
	}
	b := &bench{o: o, report: Report{
		Machine: figures.ThisMachine(), Streams: o.Streams, Segments: max(1, int(o.Talk/o.Every)), EveryMillis: o.Every.Milliseconds(), AwayMillis: o.Away.Milliseconds(),
		Rounds: o.Rounds, Forms: map[Form]*Figures{}, Problems: []string{},
	}}
	if _, err := child.UsageOf(os.Getpid()); err != nil {
		return b.report, err
	}
	if b.dir, err = os.MkdirTemp(o.Dir, "webhooks-"); err != nil {
		return b.report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if slices.Contains(o.Only, FormWasm) {
		if b.module, err = b.buildModule(ctx); err != nil {
			return b.report, err
		}
	}
	server, address, err := child.StartServer(o.Command, b.dir, PartServer, o.Away.String())
	if err != nil {
		return b.report, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	b.webhooks = "http://" + address

	rounds := map[Form]map[bool][]round{}
	for _, f := range Forms {
		rounds[f] = map[bool][]round{}
	}
	for i := range o.Rounds {
		for _, f := range Forms {
			if !slices.Contains(o.Only, f) {
				continue
			}
			order := []bool{false, true}
			if i%2 == 1 {
				slices.Reverse(order) // what changes with time is on both sides
			}
			for _, hung := range order {
				b.say("round %d of %d, %s, %s", i+1, o.Rounds, f, besides(hung))
				r, err := b.measure(ctx, f, hung)
				if err != nil {
					return b.report, fmt.Errorf("%s, %s: %w", f, besides(hung), err)
				}
				rounds[f][hung] = append(rounds[f][hung], r)
				b.say("  %s", r)
			}
		}
	}
	b.report.sum(rounds)
	return b.report, nil
}

func besides(hung bool) string {
	if hung {
		return "one app hangs"
	}
	return "all apps healthy"
}

func (b *bench) say(format string, args ...any) {
	if b.o.Progress != nil {
		fmt.Fprintf(b.o.Progress, format+"\n", args...)
	}
}

// round is one measurement of a case.
type round struct {
	heard
	used    child.Usage // CPU since the talk began, at its end
	threads int         // peak
	rss     int64       // peak
}

func (r round) String() string {
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, %d missing; completed p50 %.2f ms, %d missing; %d threads, %.1f MB, %.2f CPU s",
		figures.Percentile(r.live, 50), figures.Percentile(r.live, 99), r.missing, figures.Percentile(r.completed, 50), r.unmade,
		r.threads, float64(r.rss)/1e6, r.used.CPU.Seconds())
}

// healthy are the apps whose results are measured: in every case the same.
var healthy = work.Tasks[:len(work.Tasks)-1]

// warmStreams talk before a measurement, so that what is done for the first time
// is not in it.
const (
	warmStreams  = 4
	warmSegments = 5
	warmEvery    = 100 * time.Millisecond
)

// measure has all streams talk once to apps of a form.
func (b *bench) measure(ctx context.Context, f Form, hung bool) (r round, err error) {
	caller, address, err := b.start(ctx, f, hung)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, caller.Kill()) }() // what it holds is of no use any more
	warm := talk{address: address, users: warmUsers, streams: warmStreams, segments: warmSegments, every: warmEvery, patience: 30 * time.Second, apps: healthy}
	h, err := warm.run(ctx)
	if err != nil {
		return r, err
	}
	if h.missing > 0 || len(h.problems) > 0 {
		return r, fmt.Errorf("before the measurement, %d of %d results did not come: %q", h.missing, h.sent, h.problems)
	}
	before, err := caller.Usage()
	if err != nil {
		return r, err
	}
	watch := watchPeak(caller)
	t := talk{address: address, users: talkUsers, streams: b.o.Streams, segments: b.report.Segments, every: b.o.Every, patience: b.o.Patience, apps: healthy}
	r.heard, err = t.run(ctx)
	peak, watchErr := watch.stop()
	if err := errors.Join(err, watchErr); err != nil {
		return r, err
	}
	if r.used, err = caller.Usage(); err != nil {
		return r, err
	}
	r.used.CPU -= before.CPU
	r.threads, r.rss = max(peak.Threads, r.used.Threads), max(peak.RSS, r.used.RSS)
	// Otherwise the figures would not be those of a case.
	if hung && r.others > 0 {
		return r, fmt.Errorf("the app that was to hang answered %d times", r.others)
	}
	if !hung && r.others == 0 {
		return r, errors.New("the fourth app never answered")
	}
	const late = 100 // ms; then the machine was full
	if p99 := figures.Percentile(r.late, 99); p99 > late {
		b.doubt("%s, %s: segments were sent %.0f ms late (p99): the machine was full", f, besides(hung), p99)
	}
	if len(r.problems) > 0 {
		b.doubt("%s, %s: %q", f, besides(hung), r.problems[:min(3, len(r.problems))])
	}
	return r, nil
}

// doubt notes what makes a figure doubtful.
func (b *bench) doubt(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	b.report.Problems = append(b.report.Problems, what)
	b.say("%s", what)
}
