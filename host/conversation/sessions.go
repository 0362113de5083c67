package conversation

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The errors of Sessions.Start, besides those of audio.Format.Check.
var (
	ErrClosed          = errors.New("the host is shutting down")
	ErrTooManySessions = errors.New("the host has as many sessions as it may")
)

// Options configure Sessions. Zero means the default given.
type Options struct {
	Store    Store
	Dispatch Dispatcher // for a *dispatch.Dispatcher use DispatchTo

	Silence time.Duration // after which a conversation completes; 0 means 120 s
	Grace   time.Duration // for which a lost stream's conversation waits; 0 means 30 s

	MaxSessions             int   // with a stream attached, and as many that wait out a lost one or store; 0 means 10,000
	MaxConversationSegments int   // beyond, it completes with event.ReasonFull; 0 means 50,000
	MaxConversationBytes    int64 // text, ids and overhead of its segments; likewise; 0 means 16 MiB
	MaxCompleting           int   // conversations of one session that wait for the store; 0 means 4

	Logger     hclog.Logger          // nil discards
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Sessions owns every session, its conversations, journals and the results
// that wait for the store. In a host's life: 1 New 2 Recover 3 Start and what
// follows 4 Close, once streams are closed 5 Flush, once dispatch has drained.
type Sessions struct {
	o       Options
	log     hclog.Logger
	metrics *metrics
	results *results

	ctx    context.Context // ends when Close or Flush gives up on the store
	cancel context.CancelFunc
	wg     sync.WaitGroup // journals

	closing chan struct{} // closed when Close begins

	mu       sync.Mutex // guards what follows; never held across a call of a Session
	closed   bool
	sessions map[string]*Session
	attached int        // sessions with a stream
	detached *list.List // *Session that waits out its grace, longest first
}

// New returns Sessions ready for Recover and Start.
func New(o Options) *Sessions {
	if o.Silence <= 0 {
		o.Silence = 120 * time.Second
	}
	if o.Grace <= 0 {
		o.Grace = 30 * time.Second
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = 10_000
	}
	if o.MaxConversationSegments <= 0 {
		o.MaxConversationSegments = 50_000
	}
	if o.MaxConversationBytes <= 0 {
		o.MaxConversationBytes = 16 << 20
	}
	if o.MaxCompleting <= 0 {
		o.MaxCompleting = 4
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	m := newMetrics(o.Registerer)
	ctx, cancel := context.WithCancel(context.Background())
	return &Sessions{
		o:        o,
		log:      o.Logger,
		metrics:  m,
		results:  newResults(o.Store, o.Logger, m),
		ctx:      ctx,
		cancel:   cancel,
		closing:  make(chan struct{}),
		sessions: make(map[string]*Session),
		detached: list.New(),
	}
}

// Silence returns the silence after which a conversation completes.
func (m *Sessions) Silence() time.Duration { return m.o.Silence }

// MaxSessions returns how many sessions may have a stream attached.
func (m *Sessions) MaxSessions() int { return m.o.MaxSessions }

// StartRequest says what a client wants to do. Its strings have been checked.
type StartRequest struct {
	UID      string
	Audio    *audio.Format // nil: the session has transcripts only
	Language string        // BCP 47
	Source   string
	Metadata map[string]string // not changed after
}

// Start begins a session that speaks to c. The errors are ErrClosed,
// ErrTooManySessions, ctx's, and those of audio.Format.Check.
func (m *Sessions) Start(ctx context.Context, r StartRequest, c Client) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.Audio != nil {
		if err := r.Audio.Check(); err != nil {
			return nil, err
		}
	}
	s := &Session{owner: m, id: newID("s_"), request: r, done: make(chan struct{}), drained: make(chan struct{})}
	s.attached.Store(&c)
	s.current = s.next()

	m.mu.Lock()
	switch {
	case m.closed:
		m.mu.Unlock()
		return nil, ErrClosed
	case m.attached >= m.o.MaxSessions, len(m.sessions) >= 2*m.o.MaxSessions:
		m.mu.Unlock()
		return nil, ErrTooManySessions
	}
	m.attached++
	m.sessions[s.id] = s
	m.mu.Unlock()
	m.metrics.sessions.Inc()

	so := dispatch.SessionOptions{UID: r.UID, ID: s.id, Language: r.Language, Deliver: s.deliver, Gap: s.gap}
	if r.Audio != nil {
		so.Rate = r.Audio.Rate
		s.frameBytes = r.Audio.FrameBytes()
	}
	// Close may have come in between; leave finds the session with mailboxes
	// or marks it so that they are closed here.
	boxes := m.o.Dispatch.Open(so)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boxes = boxes
	if s.phase == phaseClosed {
		boxes.Close()
		return nil, ErrClosed
	}
	m.log.Debug("session started", "session", s.id, "audio", s.Audience())
	return s, nil
}

// remove forgets a session that has closed.
func (m *Sessions) remove(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, s.id)
	if s.waiting != nil {
		m.detached.Remove(s.waiting)
		s.waiting = nil
	} else if !s.lost {
		m.attached--
	}
	m.metrics.sessions.Dec()
}

