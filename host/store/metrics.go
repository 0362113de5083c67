package store

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// operation names what a metric counts.
type operation string

const (
	opAppend     operation = "append"
	opComplete   operation = "complete"
	opAddResult  operation = "add_result"
	opUnfinished operation = "unfinished"
	opRead       operation = "read"
	opList       operation = "list"
)

type metrics struct {
	writes     *prometheus.HistogramVec // successful writes, by operation
	errors     *prometheus.CounterVec   // by operation
	registerer prometheus.Registerer    // nil until registered
}

func newMetrics() *metrics {
	m := &metrics{
		writes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "auricle_store_write_duration_seconds",
			Help:    "How long successful writes to the store took until they were on synced disk.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12), // 0.1 ms to 2.4 s
		}, []string{"operation"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_store_errors_total",
			Help: "Operations of the store that failed. A conversation that does not exist is no failure.",
		}, []string{"operation"}),
	}
	for _, o := range []operation{opAppend, opComplete, opAddResult, opUnfinished, opRead, opList} {
		m.errors.WithLabelValues(string(o))
	}
	return m
}

// register makes the metrics known to r, which may be nil.
func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	m.registerer = r
	return errors.Join(r.Register(m.writes), r.Register(m.errors))
}

// unregister lets a store that is opened again register its own.
func (m *metrics) unregister() {
	if m.registerer != nil {
		m.registerer.Unregister(m.writes)
		m.registerer.Unregister(m.errors)
	}
}
