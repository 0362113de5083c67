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
	"github.com/auricle-dev/auricle/host/clock"
)

// The errors of Sessions.Start, besides those of audio.Format.Check.
var (
	ErrClosed          = errors.New("the host is shutting down")
	ErrTooManyStreams  = errors.New("the user has as many streams as allowed")
	ErrTooManySessions = errors.New("the host has as many sessions as it may")

	// ErrUnknownSession is for every session that can't be resumed: there is
	// none of this id, or it is over, or another user's. Which, is not told.
	ErrUnknownSession = errors.New("no such session to resume")
	// ErrFormatChanged says that a session is resumed with other audio than it
	// began with. The error that wraps it names both, fit for the client.
	ErrFormatChanged = errors.New("a session's audio format can't change")
)

// DefaultHostID is Options.HostID of a host that is alone.
const DefaultHostID = "local"

// Options configure Sessions. Zero means the default given.
type Options struct {
	Store    Store
	Dispatch Dispatcher // for a *dispatch.Dispatcher use DispatchTo
	Jobs     Jobs
	HostID   string // this host's among those that share the store, the same when it starts again; empty means DefaultHostID

	Silence time.Duration // after which a conversation completes; 0 means 120 s
	Grace   time.Duration // for which a session without a stream waits for one to resume it; 0 means 30 s

	MaxSessions             int   // with a stream attached, and as many without that wait for one, or for the store; 0 means 10,000
	MaxPerUser              int   // of one user's sessions, with a stream attached; 0: no limit
	MaxConversationSegments int   // beyond, it completes with event.ReasonFull; 0 means 50,000
	MaxConversationBytes    int64 // text, ids and overhead of its segments; likewise; 0 means 16 MiB
	MaxCompleting           int   // conversations of one session that wait for the store; 0 means 4

	// Now is the wall clock, by which conversations are dated; nil means
	// time.Now. No duration is measured by it, so it may jump.
	Now func() time.Time

	Logger     hclog.Logger          // nil discards
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Sessions owns every session, its conversations, journals and the results
// that wait for the store. In a host's life: 1 New 2 Recover, and again
// whenever another host is gone 3 Start and what follows 4 Close, once streams
// are closed 5 Flush, once dispatch has drained.
type Sessions struct {
	o       Options
	log     hclog.Logger
	metrics *metrics
	results *results
	ids     ids
	inHand  inHand
	clock   *clock.Clock // of every session

	decoders *audio.Decoders // of every stream that an app hears

	ctx    context.Context // ends when Close or Flush gives up on the store
	cancel context.CancelFunc
	wg     sync.WaitGroup // journals, and what looks whether sessions are lost

	closing chan struct{} // closed when Close begins

	mu       sync.Mutex // guards what follows; never held across a call of a session
	closed   bool
	sessions map[string]*session
	taking   map[string]chan struct{} // sessions that are being taken from the store; closed when that is over
	attached int                      // sessions with a stream, and those that are about to have one
	users    map[string]int           // these, by user
	waiting  *list.List               // *session that waits for a stream, longest first
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
	if o.HostID == "" {
		o.HostID = DefaultHostID
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	m := newMetrics(o.Registerer)
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sessions{
		o:        o,
		log:      o.Logger,
		metrics:  m,
		results:  newResults(o.Store, o.Logger, m),
		ids:      ids{now: o.Now},
		clock:    clock.New(),
		decoders: &audio.Decoders{},
		ctx:      ctx,
		cancel:   cancel,
		closing:  make(chan struct{}),
		sessions: make(map[string]*session),
		taking:   make(map[string]chan struct{}),
		users:    make(map[string]int),
		waiting:  list.New(),
	}
	m.countDecoders(s.decoders)
	return s
}

// Silence returns the silence after which a conversation completes.
func (m *Sessions) Silence() time.Duration { return m.o.Silence }

// MaxSessions returns how many sessions may have a stream attached.
func (m *Sessions) MaxSessions() int { return m.o.MaxSessions }

// MaxPerUser returns how many of one user's may; 0 is no limit.
func (m *Sessions) MaxPerUser() int { return m.o.MaxPerUser }

// StartRequest says what a client wants to do. Its strings have been checked.
type StartRequest struct {
	UID     string
	Session string        // to resume; empty begins a new one
	Audio   *audio.Format // nil: the session has transcripts only

	// Name, where it is not empty, is the session's, of letters, digits, '_' and
	// '-', and must tell users apart by itself; Session is then not looked at. The
	// session is begun when there is none of the name.
	Name string
	// Kind begins the id of a session that has no name, and of one that has it is
	// the beginning of the name; see Waiting.
	Kind string
	// Silence after which a conversation completes; 0 means that of Options. It
	// holds while a stream that has asked for it is attached.
	Silence time.Duration
	// AnyAudio resumes a session whose audio is another than Audio; see Ready.
	AnyAudio bool

	// What a stream that resumes a session gives of these holds for the
	// conversations that begin after; what it leaves out stays as it was.
	Language string // BCP 47
	Source   string
	Metadata map[string]string // not changed after
}

// Len returns how many sessions there are, with or without a stream.
func (m *Sessions) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sessions)
}

