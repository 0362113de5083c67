package host

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// unasked counts the connections that are closed before a whole request has
// come: by clients that take too long for it, that speak something else, or that
// only look whether somebody listens.
type unasked struct {
	total *prometheus.CounterVec
	conns sync.Map // net.Conn to *atomic.Bool, whether a request has come; of connections that are the server's
}

func newUnasked(r prometheus.Registerer) *unasked {
	return &unasked{total: promauto.With(r).NewCounterVec(prometheus.CounterOpts{
		Name: "auricle_connections_without_request_total",
		Help: "Connections that were closed before a whole request had come, such as slow handshakes, by listener.",
	}, []string{"listener"})}
}

type askedKey struct{}

// watch has the connections of a server counted, which is not serving yet.
func (u *unasked) watch(s *http.Server, listener string) {
	count := u.total.WithLabelValues(listener)
	next := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked, ok := r.Context().Value(askedKey{}).(*atomic.Bool); ok {
			asked.Store(true)
		}
		next.ServeHTTP(w, r)
	})
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		asked := new(atomic.Bool)
		u.conns.Store(c, asked)
		return context.WithValue(ctx, askedKey{}, asked)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state != http.StateClosed && state != http.StateHijacked {
			return
		}
		if asked, ok := u.conns.LoadAndDelete(c); ok && !asked.(*atomic.Bool).Load() {
			count.Inc()
		}
	}
}
