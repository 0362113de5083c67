package seed

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/figures"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

const (
	hungInterval = 100 * time.Millisecond
	hungRounds   = 16 // with and without the hung app in turn, so that the machine's moods hit both
	hungEvents   = 40 // transcripts a round
	warmEvents   = 5  // transcripts before a round, of a user who has not the fourth app
	oldEvents    = 50 // transcripts against the old design
	healthyApps  = 3
)

// HungApp is how late the healthy apps' results are, in ms from the sending
// of a transcript. The old design's timeouts are scaled. The host's figures are
// medians of its rounds', so that a hiccup of the machine in one of them does
// not decide.
type HungApp struct {
	OldP50       float64 `json:"old_p50_ms"`
	OldP99       float64 `json:"old_p99_ms"` // webhooks in series, 10 s timeout
	FixedP50     float64 `json:"fixed_timeouts_p50_ms"`
	FixedP99     float64 `json:"fixed_timeouts_p99_ms"` // webhooks in series, 5 s timeout
	HostAlone50  float64 `json:"host_alone_p50_ms"`
	HostAlone99  float64 `json:"host_alone_p99_ms"` // a fourth healthy app in the hung one's place
	HostBeside50 float64 `json:"host_beside_p50_ms"`
	HostBeside99 float64 `json:"host_beside_p99_ms"`
	Ratio        float64 `json:"ratio"`   // HostBeside99 / HostAlone99
	Results      int     `json:"results"` // healthy results of the host that were measured
	Missing      int     `json:"missing"` // healthy results that never came
}

func measureHungApp(ctx context.Context, dir string, scale float64) (HungApp, error) {
	var r HungApp
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) * scale) }
	old, err := runOldWebhooks(ctx, scaled(10*time.Second))
	if err != nil {
		return r, err
	}
	fixed, err := runOldWebhooks(ctx, scaled(5*time.Second))
	if err != nil {
		return r, err
	}
	var alone50, alone99, beside50, beside99 []float64
	for range hungRounds {
		for _, hung := range []bool{false, true} {
			ds, err := hostTranscripts(ctx, dir, hung)
			if err != nil {
				return r, err
			}
			r.Missing += hungEvents*healthyApps - len(ds)
			r.Results += len(ds)
			p50, p99 := figures.Percentile(ds, 50), figures.Percentile(ds, 99)
			if hung {
				beside50, beside99 = append(beside50, p50), append(beside99, p99)
			} else {
				alone50, alone99 = append(alone50, p50), append(alone99, p99)
			}
		}
	}
	r.OldP50, r.OldP99 = figures.Percentile(old, 50), figures.Percentile(old, 99)
	r.FixedP50, r.FixedP99 = figures.Percentile(fixed, 50), figures.Percentile(fixed, 99)
	r.HostAlone50, r.HostAlone99 = figures.Median(alone50), figures.Median(alone99)
	r.HostBeside50, r.HostBeside99 = figures.Median(beside50), figures.Median(beside99)
	r.Ratio = r.HostBeside99 / r.HostAlone99
	return r, nil
}

// hostTranscripts streams transcripts to a host with three healthy apps and a
// fourth that is healthy or hung, and returns how late each of the three's
// results was.
func hostTranscripts(ctx context.Context, dir string, hung bool) ([]time.Duration, error) {
	var installed []config.App
	for i := range healthyApps {
		a, err := app(dir, "healthy"+strconv.Itoa(i), "echo", config.AppLimits{}, nil, event.CapTranscript)
		if err != nil {
			return nil, err
		}
		installed = append(installed, a)
	}
	guest := "echo"
	if hung {
		guest = "hung"
	}
	fourth, err := app(dir, "fourth", guest, config.AppLimits{}, nil, event.CapTranscript)
	if err != nil {
		return nil, err
	}
	fourth.Users = []string{"speaker"}
	h, err := startHost(ctx, dir, append(installed, fourth)...)
	if err != nil {
		return nil, err
	}
	if _, err := speak(ctx, h, "warm-up", warmEvents); err != nil {
		return nil, stopAfter(h, err)
	}
	ds, err := speak(ctx, h, "speaker", hungEvents)
	if err == nil && hung {
		err = stopped(h, "fourth")
	}
	return ds, stopAfter(h, err)
}

// stopped reports, as an error, that the app was not once stopped by a limit:
// the figures would then not be those of a hung app's neighbours.
func stopped(h *running, name string) error {
	for _, a := range h.Apps() {
		if a.App == name && a.Outcomes[plugins.FuelExhausted]+a.Outcomes[plugins.DeadlineExceeded] > 0 {
			return nil
		}
	}
	return fmt.Errorf("app %q was never stopped by a limit, so it did not hang", name)
}

// speak streams n transcripts of a user's and returns how late each result of
// the healthy apps was.
func speak(ctx context.Context, h *running, uid string, n int) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(n)*hungInterval+10*time.Second)
	defer cancel()
	c, err := h.connect(ctx, uid, 0)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var (
		sent   = map[string]time.Time{}
		delays []time.Duration
		want   = n * healthyApps
		tick   = time.NewTicker(hungInterval)
		next   = 0
	)
	defer tick.Stop()
	for len(delays) < want {
		select {
		case <-tick.C:
			if next == n {
				continue
			}
			next++
			id := strconv.Itoa(next)
			sent[id] = time.Now()
			if err := c.transcript(next, event.Segment{ID: id, Text: "The budget is due.", Start: float64(next), End: float64(next) + 1}); err != nil {
				return nil, err
			}
		case m, ok := <-c.messages:
			switch {
			case !ok:
				return nil, fmt.Errorf("the stream closed early")
			case m.Type == "error":
				return nil, fmt.Errorf("the host answered %v: %s", m.Code, m.Message)
			case m.Type == "output" && m.App != "fourth":
				var t event.Transcript
				if err := json.Unmarshal(m.Data, &t); err != nil {
					return nil, fmt.Errorf("reading an output: %w", err)
				}
				// A result that lagged may carry several segments.
				for _, s := range t.Segments {
					delays = append(delays, m.at.Sub(sent[s.ID]))
				}
			}
		case <-ctx.Done():
			return delays, nil // the caller counts what is missing
		}
	}
	return delays, nil
}
