package host

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/certificates"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/handover"
	"github.com/auricle-dev/auricle/host/integrations"
	"github.com/auricle-dev/auricle/host/mcp"
	"github.com/auricle-dev/auricle/host/origins"
	"github.com/auricle-dev/auricle/host/stream"
	"github.com/auricle-dev/auricle/host/tools"
)

// listen binds an address, which the configuration has under key.
func listen(ctx context.Context, address, key string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listening on %s: the port is in use, perhaps by another host; stop it, take over from it (-take-over) or set another address (%s): %w", address, key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s (%s): %w", address, key, err)
	}
	return l, nil
}

// takeOver takes the listeners of the host that runs in the data directory and
// waits until that host has ended. Without one it does nothing.
func (h *Host) takeOver(ctx context.Context, c config.Config) error {
	taken, err := handover.Take(ctx, c.DataDir)
	if errors.Is(err, handover.ErrNobody) {
		h.log.Info("there is no host to take over from", "data_dir", c.DataDir)
		return nil
	}
	if err != nil {
		return err
	}
	h.listener, h.operator = taken.Listener, taken.Operators
	h.checkTaken("listen", c.Listen, h.listener)
	if h.operator != nil {
		h.checkTaken("operators.listen", c.Operators.Listen, h.operator)
	}
	h.log.Info("took over the listening sockets; waiting for the other host to end", "address", h.listener.Addr().String())
	select {
	case <-taken.Ended:
		return taken.Close()
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("waiting for the host that was taken over: %w", ctx.Err()), taken.Close())
	}
}

// checkTaken warns when a socket that was taken is not the one that the
// configuration asks for.
func (h *Host) checkTaken(key, configured string, l net.Listener) {
	if have := l.Addr().String(); !sameAddress(configured, have) {
		h.log.Warn("going on with the address of the host that was taken over; restart to change it", "key", key, "address", have, "configured", configured)
	}
}

// sameAddress reports whether a socket that listens on have is what listen
// asks for; port 0 asks for any.
func sameAddress(listen, have string) bool {
	want, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return false
	}
	is, err := net.ResolveTCPAddr("tcp", have)
	return err == nil && want.IP.Equal(is.IP) && (want.Port == 0 || want.Port == is.Port)
}

// certify gets the certificates ready, where the configuration has some.
func (h *Host) certify(c config.Config, metrics prometheus.Registerer) (err error) {
	if !c.TLS.On() {
		for key, l := range map[string]net.Listener{"listen": h.listener, "operators.listen": h.operator} {
			if !config.Loopback(l.Addr().String()) {
				h.log.Warn("connections from other machines are not encrypted: whoever carries them reads tokens and what is said; configure tls, or put a proxy that does before the host", "key", key, "address", l.Addr().String())
			}
		}
		return nil
	}
	h.certs, err = certificates.New(certificates.Options{
		Config: c.TLS, CacheDir: filepath.Join(c.DataDir, "acme"), Logger: h.log.Named("tls"), Registerer: metrics,
	})
	return err
}

// newServers puts the stream and the HTTP API behind the two servers.
func (h *Host) newServers(c config.Config, metrics *prometheus.Registry) {
	var reload func(context.Context) (ReloadReport, error)
	if h.reloads.read != nil {
		reload = h.Reload
	}
	var recordings api.Replays
	if h.replays != nil {
		recordings = h.replays
	}
	callers := tools.New(tools.Options{Dispatch: h.dispatch, Apps: h.apps.All, Registerer: metrics})
	all := api.New(api.Options{
		Tools:    callers,
		MCP:      mcp.New(mcp.Options{Tools: callers, Version: h.version}),
		Auth:     h.auth,
		Store:    h.store,
		Dispatch: h.dispatch,
		Apps:     h.apps,
		Jobs:     h.jobs,
		Users:    h.users,
		Values:   h.store,
		Memories: h.store,
		Members:  h.members,
		Shared:   h.store.Shared(),
		Gatherer: metrics,
		Replays:  recordings,
		Reload:   reload,
		Ready:    h.Ready,
		Version:  h.version,
		Logger:   h.log.Named("api"),
	})
	mux := http.NewServeMux()
	mux.Handle(integrations.Path, integrations.New(integrations.Options{
		Store: h.store, Sessions: h.sessions, Apps: h.apps, Has: h.dispatch.Has,
		Logger: h.log.Named("integrations"), Registerer: metrics,
	}))
	for _, d := range stream.Dialects {
		mux.Handle(d.Path, h.streams.Handler(d))
	}
	mux.Handle("/", api.ForPages(origins.List(c.Stream.Origins), api.Authorise(h.auth, all)))
	h.clients = h.newServer(c, h.guard(h.listener, api.ForClients(mux)))
	h.operates = h.newServer(c, h.guard(h.operator, api.Authorise(h.auth, api.ForOperators(all))))
	unasked := newUnasked(metrics)
	unasked.watch(h.clients, "clients")
	unasked.watch(h.operates, "operators")
}

