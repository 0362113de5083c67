package webhooks

import (
	"fmt"

	"github.com/auricle-dev/auricle/cmd/auricle/figures"
	"github.com/auricle-dev/auricle/cmd/auricle/webhooks/work"
)

// Report is what was measured. Its JSON form is that of `auricle bench webhook
// -json`.
type Report struct {
	Machine     figures.Machine   `json:"machine"`
	Streams     int               `json:"streams"`
	Segments    int               `json:"segments"` // of each stream
	EveryMillis int64             `json:"every_ms"` // between two of them
	AwayMillis  int64             `json:"away_ms"`  // see Options.Away
	Rounds      int               `json:"rounds"`
	Forms       map[Form]*Figures `json:"forms"` // that were measured

	// The p50 of webhooks over that of Wasm apps, all healthy; 0 where one was
	// not measured.
	ThreadsOverWasm float64 `json:"threads_p50_over_wasm"`
	BridgeOverWasm  float64 `json:"bridge_p50_over_wasm"`

	Problems []string `json:"problems"` // what makes a figure doubtful; never nil
}

// Figures are those of one form.
type Figures struct {
	Healthy  Case    `json:"healthy"`   // all four apps
	Hung     Case    `json:"hung"`      // the fourth hangs
	P99Ratio float64 `json:"p99_ratio"` // of Hung over Healthy
}

// Case is what was measured of the three apps that are healthy in either case,
// and of what calls them. Times, threads, memory and CPU are medians of the
// rounds, the rest are sums. Where a result had not come in time, its age at the
// end counts in its place, so that the times are at least those.
type Case struct {
	Events             int       `json:"events"`              // segments sent, times apps
	Missing            int       `json:"missing"`             // of these, without a result when the waiting ended
	Dropped            int       `json:"dropped"`             // of these, dropped as the host said
	DroppedHung        int       `json:"dropped_fourth"`      // segments that the host said it dropped for the fourth app
	CompletionsMissing int       `json:"completions_missing"` // results for conversations that had not come
	DelayP50           float64   `json:"delay_p50_ms"`        // from sending a segment to an app's result
	DelayP99           float64   `json:"delay_p99_ms"`        //
	CompletionP50      float64   `json:"completion_p50_ms"`   // from ending a conversation to an app's result
	CompletionP99      float64   `json:"completion_p99_ms"`   //
	Threads            int       `json:"threads"`             // peak, of the calling process
	RSS                int64     `json:"rss"`                 // bytes, peak, likewise
	CPUSeconds         float64   `json:"cpu_s"`               // while the streams talked, likewise
	RoundP50           []float64 `json:"round_delay_p50_ms"`  // round by round: how much it varies
	RoundP99           []float64 `json:"round_delay_p99_ms"`  //
	LateP99            float64   `json:"late_p99_ms"`         // of the clients
}

// sum makes the figures of the rounds.
func (r *Report) sum(rounds map[Form]map[bool][]round) {
	for f, cases := range rounds {
		if len(cases[false]) == 0 {
			continue
		}
		fs := &Figures{Healthy: sumCase(cases[false]), Hung: sumCase(cases[true])}
		fs.P99Ratio = over(fs.Hung.DelayP99, fs.Healthy.DelayP99)
		r.Forms[f] = fs
	}
	wasm := r.Forms[FormWasm]
	if wasm == nil {
		return
	}
	if f := r.Forms[FormThreads]; f != nil {
		r.ThreadsOverWasm = over(f.Healthy.DelayP50, wasm.Healthy.DelayP50)
	}
	if f := r.Forms[FormBridge]; f != nil {
		r.BridgeOverWasm = over(f.Healthy.DelayP50, wasm.Healthy.DelayP50)
	}
}

func sumCase(rounds []round) (c Case) {
	median := func(of func(round) float64) float64 {
		var vs []float64
		for _, r := range rounds {
			vs = append(vs, of(r))
		}
		return figures.Median(vs)
	}
	for _, r := range rounds {
		c.Events += r.sent
		c.Missing += r.missing
		c.CompletionsMissing += r.unmade
		for app, n := range r.gaps {
			if app == string(work.Greeting) {
				c.DroppedHung += n
			} else {
				c.Dropped += n
			}
		}
		c.RoundP50 = append(c.RoundP50, figures.Percentile(r.live, 50))
		c.RoundP99 = append(c.RoundP99, figures.Percentile(r.live, 99))
	}
	c.DelayP50, c.DelayP99 = figures.Median(c.RoundP50), figures.Median(c.RoundP99)
	c.CompletionP50 = median(func(r round) float64 { return figures.Percentile(r.completed, 50) })
	c.CompletionP99 = median(func(r round) float64 { return figures.Percentile(r.completed, 99) })
	c.Threads = int(median(func(r round) float64 { return float64(r.threads) }))
	c.RSS = int64(median(func(r round) float64 { return float64(r.rss) }))
	c.CPUSeconds = median(func(r round) float64 { return r.used.CPU.Seconds() })
	c.LateP99 = median(func(r round) float64 { return figures.Percentile(r.late, 99) })
	return c
}

// over returns a/b, 0 where b is nothing.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Target is a figure beside what it is to be.
type Target struct {
	What, Measured, Target string
	Met                    bool
}

// Targets are the targets of the forms that were measured.
func (r Report) Targets() (ts []Target) {
	if f := r.Forms[FormBridge]; f != nil {
		ts = append(ts,
			Target{"bridge: p99 beside a hung app, times that without", fmt.Sprintf("%.2f", f.P99Ratio), "at most 1.20", f.P99Ratio <= 1.2},
			Target{"bridge: results of healthy apps that did not come", fmt.Sprint(f.Healthy.Missing + f.Hung.Missing), "0", f.Healthy.Missing+f.Hung.Missing == 0})
	}
	faster := func(what string, v float64) {
		if v != 0 {
			ts = append(ts, Target{what, fmt.Sprintf("%.1f", v), "at least 10", v >= 10})
		}
	}
	faster("webhooks called by threads: p50, times that of Wasm apps", r.ThreadsOverWasm)
	faster("webhooks behind the bridge: p50, times that of Wasm apps", r.BridgeOverWasm)
	return ts
}
