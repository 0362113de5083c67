package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/clock"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// Options configure a Server.
type Options struct {
	// Config's zero values mean: messages of 1 MiB, an output queue of 1 MiB,
	// a handshake and start within 10 s each, a ping every 20 s, a pong within
	// 40 s, a message within 5 min, audio however fast. How many streams there may
	// be, Sessions says.
	Config   config.Stream
	Sessions *conversation.Sessions
	Auth     Authenticator // nil: everyone may stream as any user

	// RetryMin and RetryMax are within what time clients are asked to come back
	// that are sent away, each at a random moment; 0 means 500 ms and 3 s. With
	// very many streams it is longer: no more than comebackRate come at once.
	RetryMin, RetryMax time.Duration

	// Chaos mistreats clients, for those who write one; nil does not.
	Chaos *Chaos

	Logger     hclog.Logger          // nil discards
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Server serves GET /v1/stream. It owns the streams that it upgrades; Shutdown
// closes them and waits for their goroutines.
type Server struct {
	o        Options
	log      hclog.Logger
	metrics  *metrics
	clock    *clock.Clock // of every stream
	began    time.Time
	upgrader websocket.Upgrader
	buffers  sync.Pool     // *[]byte, for messages while they are read
	turns    chan struct{} // held by upgrades; see takeTurn
	leaving  atomic.Int64  // streams that were open when Shutdown was called

	mu       sync.Mutex // guards what follows
	closing  bool       // Shutdown was called
	cut      bool       // and does not wait for clients any longer
	shaking  int        // handshakes
	streams  map[*stream]struct{}
	users    map[string]int // streams of each user that credentials fix; "" is all others
	unknown  int            // streams, and handshakes, of nobody yet: see unknown.go
	streamed chan struct{}  // holds at most one signal: a stream or a handshake ended
}

// New returns a Server that is ready to serve.
func New(o Options) *Server {
	c := &o.Config
	if c.MaxMessageBytes <= 0 {
		c.MaxMessageBytes = 1 << 20
	}
	if c.OutputQueueBytes <= 0 {
		c.OutputQueueBytes = 1 << 20
	}
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = 10 * time.Second
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = 10 * time.Second
	}
	if c.PingInterval <= 0 {
		c.PingInterval = 20 * time.Second
	}
	if c.PongTimeout <= 0 {
		c.PongTimeout = 40 * time.Second
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 5 * time.Minute
	}
	if o.RetryMin <= 0 {
		o.RetryMin = 500 * time.Millisecond
	}
	if o.RetryMax <= 0 {
		o.RetryMax = 3 * time.Second
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	return &Server{
		o:       o,
		log:     o.Logger,
		metrics: newMetrics(o.Registerer),
		clock:   clock.New(),
		began:   time.Now(),
		upgrader: websocket.Upgrader{
			HandshakeTimeout:  c.HandshakeTimeout,
			EnableCompression: c.Compression,
			ReadBufferSize:    readBufferBytes,
			WriteBufferSize:   4096,
			WriteBufferPool:   new(sync.Pool),
			CheckOrigin:       func(*http.Request) bool { return true }, // refuseRequest has
			Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
				w.Header().Set("Sec-WebSocket-Version", "13")
				(&refusal{status: status, code: "bad_handshake", message: reason.Error()}).write(w)
			},
		},
		turns:    make(chan struct{}, 2*runtime.GOMAXPROCS(0)),
		buffers:  sync.Pool{New: func() any { b := make([]byte, 4096); return &b }},
		streams:  make(map[*stream]struct{}),
		users:    make(map[string]int),
		streamed: make(chan struct{}, 1),
	}
}

// ServeHTTP makes the request a stream of the native protocol and returns; the
// stream lives on. A request that does not become one is answered with a status
// and a JSON body.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(Native, w, r) }

// Handler returns what serves a dialect's path as ServeHTTP does its own.
func (s *Server) Handler(d *Dialect) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(d, w, r) })
}

func (s *Server) serve(d *Dialect, w http.ResponseWriter, r *http.Request) {
	if f := s.admit(); f != nil {
		s.refuse(w, f)
		return
	}
	chaos := s.o.Chaos.stream()
	opening, identity, f := s.check(d, w, r, chaos)
	unknown := d.late && !identity.May(auth.Stream)
	if f == nil && unknown {
		f = s.admitUnknown()
	}
	if f != nil {
		s.shaken(false)
		s.refuse(w, f)
		return
	}
	if !s.takeTurn(r.Context()) {
		s.shaken(unknown) // the client has left
		return
	}
	defer s.giveTurn()
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.shaken(unknown)
		s.metrics.handshakes.WithLabelValues("bad_handshake").Inc()
		s.log.Debug("refused a handshake", "remote", r.RemoteAddr, "error", err)
		return
	}
	st := newStream(s, conn, opening.speak)
	st.chaos, st.unknown = chaos, unknown
	st.identity, st.uid = identity, identity.UID
	st.beginWatch(time.Now()) // before anybody can close it

	s.mu.Lock()
	defer s.mu.Unlock()
	s.shaking-- // from here on it counts as a stream, and never as both
	s.streams[st] = struct{}{}
	s.users[identity.UID]++
	s.metrics.open.Inc()
	if s.closing {
		st.shutdown()
	}
	if s.cut {
		conn.Close()
	}
	go st.run() // ends when the stream closes, at last with forget; Shutdown waits for that
}

