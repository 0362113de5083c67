package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats.go"
)

// Head is what is known of a conversation while it is open: Segments,
// CompletedAt and Reason are not looked at.
type Head = event.Conversation

// Append keeps segments of an open conversation, together with its head as it
// is now; on synced disk when it returns nil. It is what an ack stands on.
// Without segments it keeps the head alone. A segment whose id was appended
// before replaces the older one.
//
// After an error some of segs may have been kept; appending them again is
// harmless. The error wraps ErrBadID for an id that can't be kept,
// ErrTooLarge for a single segment over MaxMessageBytes. Appending to a
// conversation that was completed keeps nothing anyone will read.
func (s *Store) Append(ctx context.Context, head Head, segs []event.Segment) error {
	return s.write(ctx, opAppend, "appending to conversation "+quoteID(head.ID), func(ctx context.Context) error {
		if err := checkID("conversation id", head.ID); err != nil {
			return err
		}
		if err := checkUID(head.UID); err != nil {
			return err
		}
		head.CompletedAt, head.Reason = time.Time{}, ""
		return s.append(ctx, head, segs)
	})
}

// append writes segs in one message, or in halves where one would be too large.
func (s *Store) append(ctx context.Context, head Head, segs []event.Segment) error {
	halve := func() error {
		n := len(segs) / 2
		if err := s.append(ctx, head, segs[:n]); err != nil {
			return err
		}
		return s.append(ctx, head, segs[n:])
	}
	if len(segs) > 1 && atLeastBytes(segs) > MaxMessageBytes {
		return halve() // without encoding all of it first
	}
	head.Segments = segs
	body, err := encode(head)
	if err != nil {
		return err
	}
	if len(segs) > 1 && len(body) > MaxMessageBytes {
		return halve()
	}
	_, err = s.server.publish(ctx, &nats.Msg{Subject: openSubject(head.ID), Data: body}, false)
	return err
}

// atLeastBytes returns less than what segs take as JSON.
func atLeastBytes(segs []event.Segment) int {
	n := 0
	for i := range segs {
		n += len(segs[i].ID) + len(segs[i].Text) + len(segs[i].Speaker)
	}
	return n
}

// Unfinished returns the conversations that were open when the last host
// died: those with something appended and no Complete, by id. Segments are
// merged by id, the last wins, and in order of Start. What was left of
// conversations that had been completed is let go.
//
// It is for the start, before anything is appended.
func (s *Store) Unfinished(ctx context.Context) ([]event.Conversation, error) {
	open := map[string]*unfinished{}
	done := map[string]bool{}
	err := s.read(ctx, opUnfinished, "looking for unfinished conversations", func(ctx context.Context) error {
		err := s.server.scan(ctx, streamOpen, subjectOpen, func(m *nats.Msg) error {
			id := strings.TrimPrefix(m.Subject, "open.")
			if _, ok := s.index.uid(id); ok {
				done[id] = true
				return nil
			}
			var c event.Conversation
			if err := json.Unmarshal(m.Data, &c); err != nil {
				return fmt.Errorf("conversation %s: decoding appended segments: %w", quoteID(id), err)
			}
			u := open[id]
			if u == nil {
				u = &unfinished{at: map[string]int{}}
				open[id] = u
			}
			u.merge(c)
			return nil
		})
		if err != nil {
			return err
		}
		for id := range done {
			if err := s.server.purge(ctx, streamOpen, openSubject(id)); err != nil {
				return fmt.Errorf("tidying completed conversation %s: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	cs := make([]event.Conversation, 0, len(open))
	for _, u := range open {
		slices.SortStableFunc(u.c.Segments, func(a, b event.Segment) int { return cmp.Compare(a.Start, b.Start) })
		cs = append(cs, u.c)
	}
	slices.SortFunc(cs, func(a, b event.Conversation) int { return cmp.Compare(a.ID, b.ID) })
	return cs, nil
}

// unfinished is a conversation being put together from what was appended.
type unfinished struct {
	c  event.Conversation
	at map[string]int // segment id -> its place in c.Segments
}

// merge takes the next appended message: its head as it stands, its segments by id.
func (u *unfinished) merge(c event.Conversation) {
	segs := u.c.Segments
	if segs == nil {
		segs = []event.Segment{}
	}
	for _, seg := range c.Segments {
		if i, ok := u.at[seg.ID]; ok {
			segs[i] = seg
			continue
		}
		u.at[seg.ID] = len(segs)
		segs = append(segs, seg)
	}
	u.c = c
	u.c.Segments = segs
}
