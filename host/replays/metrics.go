package replays

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// fate is what became of a recording.
type fate string

const (
	kept    fate = "kept"
	dropped fate = "dropped"  // the queue was full, or the host shut down
	tooLong fate = "too_long" // more than a recording or the directory holds
	failed  fate = "failed"   // it could not be written
)

type metrics struct {
	recordings *prometheus.CounterVec // by fate
	removed    prometheus.Counter
	bytes      prometheus.Gauge
	registerer prometheus.Registerer // nil until registered
}

func newMetrics() *metrics {
	m := &metrics{
		recordings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_replay_recordings_total",
			Help: "Recordings of invocations that were to be kept, by what became of them.",
		}, []string{"fate"}),
		removed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "auricle_replay_removed_total",
			Help: "Recordings that were removed for their age or for want of room.",
		}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "auricle_replay_bytes",
			Help: "What the kept recordings take, 4 KiB each at least.",
		}),
	}
	for _, f := range []fate{kept, dropped, tooLong, failed} {
		m.recordings.WithLabelValues(string(f))
	}
	return m
}

func (m *metrics) counted(f fate) { m.recordings.WithLabelValues(string(f)).Inc() }

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.recordings, m.removed, m.bytes}
}

// register makes the metrics known to r, which may be nil.
func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	m.registerer = r
	var errs []error
	for _, c := range m.collectors() {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

// unregister lets a directory that is opened again register its own.
func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.collectors() {
		m.registerer.Unregister(c)
	}
}
