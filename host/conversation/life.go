package conversation

import (
	"time"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// The methods here are called with session.mu held, but for the alarms' own
// and those that say otherwise.

// open makes the current conversation one in which something was said.
func (s *session) open(now time.Time) {
	c := s.current
	if c.opened {
		return
	}
	c.opened = true
	c.head.StartedAt = s.owner.o.Now().UTC()
	c.dated(c.head.StartedAt, now)
	c.quietSince = now
	s.owner.metrics.conversations.Inc()
	s.silenceAlarm.In(s.silence())
	s.announce()
}

// announce tells the client, once, that the session goes on with the current
// conversation: when the one before is completed, or when something is said
// in it, whichever comes first.
func (s *session) announce() {
	if !s.current.announced {
		s.current.announced = true
		s.tell().Conversation(s.current.head.ID, wire.StateOpen, nil)
	}
}

// complete completes the current conversation, in which something was said,
// and begins the next. It reports false, having done nothing, when too many
// conversations wait for the store.
func (s *session) complete(r event.Reason) bool {
	if len(s.completing) >= s.owner.o.MaxCompleting {
		return false
	}
	s.begin(r)
	s.completing[len(s.completing)-1].next = s.current.head.ID
	return true
}

// begin is complete without the bound and without a next one, for the last
// conversation of a session.
func (s *session) begin(r event.Reason) {
	c := s.current
	c.head.Reason = r
	c.head.CompletedAt = c.now()
	c.head.AudioMillis = c.audioMillis(s.request.Audio)
	c.sessionAudio = s.audioBytes
	s.completing = append(s.completing, c)
	s.current = s.newConversation(s.nextID())
	s.silenceAlarm.Stop()
	s.tell().Conversation(c.head.ID, wire.StateCompleting, nil)
	if s.boxes.WantsAudio() {
		s.boxes.EndAudio(c.head.ID)
	}
	s.write()
}

// audioMillis returns how much audio of format f the conversation has.
func (c *conversation) audioMillis(f *audio.Format) int64 {
	if f == nil {
		return 0
	}
	return c.earlierAudioMillis + f.SamplesDuration(c.audioSamples).Milliseconds()
}

// samples returns how much audio of format f, in samples of one channel, the
// conversation had when this host had taken so many of it.
func (c *conversation) samples(f *audio.Format, taken int64) int64 {
	return c.earlierAudioMillis*int64(f.Rate)/1000 + taken
}

// onSilence completes the conversation if nothing was said for long enough,
// and otherwise looks again when that may be so: content only notes its time,
// so that a frame of audio sets no alarm.
func (s *session) onSilence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase >= phaseLeaving || !s.current.opened {
		return
	}
	if left := s.silence() - time.Since(s.current.quietSince); left > 0 {
		s.silenceAlarm.In(left)
		return
	}
	if !s.complete(event.ReasonSilence) {
		s.silenceAlarm.In(s.silence()) // the store is behind; the conversation just stays open
	}
}

// await has the session wait for another stream, for grace; then it is over
// and what was said completes with r.
func (s *session) await(grace time.Duration, r event.Reason) {
	s.phase = phaseWaiting
	s.lostAt, s.grace, s.lostReason = time.Now(), grace, r
	s.graceAlarm.In(grace)
}

// onGrace ends a session that waited in vain. An alarm that has rung before a
// stream resumed the session finds that there is time left.
func (s *session) onGrace() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseWaiting {
		return
	}
	if left := s.grace - time.Since(s.lostAt); left > 0 {
		s.graceAlarm.In(left)
		return
	}
	s.depart(s.lostReason)
}

// giveUp ends the wait for another stream early. It takes mu.
func (s *session) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseWaiting {
		s.depart(s.lostReason)
	}
}

// depart ends a session that is live or waiting: it completes the conversation
// and closes when the store has it.
func (s *session) depart(r event.Reason) {
	s.phase = phaseLeaving
	s.stopAlarms()
	if s.current.opened {
		s.begin(r)
	} else if s.current.revision != 0 {
		s.forgetting = true
		s.write()
	}
	s.closeIfDrained()
}

// handOff closes a session that is live or waiting without ending it: its last
// write leaves it to the host that finds it. It takes mu.
func (s *session) handOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase >= phaseLeaving {
		return
	}
	s.phase = phaseLeaving
	s.handingOff = true
	s.stopAlarms()
	s.write()
}

// letGo closes the session here, and writes nothing more of it: somebody else
// has it, or is to find it. What the journal is writing just now is its last.
// It takes mu.
func (s *session) letGo(why string, tell func(Client)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseClosed {
		return
	}
	if s.gone {
		s.closeIfDrained()
		return
	}
	s.phase = phaseLeaving
	s.gone = true
	s.held, s.handingOff, s.forgetting = false, false, false
	s.stopAlarms()
	s.owner.remove(s) // who resumes the session looks into the store
	s.owner.metrics.letGo.WithLabelValues(why).Inc()
	if a := s.attached.Swap(nil); a != nil {
		tell(a.client)
	}
	s.closeIfDrained()
}

func (s *session) stopAlarms() {
	s.graceAlarm.Stop()
	s.silenceAlarm.Stop()
}

// closeIfDrained closes a leaving session when its journal has ended.
func (s *session) closeIfDrained() {
	if s.phase != phaseLeaving || s.journaling {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
	if s.held {
		return
	}
	s.phase = phaseClosed
	s.stopAlarms()
	s.ackAlarm.Stop()
	open := len(s.completing) // what a journal that gave up has left
	if s.current.opened {
		open++
	}
	s.owner.metrics.conversations.Sub(float64(open))
	s.completing = nil
	s.boxes.Close()
	s.owner.remove(s)
	s.owner.log.Debug("session closed", "session", s.id)
	close(s.done)
}

// ackSoon sees to it that the audio taken is acknowledged within ackInterval.
func (s *session) ackSoon() {
	if s.ackArmed {
		return
	}
	s.ackArmed = true
	s.ackAlarm.In(ackInterval)
}

func (s *session) onAck() {
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
func (s *session) ack(seq uint64) {
	s.ackArmed = false
	if seq <= s.ackedSeq && s.audioBytes == s.ackedAudio {
		return
	}
	s.ackedSeq, s.ackedAudio = max(seq, s.ackedSeq), s.audioBytes
	s.tell().Ack(s.ackedSeq, s.ackedAudio)
}
