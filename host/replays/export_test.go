package replays

import "github.com/prometheus/client_golang/prometheus"

// Counted returns the counter of what met a fate.
func (d *Directory) Counted(f string) prometheus.Counter {
	return d.metrics.recordings.WithLabelValues(f)
}
