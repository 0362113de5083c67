package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats.go"
)

// headerDue names the apps whose work on it a conversation made due, as JSON.
const headerDue = "Auricle-Due"

// Headers of a conversation kept in parts. Its own message then has no body.
const (
	headerPartsHash  = "Auricle-Parts-Sha256" // of the whole body, in hex
	headerPartsCount = "Auricle-Parts"
)

// Record is a conversation and what apps made of it.
type Record struct {
	event.Conversation
	Outputs []event.Output `json:"outputs"` // in the order they were kept; never nil
	Jobs    []Job          `json:"jobs"`    // apps' work on it that is waiting, running or dead; never nil
}

// Page is a part of a user's list of conversations.
type Page struct {
	Conversations []Record `json:"conversations"`         // newest first; never nil
	Next          string   `json:"next_cursor,omitempty"` // asks for the page after; empty when this is the last
}

// The bounds of a page.
const (
	MinPage = 1
	MaxPage = 100
)

// Complete keeps a completed conversation and, with it, which apps' work on it
// is due; on synced disk, or with the cluster's quorum, when it returns nil.
// What was appended stays until Settle.
//
// It is idempotent by id: a second Complete of the same id changes nothing
// and returns nil. The error wraps ErrBadID for an id that can't be kept;
// after any other it can be called again.
func (s *Store) Complete(ctx context.Context, c event.Conversation, due []string) error {
	return s.write(ctx, opComplete, "completing conversation "+quoteID(c.ID), func(ctx context.Context) error {
		if err := checkID("conversation id", c.ID); err != nil {
			return err
		}
		if err := checkUID(c.UID); err != nil {
			return err
		}
		if _, ok := s.index.uid(c.ID); ok {
			return nil
		}
		if err := s.keep(ctx, c, due); err != nil {
			return err
		}
		s.index.add(c.UID, c.ID)
		return nil
	})
}

// putOnce writes a message unless its subject has one.
func (s *Store) putOnce(ctx context.Context, stream string, m *nats.Msg) error {
	_, err := s.put(ctx, stream, m, 0)
	if c := (*conflict)(nil); errors.As(err, &c) {
		return nil
	}
	return err
}

// keep writes a conversation unless it is there, a large one's parts before
// the message that makes it exist.
func (s *Store) keep(ctx context.Context, c event.Conversation, due []string) error {
	if c.Segments == nil {
		c.Segments = []event.Segment{}
	}
	body, err := encode(c)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: conversationSubject(c.UID, c.ID), Data: body, Header: nats.Header{}}
	if len(due) > 0 {
		apps, err := json.Marshal(due)
		if err != nil {
			return err
		}
		m.Header.Set(headerDue, string(apps))
	}
	if most := int(s.maxMessage.Load()); len(body) > most {
		// Parts are named by their content: another attempt writes the same
		// ones or its own, never over those of a conversation that is kept.
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		n := 0
		for ; len(body) > 0; n++ {
			part := body[:min(len(body), most)]
			body = body[len(part):]
			if err := s.putOnce(ctx, streamConversations, &nats.Msg{Subject: partSubject(c.ID, hash, n), Data: part}); err != nil {
				return fmt.Errorf("part %d: %w", n, err)
			}
		}
		m.Data = nil
		m.Header.Set(headerPartsHash, hash)
		m.Header.Set(headerPartsCount, strconv.Itoa(n))
	}
	return s.putOnce(ctx, streamConversations, m)
}

// Conversation returns a completed conversation and what apps made of it so
// far. The error wraps ErrNotFound when there is none, also while it is open.
func (s *Store) Conversation(ctx context.Context, id string) (Record, error) {
	var r Record
	err := s.read(ctx, opRead, "reading conversation "+quoteID(id), func(ctx context.Context, b *backend) error {
		uid, ok := s.index.uid(id)
		if !ok {
			return fmt.Errorf("%w: %s", ErrNotFound, quoteID(id))
		}
		rs, err := s.records(ctx, b, uid, []string{id})
		if err != nil {
			return err
		}
		if len(rs) == 0 {
			return fmt.Errorf("%w: %s", ErrNotFound, quoteID(id))
		}
		r = rs[0]
		return nil
	})
	return r, err
}

// Named returns the newest completed conversation whose id ends in a name, which
// follows its second '_'. The error wraps ErrNotFound when there is none.
func (s *Store) Named(ctx context.Context, name string) (event.Conversation, error) {
	id, ok := s.index.newest(name)
	if !ok {
		return event.Conversation{}, fmt.Errorf("%w: one named %s", ErrNotFound, quoteID(name))
	}
	r, err := s.Conversation(ctx, id)
	return r.Conversation, err
}

