package conversation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Some clients name a conversation themselves, and speak of it by that name from
// one stream or another. Its session's id is then made of the name, so that any
// stream on any host finds it, and the ids of its conversations end in the name,
// so that the store finds them when all else is forgotten.

// ErrFinished says that a session of this name was finished by its client:
// nothing is added to it any more.
var ErrFinished = errors.New("the conversation of this name was finished")

// finishAgain is how soon FinishNamed looks again at what another host has to
// complete.
const finishAgain = 200 * time.Millisecond

// namedPrefix begins the id of a session that has a name.
const namedPrefix = "n_"

func namedSession(name string) string { return namedPrefix + name }

// nextID returns the id of the session's next conversation.
func (s *session) nextID() string {
	id := s.owner.ids.next("c_")
	if name, ok := strings.CutPrefix(s.id, namedPrefix); ok {
		id += "_" + name
	}
	return id
}

// startNamed resumes the session of a name, wherever it is, or begins it where
// there is none, or where it was lost before its client has finished it.
func (m *Sessions) startNamed(ctx context.Context, r StartRequest, c Client) (*Attachment, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	defer cancel()
	r.Session = namedSession(r.Name)
	here := func(s *session) (*Attachment, error) {
		a, err := s.resume(r, c)
		if errors.Is(err, ErrUnknownSession) && s.request.UID == r.UID { // it is on its way to the store
			select {
			case <-s.done:
				err = errGone
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		return a, err
	}
	stored := func() (*Attachment, error) {
		a, err := m.resumeStored(ctx, r, c)
		if errors.Is(err, ErrUnknownSession) {
			a, err = m.beginNamed(ctx, r, c)
		}
		return a, err
	}
	return m.takeTurns(ctx, r.Session, here, stored)
}

// beginNamed begins a session of a name that is reserved to the caller, and of
// which no host has one that is open.
func (m *Sessions) beginNamed(ctx context.Context, r StartRequest, c Client) (*Attachment, error) {
	reason, uid, err := m.lastNamed(ctx, r.Name)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("looking for session %s: %w", r.Session, err)
	case err == nil && uid != r.UID:
		return nil, ErrUnknownSession
	case err == nil && reason == event.ReasonFinish:
		return nil, ErrFinished
	}
	if err := m.admit(r.UID); err != nil {
		return nil, err
	}
	return m.begin(r.Session, r, c)
}

// lastNamed says whose the newest conversation of a name is, of those that are
// completing or completed, and why it completed. The error wraps
// store.ErrNotFound when there is none.
func (m *Sessions) lastNamed(ctx context.Context, name string) (event.Reason, string, error) {
	held, err := m.o.Store.Session(ctx, namedSession(name))
	if err == nil && len(held) > 0 {
		c := held[len(held)-1].Conversation
		return c.Reason, c.UID, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", "", err
	}
	c, err := m.o.Store.Named(ctx, name)
	return c.Reason, c.UID, err
}

// FinishNamed completes what a user said in the session of a name, here or on a
// host that is gone, and returns when that is on synced disk. It is idempotent,
// over restarts of hosts too: what was completed stays so, for whatever reason
// it was, and is no error. A stream that has the session is told, and what it
// says after is refused. language is the
// conversation's where its session began without. The errors are ErrUnknownSession, where there never was
// such a session or it is another user's, ErrClosed, ctx's and the store's.
func (m *Sessions) FinishNamed(ctx context.Context, uid, name, language string) error {
	for {
		wait, err := m.tryFinish(ctx, uid, name, language)
		if err != nil || wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		case <-m.ctx.Done():
			return ErrClosed
		}
	}
}

// tryFinish is FinishNamed, but returns what to wait for before it is tried
// again; nil when the conversation is completed.
func (m *Sessions) tryFinish(ctx context.Context, uid, name, language string) (wait <-chan struct{}, err error) {
	id := namedSession(name)
	s, release, err := m.take(ctx, id)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return s.finish(uid, language)
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	held, err := m.o.Store.Session(ctx, id)
	if err == nil && len(held) > 0 {
		return m.finishHeld(ctx, uid, language, held[len(held)-1])
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("looking for session %s: %w", id, err)
	}
	c, err := m.o.Store.Named(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && c.UID != uid:
		return nil, ErrUnknownSession
	case err != nil:
		return nil, fmt.Errorf("looking for what was completed in session %s: %w", id, err)
	}
	return nil, nil
}

// finish completes the conversation of a session that is here, and returns what
// is closed when that is done. language is the conversation's, if it has none.
func (s *session) finish(uid, language string) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.request.UID != uid {
		return nil, ErrUnknownSession
	}
	if s.phase >= phaseLeaving {
		return s.done, nil
	}
	said := s.current.opened || s.current.revision != 0 || len(s.completing) > 0 || len(s.news) > 0
	if h := &s.current.head; h.Language == "" {
		h.Language = language
	}
	s.depart(event.ReasonFinish)
	if !said {
		return nil, nil
	}
	return s.done, nil
}

// finishHeld completes the conversation of a session that is not here, and is
// reserved to the caller, likewise.
func (m *Sessions) finishHeld(ctx context.Context, uid, language string, h store.Held) (<-chan struct{}, error) {
	switch {
	case h.Conversation.UID != uid:
		return nil, ErrUnknownSession
	case h.Completed, h.Settled:
		return nil, nil
	case h.Closing && (h.Host == m.o.HostID || h.Host == ""):
		if m.inHand.has(h.Conversation.ID) {
			return nil, nil
		}
		return nil, m.completeLeft(ctx, h)
	case h.Closing: // its host is about to complete it, or is gone and another will
		wait := make(chan struct{})
		time.AfterFunc(finishAgain, func() { close(wait) })
		return wait, nil
	}
	if err := m.claim(ctx, &h); errors.Is(err, store.ErrFenced) {
		again := make(chan struct{})
		close(again)
		return again, nil // another was faster; see what they made of it
	} else if err != nil {
		return nil, fmt.Errorf("taking over session %s: %w", h.Conversation.Session, err)
	}
	s := m.restore(h)
	longest, err := m.adoptRestored(s, nil)
	if err != nil {
		s.boxes.Close()
		return nil, err
	}
	if longest != nil && longest != s {
		longest.giveUp()
	}
	return s.finish(uid, language)
}

// Waiting is a session that waits for a stream to resume it.
type Waiting struct {
	Session string
	Name    string // "" where it has none
}

// Waiting returns the sessions of a user that wait for a stream and whose kind
// is kind, the one lost last at last. It is for clients that can't say which
// session is theirs.
func (m *Sessions) Waiting(uid, kind string) []Waiting {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Waiting
	for e := m.waiting.Front(); e != nil; e = e.Next() {
		s := e.Value.(*session)
		if s.request.UID != uid {
			continue
		}
		if name, ok := strings.CutPrefix(s.id, namedPrefix); ok && strings.HasPrefix(name, kind+"_") {
			found = append(found, Waiting{s.id, name})
		} else if strings.HasPrefix(s.id, "s_"+kind+"_") {
			found = append(found, Waiting{Session: s.id})
		}
	}
	return found
}
