package conversation

import (
	"context"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// maxAppendBytes bounds one write of the journal; a longer batch is several.
const maxAppendBytes = 256 << 10

// write sees to it that a journal runs. Call it with mu held.
func (s *Session) write() {
	if s.journaling {
		return
	}
	s.journaling = true
	s.owner.wg.Go(s.journal) // ends when nothing is left to write; Sessions.Close waits for it
}

// journal writes what waits: completing conversations first, then the current
// one's new segments, all that came while it was writing in one go.
func (s *Session) journal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.step() {
	}
	s.journaling = false
	if s.owner.ctx.Err() != nil {
		s.owner.metrics.conversations.Sub(float64(len(s.completing)))
		s.completing = nil // Close gave up; its error says so
	}
	s.closeIfDrained()
}

// step does the next piece of the journal's work. It reports false when there
// is none, or when the host gave up. mu is held at begin and end, but not
// while the store works.
func (s *Session) step() bool {
	if len(s.completing) > 0 {
		c := s.completing[0]
		s.mu.Unlock()
		whole := c.whole()
		stored := s.store("complete", func(ctx context.Context) error {
			return s.owner.o.Store.Complete(ctx, whole)
		})
		if stored {
			s.completed(whole, c.lastSeq)
		}
		s.mu.Lock()
		if !stored {
			return false
		}
		s.completing[0] = nil
		s.completing = s.completing[1:]
		if len(s.completing) == 0 && s.phase == phaseLive {
			s.announce()
		}
		return true
	}
	c := s.current
	segs := c.takeUnsaved()
	if segs == nil {
		return false
	}
	seq := s.seq
	head := c.head
	head.AudioMillis = s.audioMillis(c)
	s.mu.Unlock()
	stored := s.append(head, segs)
	s.mu.Lock()
	if stored {
		s.ack(seq)
	}
	return stored
}

// append stores segs of an open conversation.
func (s *Session) append(head store.Head, segs []event.Segment) bool {
	for len(segs) > 0 {
		n, size := 0, int64(0)
		for n < len(segs) && (n == 0 || size+segmentBytes(segs[n]) <= maxAppendBytes) {
			size += segmentBytes(segs[n])
			n++
		}
		batch := segs[:n]
		segs = segs[n:]
		if !s.store("append", func(ctx context.Context) error {
			return s.owner.o.Store.Append(ctx, head, batch)
		}) {
			return false
		}
	}
	return true
}

// completed tells the client and the apps that a conversation is on disk.
func (s *Session) completed(whole event.Conversation, lastSeq uint64) {
	s.owner.metrics.conversations.Dec()
	s.owner.metrics.completed.WithLabelValues(string(whole.Reason)).Inc()
	s.owner.log.Info("conversation completed", "conversation", whole.ID, "session", s.id,
		"reason", whole.Reason, "segments", len(whole.Segments), "audio_ms", whole.AudioMillis)

	// Not under the lock: a whole conversation takes a while to encode.
	s.tell().Conversation(whole.ID, StateCompleted, &whole)
	s.mu.Lock()
	s.ack(lastSeq)
	s.mu.Unlock()
	answered := complete(s.boxes, whole, s.deliver)

	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.due[:0]
	for _, d := range append(s.due, answered) {
		select {
		case <-d:
		default:
			waiting = append(waiting, d)
		}
	}
	s.due = waiting
}

// store writes until it succeeds. It reports false when the host gave up.
func (s *Session) store(what string, write func(ctx context.Context) error) bool {
	var b backoff
	for try := 1; ; try++ {
		err := func() error {
			ctx, cancel := context.WithTimeout(s.owner.ctx, storeTimeout)
			defer cancel()
			return write(ctx)
		}()
		if err == nil {
			s.storeBack()
			return true
		}
		if s.owner.ctx.Err() != nil {
			return false
		}
		s.owner.metrics.storeRetries.WithLabelValues(what).Inc()
		s.owner.log.Error("writing a conversation to the store; trying again", "operation", what, "session", s.id, "try", try, "error", err)
		s.storeGone()
		if !b.wait(s.owner.ctx) {
			return false
		}
	}
}

// storeGone tells the client, once, that acks and completions are delayed.
func (s *Session) storeGone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.storeDown {
		s.storeDown = true
		s.tell().Warn(refuse(CodeStoreUnavailable, 0, "the host can't write to its store and goes on trying; nothing is lost, acks and completions come later: keep your copy of what is not acknowledged"))
	}
}

func (s *Session) storeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storeDown = false
}
