package stream

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	open        prometheus.Gauge
	closes      *prometheus.CounterVec
	messages    map[string]prometheus.Counter // by type; audio and the text messages
	received    prometheus.Counter
	queuedBytes prometheus.Gauge
	refused     *prometheus.CounterVec
}

// newMetrics registers with r, which may be nil.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	messages := f.NewCounterVec(prometheus.CounterOpts{
		Name: "auricle_stream_messages_total",
		Help: "Messages taken from clients, by type; audio is a binary frame.",
	}, []string{"type"})
	m := &metrics{
		open: f.NewGauge(prometheus.GaugeOpts{
			Name: "auricle_streams_open",
			Help: "WebSocket connections that are open.",
		}),
		closes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_stream_closes_total",
			Help: "Streams that have closed, by close code; 1006 is a connection lost without a close.",
		}, []string{"code"}),
		messages: make(map[string]prometheus.Counter),
		received: f.NewCounter(prometheus.CounterOpts{
			Name: "auricle_stream_received_bytes_total",
			Help: "Bytes of messages received from clients, without framing.",
		}),
		queuedBytes: f.NewGauge(prometheus.GaugeOpts{
			Name: "auricle_stream_output_queue_bytes",
			Help: "Bytes that wait to be written to clients, of all streams.",
		}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_stream_refused_messages_total",
			Help: "Messages from clients that were refused, by the error's code.",
		}, []string{"code"}),
	}
	for _, t := range append([]string{"audio"}, clientTypes...) {
		m.messages[t] = messages.WithLabelValues(t)
	}
	return m
}
