package conversation

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/auricle-dev/auricle/host/audio"
)

type metrics struct {
	factory        promauto.Factory
	sessions       prometheus.Gauge
	resumed        *prometheus.CounterVec
	adopted        prometheus.Counter
	letGo          *prometheus.CounterVec
	conversations  prometheus.Gauge
	completed      *prometheus.CounterVec
	audioReceived  prometheus.Counter
	audioDiscarded prometheus.Counter
	storeRetries   *prometheus.CounterVec
	resultsWaiting prometheus.Gauge
	resultsDropped *prometheus.CounterVec
}

// newMetrics registers with r, which may be nil.
func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	return &metrics{
		factory: f,
		sessions: f.NewGauge(prometheus.GaugeOpts{
			Name: "auricle_sessions_open",
			Help: "Sessions, with or without a stream attached.",
		}),
		resumed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_sessions_resumed_total",
			Help: "Sessions that another stream resumed, by where they were found: memory, store.",
		}, []string{"from"}),
		adopted: f.NewCounter(prometheus.CounterOpts{
			Name: "auricle_sessions_adopted_total",
			Help: "Sessions that another host, or an earlier life of this one, had left and that wait here for a stream.",
		}),
		letGo: f.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_sessions_let_go_total",
			Help: "Sessions that were let go without being ended, by reason: fenced (another host has it), panic.",
		}, []string{"reason"}),
		conversations: f.NewGauge(prometheus.GaugeOpts{
			Name: "auricle_conversations_open",
			Help: "Conversations in which something was said and that are not on disk yet.",
		}),
		completed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_conversations_completed_total",
			Help: "Conversations completed and on synced disk, by reason.",
		}, []string{"reason"}),
		audioReceived: f.NewCounter(prometheus.CounterOpts{
			Name: "auricle_audio_received_bytes_total",
			Help: "Audio taken from clients, in bytes as they sent it.",
		}),
		audioDiscarded: f.NewCounter(prometheus.CounterOpts{
			Name: "auricle_audio_discarded_bytes_total",
			Help: "Audio taken from clients and let go at once because no app of the user may have it, in bytes as they sent it.",
		}),
		storeRetries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_store_retries_total",
			Help: "Writes to the store that failed and are tried again, by operation.",
		}, []string{"operation"}),
		resultsWaiting: f.NewGauge(prometheus.GaugeOpts{
			Name: "auricle_results_waiting",
			Help: "Results of apps that wait to be stored.",
		}),
		resultsDropped: f.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_results_dropped_total",
			Help: "Results of apps that were not stored, by reason: queue_full, store_failed, shutdown.",
		}, []string{"reason"}),
	}
}

// countDecoders registers how many decoders there are.
func (m *metrics) countDecoders(ds *audio.Decoders) {
	m.factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "auricle_audio_decoders",
		Help: "Streams whose audio is decoded: an app of their user gets it.",
	}, func() float64 { return float64(ds.Open()) })
}
