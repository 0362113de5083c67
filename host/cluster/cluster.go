// Package cluster knows which hosts share a store, and which of them are
// alive.
//
// Each host announces itself every few seconds and follows what the others
// announce. One that was not heard of for DeadAfter, by this host's monotonic
// clock, is dead; one that said that it leaves is gone at once. Whoever holds
// sessions or jobs of a host that is gone loses them to the others: they
// compare and set records in the store, so that it does no harm when two hosts
// differ for a moment about who is alive, or one was only slow.
//
// The way of the data: store.Announce and store.FollowHosts below, [Members]
// asked by conversation and jobs, told through Options.Gone.
//
// A host that shares its store with nobody is a cluster of one: it announces
// nothing.
package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/auricle-dev/auricle/host/store"
)

// The defaults of Options.
const (
	DefaultBeat      = 3 * time.Second
	DefaultDeadAfter = 12 * time.Second
)

// Store is what Members need of the store; *store.Store is one.
type Store interface {
	Announce(ctx context.Context, h store.Host) error
	Withdraw(ctx context.Context) error
	FollowHosts(ctx context.Context, f func(h store.Host, gone bool)) error
}

// Options configure Members. Zero means the default given.
type Options struct {
	Store Store             // nil: this host shares with nobody
	ID    string            // of this host
	Self  func() store.Host // what is announced of this host; called every Beat

	Beat      time.Duration // between two announcements; 0 means 3 s
	DeadAfter time.Duration // without one; 0 means 12 s

	// Gone is called when a host died, left, or turned out not to exist: what
	// it held may be taken over. One call at a time, with ctx ending at Close.
	Gone func(ctx context.Context)

	Logger     hclog.Logger          // nil discards
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Member is a host as this one sees it.
type Member struct {
	store.Host
	Self  bool
	Heard time.Duration // since its last announcement
}

// Members are the hosts that share a store. Close ends its goroutines.
type Members struct {
	o     Options
	log   hclog.Logger
	began time.Time

	cancel context.CancelFunc
	wg     sync.WaitGroup
	gone   chan struct{} // holds at most one signal for Options.Gone

	mu      sync.Mutex // guards what follows
	others  map[string]*other
	settled bool // DeadAfter has passed since the start: an unknown host is none
	leaving bool
}

// other is another host.
type other struct {
	host  store.Host
	heard time.Time // with the monotonic clock
}

// alive reports whether a host was heard of lately.
func (m *Members) alive(o *other) bool { return time.Since(o.heard) <= m.o.DeadAfter }

// New returns Members; Start begins to announce and follow.
func New(o Options) *Members {
	if o.Beat <= 0 {
		o.Beat = DefaultBeat
	}
	if o.DeadAfter <= 0 {
		o.DeadAfter = DefaultDeadAfter
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	m := &Members{o: o, log: o.Logger, began: time.Now(), gone: make(chan struct{}, 1), others: map[string]*other{}}
	promauto.With(o.Registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "auricle_cluster_hosts",
		Help: "Hosts that share the store and are alive, this one included.",
	}, func() float64 { return float64(1 + len(m.living())) })
	return m
}

// Start announces this host, and returns when that is known to the others. It
// does nothing for a host that shares with nobody. The error is the store's.
func (m *Members) Start(ctx context.Context) error {
	if m.o.Store == nil {
		return nil
	}
	if err := m.o.Store.Announce(ctx, m.self()); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.cancel = cancel
	m.wg.Go(func() { m.beat(run) })
	m.wg.Go(func() { m.tell(run) })
	m.wg.Go(func() {
		if err := m.o.Store.FollowHosts(run, m.hear); err != nil && run.Err() == nil {
			m.log.Error("can't follow the other hosts any more: they are taken for dead in a while", "error", err)
		}
	})
	return nil
}

// Leave says that this host takes nothing new: the others may take over what
// it lets go. The error is the store's.
func (m *Members) Leave(ctx context.Context) error {
	m.mu.Lock()
	m.leaving = true
	m.mu.Unlock()
	if m.cancel == nil {
		return nil
	}
	return m.o.Store.Announce(ctx, m.self())
}

// Close withdraws this host and waits for the goroutines. The error is the
// store's; the others notice anyway.
func (m *Members) Close(ctx context.Context) error {
	if m.cancel == nil {
		return nil
	}
	m.cancel()
	m.wg.Wait()
	m.cancel = nil
	return m.o.Store.Withdraw(ctx)
}

func (m *Members) self() store.Host {
	h := m.o.Self()
	h.ID = m.o.ID
	m.mu.Lock()
	defer m.mu.Unlock()
	h.Leaving = m.leaving
	return h
}

// beat announces this host, and notices whose announcements stay away.
func (m *Members) beat(ctx context.Context) {
	tick := time.NewTicker(m.o.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m.bury()
		try, cancel := context.WithTimeout(ctx, m.o.DeadAfter)
		err := m.o.Store.Announce(try, m.self())
		cancel()
		if err != nil && ctx.Err() == nil {
			m.log.Warn("can't announce this host to the others; they take over what it holds if this goes on", "error", err)
		}
	}
}

// bury forgets the hosts that are dead.
func (m *Members) bury() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, o := range m.others {
		if !m.alive(o) {
			delete(m.others, id)
			m.log.Warn("a host is dead: it was not heard of for too long", "host", id, "address", o.host.Address, "after", m.o.DeadAfter)
			m.signal()
		}
	}
	if !m.settled && time.Since(m.began) > m.o.DeadAfter {
		m.settled = true
		m.signal()
	}
}

