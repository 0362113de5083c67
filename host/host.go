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

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/certificates"
	"github.com/auricle-dev/auricle/host/cluster"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/fetch"
	"github.com/auricle-dev/auricle/host/handover"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/replays"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/stream"
	"github.com/auricle-dev/auricle/host/users"
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
	// TakeOver has New take the listening sockets of the host that runs in the
	// same data directory, which then drains and ends. Where none runs, it is
	// as if not set.
	TakeOver bool
	// Salvage is store.Options.Salvage.
	Salvage bool
	// Chaos is stream.Options.Chaos; New refuses it where others than this
	// machine can connect.
	Chaos *stream.Chaos
}

// Host is a running host. It owns everything that it opens, and goes through
// these steps: 1 listen, 2 open the store, 3 load the apps, 4 start dispatch and
// jobs, and join the hosts that share the store, 5 take up what an earlier host
// left open, 6 serve, 7 shut down. Shutdown works after any step, also a failed
// one.
type Host struct {
	log      hclog.Logger
	version  string
	listener net.Listener // for clients
	operator net.Listener // for operators
	auth     *auth.Authenticator
	identity *identity // nil: the store is shared with nobody
	engine   *plugins.Engine
	replays  *replays.Directory // nil: nothing is recorded
	apps     *apps.Set
	store    *store.Store
	users    *users.Users
	dispatch *dispatch.Dispatcher
	members  *cluster.Members
	jobs     *jobs.Jobs
	sessions *conversation.Sessions
	streams  *stream.Server
	certs    *certificates.Source // nil: nothing is encrypted
	clients  *http.Server
	operates *http.Server
	reloads  *reloads

	follow   context.Context // of what follows the store; ends when the sessions have closed
	unfollow context.CancelFunc
	followed sync.WaitGroup
	began    time.Time

	offer *handover.Offer // of the listeners, to the host that takes its turn

	ready    chan struct{} // closed once the host serves
	taken    chan struct{} // closed when another host has taken the listeners
	stopping chan struct{} // closed when Shutdown begins
	stopOnce sync.Once
}

// The reasons for which a host is not ready.
var (
	errStarting = errors.New("starting")
	errStopping = errors.New("shutting down")
)

// New opens everything that the configuration asks for and takes up what an
// earlier host left: open conversations wait for their clients, the work that is
// due on completed ones begins. The ports are bound when New returns, but nothing
// is answered before Serve. The error is a config.Problems when apps are at
// fault; what had been opened is closed again. Warnings are logged.
func New(ctx context.Context, o Options) (_ *Host, err error) {
	h := &Host{
		log:      o.Logger,
		version:  o.Version,
		ready:    make(chan struct{}),
		taken:    make(chan struct{}),
		stopping: make(chan struct{}),
		began:    time.Now(),
	}
	h.follow, h.unfollow = context.WithCancel(context.WithoutCancel(ctx))
	h.reloads = newReloads(o, h.stopping)
	if h.log == nil {
		h.log = hclog.NewNullLogger()
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Shutdown(context.WithoutCancel(ctx)))
		}
	}()

	if o.TakeOver {
		// Before the old host begins to stop: nothing is to fail after.
		if err := h.loadApps(ctx, o); err != nil {
			return nil, err
		}
		if err := h.takeOver(ctx, o.Config); err != nil {
			return nil, err
		}
	}
	// The cheap and telling failures come first: a port in use, a data
	// directory held by another host.
	if h.listener == nil {
		if h.listener, err = listen(ctx, o.Config.Listen, "listen"); err != nil {
			return nil, err
		}
	}
	if h.operator == nil { // also after a host that had none
		if h.operator, err = listen(ctx, o.Config.Operators.Listen, "operators.listen"); err != nil {
			return nil, err
		}
	}

	if err := h.allowChaos(o.Chaos); err != nil {
		return nil, err
	}

	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	if err := h.certify(o.Config, metrics); err != nil {
		return nil, err
	}
	if h.auth, err = auth.New(auth.Options{Config: o.Config.Auth, Logger: h.log.Named("auth"), Registerer: metrics}); err != nil {
		return nil, err
	}
	if err := h.openStore(ctx, o, metrics); err != nil {
		return nil, err
	}
	if h.apps == nil {
		if err := h.loadApps(ctx, o); err != nil {
			return nil, err
		}
	}
	h.apps.KeepValues(values{h.store})
	if err := h.record(o.Config, metrics); err != nil {
		return nil, err
	}
	if err := h.startWork(ctx, o.Config, metrics); err != nil {
		return nil, err
	}
	h.streams = stream.New(stream.Options{
		Config:     o.Config.Stream,
		Sessions:   h.sessions,
		Auth:       h.auth,
		Logger:     h.log.Named("stream"),
		Registerer: metrics,
		Chaos:      o.Chaos,
	})
	h.newServers(o.Config, metrics)
	h.offer, err = handover.NewOffer(o.Config.DataDir, h.listener, h.operator, h.handOver)
	if err != nil {
		h.log.Warn("an upgrade will not be able to take over from this host", "error", err)
	}
	return h, nil
}

