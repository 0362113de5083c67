// Package host builds a running host from a configuration: it is the one
// package that knows all the others.
//
// What a client streams goes stream → conversation → dispatch → apps →
// plugins, and what is kept goes to store; api answers HTTP beside it. None of
// those packages imports host.
//
// Host is safe for concurrent use. It is not a daemon: signals, exit codes and
// the process belong to cmd/auricle.
package host

import (
	"context"
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
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/stream"
	"github.com/auricle-dev/auricle/plugins"
)

// Options configure a Host.
type Options struct {
	Config  config.Config
	Logger  hclog.Logger // nil discards
	Version string       // shown by the HTTP API
	// Compiler is plugins.Options.Compiler; nil compiles modules in this process.
	Compiler []string
	// Reload reads the configuration again, from where Config came from, for
	// Host.Reload and POST /v1/reload. Nil: it can't be reloaded.
	Reload func() (config.Config, config.Problems)
}

// Host is a running host. It owns everything that it opens, and goes through
// these steps: 1 listen, 2 open the store, 3 load the apps, 4 start dispatch,
// 5 complete what an earlier host left open, 6 serve, 7 shut down. Shutdown
// works after any step, also a failed one.
type Host struct {
	log      hclog.Logger
	version  string
	listener net.Listener
	engine   *plugins.Engine
	apps     *apps.Set
	store    *store.Store
	dispatch *dispatch.Dispatcher
	sessions *conversation.Sessions
	streams  *stream.Server
	http     *http.Server
	reloads  *reloads

	ready    chan struct{} // closed once the host serves
	stopping chan struct{} // closed when Shutdown begins
	stopOnce sync.Once
}

// The reasons for which a host is not ready.
var (
	errStarting = errors.New("starting")
	errStopping = errors.New("shutting down")
)

// New opens everything that the configuration asks for and completes the
// conversations that an earlier host left open. The port is bound when New
// returns, but nothing is answered before Serve. The error is a
// config.Problems when apps are at fault; what had been opened is closed
// again. Warnings are logged.
func New(ctx context.Context, o Options) (_ *Host, err error) {
	h := &Host{
		log:      o.Logger,
		version:  o.Version,
		ready:    make(chan struct{}),
		stopping: make(chan struct{}),
	}
	h.reloads = newReloads(o, h.stopping)
	if h.log == nil {
		h.log = hclog.NewNullLogger()
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Shutdown(context.WithoutCancel(ctx)))
		}
	}()

	// The cheap and telling failures come first: a port in use, a data
	// directory held by another host.
	h.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.Config.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("listening on %s: the port is in use, perhaps by another host; stop it or set another listen address: %w", o.Config.Listen, err)
		}
		return nil, fmt.Errorf("listening on %s: %w", o.Config.Listen, err)
	}

	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	h.store, err = store.Open(ctx, store.Options{
		Dir:        filepath.Join(o.Config.DataDir, "store"),
		Logger:     h.log.Named("store"),
		Registerer: metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}

	h.engine, err = newEngine(ctx, filepath.Join(o.Config.DataDir, "cache"), o.Compiler)
	if err != nil {
		return nil, err
	}
	var problems config.Problems
	h.apps, problems = apps.Load(ctx, h.engine, o.Config.Apps)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	h.logProblems(problems)

	h.dispatch, err = dispatch.New(dispatch.Options{
		Apps:        h.apps,
		Workers:     o.Config.Pool.Workers,
		Queue:       o.Config.Pool.Queue,
		PerApp:      o.Config.Pool.PerApp,
		AudioBuffer: o.Config.Audio.BufferBytes,
		Logger:      h.log.Named("dispatch"),
		Registerer:  metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("starting dispatch: %w", err)
	}
	h.sessions = conversation.New(conversation.Options{
		Store:      h.store,
		Dispatch:   conversation.DispatchTo(h.dispatch),
		Silence:    o.Config.Conversation.Silence,
		Grace:      o.Config.Conversation.Grace,
		Logger:     h.log.Named("conversation"),
		Registerer: metrics,
	})
	if err := h.sessions.Recover(ctx); err != nil {
		return nil, fmt.Errorf("completing the conversations that were open when the host stopped: %w", err)
	}
	h.streams = stream.New(stream.Options{
		Config:     o.Config.Stream,
		Sessions:   h.sessions,
		Logger:     h.log.Named("stream"),
		Registerer: metrics,
	})
	h.http = h.newServer(metrics)
	return h, nil
}

// Check loads every app of a configuration as New would and reports what is
// wrong with it, opening neither port nor store. cacheDir may be empty.
func Check(ctx context.Context, c config.Config, cacheDir string) (config.Problems, error) {
	engine, err := newEngine(ctx, cacheDir, nil)
	if err != nil {
		return nil, err
	}
	set, problems := apps.Load(ctx, engine, c.Apps)
	if set != nil {
		err = set.Close(ctx)
	}
	return problems, errors.Join(err, engine.Close(ctx))
}

func newEngine(ctx context.Context, cacheDir string, compiler []string) (*plugins.Engine, error) {
	engine, err := plugins.New(ctx, plugins.Options{
		CacheDir:    cacheDir,
		Compiler:    compiler,
		HostModules: []plugins.HostModule{apps.HostModule()},
	})
	if err != nil {
		return nil, fmt.Errorf("starting the engine: %w", err)
	}
	return engine, nil
}

// newServer puts the stream and the HTTP API behind one server. It bounds
// what a client can hold open before it has said anything; a stream's own
// bounds begin once it is upgraded.
func (h *Host) newServer(metrics prometheus.Gatherer) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("/v1/stream", h.streams)
	var reload func(context.Context) (ReloadReport, error)
	if h.reloads.read != nil {
		reload = h.Reload
	}
	mux.Handle("/", api.New(api.Options{
		Store:    h.store,
		Dispatch: h.dispatch,
		Apps:     h.apps,
		Gatherer: metrics,
		Reload:   reload,
		Ready:    h.Ready,
		Version:  h.version,
		Logger:   h.log.Named("api"),
	}))
	return &http.Server{
		Handler:           api.LoopbackOnly(h.Addr().String(), mux),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          h.log.Named("http").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
}

// Addr returns the address that the host listens on.
func (h *Host) Addr() net.Addr { return h.listener.Addr() }

// Ready reports, as an error that says why not, whether the host serves.
func (h *Host) Ready() error {
	select {
	case <-h.stopping:
		return errStopping
	default:
	}
	select {
	case <-h.ready:
		return h.store.Ready()
	default:
		return errStarting
	}
}

// Serve answers clients until Shutdown is called, and then returns nil.
func (h *Host) Serve() error {
	close(h.ready)
	h.log.Info("serving", "address", h.Addr().String(), "apps", len(h.apps.All()))
	if err := h.http.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", h.Addr(), err)
	}
	return nil
}

