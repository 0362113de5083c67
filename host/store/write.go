package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
)

// headerWrite names a write. A write whose answer was lost is recognised by it.
const headerWrite = "Auricle-Write"

// put writes one message, given its sequence is the last of its subject's:
// expect, 0 when there is none. The error wraps a *conflict when it is not,
// ErrTooLarge for what can't be written at all.
func (s *Store) put(ctx context.Context, stream string, m *nats.Msg, expect uint64) (uint64, error) {
	_, seq, err := s.putNamed(ctx, stream, m, expect)
	return seq, err
}

// putNamed is put, and returns the name of the write.
func (s *Store) putNamed(ctx context.Context, stream string, m *nats.Msg, expect uint64) (id string, seq uint64, err error) {
	id = s.name + strconv.FormatUint(s.writes.Add(1), 36)
	if most := int(s.maxMessage.Load()); len(m.Data) > most {
		return id, 0, fmt.Errorf("%w: %w: %d bytes, at most %d", errNotWritten, ErrTooLarge, len(m.Data), most)
	}
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header.Set(headerWrite, id)
	m.Header.Set(headerExpect, strconv.FormatUint(expect, 10))
	seq, err = s.committers[stream].put(&write{ctx: ctx, m: m, id: id, expect: expect})
	return id, seq, err
}

// replace writes messages of one subject one after the other, going on from
// the subject's last one, which must have the sequence after. If it has not,
// but what is there was written by an earlier replace with the same after
// whose outcome was unknown, it goes on from that. The error wraps ErrFenced
// when somebody else has written.
//
// from is the sequence to expect where it is not after.
func (s *Store) replace(ctx context.Context, stream string, ms []*nats.Msg, after, from Revision) (Revision, error) {
	at, first := uint64(from), unsureKey{ms[0].Subject, after}
	ours := s.unsure.take(first)
	var ids []string // of what has been written, or may have been
	for i := 0; i < len(ms); {
		id, seq, err := s.putNamed(ctx, stream, ms[i], at)
		var c *conflict
		switch {
		case err == nil:
			ids = append(ids, id)
			at = seq
			i++
			continue
		case errors.As(err, &c):
			if c.last != nil && slices.Contains(ours, c.last.Header.Get(headerWrite)) {
				at, ours = c.last.Seq, nil
				continue
			}
			return 0, fmt.Errorf("%w: revision %d is not the newest: %w", ErrFenced, at, c)
		case !errors.Is(err, errNotWritten):
			ids = append(ids, id)
		}
		s.unsure.note(first, append(ours, ids...))
		return 0, err
	}
	return Revision(at), nil
}

// unsureKey names what was to be written: what follows a revision of a subject.
type unsureKey struct {
	subject string
	after   Revision
}

// maxUnsure bounds the writes of unknown outcome that are remembered. Beyond,
// arbitrary ones are forgotten: who repeats such a write is told ErrFenced,
// though it may have been its own.
const maxUnsure = 16384

// unsure remembers writes of which it is not known whether they were written.
type unsure struct {
	mu  sync.Mutex
	ids map[unsureKey][]string
}

// take returns the writes that may be what follows key, and forgets them.
func (u *unsure) take(key unsureKey) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := u.ids[key]
	delete(u.ids, key)
	return ids
}

// note remembers writes that may be what follows key.
func (u *unsure) note(key unsureKey, ids []string) {
	if len(ids) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = map[unsureKey][]string{}
	}
	for k := range u.ids {
		if len(u.ids) < maxUnsure {
			break
		}
		delete(u.ids, k)
	}
	u.ids[key] = append(u.ids[key], ids...)
}
