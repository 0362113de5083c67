package fetch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count the calls of all apps. Make them with NewMetrics.
type Metrics struct {
	calls    *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
}

// NewMetrics returns metrics that are registered with r. It fails when they are
// there already.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_http_calls_total",
			Help: "Calls of web services by apps, by what came of them: the class of the answer's status (2xx), or why there was none.",
		}, []string{"app", "result"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "auricle_http_bytes_total",
			Help: "Bytes of bodies that apps sent to web services and were given by them.",
		}, []string{"app", "direction"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "auricle_http_seconds",
			Help:    "How long apps' calls of web services took, refused ones included.",
			Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"app"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "auricle_http_in_flight",
			Help: "Calls of web services under way.",
		}, []string{"app"}),
	}
	for _, c := range []prometheus.Collector{m.calls, m.bytes, m.seconds, m.inFlight} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of calls of web services: %w", err)
		}
	}
	return m, nil
}

// CountBy has c's calls counted by m. Call it before the first of them.
func (c *Client) CountBy(m *Metrics) {
	c.counts = nil
	if m != nil {
		c.counts = &counts{m, c.app}
	}
}

// counts are one app's part of Metrics. Nil counts nothing.
type counts struct {
	m   *Metrics
	app string
}

func (c *counts) begin() {
	if c != nil {
		c.m.inFlight.WithLabelValues(c.app).Inc()
	}
}

func (c *counts) end(result string, sent, got int, took time.Duration) {
	if c == nil {
		return
	}
	c.m.inFlight.WithLabelValues(c.app).Dec()
	c.m.calls.WithLabelValues(c.app, result).Inc()
	c.m.seconds.WithLabelValues(c.app).Observe(took.Seconds())
	c.m.bytes.WithLabelValues(c.app, "sent").Add(float64(sent))
	c.m.bytes.WithLabelValues(c.app, "received").Add(float64(got))
}

// result returns what auricle_http_calls_total calls what came of a call.
func result(status int, err error) string {
	if err == nil {
		return fmt.Sprintf("%dxx", status/100)
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Code
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "invocation_deadline"
	}
	return "cancelled"
}