// allowChaos says so, loudly, when clients are going to be mistreated, and that
// it can't be where they may be somebody's.
func (h *Host) allowChaos(c *stream.Chaos) error {
	if c == nil {
		return nil
	}
	if a, ok := h.listener.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return fmt.Errorf("chaos is for trying clients on one machine, and %s can be reached from others; listen on 127.0.0.1, or leave -chaos away", h.listener.Addr())
	}
	h.log.Warn("CHAOS: this host breaks streams, closes them for no reason and refuses handshakes, on purpose; it is for trying clients, and for nothing else", "faults", c, "seed", c.Seed)
	return nil
}

// loadApps starts the engine and loads the apps. The error is a
// config.Problems when apps are at fault.
func (h *Host) loadApps(ctx context.Context, o Options) (err error) {
	h.engine, err = newEngine(ctx, filepath.Join(o.Config.DataDir, "cache"), o.Compiler)
	if errors.Is(err, syscall.ENOSPC) {
		// What is stored can be read, and is what matters now.
		h.log.Warn("the disk is full: starting without the cache of compiled modules", "error", err)
		h.engine, err = newEngine(ctx, "", nil)
	}
	if err != nil {
		return err
	}
	var problems config.Problems
	h.apps, problems = apps.Load(ctx, h.engine, o.Config.Apps)
	if err := problems.Err(); err != nil {
		return err
	}
	h.logProblems(problems)
	return nil
}

// openStore opens the data directory's store, or the cluster's.
func (h *Host) openStore(ctx context.Context, o Options, metrics prometheus.Registerer) (err error) {
	so := store.Options{
		Dir:     filepath.Join(o.Config.DataDir, "store"),
		Salvage: o.Salvage,
		Retention: store.Retention{
			Conversations: store.Limit(o.Config.Retention.Conversations),
			Outputs:       store.Limit(o.Config.Retention.Outputs),
			DeadLetters:   store.Limit(o.Config.Retention.DeadLetters),
		},
		// A session may be resumed for as long as it waits, and a while more for
		// what its client missed.
		SessionMemory: max(store.DefaultSessionMemory, 2*o.Config.Conversation.Grace),
		HostTTL:       store.DefaultHostTTL,
		Logger:        h.log.Named("store"),
		Registerer:    metrics,
	}
	if n := o.Config.Store.NATS; len(n.URLs) > 0 {
		if h.identity, err = claimIdentity(o.Config.DataDir); err != nil {
			return err
		}
		so.NATS = &store.NATS{URLs: n.URLs, Credentials: n.Credentials, CA: n.CA, Replicas: n.Replicas}
	}
	so.HostID = h.hostID()
	if h.store, err = store.Open(ctx, so); err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	return nil
}

// hostID names this host among those that share its store.
func (h *Host) hostID() string {
	if h.identity == nil {
		return conversation.DefaultHostID
	}
	return h.identity.id
}

