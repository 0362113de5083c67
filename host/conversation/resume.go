package conversation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// maxResumeTries is how often a resume is tried that others get in the way of:
// a host that has yet to write what an older stream has sent moves the revision
// with each write.
const maxResumeTries = 20

// errGone says that a session was let go while it was being resumed.
var errGone = errors.New("session let go")

// resume gives a session that has begun to another stream.
func (m *Sessions) resume(ctx context.Context, r StartRequest, c Client) (*Attachment, error) {
	here := func(s *session) (*Attachment, error) { return s.resume(r, c) }
	stored := func() (*Attachment, error) { return m.resumeStored(ctx, r, c) }
	return m.takeTurns(ctx, r.Session, here, stored)
}

// takeTurns has a session resumed by here where this host has it, and otherwise,
// reserved to the caller, by stored: again for as long as others are first.
func (m *Sessions) takeTurns(ctx context.Context, id string, here func(*session) (*Attachment, error), stored func() (*Attachment, error)) (*Attachment, error) {
	for range maxResumeTries {
		s, release, err := m.take(ctx, id)
		if err != nil {
			return nil, err
		}
		var a *Attachment
		if s != nil {
			if m.o.Store.Shared() {
				m.checkLost(s) // another host may have had it meanwhile
			}
			a, err = here(s)
		} else {
			a, err = stored()
			release()
		}
		if errors.Is(err, errGone) || errors.Is(err, store.ErrFenced) {
			continue // somebody was first; see what they made of it
		}
		return a, err
	}
	return nil, fmt.Errorf("resuming session %s: others take it over again and again", id)
}

// take returns the session if it is here. Otherwise it reserves the session
// for the caller, who may take it from the store and then calls release: no
// two do so at once.
func (m *Sessions) take(ctx context.Context, id string) (s *session, release func(), err error) {
	for {
		s, release, busy, err := m.tryTake(id)
		if busy == nil {
			return s, release, err
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// tryTake is take, but returns a channel to wait on where another caller has
// the session.
func (m *Sessions) tryTake(id string) (s *session, release func(), busy <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, nil, nil, ErrClosed
	}
	if s := m.sessions[id]; s != nil {
		return s, nil, nil, nil
	}
	if busy := m.taking[id]; busy != nil {
		return nil, nil, busy, nil
	}
	mine := make(chan struct{})
	m.taking[id] = mine
	return nil, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.taking, id)
		close(mine)
	}, nil, nil
}

// resume attaches another stream, in place of the one that there may still be.
func (s *session) resume(r StartRequest, c Client) (*Attachment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone, s.handingOff:
		return nil, errGone
	case s.request.UID != r.UID, s.phase >= phaseLeaving:
		return nil, ErrUnknownSession
	}
	if err := sameFormat(s.request.Audio, r.Audio); err != nil && !r.AnyAudio {
		return nil, err
	}
	if err := s.owner.regain(s); err != nil {
		return nil, err
	}
	s.amend(r)
	a := s.attach(c)
	s.catchUp()
	s.owner.metrics.resumed.WithLabelValues("memory").Inc()
	s.owner.log.Debug("session resumed", "session", s.id)
	return a, nil
}

// amend has what the start of a stream that resumes the session says hold for
// the conversations that begin after. mu is held.
func (s *session) amend(r StartRequest) {
	q := &s.request
	q.Language, q.Source = cmp.Or(r.Language, q.Language), cmp.Or(r.Source, q.Source)
	if r.Metadata != nil {
		q.Metadata = r.Metadata
	}
	q.Silence = cmp.Or(r.Silence, q.Silence)
	if c := s.current; !c.opened {
		c.head.Language, c.head.Source, c.head.Metadata = q.Language, q.Source, q.Metadata
	}
}

