package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"
)

// The bounds of what is kept of one user's memories.
const (
	MaxMemoryNotes = 1000     // notes, each of which may hold several; fewer than lastOfEach takes
	MaxMemories    = 100      // in one note
	MaxMemoryBytes = 16 << 10 // of a memory's content
)

// ErrTooManyMemories says that a user has MaxMemoryNotes already.
var ErrTooManyMemories = errors.New("too many memories")

// Memory is a fact about a user that an app has noted.
type Memory struct {
	ID        string    `json:"id"`
	App       string    `json:"app"` // who noted it
	Content   string    `json:"content"`
	Tags      []string  `json:"tags,omitempty"`
	Source    string    `json:"source,omitempty"` // where the app has it from, in its own words
	CreatedAt time.Time `json:"created_at"`
}

// memoryNote is one record: what was noted at once.
type memoryNote struct {
	UID      string   `json:"uid"`
	Memories []Memory `json:"memories"`
}

// AddMemories keeps memories of a user, all or none; on synced disk, or with the
// cluster's quorum, when it returns nil. It gives them ids. The error wraps
// ErrTooManyMemories, and ErrBadID and ErrTooLarge as elsewhere.
func (s *Store) AddMemories(ctx context.Context, uid string, ms []Memory) error {
	return s.write(ctx, opAddMemory, "keeping a user's memories", func(ctx context.Context) error {
		if err := checkUID(uid); err != nil {
			return err
		}
		if len(ms) == 0 || len(ms) > MaxMemories {
			return fmt.Errorf("%w: %d at once, must be 1 to %d", ErrTooManyMemories, len(ms), MaxMemories)
		}
		// One at a time, so that a user's notes stay few enough to be read at once:
		// other hosts may each add one more meanwhile.
		select {
		case s.noting <- struct{}{}:
			defer func() { <-s.noting }()
		case <-ctx.Done():
			return ctx.Err()
		}
		n := 0
		err := s.ask(ctx, func(ctx context.Context, b *backend) error {
			n = 0
			return b.lastOfEach(ctx, streamMemories, []string{memorySubject(uid, "*")}, func(*nats.Msg, uint64) error {
				n++
				return nil
			})
		})
		if err != nil {
			return err
		}
		if n >= s.mostNotes {
			return fmt.Errorf("%w: %d notes, at most %d", ErrTooManyMemories, n, s.mostNotes)
		}
		id := strings.ToLower(ulid.Make().String())
		note := memoryNote{UID: uid, Memories: slices.Clone(ms)}
		for i := range note.Memories {
			note.Memories[i].ID = fmt.Sprintf("m_%s_%d", id, i)
		}
		body, err := encode(note)
		if err != nil {
			return err
		}
		return s.putOnce(ctx, streamMemories, &nats.Msg{Subject: memorySubject(uid, id), Data: body})
	})
}

// Memories returns a user's memories, newest first.
func (s *Store) Memories(ctx context.Context, uid string) ([]Memory, error) {
	all := []Memory{}
	err := s.read(ctx, opRead, "reading a user's memories", func(ctx context.Context, b *backend) error {
		if err := checkUID(uid); err != nil {
			return err
		}
		all = all[:0]
		return b.lastOfEach(ctx, streamMemories, []string{memorySubject(uid, "*")}, func(m *nats.Msg, _ uint64) error {
			var note memoryNote
			if err := json.Unmarshal(m.Data, &note); err != nil {
				return fmt.Errorf("decoding a user's memories: %w", err)
			}
			if note.UID != uid {
				return errors.New("decoding a user's memories: the record is another user's")
			}
			all = append(all, note.Memories...)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	return all, nil
}

// ForgetMemories deletes all that is noted about a user, and returns how many
// memories that were. What is noted meanwhile may stay.
func (s *Store) ForgetMemories(ctx context.Context, uid string) (int, error) {
	ms, err := s.Memories(ctx, uid)
	if err != nil || len(ms) == 0 {
		return 0, err
	}
	return len(ms), s.write(ctx, opForgetMemories, "deleting a user's memories", func(ctx context.Context) error {
		return s.ask(ctx, func(ctx context.Context, b *backend) error {
			_, err := b.purge(ctx, streamMemories, purgeRequest{Filter: memorySubject(uid, "*")})
			return err
		})
	})
}

// parseMemorySubject returns whose memories a subject holds.
func parseMemorySubject(subject string) (uid string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "memory.")
	if !ok {
		return "", false
	}
	token, id, ok := strings.Cut(rest, ".")
	if !ok || id == "" {
		return "", false
	}
	return parseAppToken(token)
}
