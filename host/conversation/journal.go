package conversation

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// storeTimeout bounds one call of the store.
const storeTimeout = 10 * time.Second

// errGaveUp says that the host closes and does not wait for the store.
var errGaveUp = errors.New("the host gave up on the store")

// write sees to it that a journal runs. Call it with mu held.
func (s *session) write() {
	if s.journaling {
		return
	}
	s.journaling = true
	s.owner.wg.Go(s.journal) // ends when nothing is left to write; Sessions.Close waits for it
}

// journal writes what waits: completing conversations first, then the current
// one's new segments, all that came while it was writing in one go. A session
// whose record somebody else has written since is let go, and so is one in
// which the journal panics: it is adopted again, as after a crash.
func (s *session) journal() {
	defer func() {
		if p := recover(); p != nil {
			s.owner.log.Error("panic in a session's journal; the session is let go, what it has stored is kept",
				"session", s.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			s.mu.Lock()
			s.journaling = false
			s.mu.Unlock()
			s.letGo("panic", Client.Failed)
			s.owner.wg.Go(func() { s.owner.readopt(s.id) }) // ends with storeTimeout; Sessions.Close waits for it
		}
	}()
	for {
		e, ok := s.nextEntry()
		if !ok {
			return
		}
		switch err := s.put(e); {
		case errors.Is(err, store.ErrFenced):
			s.owner.log.Info("a session was taken over", "session", s.id, "conversation", e.of.head.ID)
			s.letGo("fenced", Client.Superseded)
		case err != nil: // the host gave up, which nextEntry finds
		}
	}
}

// journalEntry is one write of the journal.
type journalEntry struct {
	of     *conversation
	part   store.Part
	settle bool // the record is taken back, not appended to
	last   bool // the session is handed over with it
}

// nextEntry returns what is to be written next. When nothing is, or nothing
// may be any more, it ends the journal and reports false.
func (s *session) nextEntry() (e journalEntry, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok = s.waiting(); !ok || s.gone || s.owner.ctx.Err() != nil {
		s.journaling = false
		s.closeIfDrained()
		return journalEntry{}, false
	}
	return e, true
}

// waiting returns what waits to be written. mu is held.
func (s *session) waiting() (journalEntry, bool) {
	if len(s.completing) > 0 {
		c := s.completing[0]
		e := journalEntry{of: c, part: s.part(c)}
		e.part.AudioBytes = c.sessionAudio
		e.part.Closing, e.part.Next = true, c.next
		e.part.Conversation.Segments = c.takeUnsaved()
		return e, true
	}
	c := s.current
	if s.forgetting {
		e := journalEntry{of: c, part: s.part(c), settle: true}
		e.part.Closing = true
		return e, true
	}
	segs := c.takeUnsaved()
	handOff := s.handingOff && !s.handedOff
	if segs == nil && (c.headKept || !c.opened) && !handOff {
		return journalEntry{}, false
	}
	e := journalEntry{of: c, part: s.part(c)}
	e.part.Conversation.Segments = segs
	e.part.Conversation.AudioMillis = c.audioMillis(s.request.Audio)
	c.headKept = c.opened
	if handOff {
		e.part.Host, e.last = "", true
	}
	return e, true
}

// part returns the part of a conversation with nothing new in it.
func (s *session) part(c *conversation) store.Part {
	return store.Part{Conversation: c.head, Seq: c.lastSeq, AudioBytes: s.audioBytes, Audio: s.request.Audio, Host: s.owner.o.HostID}
}

// put writes one entry, and does what follows from it.
func (s *session) put(e journalEntry) error {
	if e.settle {
		err := s.store("settle", func(ctx context.Context) error {
			return s.owner.o.Store.Settle(ctx, e.part, e.of.revision)
		})
		if err == nil {
			s.mu.Lock()
			s.forgetting = false
			s.mu.Unlock()
		}
		return err
	}
	if e.part.Closing {
		e.part.Due = s.owner.o.Jobs.Due(s.request.UID)
	}
	var revision store.Revision
	err := s.store("append", func(ctx context.Context) (err error) {
		revision, err = s.owner.o.Store.Append(ctx, e.part, e.of.revision)
		return err
	})
	if err != nil {
		return err
	}
	s.stored(e, revision)
	if !e.part.Closing {
		return nil
	}
	whole := e.of.whole()
	err = s.store("complete", func(ctx context.Context) error {
		return s.owner.o.Store.Complete(ctx, whole, e.part.Due)
	})
	if err == nil {
		held := store.Held{Part: e.part, Revision: revision}
		held.Conversation.Segments = nil // Work has them
		s.completed(jobs.Work{Conversation: whole, Held: held, Boxes: s.boxes, Deliver: s.deliverStored})
	}
	return err
}

// stored notes that a part is on disk, and acknowledges what it covers.
func (s *session) stored(e journalEntry, r store.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.of.revision = r
	if e.last {
		s.handedOff = true
	}
	if e.part.Closing || e.part.Seq > s.ackedSeq {
		s.ack(e.part.Seq)
	}
}

// completed tells the client and the apps that a conversation is on disk.
func (s *session) completed(w jobs.Work) {
	whole := &w.Conversation
	s.owner.metrics.conversations.Dec()
	s.owner.metrics.completed.WithLabelValues(string(whole.Reason)).Inc()
	s.owner.log.Info("conversation completed", "conversation", whole.ID, "session", s.id,
		"reason", whole.Reason, "segments", len(whole.Segments), "audio_ms", whole.AudioMillis)

	// Not under the lock: a whole conversation takes a while to encode.
	told := s.attached.Load()
	if told != nil {
		told.client.Conversation(whole.ID, wire.StateCompleted, whole)
	}
	answered := s.owner.o.Jobs.Start(w)
	s.owner.inHand.add(whole.ID, answered)

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.attached.Load()
	if now != nil && now != told { // it came in between, and knows nothing of it
		now.client.Conversation(whole.ID, wire.StateCompleted, nil)
	}
	s.noteCompleted(whole.ID, told != nil || now != nil)
	s.completing[0] = nil
	s.completing = s.completing[1:]
	if len(s.completing) == 0 && s.phase == phaseLive {
		s.announce()
	}
	waiting := s.due[:0]
	for _, d := range append(s.due, answered) {
		if !isClosed(d) {
			waiting = append(waiting, d)
		}
	}
	s.due = waiting
}

// store writes until it succeeds, and returns nil, or store.ErrFenced, or
// errGaveUp. What was written though the store said otherwise is recognised
// when it is written again, as it was.
func (s *session) store(what string, write func(ctx context.Context) error) error {
	var b backoff
	for try := 1; ; try++ {
		err := func() error {
			ctx, cancel := context.WithTimeout(s.owner.ctx, storeTimeout)
			defer cancel()
			return write(ctx)
		}()
		if err == nil {
			s.storeBack()
			return nil
		}
		if errors.Is(err, store.ErrFenced) {
			return store.ErrFenced
		}
		if s.owner.ctx.Err() != nil {
			return errGaveUp
		}
		s.owner.metrics.storeRetries.WithLabelValues(what).Inc()
		s.owner.log.Error("writing a conversation to the store; trying again", "operation", what, "session", s.id, "try", try, "error", err)
		s.storeGone()
		if !b.wait(s.owner.ctx) {
			return errGaveUp
		}
	}
}

// storeGone tells the client, once, that acks and completions are delayed.
func (s *session) storeGone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.storeDown {
		s.storeDown = true
		s.tell().Warn(refuse(wire.CodeStoreUnavailable, 0, "the host can't write to its store and goes on trying; nothing is lost, acks and completions come later: keep your copy of what is not acknowledged"))
	}
}

func (s *session) storeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.storeDown = false
}
