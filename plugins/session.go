package plugins

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Session runs invocations one after the other on one instance that keeps its
// state: memory, globals and tables are as the last invocation left them. Its
// monotonic clock goes on between them. All methods are safe for concurrent
// use; invocations wait for each other.
//
// The state lives until Close, or until an invocation ends in any other way
// than by its function's return: then what it left is not fit to go on with,
// and the next begins with fresh state (Restarted).
//
// A session that is not used for Options.IdleAfter is parked: the pages and
// globals that differ from the module's image are kept, and the instance is
// given back. The next invocation brings them back. Modules that
// Module.Reinitialised speaks of can't be parked; their sessions hold their
// instance.
type Session struct {
	module *Module
	turn   chan struct{} // holds a token while somebody uses what follows

	in     *instance // nil when not begun, parked, or to begin anew
	began  time.Time // of its state
	last   time.Time // use
	closed bool

	// Set by whoever has the turn, and read without it.
	parked    atomic.Pointer[difference] // nil unless parked
	restarted atomic.Bool
	bytes     atomic.Int64
}

// NewSession returns a session. It takes no instance before the first Run. It
// must be closed. The error is ErrClosed.
func (m *Module) NewSession() (*Session, error) {
	if !m.gate.enter() {
		return nil, ErrClosed
	}
	defer m.gate.leave()
	s := &Session{module: m, turn: make(chan struct{}, 1)}
	m.mu.Lock()
	m.sessions[s] = struct{}{}
	m.mu.Unlock()
	return s, nil
}

// Run calls an export on the session's state, as Module.Run does on fresh
// state, with the same errors. Waiting for an earlier invocation of the session
// does not count for inv's limits, but ctx's end ends it.
func (s *Session) Run(ctx context.Context, inv Invocation) (Result, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	defer func() { <-s.turn }()
	start := time.Now()
	m := s.module
	results, err := m.admit(ctx, &inv)
	if err != nil {
		return Result{}, err
	}
	defer m.gate.leave()
	if s.closed {
		return Result{}, ErrClosed
	}
	if s.in == nil {
		late, err := s.wake(ctx, &inv, start)
		if err != nil || late != nil {
			return m.unmade(late, err, start)
		}
	}
	r := m.begin(ctx, s.in, inv, start)
	r.before = start.Sub(s.began)
	res, err := r.invoke(results)
	s.last = time.Now()
	if err != nil || !r.returned(res.Outcome) {
		s.drop()
		s.restarted.Store(true)
		return res, err
	}
	s.restarted.Store(false)
	s.in.mem.written() // counts them
	s.bytes.Store(s.in.bytes())
	return res, nil
}

// wake gives the session an instance in its state.
func (s *Session) wake(ctx context.Context, inv *Invocation, now time.Time) (late *RunError, err error) {
	in, late, err := s.module.acquire(ctx, inv)
	if in == nil {
		return late, err
	}
	if parked := s.parked.Load(); parked == nil {
		s.began = now
	} else if err := in.apply(parked); err != nil {
		in.close()
		return nil, fmt.Errorf("bringing back a parked session: %w", err)
	}
	s.in = in
	s.parked.Store(nil)
	return nil, nil
}

// drop lets the session's state go.
func (s *Session) drop() {
	if s.in != nil {
		s.in.close()
	}
	s.in = nil
	s.parked.Store(nil)
	s.bytes.Store(0)
}

// Restarted reports whether the state of earlier invocations is lost, so that
// the next Run begins afresh.
func (s *Session) Restarted() bool { return s.restarted.Load() }

// Bytes returns what the session's state takes of memory that nothing else
// shares, as of the end of the last invocation: pages written since the
// instance was made or, when parked, the pages that differ from the image, and
// their list. What wazero keeps for a live instance is not in it.
func (s *Session) Bytes() int64 { return s.bytes.Load() }

// Parked reports whether the session is put away.
func (s *Session) Parked() bool { return s.parked.Load() != nil }

// Park puts the session away now, after an invocation that runs. It reports
// whether the session holds no instance now.
func (s *Session) Park() bool {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if !s.module.gate.enter() {
		return false
	}
	defer s.module.gate.leave()
	return s.park()
}

// park needs the turn.
func (s *Session) park() bool {
	if s.in == nil {
		return true
	}
	if s.module.unmakeable != "" {
		return false
	}
	d := s.in.difference()
	s.parked.Store(d)
	s.bytes.Store(d.bytes())
	s.module.yield(s.in, true)
	s.in = nil
	return true
}

// parkIfIdle parks the session unless it runs or was used since before.
func (s *Session) parkIfIdle(before time.Time) {
	select {
	case s.turn <- struct{}{}:
	default:
		return
	}
	if s.last.Before(before) {
		s.park()
	}
	<-s.turn
}

// Close ends the session, after an invocation that runs, and lets its state
// go. Run returns ErrClosed from then on. It may be called again.
func (s *Session) Close() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.closed = true
	m := s.module
	if !m.gate.enter() {
		return // the module lets go of its sessions itself
	}
	defer m.gate.leave()
	m.mu.Lock()
	delete(m.sessions, s)
	m.mu.Unlock()
	if s.in != nil {
		m.yield(s.in, true)
		s.in = nil
	}
	s.drop()
}