// resumeStored resumes a session that is not here, but in the store.
func (m *Sessions) resumeStored(ctx context.Context, r StartRequest, c Client) (*Attachment, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	held, err := m.o.Store.Session(ctx, r.Session)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrBadID) || err == nil && len(held) == 0 {
		return nil, ErrUnknownSession
	}
	if err != nil {
		return nil, fmt.Errorf("looking for session %s: %w", r.Session, err)
	}
	last := held[len(held)-1]
	if last.Conversation.UID != r.UID || last.Closing && last.Next == "" {
		return nil, ErrUnknownSession
	}
	if err := sameFormat(last.Audio, r.Audio); err != nil && !r.AnyAudio {
		return nil, err
	}
	if err := m.admit(r.UID); err != nil {
		return nil, err
	}
	if err := m.claim(ctx, &last); err != nil {
		m.dismiss(r.UID)
		return nil, fmt.Errorf("taking over session %s: %w", r.Session, err)
	}
	s := m.restore(last)
	for _, h := range held {
		if h.Completed || h.Settled {
			s.noteCompleted(h.Conversation.ID, false)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := m.register(s); err != nil {
		s.boxes.Close()
		return nil, err
	}
	s.countRestored()
	s.amend(r)
	a := s.attach(c)
	s.catchUp()
	m.metrics.resumed.WithLabelValues("store").Inc()
	m.log.Info("session resumed from the store", "session", s.id, "conversation", s.current.head.ID)
	return a, nil
}

// claim makes this host the one that holds a session, of which h is the latest
// conversation: whoever held it before finds itself fenced. h becomes the
// conversation that the session goes on with, and its revision the claim's.
func (m *Sessions) claim(ctx context.Context, h *store.Held) error {
	switch {
	case h.Closing: // it goes on with the next, in which nothing was said yet
		was := &h.Conversation
		*h = store.Held{Part: store.Part{
			Conversation: event.Conversation{ID: h.Next, Session: was.Session, UID: was.UID, Language: was.Language, Source: was.Source, Metadata: was.Metadata},
			Seq:          h.Seq, AudioBytes: h.AudioBytes, Audio: h.Audio,
		}}
	case h.Host == m.o.HostID:
		return nil
	}
	h.Host = m.o.HostID
	p := h.Part
	p.Conversation.Segments = nil
	revision, err := m.o.Store.Append(ctx, p, h.Revision)
	h.Revision = revision
	return err
}

// restore returns the session whose open conversation h is, as it was. It is
// not registered yet.
func (m *Sessions) restore(h store.Held) *session {
	head := h.Conversation
	head.Segments = nil
	m.ids.see(head.ID)
	s := m.newSession(head.Session, StartRequest{
		UID: head.UID, Audio: h.Audio, Language: head.Language, Source: head.Source, Metadata: head.Metadata,
	}, true)
	s.seq.last, s.ackedSeq = h.Seq, h.Seq
	s.audioBytes, s.ackedAudio = h.AudioBytes, h.AudioBytes
	c := s.newConversation(head.ID)
	s.current = c
	c.revision = h.Revision
	if head.StartedAt.IsZero() {
		return s // nothing was said in it
	}
	now := time.Now()
	wall := m.o.Now().UTC()
	if wall.Before(head.StartedAt) { // this host's clock is behind
		wall = head.StartedAt
	}
	c.dated(wall, now)
	c.head = head
	c.opened, c.headKept = true, true
	c.quietSince = now // when it was last heard from is not known
	c.earlierAudioMillis = head.AudioMillis
	c.add(h.Conversation.Segments)
	c.takeUnsaved()
	return s
}

// countRestored counts a restored session's open conversation. mu is held.
func (s *session) countRestored() {
	if s.current.opened {
		s.owner.metrics.conversations.Inc()
	}
}

// sameFormat returns an error that wraps ErrFormatChanged and names both when
// a session with audio of format was is resumed with format is.
func sameFormat(was, is *audio.Format) error {
	name := func(f *audio.Format) string {
		if f == nil {
			return "none (transcripts only)"
		}
		return f.String()
	}
	if was == nil && is == nil || was != nil && is != nil && *was == *is {
		return nil
	}
	return fmt.Errorf("%w: the session's audio is %s, start says %s", ErrFormatChanged, name(was), name(is))
}