// Installed returns the apps, in the configuration's order.
func (h *Host) Installed() []*apps.App { return h.apps.All() }

// Apps returns what is known of each app's invocations.
func (h *Host) Apps() []dispatch.AppStats { return h.dispatch.Stats() }

// Pool returns how busy the pool is.
func (h *Host) Pool() dispatch.PoolStats { return h.dispatch.Pool() }

// Shutdown stops the host, bounded by ctx: new streams are refused, clients
// are told, open conversations are completed, what runs is finished, and
// everything is closed. What ctx cut short is in the error. Calling it again
// returns nil at once.
func (h *Host) Shutdown(ctx context.Context) (err error) {
	h.stopOnce.Do(func() { err = h.shutdown(ctx) })
	return err
}

func (h *Host) shutdown(ctx context.Context) error {
	close(h.stopping)
	var errs []error
	step := func(what string, f func(context.Context) error) {
		if err := f(ctx); err != nil {
			errs = append(errs, fmt.Errorf("shutting down: %s: %w", what, err))
		}
	}
	step("waiting for a reload", h.reloads.close)
	if h.streams != nil {
		step("closing the streams", h.streams.Shutdown)
	}
	if h.sessions != nil {
		step("completing the open conversations", h.sessions.Close)
	}
	if h.dispatch != nil {
		step("finishing what runs", h.dispatch.Drain)
	}
	if h.sessions != nil {
		step("storing what apps answered", h.sessions.Flush)
	}
	if h.http != nil {
		step("closing the HTTP server", h.http.Shutdown)
	}
	if h.listener != nil {
		// The server closes it too when it had begun to serve.
		if err := h.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	// From here on nothing waits for clients or apps: what is open is closed
	// even when ctx has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if h.apps != nil {
		step("closing the apps", h.apps.Close)
	}
	if h.engine != nil {
		step("closing the engine", h.engine.Close)
	}
	if h.store != nil {
		step("closing the store", h.store.Close)
	}
	select {
	case <-h.ready:
		h.log.Info("stopped")
	default: // it never served, which New's error says
	}
	return errors.Join(errs...)
}
