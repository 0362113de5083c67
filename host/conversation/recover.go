package conversation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// maxRecovering is how many sessions Recover works on at once: as many writes
// share a sync.
const maxRecovering = 64

// Recover takes over what nobody holds: what was handed over, what an earlier
// life of this host left, and what hosts hold of which alive (nil: none is)
// says that they are gone. An open conversation is adopted: its session waits
// for a stream to resume it, for the grace period or the silence, whichever is
// shorter, and completes then with event.ReasonRecovered. One that was being
// completed is completed, and its apps' work goes to Jobs.
//
// It may be called at any time and again. What could not be taken over is in
// the error and is found by the next call; what another host was faster with
// is its own, and no error.
func (m *Sessions) Recover(ctx context.Context, alive func(host string) bool) error {
	found, err := m.o.Store.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("looking for conversations that were left open: %w", err)
	}
	var sessions [][]store.Held // each session's, oldest first
	slices.SortStableFunc(found, func(a, b store.Held) int {
		return cmp.Or(cmp.Compare(a.Conversation.Session, b.Conversation.Session), cmp.Compare(a.Conversation.ID, b.Conversation.ID))
	})
	for _, h := range found {
		if h.Host != "" && h.Host != m.o.HostID && alive != nil && alive(h.Host) {
			continue
		}
		if n := len(sessions); n > 0 && sessions[n-1][0].Conversation.Session == h.Conversation.Session {
			sessions[n-1] = append(sessions[n-1], h)
		} else {
			sessions = append(sessions, []store.Held{h})
		}
	}

	var wg sync.WaitGroup
	var mu sync.Mutex // guards errs
	var errs []error
	room := make(chan struct{}, maxRecovering)
	for _, held := range sessions {
		room <- struct{}{}
		wg.Go(func() { // ends when the session is taken over, bounded by ctx
			defer func() { <-room }()
			if err := m.recover(ctx, held); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("recovering session %s: %w", held[0].Conversation.Session, err))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// recover takes over what one session has unfinished, oldest first.
func (m *Sessions) recover(ctx context.Context, held []store.Held) error {
	s, release, busy, err := m.tryTake(held[0].Conversation.Session)
	if err != nil || busy != nil {
		return err // busy: a stream is resuming it
	}
	if s == nil {
		defer release()
	}
	var completed []string
	for _, h := range held {
		if !h.Closing {
			if s != nil {
				return nil // it goes on here
			}
			return m.adopt(ctx, h, completed) // a session has one open conversation, and it is its last
		}
		if m.inHand.has(h.Conversation.ID) || s != nil && s.isCompleting(h.Conversation.ID) {
			continue
		}
		if err := m.completeLeft(ctx, h); err != nil {
			return err
		}
		completed = append(completed, h.Conversation.ID)
	}
	return nil
}

// isCompleting reports whether the journal has yet to complete a conversation.
func (s *session) isCompleting(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.completing, func(c *conversation) bool { return c.head.ID == id })
}

// completeLeft completes a conversation whose last part is stored, unless that
// was done, and has its apps' work done.
func (m *Sessions) completeLeft(ctx context.Context, h store.Held) error {
	m.ids.see(h.Next)
	if !h.Completed {
		if err := m.o.Store.Complete(ctx, h.Conversation, h.Due); err != nil {
			return fmt.Errorf("completing conversation %s: %w", h.Conversation.ID, err)
		}
		m.metrics.completed.WithLabelValues(string(h.Conversation.Reason)).Inc()
		m.log.Info("completed a conversation that was being completed", "conversation", h.Conversation.ID, "reason", h.Conversation.Reason)
	}
	w := jobs.Work{Conversation: h.Conversation, Held: h}
	w.Held.Conversation.Segments = nil
	m.inHand.add(h.Conversation.ID, m.o.Jobs.Start(w))
	return nil
}

// adopt has the session of an open conversation wait here for a stream.
func (m *Sessions) adopt(ctx context.Context, h store.Held, completed []string) error {
	holder := h.Host
	err := m.claim(ctx, &h)
	if errors.Is(err, store.ErrFenced) {
		return nil // another host was faster
	}
	if err != nil {
		return fmt.Errorf("taking over conversation %s: %w", h.Conversation.ID, err)
	}
	s := m.restore(h)
	longest, err := m.adoptRestored(s, completed)
	if err != nil {
		s.boxes.Close()
		return err
	}
	if longest != nil {
		longest.giveUp()
	}
	m.metrics.adopted.Inc()
	m.log.Info("adopted a session whose conversation was left open", "session", s.id,
		"conversation", h.Conversation.ID, "segments", len(h.Conversation.Segments), "was_held_by", holder)
	return nil
}

func (m *Sessions) adoptRestored(s *session, completed []string) (longest *session, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range completed {
		s.noteCompleted(id, false)
	}
	if longest, err = m.registerWaiting(s); err != nil {
		return nil, err
	}
	s.countRestored()
	s.await(min(m.o.Grace, m.o.Silence), event.ReasonRecovered)
	return longest, nil
}

// readopt takes over what a session that was let go after a panic has left:
// nobody else would before this host starts again.
func (m *Sessions) readopt(id string) {
	defer func() {
		if p := recover(); p != nil {
			m.log.Error("panic while a session is adopted again; it is found at the next start", "session", id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(m.ctx, storeTimeout)
	defer cancel()
	held, err := m.o.Store.Session(ctx, id)
	held = slices.DeleteFunc(held, func(h store.Held) bool { return h.Settled || h.Host != m.o.HostID })
	if err == nil && len(held) > 0 {
		err = m.recover(ctx, held)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, ErrClosed) {
		m.log.Error("a session was not adopted again; it is found at the next start", "session", id, "error", err)
	}
}

// Lost says that another host may have taken over a session. If the store says
// so too, it is let go here. It returns at once.
func (m *Sessions) Lost(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[id]
	if s == nil || m.closed {
		return
	}
	m.wg.Go(func() { m.checkLost(s) }) // ends with storeTimeout; Close waits for it
}

// checkLost lets go of a session that, by the store, another host has had since.
// Where the store can't say, the session's next write shows it.
func (m *Sessions) checkLost(s *session) {
	s.mu.Lock()
	oldest := s.current.head.ID // that the session has still to write of
	if len(s.completing) > 0 {
		oldest = s.completing[0].head.ID
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(m.ctx, storeTimeout)
	defer cancel()
	held, err := m.o.Store.Session(ctx, s.id)
	if errors.Is(err, store.ErrNotFound) || err == nil && len(held) == 0 {
		return // nothing was stored yet, or it is long ago
	}
	if err != nil {
		m.log.Warn("looking whether another host has a session; its next write shows it", "session", s.id, "error", err)
		return
	}
	// A session's conversations have ascending ids, on whichever host.
	if last := held[len(held)-1]; last.Conversation.ID >= oldest && last.Host != m.o.HostID {
		m.log.Info("another host has taken over a session", "session", s.id, "host", last.Host)
		s.letGo("fenced", Client.Superseded)
	}
}
