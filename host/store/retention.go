package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Retention says how long, and up to what size, things are kept. It asks for
// nothing else: a conversation goes though apps' work on it is still due.
type Retention struct {
	Conversations Limit // completed ones, with all that belongs to them
	Outputs       Limit // what apps made of conversations that are kept
	DeadLetters   Limit // jobs that have failed for good; Bytes counts those still waiting, too
}

// Limit bounds what is kept of one kind. What is older than Age or, from the
// oldest on, over Bytes in all is removed. 0 is no limit.
type Limit struct {
	Age   time.Duration // since it was kept; of a dead letter, since its last change
	Bytes int64         // as the server counts them
}

// retentionInterval is how often what is too old or too much is removed.
const retentionInterval = time.Minute

// A kind of thing that retention removes, and the reason, as metrics have them.
const (
	kindConversation = "conversation"
	kindOutput       = "output"
	kindDeadLetter   = "dead_letter"

	reasonAge   = "age"
	reasonBytes = "bytes"
)

// keepRetention removes what is too old or too much, at once and then at every
// interval, until ctx ends.
func (s *Store) keepRetention(ctx context.Context) {
	tick := time.NewTicker(min(retentionInterval, s.options.SessionMemory))
	defer tick.Stop()
	for {
		s.retain(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// removed counts what one run removed, by kind and reason.
type removed map[[2]string]int

// retain removes once what is too old or too much.
func (s *Store) retain(ctx context.Context) {
	// An interval bounds a run: the next goes on from there.
	ctx, cancel := context.WithTimeout(ctx, retentionInterval)
	defer cancel()
	began, counts := time.Now(), removed{}
	r := &s.options.Retention
	err := errors.Join(
		s.enforce(ctx, streamConversations, kindConversation, r.Conversations, counts, s.removeConversations),
		s.enforce(ctx, streamResults, kindOutput, r.Outputs, counts, s.removeResults),
		s.enforce(ctx, streamJobs, kindDeadLetter, r.DeadLetters, counts, s.removeDeadLetters),
		s.removeSettled(ctx),
		s.measure(ctx, streamOpen, 0),
		s.measure(ctx, streamMemories, 0),
		s.measure(ctx, streamValues, 0),
	)
	if err != nil && s.closing.Err() == nil {
		s.log.Warn("removing what is kept too long is put off", "retry_in", retentionInterval, "error", err)
	}
	if len(counts) == 0 {
		return
	}
	fields := []any{"took", time.Since(began).Round(time.Millisecond)}
	for what, n := range counts {
		s.metrics.removed.WithLabelValues(what[0], what[1]).Add(float64(n))
		fields = append(fields, what[0]+"_by_"+what[1], n)
	}
	s.log.Info("removed what was kept too long", fields...)
}

// oldest says which messages of a stream are to be removed, from the first on:
// those kept before a time, or as many as it takes to free bytes.
type oldest struct {
	before time.Time
	free   int64
}

// enforce removes what is over a limit. remove takes part of the oldest, and
// returns how many it removed and whether there may be more to remove.
func (s *Store) enforce(ctx context.Context, stream, kind string, l Limit, counts removed, remove func(context.Context, *backend, oldest) (int, bool, error)) error {
	run := func(reason string, which func(jetstream.StreamState) (oldest, bool)) error {
		for more := true; more; {
			err := s.ask(ctx, func(ctx context.Context, b *backend) error {
				more = false
				state, err := b.state(ctx, stream)
				if err != nil || state.Msgs == 0 {
					return err
				}
				o, any := which(state)
				if !any {
					return nil
				}
				var n int
				n, more, err = remove(ctx, b, o)
				if n > 0 {
					counts[[2]string{kind, reason}] += n
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("stream %s: %w", stream, err)
			}
		}
		return nil
	}
	var err error
	if l.Age > 0 {
		err = run(reasonAge, func(state jetstream.StreamState) (oldest, bool) {
			before := time.Now().Add(-l.Age)
			return oldest{before: before}, state.FirstTime.Before(before)
		})
	}
	if l.Bytes > 0 {
		err = errors.Join(err, run(reasonBytes, func(state jetstream.StreamState) (oldest, bool) {
			return oldest{free: int64(state.Bytes) - l.Bytes}, int64(state.Bytes) > l.Bytes
		}))
	}
	return errors.Join(err, s.measure(ctx, stream, l.Bytes))
}

// measure updates the metrics of a stream.
func (s *Store) measure(ctx context.Context, stream string, limit int64) error {
	return s.ask(ctx, func(ctx context.Context, b *backend) error {
		state, err := b.state(ctx, stream)
		if err != nil {
			return err
		}
		s.metrics.streamBytes.WithLabelValues(stream).Set(float64(state.Bytes))
		s.metrics.streamMessages.WithLabelValues(stream).Set(float64(state.Msgs))
		s.metrics.streamLimit.WithLabelValues(stream).Set(float64(limit))
		return nil
	})
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// scanOldest calls f with the messages under filter that o says, in order, at
// most one request's; more says that there may be others. f returns whether
// the message is to be removed, and its size then counts.
func (b *backend) scanOldest(ctx context.Context, stream, filter string, o oldest, f func(m *nats.Msg, seq uint64) bool) (more bool, err error) {
	n := 0
	err = b.scan(ctx, stream, filter, func(m *nats.Msg, seq uint64) error {
		at, err := sentAt(m)
		if err != nil {
			return err
		}
		if !o.before.IsZero() && !at.Before(o.before) || o.before.IsZero() && o.free <= 0 {
			return errEnough
		}
		if n == getBatch {
			more = true
			return errEnough
		}
		n++
		if f(m, seq) {
			o.free -= int64(m.Size())
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return more, err
}

// removeConversations removes the oldest completed conversations, with their
// parts and what apps made of them. A conversation goes last, so that what a
// crash interrupts is done again.
func (s *Store) removeConversations(ctx context.Context, b *backend, o oldest) (int, bool, error) {
	type conversation struct {
		uid, id string
		parts   bool
	}
	var cs []conversation
	var last uint64
	more, err := b.scanOldest(ctx, streamConversations, subjectConversations, o, func(m *nats.Msg, seq uint64) bool {
		if uid, id, ok := parseConversationSubject(m.Subject); ok {
			cs = append(cs, conversation{uid, id, m.Header.Get(headerPartsHash) != ""})
		}
		last = seq
		return true
	})
	if err != nil || len(cs) == 0 {
		return 0, false, err
	}
	for _, c := range cs {
		s.index.remove(c.uid, c.id)
		if _, err := b.purge(ctx, streamResults, purgeRequest{Filter: resultSubject(c.id, "*")}); err != nil {
			return 0, false, err
		}
		if c.parts {
			if _, err := b.purge(ctx, streamConversations, purgeRequest{Filter: "part." + c.id + ".*.*"}); err != nil {
				return 0, false, err
			}
		}
	}
	n, err := b.purge(ctx, streamConversations, purgeRequest{Filter: subjectConversations, Before: last + 1})
	return n, more && n > 0, err
}

// removeResults removes the oldest of what apps made of conversations.
func (s *Store) removeResults(ctx context.Context, b *backend, o oldest) (int, bool, error) {
	var last uint64
	more, err := b.scanOldest(ctx, streamResults, subjectResults, o, func(_ *nats.Msg, seq uint64) bool {
		last = seq
		return true
	})
	if err != nil || last == 0 {
		return 0, false, err
	}
	n, err := b.purge(ctx, streamResults, purgeRequest{Before: last + 1})
	return n, more && n > 0, err
}

// removeDeadLetters drops the oldest dead letters. Jobs that are waiting or
// running are no dead letters, however old. One that another host has changed
// meanwhile is left alone.
func (s *Store) removeDeadLetters(ctx context.Context, b *backend, o oldest) (int, bool, error) {
	type dead struct {
		app, conversation string
		revision          Revision
	}
	var ds []dead
	more, err := b.scanOldest(ctx, streamJobs, subjectJobs, o, func(m *nats.Msg, seq uint64) bool {
		app, conversation, ok := parseJobSubject(m.Subject)
		var j Job
		if !ok || m.Header.Get(headerGone) != "" || json.Unmarshal(m.Data, &j) != nil || j.State != JobDead {
			return false
		}
		ds = append(ds, dead{app, conversation, Revision(seq)})
		return true
	})
	if err != nil {
		return 0, false, err
	}
	n := 0
	for _, d := range ds {
		switch err := s.dropJob(ctx, d.app, d.conversation, d.revision); {
		case err == nil:
			n++
		case !errors.Is(err, ErrFenced):
			return n, false, err
		}
	}
	return n, more && n > 0, nil
}
