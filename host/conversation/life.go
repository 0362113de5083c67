package conversation

import (
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// The methods here are called with Session.mu held, but for the timers' own.

// open makes the current conversation one in which something was said.
func (s *Session) open(now time.Time) {
	c := s.current
	if c.opened {
		return
	}
	c.opened = true
	c.head.StartedAt = now.UTC()
	c.quietSince = now
	s.owner.metrics.conversations.Inc()
	s.armSilence(s.owner.o.Silence)
	s.announce()
}

// announce tells the client, once, that the session goes on with the current
// conversation: when the one before is completed, or when something is said
// in it, whichever comes first.
func (s *Session) announce() {
	if !s.current.announced {
		s.current.announced = true
		s.tell().Conversation(s.current.head.ID, StateOpen, nil)
	}
}

// complete completes the current conversation, if something was said in it,
// and begins the next. It reports false, having done nothing, when too many
// conversations wait for the store.
func (s *Session) complete(r event.Reason) bool {
	if len(s.completing) >= s.owner.o.MaxCompleting {
		return false
	}
	s.begin(r)
	return true
}

// begin is complete without the bound, for the last conversation of a session.
func (s *Session) begin(r event.Reason) {
	c := s.current
	c.head.Reason = r
	c.head.CompletedAt = time.Now().UTC()
	c.head.AudioMillis = s.audioMillis(c)
	s.completing = append(s.completing, c)
	s.current = s.next()
	if s.silenceTimer != nil {
		s.silenceTimer.Stop()
	}
	s.tell().Conversation(c.head.ID, StateCompleting, nil)
	if s.boxes.WantsAudio() {
		s.boxes.EndAudio(c.head.ID)
	}
	s.write()
}

func (s *Session) audioMillis(c *conversation) int64 {
	if s.request.Audio == nil {
		return 0
	}
	return s.request.Audio.Duration(c.audioBytes).Milliseconds()
}

// armSilence has the silence looked at after d.
func (s *Session) armSilence(d time.Duration) {
	if s.silenceTimer == nil {
		s.silenceTimer = time.AfterFunc(d, s.onSilence)
		return
	}
	s.silenceTimer.Reset(d)
}

// onSilence completes the conversation if nothing was said for long enough,
// and otherwise looks again when that may be so: content only notes its time,
// so that a frame of audio does not cost a timer.
func (s *Session) onSilence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase >= phaseLeaving || !s.current.opened {
		return
	}
	if left := s.owner.o.Silence - time.Since(s.current.quietSince); left > 0 {
		s.armSilence(left)
		return
	}
	if !s.complete(event.ReasonSilence) {
		s.armSilence(s.owner.o.Silence) // the store is behind; the conversation just stays open
	}
}

// ackSoon sees to it that the audio taken is acknowledged within ackInterval.
func (s *Session) ackSoon() {
	if s.ackArmed {
		return
	}
	s.ackArmed = true
	if s.ackTimer == nil {
		s.ackTimer = time.AfterFunc(ackInterval, s.onAck)
		return
	}
	s.ackTimer.Reset(ackInterval)
}

func (s *Session) onAck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ackArmed {
		return // a transcript's ack said it
	}
	if s.phase < phaseClosed {
		s.ack(s.ackedSeq)
	}
}

// ack says that transcripts up to seq are safe, and all audio until now, unless
// that was said before.
func (s *Session) ack(seq uint64) {
	s.ackArmed = false
	if seq <= s.ackedSeq && s.audioBytes == s.ackedAudio {
		return
	}
	s.ackedSeq, s.ackedAudio = max(seq, s.ackedSeq), s.audioBytes
	s.tell().Ack(s.ackedSeq, s.ackedAudio)
}