// record has invocations recorded as the configuration asks for.
func (h *Host) record(c config.Config, metrics prometheus.Registerer) (err error) {
	if c.Replay.KeepBytes == 0 {
		return nil
	}
	o := replays.Options{
		Dir: filepath.Join(c.DataDir, "replays"), MaxBytes: c.Replay.KeepBytes,
		Logger: h.log.Named("replays"), Registerer: metrics,
	}
	if c.Replay.OneIn > 0 {
		o.Sample = 1 / float64(c.Replay.OneIn)
	}
	if h.replays, err = replays.Open(o); err != nil {
		return fmt.Errorf("opening the directory for recordings: %w", err)
	}
	h.apps.KeepRecordings(h.replays)
	return nil
}

// startWork starts dispatch, jobs and sessions, and takes up what an earlier
// host left open.
func (h *Host) startWork(ctx context.Context, c config.Config, metrics prometheus.Registerer) (err error) {
	calls, err := fetch.NewMetrics(metrics)
	if err != nil {
		return err
	}
	h.apps.CountCalls(calls)
	h.users, err = users.New(users.Options{Store: h.store, Changed: h.refit, Logger: h.log.Named("users"), Registerer: metrics})
	if err != nil {
		return err
	}
	h.dispatch, err = dispatch.New(dispatch.Options{
		Apps:        h.apps,
		Choices:     h.users,
		Workers:     c.Pool.Workers,
		Queue:       c.Pool.Queue,
		PerApp:      c.Pool.PerApp,
		AudioBuffer: c.Audio.BufferBytes,
		Logger:      h.log.Named("dispatch"),
		Registerer:  metrics,
	})
	if err != nil {
		return fmt.Errorf("starting dispatch: %w", err)
	}
	mo := cluster.Options{ID: h.hostID(), Self: h.self, Gone: h.takeUp, Logger: h.log.Named("cluster"), Registerer: metrics}
	if h.store.Shared() {
		mo.Store = h.store
	}
	h.members = cluster.New(mo)
	h.jobs, err = jobs.New(jobs.Options{
		Store:      h.store,
		Dispatch:   jobs.DispatchTo(h.dispatch),
		Apps:       func() *apps.Set { return h.apps },
		HostID:     mo.ID,
		Share:      h.members.Share,
		Alive:      h.members.Alive,
		Attempts:   c.Jobs.Attempts,
		Over:       c.Jobs.Over,
		Logger:     h.log.Named("jobs"),
		Registerer: metrics,
	})
	if err != nil {
		return fmt.Errorf("starting the jobs: %w", err)
	}
	h.sessions = conversation.New(conversation.Options{
		Store:       h.store,
		Dispatch:    conversation.DispatchTo(h.dispatch),
		Jobs:        h.jobs,
		HostID:      mo.ID,
		Silence:     c.Conversation.Silence,
		Grace:       c.Conversation.Grace,
		MaxSessions: c.Stream.Sessions,
		MaxPerUser:  c.Stream.PerUser,
		Logger:      h.log.Named("conversation"),
		Registerer:  metrics,
	})
	if err := h.members.Start(ctx); err != nil {
		return fmt.Errorf("joining the hosts that share the store: %w", err)
	}
	// Before anything runs: nobody is to get what was switched off.
	if err := h.loadUsers(ctx); err != nil {
		return err
	}
	if err := h.sessions.Recover(ctx, h.members.Alive); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("taking up what was open when the host stopped: %w", err)
		}
		// Of a full disk, for example: it is no reason to do nothing at all.
		h.log.Error("taking up what was open when the host stopped; trying again", "error", err)
		h.followed.Go(func() { h.takeUp(h.follow) }) // ends with follow; shutdown waits for it
	}
	h.followed.Go(func() { h.jobs.Run(h.follow) }) // ends when the jobs are stopped; shutdown waits for it
	if h.store.Shared() {
		h.followed.Go(func() { // ends with follow; shutdown waits for it
			err := h.store.FollowClaims(h.follow, func(session, host string) {
				if host != mo.ID {
					h.sessions.Lost(session)
				}
			})
			if err != nil && h.follow.Err() == nil {
				h.log.Warn("can't hear any more which sessions other hosts take over; their next writes will tell", "error", err)
			}
		})
	}
	return nil
}

// usersTimeout bounds the reading of what users have chosen, at the start.
const usersTimeout = time.Minute