// lose moves a session from those with a stream to those without. It returns
// the session that has waited longest when there are too many of these: it is
// not kept waiting any longer.
func (m *Sessions) lose(s *Session) (longest *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.lost = true
	m.attached--
	s.waiting = m.detached.PushBack(s)
	if m.detached.Len() <= m.o.MaxSessions {
		return nil
	}
	longest = m.detached.Remove(m.detached.Front()).(*Session)
	longest.waiting = nil
	return longest
}

// Recover completes the conversations that were open when an earlier host
// died, with event.ReasonRecovered, and hands them to the apps. What can't be
// completed is in the error and is found again at the next start.
func (m *Sessions) Recover(ctx context.Context) error {
	found, err := m.o.Store.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("looking for conversations that were left open: %w", err)
	}
	var errs []error
	for _, c := range found {
		c.Reason = event.ReasonRecovered
		c.CompletedAt = time.Now().UTC()
		sortSegments(c.Segments)
		if err := m.o.Store.Complete(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("completing conversation %s: %w", c.ID, err))
			continue
		}
		m.metrics.completed.WithLabelValues(string(c.Reason)).Inc()
		m.log.Info("recovered a conversation that was left open", "conversation", c.ID, "segments", len(c.Segments))
		boxes := m.o.Dispatch.Open(dispatch.SessionOptions{
			UID: c.UID, ID: c.Session, Language: c.Language, Recovered: true,
		})
		complete(boxes, c, m.results.keep) // the apps' answers are kept whenever they come
		boxes.Close()
	}
	return errors.Join(errs...)
}

// Close completes every open conversation with event.ReasonShutdown and waits
// until all are on synced disk. When ctx ends first it gives up; what was
// acknowledged is recovered at the next start, and the error says how many
// conversations that concerns. Call it when streams have been told, and
// before dispatch drains. After Close, Start returns ErrClosed.
func (m *Sessions) Close(ctx context.Context) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	all := slices.Collect(maps.Values(m.sessions))
	m.mu.Unlock()
	close(m.closing)

	for _, s := range all {
		s.leave(event.ReasonShutdown)
	}
	var err error
	left := 0
	for _, s := range all {
		select {
		case <-s.done:
			continue
		default:
		}
		select {
		case <-s.done:
		case <-ctx.Done():
			left++
			err = ctx.Err()
		}
	}
	m.cancel() // nothing is due any more, or nobody waits for it
	m.wg.Wait()
	if err != nil {
		return fmt.Errorf("%d sessions had conversations that are not on disk as completed; what was acknowledged is recovered at the next start: %w", left, err)
	}
	return nil
}

// Flush waits until what apps have answered is stored. When ctx ends first the
// rest is dropped, counted and in the error. Call it when dispatch has
// drained, and before the store closes.
func (m *Sessions) Flush(ctx context.Context) error { return m.results.flush(ctx) }
