package jobs

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/store"
)

// The values of the label "result".
const (
	resultFirst     = "first"
	resultDuplicate = "duplicate"
)

// metrics are what Jobs count; what the table knows is collected from it.
type metrics struct {
	attempts     *prometheus.CounterVec
	results      *prometheus.CounterVec
	deadLetters  *prometheus.CounterVec
	storeRetries *prometheus.CounterVec
	writing      prometheus.Gauge

	lost atomic.Int64 // writes given up
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		attempts: counter("auricle_job_attempts_total",
			"Attempts of apps' work on completed conversations, first ones included, by app and outcome.", "app", "outcome"),
		results: counter("auricle_job_results_total",
			"Results of apps for completed conversations: first, which count, and duplicate, which are let go.", "result"),
		deadLetters: counter("auricle_dead_letters_total",
			"Jobs that had all their attempts in vain, by app and reason.", "app", "reason"),
		storeRetries: counter("auricle_job_store_retries_total",
			"Calls of the store for jobs that failed and are made again, by what they were doing.", "doing"),
		writing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "auricle_job_writes_waiting",
			Help: "Results and records of jobs that are not in the store yet.",
		}),
	}
}

// register registers the counters and j's own collector, all or none.
func (m *metrics) register(r prometheus.Registerer, j *Jobs) error {
	var done []prometheus.Collector
	for _, c := range []prometheus.Collector{m.attempts, m.results, m.deadLetters, m.storeRetries, m.writing, collector{j}} {
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

// collector reads the table when it is asked.
type collector struct{ j *Jobs }

var (
	jobsDesc    = prometheus.NewDesc("auricle_jobs", "Jobs in the store, as far as they are loaded, by state.", []string{"state"}, nil)
	oldestDesc  = prometheus.NewDesc("auricle_job_oldest_waiting_seconds", "Age of the oldest job that is not dead.", nil, nil)
	partialDesc = prometheus.NewDesc("auricle_jobs_partly_loaded", "1 while the store has more jobs than are loaded.", nil, nil)
)

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- jobsDesc
	ch <- oldestDesc
	ch <- partialDesc
}

// Collect implements prometheus.Collector.
func (k collector) Collect(ch chan<- prometheus.Metric) {
	c := k.j.Counts()
	partial := 0.0
	if c.Partial {
		partial = 1
	}
	for state, n := range map[store.JobState]int{store.JobWaiting: c.Waiting, store.JobRunning: c.Running, store.JobDead: c.Dead} {
		ch <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(n), string(state))
	}
	ch <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, c.Oldest.Seconds())
	ch <- prometheus.MustNewConstMetric(partialDesc, prometheus.GaugeValue, partial)
}