// newServer returns a server with a handler. It bounds what a client
// can hold open before it has said anything; a stream's own bounds begin once it
// is upgraded.
func (h *Host) newServer(c config.Config, handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler,
		// Bounds the TLS handshake too, which a read bounds by the least of these.
		ReadHeaderTimeout: c.Stream.HandshakeTimeout,
		ReadTimeout:       max(30*time.Second, c.Stream.HandshakeTimeout),
		WriteTimeout:      max(60*time.Second, c.Stream.HandshakeTimeout),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          h.log.Named("http").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
}

// guard keeps web pages out that reach a host on loopback under a name of their
// own, while being there is all that it takes to come in. Credentials are
// nothing that a browser sends by itself.
func (h *Host) guard(l net.Listener, next http.Handler) http.Handler {
	loopback := api.LoopbackOnly(l.Addr().String(), next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.auth.On() {
			next.ServeHTTP(w, r)
			return
		}
		loopback.ServeHTTP(w, r)
	})
}

// encrypted returns l, with TLS where connections on it are to be encrypted:
// clients' always, operators' when they come from other machines.
func (h *Host) encrypted(l net.Listener, always bool) net.Listener {
	if h.certs == nil || !always && config.Loopback(l.Addr().String()) {
		return l
	}
	return tls.NewListener(l, h.certs.Config())
}

// Addr returns the address that clients connect to.
func (h *Host) Addr() net.Addr { return h.listener.Addr() }

// OperatorsAddr returns the address that operators connect to.
func (h *Host) OperatorsAddr() net.Addr { return h.operator.Addr() }

// Serve answers clients and operators until Shutdown is called, or another host
// has taken the listeners, and then returns nil. When one listener fails it
// closes both.
func (h *Host) Serve() error {
	close(h.ready)
	h.log.Info("serving", "address", h.Addr().String(), "operators", h.OperatorsAddr().String(), "tls", h.certs != nil, "apps", len(h.apps.All()))
	var errs [2]error
	var wg sync.WaitGroup
	serve := func(err *error, s *http.Server, l net.Listener) {
		*err = s.Serve(l)
		h.listener.Close() // has both end; closed already in all cases but a failure
		h.operator.Close()
	}
	wg.Go(func() { serve(&errs[0], h.clients, h.encrypted(stream.Listener(h.listener), true)) }) // both end with Shutdown or handOver; waited for below
	wg.Go(func() { serve(&errs[1], h.operates, h.encrypted(h.operator, false)) })
	wg.Wait()
	for _, over := range []<-chan struct{}{h.taken, h.stopping} {
		select {
		case <-over:
			return nil
		default:
		}
	}
	return fmt.Errorf("serving on %s and %s: %w", h.Addr(), h.OperatorsAddr(), errors.Join(errs[:]...))
}

// closing returns what shuts a server down. Its listener may be closed already:
// another host has it.
func closing(s *http.Server) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := s.Shutdown(ctx); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// handOver stops accepting: another host has the listeners now.
func (h *Host) handOver() {
	h.log.Info("another host has taken over the listening sockets")
	close(h.taken)
	h.listener.Close() // the sockets themselves live on in the other host
	h.operator.Close()
}

// Taken is closed when another host has taken the listeners: the caller is to
// shut this one down.
func (h *Host) Taken() <-chan struct{} { return h.taken }