// loadUsers follows what users choose, and returns once all is known that they
// had chosen.
func (h *Host) loadUsers(ctx context.Context) error {
	h.followed.Go(func() { // ends with follow; shutdown waits for it
		if err := h.users.Follow(h.follow); err != nil && h.follow.Err() == nil {
			h.log.Warn("can't hear any more which apps users switch at other hosts", "error", err)
		}
	})
	ctx, cancel := context.WithTimeout(ctx, usersTimeout)
	defer cancel()
	select {
	case <-h.users.Loaded():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reading which apps users have switched: %w", ctx.Err())
	}
}

// refit puts other apps of a user in force.
func (h *Host) refit(uid string) {
	h.dispatch.Refit(uid)
	h.jobs.Wake() // what waits may have to run, or not to
}

// takeUpPause is between two tries to take over what a host has left.
const takeUpPause = 5 * time.Second

// takeUp takes over what hosts that are gone have left, until that succeeds or
// ctx ends.
func (h *Host) takeUp(ctx context.Context) {
	h.jobs.Wake()
	for {
		err := h.sessions.Recover(ctx, h.members.Alive)
		if err == nil || ctx.Err() != nil {
			return
		}
		h.log.Error("taking over what a host that is gone has left; trying again", "error", err)
		t := time.NewTimer(takeUpPause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// self is what this host says of itself to those that share its store.
func (h *Host) self() store.Host {
	return store.Host{
		Address: h.Addr().String(), Version: h.version, Started: h.began.UTC(),
		Sessions: h.sessions.Len(), Running: h.dispatch.Pool().Running, Jobs: h.jobs.Claimed(),
	}
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

// Installed returns the apps, in the configuration's order.
func (h *Host) Installed() []*apps.App { return h.apps.All() }

// Apps returns what is known of each app's invocations.
func (h *Host) Apps() []dispatch.AppStats { return h.dispatch.Stats() }

// Pool returns how busy the pool is.
func (h *Host) Pool() dispatch.PoolStats { return h.dispatch.Pool() }

// Shutdown stops the host, bounded by ctx: new streams are refused, clients
// are told, what is open is handed over to the next host, what runs is finished,
// and everything is closed. What ctx cut short is in the error. Calling it again
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
	if h.members != nil {
		step("telling the other hosts", h.members.Leave)
	}
	if h.streams != nil {
		step("closing the streams", h.streams.Shutdown)
	}
	if h.sessions != nil {
		step("handing over what is open", h.sessions.Close)
	}
	step("waiting for a reload", h.reloads.close)
	h.unfollow()
	if h.jobs != nil {
		h.jobs.Stop()
	}
	if h.dispatch != nil {
		step("finishing what runs", h.dispatch.Drain)
	}
	if h.jobs != nil {
		step("storing what apps answered", h.jobs.Close)
	}
	h.followed.Wait() // ended with unfollow, and with the jobs
	if h.sessions != nil {
		step("storing what apps made of live events", h.sessions.Flush)
	}
	if h.clients != nil {
		step("closing the clients' HTTP server", closing(h.clients))
		step("closing the operators' HTTP server", closing(h.operates))
	}
	for _, l := range []net.Listener{h.listener, h.operator} {
		if l == nil {
			continue
		}
		// The server closes it too when it had begun to serve.
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	// From here on nothing waits for clients or apps: what is open is closed
	// even when ctx has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if h.auth != nil {
		h.auth.Close()
	}
	if h.apps != nil {
		step("closing the apps", h.apps.Close)
	}
	if h.engine != nil {
		step("closing the engine", h.engine.Close)
	}
	if h.replays != nil {
		step("storing the recordings", h.replays.Close)
	}
	if h.members != nil {
		step("leaving the other hosts", h.members.Close)
	}
	if h.store != nil {
		step("closing the store", h.store.Close)
	}
	if h.identity != nil {
		step("giving the host's name free", func(context.Context) error { return h.identity.release() })
	}
	if h.offer != nil {
		// At the end: by it, who has taken over sees that all was let go.
		step("withdrawing the offer of the listeners", func(context.Context) error { return h.offer.Close() })
	}
	select {
	case <-h.ready:
		h.log.Info("stopped")
	default: // it never served, which New's error says
	}
	return errors.Join(errs...)
}