// takeTurn waits until few others are upgraded, and reports false when ctx ends
// first. When thousands of clients come at once, each of the goroutines that an
// acknowledgement goes through would otherwise wait behind all of theirs. Nothing
// that waits for somebody else, as an issuer's keys or the store, may hold a
// turn: all would wait with it.
func (s *Server) takeTurn(ctx context.Context) bool {
	select {
	case s.turns <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Server) giveTurn() { <-s.turns }

// check says who asks for a stream, and why there is to be none.
func (s *Server) check(d *Dialect, w http.ResponseWriter, r *http.Request, chaos *streamChaos) (o opening, identity auth.Identity, f *refusal) {
	if f = refuseRequest(r, d.Path, s.o.Config.Origins); f != nil {
		return
	}
	if f = chaos.refuse(); f != nil {
		return
	}
	if identity, f = s.identify(d, w.Header(), r); f != nil {
		return
	}
	if o, f = d.open(r); f != nil { // after the credentials: who shows none is told nothing
		return
	}
	if o.needsUID && o.uid == "" && identity.UID == "" {
		f = &refusal{status: http.StatusBadRequest, code: codeBadQuery, message: "the query has no uid; say whose audio it is, which these credentials leave open"}
		return
	}
	if f = s.refuseOther(identity, o.uid); f != nil {
		return
	}
	return o, identity, s.refuseUser(identity.UID)
}

// refuseUser refuses a stream of a user that the credentials fix, where the user
// has twice as many as allowed. Each may be one that resumes another whose
// connection is dead, which is not known before start; so up to there, start
// decides.
func (s *Server) refuseUser(uid string) *refusal {
	most := s.o.Sessions.MaxPerUser()
	s.mu.Lock()
	defer s.mu.Unlock()
	if uid == "" || most == 0 || s.users[uid] < 2*most {
		return nil
	}
	return &refusal{status: http.StatusTooManyRequests, code: wire.CodeTooManyStreams, retryAfter: 10 * time.Second,
		message: fmt.Sprintf("the user has %d streams, and may have %d; close some, and connect again in a while", s.users[uid], most)}
}

// refuse answers with a refusal, and counts it.
func (s *Server) refuse(w http.ResponseWriter, f *refusal) {
	s.metrics.handshakes.WithLabelValues(f.code).Inc()
	f.write(w)
}

// admit counts a handshake, or refuses it while the host can't take one.
func (s *Server) admit() *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return &refusal{status: http.StatusServiceUnavailable, code: wire.CodeShuttingDown, retryAfter: time.Second,
			message: "the host is shutting down; connect again in a while"}
	case len(s.streams)+s.shaking >= s.o.Sessions.MaxSessions():
		return &refusal{status: http.StatusServiceUnavailable, code: wire.CodeHostFull, retryAfter: 10 * time.Second,
			message: "the host has as many streams as it may; connect again in a while"}
	}
	s.shaking++
	return nil
}

// shaken ends what admit began, and admitUnknown where the request was of
// nobody yet, for a handshake that became no stream.
func (s *Server) shaken(unknown bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shaking--
	if unknown {
		s.unknown--
	}
	s.signal()
}

// forget takes a stream out that has closed.
func (s *Server) forget(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
	s.leaveUnknown(st)
	if uid := st.uid; s.users[uid] > 1 {
		s.users[uid]--
	} else {
		delete(s.users, uid)
	}
	s.metrics.open.Dec()
	s.signal()
}

func (s *Server) signal() {
	select {
	case s.streamed <- struct{}{}:
	default:
	}
}

// Shutdown refuses new streams with 503 and closes each that is open with
// 4001, after a closing message and what was due before it. It waits until all
// are closed; when ctx ends first it cuts the rest, waits for their goroutines
// and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		s.leaving.Store(int64(len(s.streams)))
	}
	for st := range s.streams {
		st.shutdown()
	}
	s.mu.Unlock()
	defer s.clock.Close() // no stream is left then

	if s.wait(ctx) {
		return nil
	}
	s.mu.Lock()
	s.cut = true
	cut := len(s.streams)
	for st := range s.streams {
		st.conn.Close()
	}
	s.mu.Unlock()
	s.wait(context.WithoutCancel(ctx))
	return fmt.Errorf("%d streams had to be cut: %w", cut, ctx.Err())
}

// comebackRate is how many clients a second are asked to come back at most.
const comebackRate = 1000

// retryAfter returns when a client that is sent away is asked to come back.
func (s *Server) retryAfter() time.Duration {
	spread := max(s.o.RetryMax-s.o.RetryMin, time.Duration(s.leaving.Load())*time.Second/comebackRate)
	return s.o.RetryMin + rand.N(spread+1)
}

// wait waits until no stream and no handshake is left. It reports false when
// ctx ended first.
func (s *Server) wait(ctx context.Context) bool {
	for {
		s.mu.Lock()
		left := len(s.streams) + s.shaking
		if left == 0 {
			s.signal() // for another Shutdown that waits
		}
		s.mu.Unlock()
		if left == 0 {
			return true
		}
		select {
		case <-s.streamed:
		case <-ctx.Done():
			return false
		}
	}
}
