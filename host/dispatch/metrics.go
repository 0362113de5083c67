package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/sdk/event"
)

// metrics are a Dispatcher's counters; what can be read off at any time is
// collected from the Dispatcher itself.
type metrics struct {
	invocations  *prometheus.CounterVec
	fuel         *prometheus.HistogramVec
	duration     *prometheus.HistogramVec
	dropped      *prometheus.CounterVec
	droppedBytes *prometheus.CounterVec
	deferred     *prometheus.CounterVec
	hostErrors   *prometheus.CounterVec
	restarts     *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		invocations: counter("auricle_invocations_total",
			"Invocations by app, event and outcome; dropped and rejected count events that never ran.", "app", "event", "outcome"),
		fuel: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "auricle_invocation_fuel_units", Help: "Fuel used by an invocation.",
			Buckets: prometheus.ExponentialBuckets(10_000, 4, 10), // to 2.6 thousand million
		}, []string{"app"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "auricle_invocation_duration_seconds", Help: "Wall time of an invocation, without waiting for a worker.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"app"}),
		dropped:      counter("auricle_dropped_events_total", "Times that realtime work was dropped, by app and reason.", "app", "reason"),
		droppedBytes: counter("auricle_audio_dropped_bytes_total", "Audio dropped for an app.", "app"),
		deferred:     counter("auricle_completions_deferred_total", "Turns of apps at a completed conversation that were put off, by app and reason.", "app", "reason"),
		hostErrors:   counter("auricle_dispatch_host_errors_total", "Events that the host could not run, and panics of its own.", "app"),
		restarts:     counter("auricle_app_restarts_total", "Times that an app was told that the state of its session is lost.", "app"),
	}
}

// register registers the counters and d's own collector, all or none.
func (m *metrics) register(r prometheus.Registerer, d *Dispatcher) error {
	var done []prometheus.Collector
	for _, c := range []prometheus.Collector{
		m.invocations, m.fuel, m.duration, m.dropped, m.droppedBytes, m.deferred, m.hostErrors, m.restarts, collector{d},
	} {
		if err := r.Register(c); err != nil {
			for _, c := range done {
				r.Unregister(c)
			}
			return err
		}
		done = append(done, c)
	}
	return nil
}

// collector reads a Dispatcher's state when it is asked.
type collector struct{ d *Dispatcher }

var (
	runningDesc  = prometheus.NewDesc("auricle_pool_running_invocations", "Invocations on a worker.", nil, nil)
	waitingDesc  = prometheus.NewDesc("auricle_pool_waiting_invocations", "Mailboxes waiting for a worker.", nil, nil)
	bufferedDesc = prometheus.NewDesc("auricle_audio_buffered_bytes", "Audio held until apps have taken it.", nil, nil)
	buffersDesc  = prometheus.NewDesc("auricle_audio_buffers", "Sessions that have an audio buffer: an app of their user gets audio.", nil, nil)
	sessionsDesc = prometheus.NewDesc("auricle_app_sessions_open", "Sessions for which an app keeps its memory.", []string{"app"}, nil)
	parkedDesc   = prometheus.NewDesc("auricle_app_sessions_parked", "Of these, how many are put away because they are quiet.", []string{"app"}, nil)
	stateDesc    = prometheus.NewDesc("auricle_app_session_bytes", "Memory that an app's sessions take, shared pages not counted.", []string{"app"}, nil)
	breakerDesc  = prometheus.NewDesc("auricle_breaker_open", "1 while the app's breaker is open or half-open.", []string{"app"}, nil)
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runningDesc, waitingDesc, bufferedDesc, buffersDesc, breakerDesc, sessionsDesc, parkedDesc, stateDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	pool := c.d.Pool()
	gauge(runningDesc, float64(pool.Running))
	gauge(waitingDesc, float64(pool.Waiting))
	bytes, buffers := c.d.bufferedAudio()
	gauge(bufferedDesc, float64(bytes))
	gauge(buffersDesc, float64(buffers))
	for _, l := range c.d.current() {
		l.mu.Lock()
		open := 0.0
		t := l.now()
		if t.breaker.tripped {
			open = 1
		}
		l.mu.Unlock()
		gauge(breakerDesc, open, l.name)
		if t.installed != nil && t.installed.State() == event.StateSession {
			u := t.installed.Module.Usage()
			gauge(sessionsDesc, float64(u.Sessions), l.name)
			gauge(parkedDesc, float64(u.Parked), l.name)
			gauge(stateDesc, float64(u.SessionBytes), l.name)
		}
	}
}
