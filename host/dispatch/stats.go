package dispatch

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// recentInvocations is over how many of an app's invocations percentiles are
// taken.
const recentInvocations = 1024

// AppStats says how an app is doing.
type AppStats struct {
	App              string
	Running, Waiting int    // mailboxes on a worker, and waiting for one
	Breaker          string // "closed", "open" or "half_open"
	// Outcomes counts invocations, and with apps.Dropped and apps.Rejected the
	// events that were dropped and, of realtime events, rejected by the breaker.
	Outcomes   map[plugins.Outcome]int64
	Dropped    map[string]int64 // times that something was dropped, by one of the Reason constants
	Fuel       Percentiles      // units, of the last 1,024 invocations
	WallMicros Percentiles      // µs, of the same; waiting is not in it
}

// Percentiles are by nearest rank; all zero when nothing was measured.
type Percentiles struct{ P50, P90, P99, Max uint64 }

// PoolStats says how the pool is doing. Running never exceeds Workers.
type PoolStats struct {
	Workers     int
	Running     int // invocations on a worker
	PeakRunning int // the most at once since the start
	Waiting     int // mailboxes waiting for a worker
}

// Stats returns every app's, in the configuration's order.
func (d *Dispatcher) Stats() []AppStats {
	lanes := d.current()
	out := make([]AppStats, len(lanes))
	for i, l := range lanes {
		l.mu.Lock()
		t := l.now()
		state := t.breaker.state(time.Now())
		l.mu.Unlock()
		out[i] = t.stats.snapshot()
		out[i].Running, out[i].Waiting, out[i].Breaker = int(l.running.Load()), int(l.waiting.Load()), state
	}
	return out
}

// Pool returns the pool's numbers.
func (d *Dispatcher) Pool() PoolStats {
	p := PoolStats{Workers: d.options.Workers, Running: int(d.running.Load()), PeakRunning: int(d.peak.Load())}
	for _, l := range d.current() {
		p.Waiting += int(l.waiting.Load())
	}
	return p
}

// bufferedAudio returns the bytes of audio that all sessions hold, and how many
// of them have a buffer.
func (d *Dispatcher) bufferedAudio() (n int64, buffers int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s := range d.sessions {
		n += s.BufferedAudio()
		if s.WantsAudio() {
			buffers++
		}
	}
	return n, buffers
}

// stats counts what becomes of one app's events, for Stats and for metrics.
type stats struct {
	app     string
	metrics *metrics

	mu       sync.Mutex // guards all below
	outcomes map[plugins.Outcome]int64
	dropped  map[string]int64
	fuel     recent
	wall     recent // µs
}

func (s *stats) init(app string, m *metrics) {
	s.app, s.metrics = app, m
	s.outcomes, s.dropped = map[plugins.Outcome]int64{}, map[string]int64{}
}

// invocation counts one that was judged.
func (s *stats) invocation(k event.Kind, inv *apps.Invocation) {
	s.metrics.fuel.WithLabelValues(s.app).Observe(float64(inv.Fuel))
	s.metrics.duration.WithLabelValues(s.app).Observe(inv.Wall.Seconds())
	if inv.Restarted {
		s.metrics.restarts.WithLabelValues(s.app).Inc()
	}
	s.outcome(k, inv.Outcome)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fuel.add(inv.Fuel)
	s.wall.add(uint64(max(inv.Wall.Microseconds(), 0)))
}

func (s *stats) outcome(k event.Kind, o plugins.Outcome) {
	s.metrics.invocations.WithLabelValues(s.app, k.String(), string(o)).Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes[o]++
}

// drop counts a drop of realtime work.
func (s *stats) drop(g Gap) {
	s.metrics.dropped.WithLabelValues(s.app, g.Reason).Inc()
	if g.Bytes > 0 {
		s.metrics.droppedBytes.WithLabelValues(s.app).Add(float64(g.Bytes))
	}
	o := apps.Dropped
	if g.Reason == ReasonBreakerOpen {
		o = apps.Rejected
	}
	s.outcome(g.Kind, o)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped[g.Reason]++
}

// deferred counts a conversation event that was put off.
func (s *stats) deferred(reason string) {
	s.metrics.deferred.WithLabelValues(s.app, reason).Inc()
}

func (s *stats) hostError() { s.metrics.hostErrors.WithLabelValues(s.app).Inc() }

func (s *stats) snapshot() AppStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return AppStats{
		App: s.app, Outcomes: maps.Clone(s.outcomes), Dropped: maps.Clone(s.dropped),
		Fuel: s.fuel.percentiles(), WallMicros: s.wall.percentiles(),
	}
}

// recent holds the last recentInvocations values.
type recent struct {
	values []uint64
	next   int
}

func (r *recent) add(v uint64) {
	if len(r.values) < recentInvocations {
		r.values = append(r.values, v)
		return
	}
	r.values[r.next] = v
	r.next = (r.next + 1) % recentInvocations
}

func (r *recent) percentiles() Percentiles {
	if len(r.values) == 0 {
		return Percentiles{}
	}
	vs := slices.Sorted(slices.Values(r.values))
	rank := func(percent int) uint64 { return vs[(len(vs)*percent+99)/100-1] }
	return Percentiles{P50: rank(50), P90: rank(90), P99: rank(99), Max: vs[len(vs)-1]}
}
