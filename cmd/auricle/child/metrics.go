package child

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Scrape reads the host's metrics. A family's value is the sum over its labels;
// where these have an outcome or a reason, "family outcome" is the sum of its.
func (h *Host) Scrape(ctx context.Context) (map[string]float64, error) {
	body, err := fetch(ctx, h.Metrics)
	if err != nil {
		return nil, errors.Join(err, h.Died())
	}
	sums := map[string]float64{}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := cutLast(strings.TrimSpace(line))
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", h.Metrics, line, err)
		}
		name, labels, _ := strings.Cut(name, "{")
		sums[name] += v
		for _, label := range []string{"outcome", "reason"} {
			if _, rest, ok := strings.Cut(labels, label+`="`); ok {
				value, _, _ := strings.Cut(rest, `"`)
				sums[name+" "+value] += v
			}
		}
	}
	if _, ok := sums["go_goroutines"]; !ok {
		return nil, errors.New(h.Metrics + " has no go_goroutines")
	}
	return sums, nil
}

// cutLast cuts at the last space: a label's value may hold some.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// Grown returns by how much each outcome or reason of a family has grown, where
// it has.
func Grown(before, now map[string]float64, family string) map[string]int64 {
	out := map[string]int64{}
	for name, v := range now {
		if which, ok := strings.CutPrefix(name, family+" "); ok && v > before[name] {
			out[which] = int64(v - before[name])
		}
	}
	return out
}
