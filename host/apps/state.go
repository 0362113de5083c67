package apps

import (
	"context"
	"encoding/json"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// SessionState is what one app keeps from one event of a session to the next:
// the module's memory. The zero value is that of a session that begins; it
// takes nothing before its first invocation, and nothing at all with an app
// whose state is fresh. It belongs to one app and must be closed.
//
// An invocation that ends other than by the module's return (a trap, spent
// fuel, a missed deadline, an exit) takes the state with it: the next one
// begins anew and is told, once, by its event's restarted. An error that the
// app answers does not, though its effects are discarded.
//
// It is for one goroutine at a time. What it takes is in the module's Usage.
type SessionState struct {
	// Lost says that the session had state of which nothing is left, for one
	// that an earlier host began.
	Lost bool

	kept   *plugins.Session // nil before the first invocation
	closed bool
}

// lost reports whether the next invocation must be told that it begins anew.
func (s *SessionState) lost() bool {
	return s != nil && (s.Lost || s.kept != nil && s.kept.Restarted())
}

// continues reports whether the next invocation finds what earlier ones left.
func (s *SessionState) continues() bool {
	return s != nil && s.kept != nil && !s.kept.Restarted()
}

// run calls m on the state; on fresh state if s is nil.
func (s *SessionState) run(ctx context.Context, m *plugins.Module, inv plugins.Invocation) (plugins.Result, error) {
	if s == nil {
		return m.Run(ctx, inv)
	}
	if s.closed {
		return plugins.Result{}, plugins.ErrClosed
	}
	if s.kept == nil {
		kept, err := m.NewSession()
		if err != nil {
			return plugins.Result{}, err
		}
		s.kept = kept
	}
	res, err := s.kept.Run(ctx, inv)
	if err == nil {
		s.Lost = false // it has been told
	}
	return res, err
}

// Renew returns the state that a session goes on with when its app is replaced
// by another version: nothing of s, which is closed, and if s held anything,
// the next invocation is told.
func (s *SessionState) Renew() SessionState {
	lost := s.Lost || s.kept != nil
	s.Close()
	return SessionState{Lost: lost}
}

// Close gives back what the state takes. Invoke with it returns an error from
// then on. It may be called again.
func (s *SessionState) Close() {
	s.closed = true
	if s.kept != nil {
		s.kept.Close()
		s.kept = nil
	}
}

// restartedPayload returns an event's payload with its restarted set.
func restartedPayload(k event.Kind, payload []byte) ([]byte, error) {
	switch k {
	case event.KindAudio:
		var a event.Audio
		if err := a.UnmarshalBinary(payload); err != nil {
			return nil, err
		}
		a.Restarted = true
		return a.AppendBinary(nil)
	case event.KindTranscript:
		var t event.Transcript
		if err := json.Unmarshal(payload, &t); err != nil {
			return nil, err
		}
		t.Restarted = true
		return json.Marshal(t)
	}
	var c event.Conversation
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, err
	}
	c.Restarted = true
	return json.Marshal(c)
}