// Start begins a session, or resumes one, that speaks to c. A session that is
// resumed is taken from the stream that still has it, from the store if need
// be, and so from another host. The errors are ErrClosed, ErrTooManySessions,
// ErrTooManyStreams, ErrUnknownSession, ErrFormatChanged, ErrFinished, ctx's, those of audio.Format.Check, and
// the store's when it can't say whether there is such a session.
func (m *Sessions) Start(ctx context.Context, r StartRequest, c Client) (*Attachment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.Audio != nil {
		if err := r.Audio.Check(); err != nil {
			return nil, err
		}
	}
	switch {
	case r.Name != "":
		return m.startNamed(ctx, r, c)
	case r.Session != "":
		return m.resume(ctx, r, c)
	}
	if err := m.admit(r.UID); err != nil {
		return nil, err
	}
	prefix := "s_"
	if r.Kind != "" {
		prefix += r.Kind + "_"
	}
	return m.begin(m.ids.next(prefix), r, c)
}

// begin begins a session for a stream that was admitted.
func (m *Sessions) begin(id string, r StartRequest, c Client) (*Attachment, error) {
	s := m.newSession(id, r, false)
	s.current = s.newConversation(s.nextID())
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := m.register(s); err != nil {
		s.boxes.Close()
		return nil, err
	}
	m.log.Debug("session started", "session", s.id, "audio", s.audience())
	return s.attach(c), nil
}

// admit counts a user's stream that is about to have a session; register or
// dismiss must follow.
func (m *Sessions) admit(uid string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return ErrClosed
	case len(m.sessions) >= 2*m.o.MaxSessions:
		return ErrTooManySessions
	}
	return m.enter(uid)
}

// enter counts a user's stream, if there is room for it. mu is held.
func (m *Sessions) enter(uid string) error {
	switch {
	case m.attached >= m.o.MaxSessions:
		return ErrTooManySessions
	case m.o.MaxPerUser > 0 && m.users[uid] >= m.o.MaxPerUser:
		return ErrTooManyStreams
	}
	m.attached++
	m.users[uid]++
	return nil
}

// leave takes enter back. mu is held.
func (m *Sessions) leave(uid string) {
	m.attached--
	if m.users[uid]--; m.users[uid] == 0 {
		delete(m.users, uid)
	}
}

// dismiss takes admit back.
func (m *Sessions) dismiss(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leave(uid)
}

// register makes a session known, whose stream was admitted. When it fails the
// stream is dismissed.
func (m *Sessions) register(s *session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		m.leave(s.request.UID)
		return ErrClosed
	}
	s.place.attached = true
	m.sessions[s.id] = s
	m.metrics.sessions.Inc()
	return nil
}

// registerWaiting makes a session known that has no stream. It returns what
// lose returns.
func (m *Sessions) registerWaiting(s *session) (longest *session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	m.sessions[s.id] = s
	m.metrics.sessions.Inc()
	return m.line(s), nil
}

// remove forgets a session that has closed, or was let go.
func (m *Sessions) remove(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[s.id] != s {
		return
	}
	delete(m.sessions, s.id)
	m.unline(s)
	m.metrics.sessions.Dec()
}

// lose moves a session from those with a stream to those without. It returns
// the session that has waited longest when there are too many of these: it is
// not kept waiting any longer.
func (m *Sessions) lose(s *session) (longest *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unline(s)
	return m.line(s)
}

// regain moves a session to those with a stream. The error is
// ErrTooManySessions or ErrTooManyStreams.
func (m *Sessions) regain(s *session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.place.attached {
		return nil
	}
	if err := m.enter(s.request.UID); err != nil {
		return err
	}
	m.unline(s)
	s.place.attached = true
	return nil
}

// line puts a session behind those that wait for a stream. mu is held.
func (m *Sessions) line(s *session) (longest *session) {
	s.place.waiting = m.waiting.PushBack(s)
	if m.waiting.Len() <= m.o.MaxSessions {
		return nil
	}
	longest = m.waiting.Front().Value.(*session)
	m.unline(longest)
	return longest
}

// unline takes a session from wherever it counts. mu is held.
func (m *Sessions) unline(s *session) {
	if s.place.attached {
		m.leave(s.request.UID)
	}
	if s.place.waiting != nil {
		m.waiting.Remove(s.place.waiting)
	}
	s.place = place{}
}

// Close hands every session over to whoever calls Recover next, this host when
// it starts again or another: what was said is stored, no conversation is
// completed but those that were being completed. It waits until that is on
// synced disk. When ctx ends first it gives up; what was acknowledged is found
// all the same, and the error says how many sessions that concerns. Call it
// when streams have been told, and before dispatch drains. After Close, Start
// returns ErrClosed.
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
		s.handOff()
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
	m.clock.Close()
	if err != nil {
		err = fmt.Errorf("%d sessions were not handed over; what was acknowledged is recovered at the next start: %w", left, err)
	}
	if e := m.decoders.Close(ctx); e != nil {
		err = errors.Join(err, fmt.Errorf("closing the decoders of audio: %w", e))
	}
	return err
}

// Flush waits until what apps have answered is stored. When ctx ends first the
// rest is dropped, counted and in the error. Call it when dispatch has
// drained, and before the store closes.
func (m *Sessions) Flush(ctx context.Context) error { return m.results.flush(ctx) }
