package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// ledger is which conversations are not settled, and where in the stream they
// begin. What comes before all of them can be let go at once.
//
// The embedded server could let each settled marker go by itself, by a time to
// live, but it syncs each such removal. In a cluster the servers do that.
type ledger struct {
	unused bool // in a cluster

	mu    sync.Mutex          // guards all below
	read  bool                // what was there at the start is known
	first map[string]Revision // conversation id -> its first message

	reading   int             // how many are looking for what is not settled
	meanwhile map[string]bool // conversations that were settled while somebody does
}

// maxMarkers bounds the settled markers that are kept beyond their time because
// an older conversation is not settled; removeMarkers, how many are removed at
// a time once there are more.
const (
	maxMarkers    = 50_000
	removeMarkers = 2_000
)

// begun notes a conversation that is not settled.
func (l *ledger) begun(id string, first Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(id, first)
}

func (l *ledger) note(id string, first Revision) {
	if l.unused {
		return
	}
	if l.first == nil {
		l.first = map[string]Revision{}
	}
	if at, ok := l.first[id]; !ok || first < at {
		l.first[id] = first
	}
}

// settled notes that one is.
func (l *ledger) settled(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.first, id)
	if l.reading > 0 {
		l.meanwhile[id] = true
	}
}

// look begins a reading of all that is not settled; found ends it.
func (l *ledger) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading++
	if l.meanwhile == nil {
		l.meanwhile = map[string]bool{}
	}
}

// found notes what was read, all of it or, after an error, some.
func (l *ledger) found(found openSet, all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, o := range found {
		if !o.held.Settled && !l.meanwhile[id] {
			l.note(id, o.first)
		}
	}
	l.read = l.read || all
	if l.reading--; l.reading == 0 {
		l.meanwhile = nil
	}
}

// has reports whether a conversation is not settled.
func (l *ledger) has(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.first[id]
	return ok
}

// oldest returns the first message of the oldest conversation that is not
// settled, 0 when all are; known is false before Unfinished has told of them.
func (l *ledger) oldest() (first Revision, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.first {
		if first == 0 || at < first {
			first = at
		}
	}
	return first, l.read
}

// removeSettled removes the settled markers that have been kept long enough,
// up to the oldest conversation that is not settled.
func (s *Store) removeSettled(ctx context.Context) error {
	if s.Shared() {
		return nil
	}
	return s.ask(ctx, func(ctx context.Context, b *backend) error {
		state, err := b.state(ctx, streamOpen)
		if err != nil || state.Msgs == 0 {
			return err
		}
		kept, err := b.firstSince(ctx, streamOpen, time.Now().Add(-s.options.SessionMemory), state.LastSeq)
		if err != nil {
			return err
		}
		oldest, known := s.ledger.oldest()
		if !known {
			return nil
		}
		before := kept
		if oldest != 0 {
			before = min(before, uint64(oldest))
		}
		if before > state.FirstSeq {
			if _, err := b.purge(ctx, streamOpen, purgeRequest{Before: before}); err != nil {
				return err
			}
		}
		if kept-before < maxMarkers {
			return nil
		}
		var markers []string
		err = b.scan(ctx, streamOpen, ">", func(m *nats.Msg, seq uint64) error {
			if seq >= kept || len(markers) == removeMarkers {
				return errEnough
			}
			if _, id, ok := parseOpenSubject(m.Subject); ok && m.Header.Get(headerSettled) != "" && !s.ledger.has(id) {
				markers = append(markers, m.Subject)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		for _, subject := range markers {
			if _, err := b.purge(ctx, streamOpen, purgeRequest{Filter: subject}); err != nil {
				return err
			}
		}
		return nil
	})
}

// firstSince returns the sequence of a stream's first message since a time, or
// the one after last when there is none.
func (b *backend) firstSince(ctx context.Context, stream string, since time.Time, last uint64) (uint64, error) {
	first := last + 1
	_, _, err := b.getOnce(ctx, stream, getRequest{Since: &since, NextFor: ">", Batch: 1, MaxBytes: getBytes}, func(_ *nats.Msg, seq uint64) error {
		first = seq
		return nil
	})
	return first, err
}