// Conversations lists a user's completed conversations, newest first by the
// time they were begun. limit is MinPage to MaxPage. cursor is empty or a
// Page's Next, otherwise the error wraps ErrBadCursor. What completes between
// two pages moves nothing: no conversation comes twice or is left out.
func (s *Store) Conversations(ctx context.Context, uid string, limit int, cursor string) (Page, error) {
	page := Page{Conversations: []Record{}}
	err := s.read(ctx, opList, "listing a user's conversations", func(ctx context.Context, b *backend) error {
		if limit < MinPage || limit > MaxPage {
			return fmt.Errorf("limit %d is not %d to %d", limit, MinPage, MaxPage)
		}
		before := ""
		if cursor != "" {
			var err error
			if before, err = decodeCursor(uid, cursor); err != nil {
				return err
			}
		}
		ids, more := s.index.page(uid, before, limit)
		var err error
		if page.Conversations, err = s.records(ctx, b, uid, ids); err != nil {
			return err
		}
		if more {
			page.Next = encodeCursor(uid, ids[len(ids)-1])
		}
		return nil
	})
	if err != nil {
		return Page{}, err
	}
	return page, nil
}

// records reads conversations that the index knows, in the order of ids, with
// one request for them, one for what apps made of them and one for what is
// still to be done. Those that were removed meanwhile are left out.
func (s *Store) records(ctx context.Context, b *backend, uid string, ids []string) ([]Record, error) {
	rs := make([]Record, len(ids))
	if len(ids) == 0 {
		return rs, nil
	}
	at := make(map[string]int, len(ids))
	subjects, jobs := make([]string, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		rs[i] = Record{Outputs: []event.Output{}, Jobs: []Job{}}
		at[id], subjects[i], jobs[i] = i, conversationSubject(uid, id), "job.*."+id
	}
	messages := make([]*nats.Msg, len(ids))
	err := b.lastOfEach(ctx, streamConversations, subjects, func(m *nats.Msg, _ uint64) error {
		if _, id, ok := parseConversationSubject(m.Subject); ok {
			messages[at[id]] = m
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	gone := 0
	for i, id := range ids {
		if messages[i] == nil {
			if messages[i], err = s.missing(ctx, b, uid, id); err != nil {
				return nil, err
			}
			if messages[i] == nil {
				gone++
				continue
			}
		}
		body, err := b.body(ctx, id, messages[i])
		if err == nil {
			err = json.Unmarshal(body, &rs[i].Conversation)
		}
		if err != nil {
			return nil, fmt.Errorf("conversation %s: %w", id, err)
		}
	}
	if err := b.results(ctx, ids, func(id string, r Result) {
		if r.Outcome == outcomeOK {
			rs[at[id]].Outputs = append(rs[at[id]].Outputs, r.Outputs...)
		}
	}); err != nil {
		return nil, err
	}
	if err := b.jobs(ctx, jobs, func(j Job) {
		rs[at[j.Conversation]].Jobs = append(rs[at[j.Conversation]].Jobs, j)
	}); err != nil {
		return nil, err
	}
	if gone > 0 {
		rs = slices.DeleteFunc(rs, func(r Record) bool { return r.ID == "" })
	}
	return rs, nil
}

// missing returns the message of a conversation that the index knows but a
// reading did not find: in a cluster it may have asked a server that is behind.
// It returns nil when retention has removed it, here or on another host.
func (s *Store) missing(ctx context.Context, b *backend, uid, id string) (*nats.Msg, error) {
	if s.Shared() {
		m, err := b.fromLeader(ctx, streamConversations, leaderRequest{LastFor: conversationSubject(uid, id)})
		if err != nil {
			return nil, err
		}
		if m != nil {
			return &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, nil
		}
		s.index.remove(uid, id)
		return nil, nil
	}
	if _, ok := s.index.uid(id); ok {
		return nil, fmt.Errorf("conversation %s: its message is gone from the data directory", id)
	}
	return nil, nil
}

// body returns a conversation's JSON from its message and, if it has any, its
// parts.
func (b *backend) body(ctx context.Context, id string, m *nats.Msg) ([]byte, error) {
	hash := m.Header.Get(headerPartsHash)
	if hash == "" {
		return m.Data, nil
	}
	n, err := strconv.Atoi(m.Header.Get(headerPartsCount))
	if err != nil || n < 1 {
		return nil, fmt.Errorf("header %s: not a number of parts: %q", headerPartsCount, m.Header.Get(headerPartsCount))
	}
	var body []byte
	for i := range n {
		part, err := b.last(ctx, streamConversations, partSubject(id, hash, i))
		if err != nil {
			return nil, fmt.Errorf("part %d of %d: %w", i, n, err)
		}
		body = append(body, part.Data...)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("its %d parts are not what was written", n)
	}
	return body, nil
}

// quoteID quotes an id for a message when it could disturb one.
func quoteID(id string) string {
	if validID(id) && len(id) <= maxIDBytes {
		return id
	}
	return fmt.Sprintf("%.*q", maxIDBytes, id)
}
