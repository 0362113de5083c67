package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Announce tells the hosts that share the store of this one, which counts as
// alive for Options.HostTTL from now: it is to be called more often than that.
// h.ID must be Options.HostID. The error wraps ErrNotShared for an embedded
// store.
func (s *Store) Announce(ctx context.Context, h Host) error {
	return s.tellHosts(ctx, "announcing this host", func() (*nats.Msg, error) {
		if h.ID != s.options.HostID {
			return nil, fmt.Errorf("host %q is not this one, %q", h.ID, s.options.HostID)
		}
		body, err := encode(h)
		return &nats.Msg{Subject: hostSubject(h.ID), Data: body}, err
	})
}

// Withdraw tells the hosts that share the store that this one is gone.
func (s *Store) Withdraw(ctx context.Context) error {
	return s.tellHosts(ctx, "withdrawing this host", func() (*nats.Msg, error) {
		return &nats.Msg{Subject: hostSubject(s.options.HostID), Header: nats.Header{headerGone: {"1"}}}, nil
	})
}

func (s *Store) tellHosts(ctx context.Context, doing string, message func() (*nats.Msg, error)) error {
	if !s.Shared() {
		return fmt.Errorf("%s: %w", doing, ErrNotShared)
	}
	return s.read(ctx, opAnnounce, doing, func(ctx context.Context, b *backend) error { // may be repeated
		m, err := message()
		if err != nil {
			return err
		}
		_, err = b.publish(ctx, m)
		return err
	})
}

// FollowHosts calls f with every host that shares the store, this one too, and
// then with every change: a host that said something new of itself, or one
// that is gone, because it said so or was silent for Options.HostTTL. It goes
// on until ctx ends and then returns nil; ErrClosed when the store closes
// before. One call of f is made at a time. A host counts as silent only while
// this one is connected itself.
func (s *Store) FollowHosts(ctx context.Context, f func(h Host, gone bool)) error {
	if !s.Shared() {
		return fmt.Errorf("following hosts: %w", ErrNotShared)
	}
	type seen struct {
		host Host
		at   time.Time
	}
	known := map[string]seen{}
	expire := func() {
		for id, h := range known {
			if time.Since(h.at) > s.options.HostTTL {
				delete(known, id)
				f(h.host, true)
			}
		}
	}
	return s.follow(ctx, following{
		stream: streamHosts,
		config: lastOfEachSubject,
		begin: func() {
			for id, h := range known {
				h.at = time.Now()
				known[id] = h
			}
		},
		message: func(m jetstream.Msg, _ uint64) {
			defer expire() // though others keep talking
			id := strings.TrimPrefix(m.Subject(), "host.")
			if m.Headers().Get(headerGone) != "" {
				if h, ok := known[id]; ok {
					delete(known, id)
					f(h.host, true)
				}
				return
			}
			var h Host
			if err := json.Unmarshal(m.Data(), &h); err != nil || h.ID != id {
				s.log.Error("what a host said of itself can't be read", "host", id, "error", err)
				return
			}
			known[id] = seen{h, time.Now()}
			f(h, false)
		},
		synced: func() {},
		tick:   expire,
		every:  s.options.HostTTL / 4,
	})
}

// FollowClaims calls f when a host, this one too, takes a session over from
// another, until ctx ends; it then returns nil, ErrClosed when the store
// closes before. A claim made while the connection is broken is not told:
// the older holder's next write is fenced all the same.
func (s *Store) FollowClaims(ctx context.Context, f func(session, host string)) error {
	if !s.Shared() {
		return fmt.Errorf("following claims: %w", ErrNotShared)
	}
	ctx, end, err := s.attend(ctx)
	if err != nil {
		return err
	}
	defer end()
	b, err := s.connected(ctx)
	var sub *nats.Subscription
	if err == nil {
		// The client subscribes again by itself when it connects again.
		sub, err = b.conn.SubscribeSync(claimSubject("*"))
	}
	if err == nil {
		defer sub.Unsubscribe() //nolint:errcheck // the connection may be closed
	}
	for err == nil {
		var m *nats.Msg
		if m, err = sub.NextMsgWithContext(ctx); err == nil {
			f(strings.TrimPrefix(m.Subject, claimSubject("")), string(m.Data))
		} else if err == nats.ErrSlowConsumer {
			err = nil // some were dropped, as when disconnected
		}
	}
	switch {
	case s.closing.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return nil
	}
	return fmt.Errorf("following claims: %w", err)
}

// attend lets a caller follow something: Close ends ctx and waits for end.
func (s *Store) attend(ctx context.Context) (context.Context, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	s.owned.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(s.closing, cancel)
	return ctx, func() {
		unhook()
		cancel()
		s.owned.Done()
	}, nil
}

// claimed tells the other hosts when p claims a session that one of them held.
// A message that is lost is made up for by the fence.
func (s *Store) claimed(p Part) {
	if !s.Shared() || p.Host != s.options.HostID || !s.holders.take(p.Conversation.Session) {
		return
	}
	b, _ := s.current()
	if err := b.conn.Publish(claimSubject(p.Conversation.Session), []byte(p.Host)); err != nil {
		s.log.Debug("telling of a claim", "session", p.Conversation.Session, "error", err)
	}
}

// maxHolders bounds the sessions of which it is remembered that another host
// holds them. Beyond, arbitrary ones are forgotten: claiming these is not told.
const maxHolders = 16384

// holders are the sessions that another host held when they were last read.
type holders struct {
	mu       sync.Mutex
	sessions map[string]bool
}

// note remembers which of these are held by another host.
func (x *holders) note(o Options, held []Held) {
	if o.NATS == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sessions == nil {
		x.sessions = map[string]bool{}
	}
	for _, h := range held {
		session := h.Conversation.Session
		if h.Host == "" || h.Host == o.HostID {
			delete(x.sessions, session)
			continue
		}
		for s := range x.sessions {
			if len(x.sessions) < maxHolders {
				break
			}
			delete(x.sessions, s)
		}
		x.sessions[session] = true
	}
}

// take reports whether another host held the session, and forgets it.
func (x *holders) take(session string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	held := x.sessions[session]
	delete(x.sessions, session)
	return held
}
