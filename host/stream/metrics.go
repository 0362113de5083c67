package stream

import (
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/auricle-dev/auricle/sdk/wire"
)

type metrics struct {
	open        prometheus.Gauge
	closes      *prometheus.CounterVec
	messages    map[string]prometheus.Counter // by type; audio and the text messages
	received    prometheus.Counter
	queuedBytes prometheus.Gauge
	refused     *prometheus.CounterVec
	handshakes  *prometheus.CounterVec // that were refused
	telephone   *prometheus.CounterVec // frames that were taken, by vendor and event
	chunks      *prometheus.CounterVec // of calls' audio that were not heard, by vendor and reason
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
	m.handshakes = f.NewCounterVec(prometheus.CounterOpts{
		Name: "auricle_stream_refused_handshakes_total",
		Help: "Requests for a stream that were refused before the upgrade, by the error's code.",
	}, []string{"code"})
	m.telephone = f.NewCounterVec(prometheus.CounterOpts{
		Name: "auricle_telephone_frames_total",
		Help: "Frames taken from telephone providers, by vendor and event; media_unheard is of the track that is not heard.",
	}, []string{"vendor", "event"})
	m.chunks = f.NewCounterVec(prometheus.CounterOpts{
		Name: "auricle_telephone_chunks_lost_total",
		Help: "Chunks of calls' audio that were not heard, by vendor and reason: missing, or late (which twice is too).",
	}, []string{"vendor", "reason"})
	for _, t := range slices.Concat([]string{"audio"}, wire.ClientTypes, omiTypes) {
		m.messages[t] = messages.WithLabelValues(t)
	}
	return m
}

// closeLabel returns code as a metric's label. Clients choose the code with
// which they close, so only a few are told apart.
func closeLabel(code int) string {
	switch code {
	case 1000, 1001, 1002, 1005, 1006:
		return strconv.Itoa(code)
	}
	for _, c := range wire.CloseCodes {
		if c.Code == code {
			return strconv.Itoa(code)
		}
	}
	return "other"
}
