package store

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// operation names what a metric counts.
type operation string

const (
	opAppend         operation = "append"
	opComplete       operation = "complete"
	opSettle         operation = "settle"
	opAddResult      operation = "add_result"
	opFinishJob      operation = "finish_job"
	opPutJob         operation = "put_job"
	opDropJob        operation = "drop_job"
	opPutChoices     operation = "put_choices"
	opPutValues      operation = "put_values"
	opForgetMemories operation = "forget_memories"
	opAddMemory      operation = "add_memories"
	opAnnounce       operation = "announce"
	opUnfinished     operation = "unfinished"
	opSession        operation = "session"
	opRead           operation = "read"
	opList           operation = "list"
)

var operations = []operation{opAppend, opComplete, opSettle, opAddResult, opFinishJob, opPutJob, opDropJob, opPutChoices, opAddMemory, opForgetMemories, opPutValues, opAnnounce, opUnfinished, opSession, opRead, opList}

type metrics struct {
	writes         *prometheus.HistogramVec // successful writes, by operation
	errors         *prometheus.CounterVec   // by operation
	commitMessages *prometheus.HistogramVec // by stream, as all below but removed
	commitSeconds  *prometheus.HistogramVec
	commitsRefused *prometheus.CounterVec
	queue          []prometheus.GaugeFunc
	streamBytes    *prometheus.GaugeVec
	streamMessages *prometheus.GaugeVec
	streamLimit    *prometheus.GaugeVec
	removed        *prometheus.CounterVec // by kind and reason
	diskFree       prometheus.Gauge       // embedded server only

	registerer prometheus.Registerer // nil until registered
}

func newMetrics() *metrics {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"stream"})
	}
	m := &metrics{
		writes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "auricle_store_write_duration_seconds",
			Help:    "How long successful writes to the store took until they were on synced disk, or with the cluster's quorum, waiting included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12), // 0.1 ms to 2.4 s
		}, []string{"operation"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_store_errors_total",
			Help: "Operations of the store that failed. A conversation that does not exist is no failure, nor is one that another host has taken over.",
		}, []string{"operation"}),
		commitMessages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "auricle_store_commit_messages",
			Help:    "Messages that were written with one sync.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9), // 1 to 256
		}, []string{"stream"}),
		commitSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "auricle_store_commit_duration_seconds",
			Help:    "How long the server took to write and sync what was written with one sync.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}, []string{"stream"}),
		commitsRefused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_store_commits_refused_total",
			Help: "Batches that were written again message by message, because one was fenced or the answer was lost.",
		}, []string{"stream"}),
		streamBytes:    gauge("auricle_store_stream_bytes", "Size of what a stream holds, as of the last minute."),
		streamMessages: gauge("auricle_store_stream_messages", "Messages that a stream holds, as of the last minute."),
		streamLimit:    gauge("auricle_store_stream_limit_bytes", "Size beyond which the oldest of a stream is removed; 0 for none."),
		diskFree: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "auricle_store_disk_free_bytes",
			Help: "What is free on the disk of the data directory, as of the last second; 0 with a NATS cluster.",
		}),
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_store_removed_total",
			Help: "What was removed because it was older or more than is to be kept.",
		}, []string{"kind", "reason"}),
	}
	for _, o := range operations {
		m.errors.WithLabelValues(string(o))
	}
	for _, kind := range []string{kindConversation, kindOutput, kindDeadLetter} {
		for _, reason := range []string{reasonAge, reasonBytes} {
			m.removed.WithLabelValues(kind, reason)
		}
	}
	return m
}

// committed notes that messages were written with one sync.
func (m *metrics) committed(stream string, messages int, took time.Duration) {
	m.commitMessages.WithLabelValues(stream).Observe(float64(messages))
	m.commitSeconds.WithLabelValues(stream).Observe(took.Seconds())
}

func (m *metrics) collectors() []prometheus.Collector {
	cs := []prometheus.Collector{m.writes, m.errors, m.commitMessages, m.commitSeconds, m.commitsRefused, m.streamBytes, m.streamMessages, m.streamLimit, m.removed, m.diskFree}
	for _, q := range m.queue {
		cs = append(cs, q)
	}
	return cs
}

// register makes the metrics known to r, which may be nil.
func (m *metrics) register(r prometheus.Registerer, committers map[string]*committer) error {
	if r == nil {
		return nil
	}
	for stream, c := range committers {
		m.queue = append(m.queue, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "auricle_store_queue_messages", Help: "Messages that wait to be written.", ConstLabels: prometheus.Labels{"stream": stream},
		}, func() float64 { return float64(len(c.queue)) }))
	}
	m.registerer = r
	var err error
	for _, c := range m.collectors() {
		err = errors.Join(err, r.Register(c))
	}
	return err
}

// unregister lets a store that is opened again register its own.
func (m *metrics) unregister() {
	if m.registerer != nil {
		for _, c := range m.collectors() {
			m.registerer.Unregister(c)
		}
	}
}
