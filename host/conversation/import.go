package conversation

import (
	"context"
	"fmt"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Import keeps a conversation that was not streamed but brought whole, and has
// its user's apps work on it as on any other; what they make of it is told to the
// user's open streams on this host too. c's UID, times and segments are the
// caller's; ID, Session and Reason are given here. It returns the id when the
// conversation is on synced disk, or with the cluster's quorum. After an error it
// may be kept all the same, and is then completed later, like one whose host
// died; importing it again makes another. The error wraps ErrClosed, and the
// store's.
func (m *Sessions) Import(ctx context.Context, c event.Conversation) (id string, err error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return "", ErrClosed
	}
	m.wg.Add(1) // Close waits for it
	m.mu.Unlock()
	defer m.wg.Done()

	c.ID, c.Session, c.Reason = m.ids.next("c_"), m.ids.next("s_"), event.ReasonImported
	p := store.Part{Conversation: c, Host: m.o.HostID, Closing: true, Due: m.o.Jobs.Due(c.UID)}
	pending := make(chan struct{})
	defer close(pending)
	m.inHand.add(c.ID, pending) // it is nobody's to take over
	revision, err := m.o.Store.Append(ctx, p, 0)
	if err != nil {
		return "", fmt.Errorf("keeping an imported conversation: %w", err)
	}
	if err := m.o.Store.Complete(ctx, c, p.Due); err != nil {
		return "", fmt.Errorf("completing an imported conversation: %w", err)
	}
	m.metrics.completed.WithLabelValues(string(c.Reason)).Inc()
	m.log.Info("conversation imported", "conversation", c.ID, "source", c.Source, "segments", len(c.Segments))
	w := jobs.Work{Conversation: c, Held: store.Held{Part: p, Revision: revision, Completed: true}, Deliver: func(inv apps.Invocation) {
		for _, o := range inv.Outputs {
			m.Notify(c.UID, o)
		}
	}}
	w.Held.Conversation.Segments = nil
	m.inHand.add(c.ID, m.o.Jobs.Start(w))
	return c.ID, nil
}

// Notify tells a user what an app has to say, on every stream of the user's that
// is open on this host, and returns how many that are. An output of no conversation
// gets the one that each of them is in. Nothing is kept of it.
func (m *Sessions) Notify(uid string, o event.Output) (streams int) {
	var of []*session
	m.mu.Lock()
	for _, s := range m.sessions { // rare enough to look at all
		if s.request.UID == uid {
			of = append(of, s)
		}
	}
	m.mu.Unlock()
	for _, s := range of {
		own := o
		if own.Conversation == "" {
			s.mu.Lock()
			own.Conversation = s.current.head.ID
			s.mu.Unlock()
		}
		if a := s.attached.Load(); a != nil {
			a.client.Output(own)
			streams++
		}
	}
	return streams
}
