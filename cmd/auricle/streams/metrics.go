package streams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// scrape reads the host's metrics and adds up each family's: a family's value
// is the sum over its labels; that of its name and " ok" is the sum of what ended
// well.
func (s *server) scrape(ctx context.Context) (map[string]float64, error) {
	body, err := fetch(ctx, s.metrics)
	if err != nil {
		return nil, err
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
			return nil, fmt.Errorf("%s: %q: %w", s.metrics, line, err)
		}
		name, labels, _ := strings.Cut(name, "{")
		sums[name] += v
		if strings.Contains(labels, `outcome="ok"`) {
			sums[name+" ok"] += v
		}
	}
	if _, ok := sums["go_goroutines"]; !ok {
		return nil, errors.New(s.metrics + " has no go_goroutines")
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
