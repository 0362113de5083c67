package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats.go"
)

// Headers of a conversation kept in parts. Its own message then has no body.
const (
	headerPartsHash  = "Auricle-Parts-Sha256" // of the whole body, in hex
	headerPartsCount = "Auricle-Parts"
)

// Record is a conversation and what apps made of it.
type Record struct {
	event.Conversation
	Outputs  []event.Output `json:"outputs"`  // in the order they were kept; never nil
	Failures []Result       `json:"failures"` // answers that did not end ok; never nil
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

// Complete keeps a completed conversation; on synced disk when it returns
// nil. The appended segments are then let go.
//
// It is idempotent by id: a second Complete of the same id changes nothing
// and returns nil. The error wraps ErrBadID for an id that can't be kept;
// after any other it can be called again.
func (s *Store) Complete(ctx context.Context, c event.Conversation) error {
	return s.write(ctx, opComplete, "completing conversation "+quoteID(c.ID), func(ctx context.Context) error {
		if err := checkID("conversation id", c.ID); err != nil {
			return err
		}
		if err := checkUID(c.UID); err != nil {
			return err
		}
		if _, ok := s.index.uid(c.ID); !ok {
			if err := s.keep(ctx, c); err != nil {
				return err
			}
			s.index.add(c.UID, c.ID)
		}
		if err := s.server.purge(ctx, streamOpen, openSubject(c.ID)); err != nil {
			// It is kept, which is what was asked; Unfinished tidies.
			s.log.Warn("could not let go of a completed conversation's appended segments", "conversation", c.ID, "error", err)
			s.metrics.errors.WithLabelValues(string(opComplete)).Inc()
		}
		return nil
	})
}

// keep writes a conversation unless it is there, a large one's parts before
// the message that makes it exist.
func (s *Store) keep(ctx context.Context, c event.Conversation) error {
	if c.Segments == nil {
		c.Segments = []event.Segment{}
	}
	body, err := encode(c)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: conversationSubject(c.UID, c.ID), Data: body}
	if len(body) > MaxMessageBytes {
		// Parts are named by their content: another attempt writes the same
		// ones or its own, never over those of a conversation that is kept.
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		n := 0
		for ; len(body) > 0; n++ {
			part := body[:min(len(body), MaxMessageBytes)]
			body = body[len(part):]
			if _, err := s.server.publish(ctx, &nats.Msg{Subject: partSubject(c.ID, hash, n), Data: part}, true); err != nil {
				return fmt.Errorf("part %d: %w", n, err)
			}
		}
		m.Data = nil
		m.Header = nats.Header{headerPartsHash: {hash}, headerPartsCount: {strconv.Itoa(n)}}
	}
	_, err = s.server.publish(ctx, m, true)
	return err
}

// Conversation returns a completed conversation and what apps made of it so
// far. The error wraps ErrNotFound when there is none, also while it is open.
func (s *Store) Conversation(ctx context.Context, id string) (Record, error) {
	var r Record
	err := s.read(ctx, opRead, "reading conversation "+quoteID(id), func(ctx context.Context) error {
		uid, ok := s.index.uid(id)
		if !ok {
			return fmt.Errorf("%w: %s", ErrNotFound, quoteID(id))
		}
		rs, err := s.records(ctx, uid, []string{id})
		if err != nil {
			return err
		}
		r = rs[0]
		return nil
	})
	return r, err
}

// Conversations lists a user's completed conversations, newest first by the
// time they were begun. limit is MinPage to MaxPage. cursor is empty or a
// Page's Next, otherwise the error wraps ErrBadCursor. What completes between
// two pages moves nothing: no conversation comes twice or is left out.
func (s *Store) Conversations(ctx context.Context, uid string, limit int, cursor string) (Page, error) {
	page := Page{Conversations: []Record{}}
	err := s.read(ctx, opList, "listing a user's conversations", func(ctx context.Context) error {
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
		if page.Conversations, err = s.records(ctx, uid, ids); err != nil {
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
// one request for them and one for what apps made of them.
func (s *Store) records(ctx context.Context, uid string, ids []string) ([]Record, error) {
	rs := make([]Record, len(ids))
	if len(ids) == 0 {
		return rs, nil
	}
	at := make(map[string]int, len(ids))
	subjects := make([]string, len(ids))
	for i, id := range ids {
		rs[i] = Record{Outputs: []event.Output{}, Failures: []Result{}}
		at[id], subjects[i] = i, conversationSubject(uid, id)
	}
	messages := make([]*nats.Msg, len(ids))
	err := s.server.lastOfEach(ctx, streamConversations, subjects, func(m *nats.Msg) error {
		if _, id, ok := parseConversationSubject(m.Subject); ok {
			messages[at[id]] = m
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		body, err := s.body(ctx, id, messages[i])
		if err == nil {
			err = json.Unmarshal(body, &rs[i].Conversation)
		}
		if err != nil {
			return nil, fmt.Errorf("conversation %s: %w", id, err)
		}
	}
	if err := s.results(ctx, ids, func(id string, r Result) {
		if i := at[id]; r.Outcome == outcomeOK {
			rs[i].Outputs = append(rs[i].Outputs, r.Outputs...)
		} else {
			rs[i].Failures = append(rs[i].Failures, r)
		}
	}); err != nil {
		return nil, err
	}
	return rs, nil
}

// body returns a conversation's JSON from its message and, if it has any, its
// parts. m is nil when there was no message.
func (s *Store) body(ctx context.Context, id string, m *nats.Msg) ([]byte, error) {
	if m == nil {
		return nil, errors.New("its message is gone from the data directory")
	}
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
		part, err := s.server.last(ctx, streamConversations, partSubject(id, hash, i))
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