// hear takes what another host announced.
func (m *Members) hear(h store.Host, gone bool) {
	if h.ID == m.o.ID {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.others[h.ID]
	switch {
	case gone:
		delete(m.others, h.ID)
		if known != nil {
			m.log.Info("a host has left", "host", h.ID)
			m.signal()
		}
		return
	case known == nil:
		m.log.Info("a host has come", "host", h.ID, "address", h.Address)
		known = new(other)
		m.others[h.ID] = known
	case h.Leaving && !known.host.Leaving:
		m.log.Info("a host is leaving", "host", h.ID)
		m.signal()
	}
	known.host, known.heard = h, time.Now()
}

// signal has Options.Gone called. Call it with mu held.
func (m *Members) signal() {
	select {
	case m.gone <- struct{}{}:
	default: // it is going to be
	}
}

func (m *Members) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.gone:
			if m.o.Gone != nil {
				m.o.Gone(ctx)
			}
		}
	}
}

// ID returns this host's id.
func (m *Members) ID() string { return m.o.ID }

// Alive reports whether a host may still be working on what it holds. One
// that was never heard of counts as alive until DeadAfter has passed since the
// start: its announcement may be on its way.
func (m *Members) Alive(id string) bool {
	if id == m.o.ID {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.others[id]
	if !ok {
		return m.o.Store != nil && !m.settled
	}
	return m.alive(o)
}

// living returns the other hosts that are alive, as they were last heard.
func (m *Members) living() []other {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []other
	for _, o := range m.others {
		if m.alive(o) {
			out = append(out, *o)
		}
	}
	return out
}

// Hosts returns the hosts that are alive, this one included, by id.
func (m *Members) Hosts() []Member {
	hs := []Member{{Host: m.self(), Self: true}}
	for _, o := range m.living() {
		hs = append(hs, Member{Host: o.host, Heard: time.Since(o.heard)})
	}
	slices.SortFunc(hs, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return hs
}

// Share returns this host's part of n invocations that all hosts together may
// run at once: the parts of all hosts that are not leaving add up to n, and a
// host with few before it by id gets one of what is left over. It is 0 where
// there are more hosts than n.
func (m *Members) Share(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving {
		return 0
	}
	hosts, before := 1, 0
	for id, o := range m.others {
		if o.host.Leaving || !m.alive(o) {
			continue
		}
		hosts++
		if id < m.o.ID {
			before++
		}
	}
	share := n / hosts
	if before < n%hosts {
		share++
	}
	return share
}
