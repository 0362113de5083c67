package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of what is open.
const (
	headerSettled = "Auricle-Settled" // this message is all that is left of the conversation
	headerMore    = "Auricle-More"    // what was given to Append goes on in the next message
)

// Append keeps what is new of an open conversation, after the revision that
// the caller knows as its last: 0 for a conversation that has none yet. It is
// on synced disk, or with the cluster's quorum, when it returns nil: this is
// what an ack stands on. Without segments it keeps the head alone, with which
// a host claims what another one held. A segment whose id was appended before
// replaces the older one.
//
// The error wraps ErrFenced when the conversation has another revision: it is
// somebody else's now. It wraps ErrBadID for an id that can't be kept,
// ErrTooLarge for a single segment over MaxMessageBytes. After any other, some
// or all may have been kept, and Append can be called again with the same
// after, and the same segments or more.
func (s *Store) Append(ctx context.Context, p Part, after Revision) (Revision, error) {
	var rev Revision
	c := &p.Conversation
	err := s.write(ctx, opAppend, "appending to conversation "+quoteID(c.ID), func(ctx context.Context) error {
		if err := checkHead(*c); err != nil {
			return err
		}
		if !p.Closing {
			c.CompletedAt, c.Reason, p.Next, p.Due = time.Time{}, "", "", nil
		}
		subject := openSubject(c.Session, c.ID)
		ms, err := s.messages(nil, subject, p, c.Segments)
		if err != nil {
			return err
		}
		if rev, err = s.replace(ctx, streamOpen, ms, after, s.legacy.base(c.ID, after)); err == nil && after == 0 {
			s.ledger.begun(c.ID, rev+1-Revision(len(ms)))
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	s.claimed(p)
	return rev, nil
}

// checkHead returns ErrBadID unless a conversation can be kept under its ids.
func checkHead(c event.Conversation) error {
	if err := checkID("conversation id", c.ID); err != nil {
		return err
	}
	if err := checkID("session id", c.Session); err != nil {
		return err
	}
	return checkUID(c.UID)
}

// messages appends to ms the messages that p makes with segs, as many as it
// takes for none to be too large.
func (s *Store) messages(ms []*nats.Msg, subject string, p Part, segs []event.Segment) ([]*nats.Msg, error) {
	most := int(s.maxMessage.Load())
	halve := func() ([]*nats.Msg, error) {
		n := len(segs) / 2
		first := p
		// Only the last message says how far the session is.
		first.Closing, first.Seq, first.AudioBytes = false, 0, 0
		begin := len(ms)
		ms, err := s.messages(ms, subject, first, segs[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range ms[begin:] {
			m.Header = nats.Header{headerMore: {"1"}}
		}
		return s.messages(ms, subject, p, segs[n:])
	}
	if len(segs) > 1 && atLeastBytes(segs) > most {
		return halve() // without encoding all of it first
	}
	p.Conversation.Segments = segs
	body, err := encode(p)
	if err != nil {
		return nil, err
	}
	if len(segs) > 1 && len(body) > most {
		return halve()
	}
	return append(ms, &nats.Msg{Subject: subject, Data: body}), nil
}

// atLeastBytes returns less than what segs take as JSON.
func atLeastBytes(segs []event.Segment) int {
	n := 0
	for i := range segs {
		n += len(segs[i].ID) + len(segs[i].Text) + len(segs[i].Speaker)
	}
	return n
}

// Settle says that a conversation's work is done: what was appended is let go,
// and only what its session is told when it comes back is kept, for
// Options.SessionMemory. h is the conversation's last part, after its
// revision. The errors are Append's.
func (s *Store) Settle(ctx context.Context, h Part, after Revision) error {
	c := &h.Conversation
	return s.write(ctx, opSettle, "settling conversation "+quoteID(c.ID), func(ctx context.Context) error {
		if err := checkHead(*c); err != nil {
			return err
		}
		c.Segments, c.Metadata, h.Due = nil, nil, nil
		subject := openSubject(c.Session, c.ID)
		body, err := encode(settled{subject, h})
		if err != nil {
			return err
		}
		m := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{
			headerSettled:       {"1"},
			jetstream.MsgRollup: {jetstream.MsgRollupSubject},
		}}
		if s.Shared() {
			m.Header.Set(jetstream.MsgTTLHeader, s.options.SessionMemory.String())
		}
		if _, err := s.replace(ctx, streamOpen, []*nats.Msg{m}, after, s.legacy.base(c.ID, after)); err != nil {
			return err
		}
		s.ledger.settled(c.ID)
		if !s.legacy.has(c.ID) {
			return nil
		}
		if err := s.ask(ctx, func(ctx context.Context, b *backend) error {
			_, err := b.purge(ctx, streamOpen, purgeRequest{Filter: legacyOpenSubject(c.ID)})
			return err
		}); err != nil {
			return err
		}
		s.legacy.forget(c.ID)
		return nil
	})
}

// Session returns what is held of one session's conversations, oldest first;
// the settled ones are of use to a session that comes back. The error wraps
// ErrNotFound when there is nothing.
func (s *Store) Session(ctx context.Context, session string) ([]Held, error) {
	var held []Held
	err := s.read(ctx, opSession, "reading session "+quoteID(session), func(ctx context.Context, b *backend) error {
		if checkID("session id", session) != nil {
			return fmt.Errorf("%w of session %s", ErrNotFound, quoteID(session))
		}
		found := openSet{}
		if err := s.scanOpen(ctx, b, openSubject(session, "*"), found.add); err != nil {
			return err
		}
		maps.DeleteFunc(found, func(_ string, o *open) bool {
			return o.held.Settled && time.Since(o.at) > s.options.SessionMemory
		})
		if len(found) == 0 {
			return fmt.Errorf("%w of session %s", ErrNotFound, session)
		}
		var err error
		held, err = s.held(ctx, b, found)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.holders.note(s.options, held[len(held)-1:])
	return held, nil
}

// scanOpen calls f with the messages under filter, in order. Of a cluster it
// asks the leader, one by one: what it reads is then the newest, which whoever
// goes on from it has to know.
func (s *Store) scanOpen(ctx context.Context, b *backend, filter string, f func(*nats.Msg, uint64) error) error {
	if !s.Shared() {
		return b.scan(ctx, streamOpen, filter, f)
	}
	for next := uint64(1); ; {
		m, err := b.fromLeader(ctx, streamOpen, leaderRequest{Seq: next, NextFor: filter})
		if err != nil || m == nil {
			return err
		}
		m.Header.Set(headerTime, m.Time.Format(time.RFC3339Nano))
		if err := f(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, m.Seq); err != nil {
			return err
		}
		next = m.Seq + 1
	}
}

// Unfinished returns every conversation that is not settled, by id: those that
// are open, and those whose work is not done. Segments are merged by id, the
// last wins, and in order of Start.
//
// What an older version of this host left open is among them, with no Host;
// Append and Settle go on from it.
func (s *Store) Unfinished(ctx context.Context) ([]Held, error) {
	var unsettled []Held
	err := s.read(ctx, opUnfinished, "looking for unfinished conversations", func(ctx context.Context, b *backend) error {
		found, all := openSet{}, false
		s.ledger.look()
		defer func() { s.ledger.found(found, all) }()
		subjects, leftovers, err := b.unsettled(ctx)
		if err != nil {
			return err
		}
		if err := b.scanSubjects(ctx, subjects, found.add); err != nil {
			return err
		}
		for _, leftover := range leftovers {
			if _, err := b.purge(ctx, streamOpen, leftover); err != nil {
				return fmt.Errorf("tidying settled conversations: %w", err)
			}
		}
		maps.DeleteFunc(found, func(id string, o *open) bool {
			if o.legacy != 0 {
				s.legacy.note(id, o.legacy)
			}
			return o.held.Settled
		})
		all = true
		unsettled, err = s.held(ctx, b, found)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.holders.note(s.options, unsettled)
	return unsettled, nil
}

// scanOneByOne is how many subjects are read one by one rather than with all
// others of the stream.
const scanOneByOne = 256

// scanSubjects calls f with the messages under subjects of what is open, those
// of each in order.
func (b *backend) scanSubjects(ctx context.Context, subjects map[string]bool, f func(*nats.Msg, uint64) error) error {
	if len(subjects) > scanOneByOne {
		return b.scan(ctx, streamOpen, ">", func(m *nats.Msg, seq uint64) error {
			if !subjects[m.Subject] {
				return nil
			}
			return f(m, seq)
		})
	}
	// An earlier version's, which are shorter, come before what goes on from them.
	ordered := slices.SortedFunc(maps.Keys(subjects), func(a, b string) int {
		return cmp.Compare(strings.Count(a, "."), strings.Count(b, "."))
	})
	for _, subject := range ordered {
		if err := b.scan(ctx, streamOpen, subject, f); err != nil {
			return err
		}
	}
	return nil
}

// unsettled returns the subjects of what is not settled, and what is to be
// purged of what is: a crash kept the disk from forgetting what was let go. It
// reads through many settled markers at little cost.
func (b *backend) unsettled(ctx context.Context) (subjects map[string]bool, leftovers []purgeRequest, err error) {
	subjects = map[string]bool{}
	err = b.scanBodies(ctx, streamOpen, func(body []byte) error {
		if subject, ok := settledSubject(body); ok {
			if subjects[subject] {
				delete(subjects, subject)
				leftovers = append(leftovers, purgeRequest{Filter: subject, Keep: 1})
			}
			_, id, _ := parseOpenSubject(subject)
			if subject = legacyOpenSubject(id); subjects[subject] {
				delete(subjects, subject)
				leftovers = append(leftovers, purgeRequest{Filter: subject})
			}
			return nil
		}
		var p struct {
			ID           string // of an earlier version's
			Conversation struct{ ID, Session string }
		}
		if err := json.Unmarshal(body, &p); err != nil {
			return fmt.Errorf("decoding a message of stream %s: %w", streamOpen, err)
		}
		if p.ID != "" {
			subjects[legacyOpenSubject(p.ID)] = true
		} else {
			subjects[openSubject(p.Conversation.Session, p.Conversation.ID)] = true
		}
		return nil
	})
	return subjects, leftovers, err
}

// settled is what is kept of a settled conversation. Its body begins with the
// subject, by which it is known without decoding it.
type settled struct {
	Subject string `json:"settled"`
	Part
}

// settledSubject returns the subject in the body of a settled marker.
func settledSubject(body []byte) (subject string, ok bool) {
	rest, ok := bytes.CutPrefix(body, []byte(`{"settled":"`))
	if !ok {
		return "", false
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return "", false
	}
	return string(rest[:end]), true // ids need no escapes
}

// held returns what was found, by id.
func (s *Store) held(ctx context.Context, b *backend, found openSet) ([]Held, error) {
	held := make([]Held, 0, len(found))
	for _, o := range found {
		h := o.held
		c := &h.Conversation
		slices.SortStableFunc(c.Segments, func(a, b event.Segment) int { return cmp.Compare(a.Start, b.Start) })
		var err error
		if h.Completed, err = s.isCompleted(ctx, b, c.UID, c.ID); err != nil {
			return nil, err
		}
		held = append(held, h)
	}
	slices.SortFunc(held, func(a, b Held) int { return cmp.Compare(a.Conversation.ID, b.Conversation.ID) })
	return held, nil
}

// isCompleted reports whether the completed conversation is stored.
func (s *Store) isCompleted(ctx context.Context, b *backend, uid, id string) (bool, error) {
	if _, ok := s.index.uid(id); ok || !s.Shared() {
		return ok, nil
	}
	// Another host's, which the index may not have been told of yet.
	m, err := b.fromLeader(ctx, streamConversations, leaderRequest{LastFor: conversationSubject(uid, id)})
	return m != nil, err
}

// openSet is what is held of conversations, being put together, by their ids.
type openSet map[string]*open

// open is a conversation being put together from what was appended.
type open struct {
	held     Held
	place    map[string]int // segment id -> its place in the conversation's segments
	messages int
	first    Revision
	legacy   Revision  // of the last that an older version appended; 0: none
	at       time.Time // of the last
}

// add takes the next message.
func (found openSet) add(m *nats.Msg, seq uint64) error {
	session, id, ok := parseOpenSubject(m.Subject)
	if !ok {
		return nil // not written by this package
	}
	o := found[id]
	if o == nil {
		o = &open{place: map[string]int{}, first: Revision(seq)}
		found[id] = o
	}
	var p Part
	into := any(&p)
	if session == "" {
		into = &p.Conversation // an older version kept the head alone
	}
	if err := json.Unmarshal(m.Data, into); err != nil {
		return fmt.Errorf("conversation %s: decoding message %d of stream %s: %w", id, seq, streamOpen, err)
	}
	at, err := sentAt(m)
	if err != nil {
		return err
	}
	o.messages, o.at = o.messages+1, at
	o.merge(p, m.Header.Get(headerMore) != "")
	o.held.Settled = m.Header.Get(headerSettled) != ""
	o.held.Revision = Revision(seq)
	if session == "" {
		o.legacy = Revision(seq)
	}
	return nil
}

// merge takes what the next message holds: the head as it stands, the segments
// by id. One that goes on in the next message does not say how far the session
// is.
func (o *open) merge(p Part, more bool) {
	segs := o.held.Conversation.Segments
	if segs == nil {
		segs = []event.Segment{}
	}
	for _, seg := range p.Conversation.Segments {
		if i, ok := o.place[seg.ID]; ok {
			segs[i] = seg
			continue
		}
		o.place[seg.ID] = len(segs)
		segs = append(segs, seg)
	}
	if !more || o.messages == 1 {
		o.held.Part = p
	}
	o.held.Conversation.Segments = segs
}

// legacy is what an older version left open, under subjects of its own. A
// conversation goes on from there under the new one, where it has no message.
type legacy struct {
	mu   sync.Mutex
	last map[string]Revision // by conversation id
}

func (l *legacy) note(id string, last Revision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[string]Revision{}
	}
	l.last[id] = last
}

func (l *legacy) has(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[id] != 0
}

func (l *legacy) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.last, id)
}

// base returns the sequence to expect under the new subject for what goes on
// from after.
func (l *legacy) base(id string, after Revision) Revision {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after != 0 && l.last[id] == after {
		return 0
	}
	return after
}
