package conversation

import (
	"context"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// maxScratchBytes is how much memory for converted audio a stream keeps
// between two frames.
const maxScratchBytes = 256 << 10

// Attachment is a stream's hold on its session, from Sessions.Start to Detach.
// Once a newer stream has the session, what this one still sends is refused
// and its Detach does nothing.
type Attachment struct {
	s       *session
	client  Client
	scratch []byte // converted audio; belongs to the stream's goroutine
}

// Session returns the session's id.
func (a *Attachment) Session() string { return a.s.id }

// Audio takes one frame of the client's audio, which it does not keep. With no
// app to hear it the frame is counted and let go, and nothing is allocated. An
// error is an *InputError: the frame was refused whole.
func (a *Attachment) Audio(frame []byte) error {
	s := a.s
	if len(frame) == 0 {
		return nil
	}
	if s.frameBytes == 0 {
		return refuse(wire.CodeNoAudio, 0, "this session has no audio: its start named no audio format; start a session with one, or send transcripts only")
	}
	if len(frame)%s.frameBytes != 0 {
		return refuse(wire.CodeHalfSample, 0, "a frame of %d bytes is not whole samples: send a multiple of %d bytes (%s); the frame was not taken", len(frame), s.frameBytes, *s.request.Audio)
	}
	pcm, wanted := frame, s.boxes.WantsAudio()
	if wanted {
		var err error
		if pcm, err = s.request.Audio.AppendMono(a.scratch[:0], frame); err != nil {
			return refuse(wire.CodeHalfSample, 0, "%v; the frame was not taken", err)
		}
		if a.scratch = pcm; cap(pcm) > maxScratchBytes {
			a.scratch = nil
		}
	}

	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.mayTalk() {
		return refuseAfterEnd(0)
	}
	if !s.current.opened {
		s.open(now)
		s.write()
	}
	if len(s.current.entries) == 0 {
		s.current.quietSince = now
	}
	before := s.current.audioBytes
	s.current.audioBytes += int64(len(frame))
	s.audioBytes += int64(len(frame))
	s.owner.metrics.audioReceived.Add(float64(len(frame)))
	s.ackSoon()
	if wanted {
		s.boxes.Audio(s.current.head.ID, s.current.samples(s.request.Audio, before), pcm)
	} else {
		s.owner.metrics.audioDiscarded.Add(float64(len(frame)))
	}
	return nil
}

// Transcript takes segments of the client's, which are not changed after. They
// go to the apps at once, and are acknowledged when the store has them. A
// transcript that was taken before is let go and, if it was, acknowledged
// again. An error is an *InputError: the message was refused whole.
func (a *Attachment) Transcript(seq uint64, segs []event.Segment) error {
	if err := checkSegments(seq, segs); err != nil {
		return err
	}
	s := a.s
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.mayTalk() {
		return refuseAfterEnd(seq)
	}
	if s.seq.taken(seq) {
		if seq <= s.ackedSeq {
			s.tell().Ack(s.ackedSeq, s.ackedAudio)
		}
		return nil
	}
	if seq <= s.seq.last {
		return refuse(wire.CodeBadSeq, seq, "seq %d comes after %d: number transcripts upwards; the transcript was not taken, send it with a new seq", seq, s.seq.last)
	}
	if !s.current.fits(segs, s.owner.o.MaxConversationSegments, s.owner.o.MaxConversationBytes) && !s.complete(event.ReasonFull) {
		return s.refuseForStore(seq)
	}
	s.open(now)
	s.seq.take(seq)
	s.current.add(segs)
	s.current.lastSeq = seq
	s.current.quietSince = now
	s.boxes.Transcript(event.Transcript{
		Session: s.id, Conversation: s.current.head.ID, UID: s.request.UID,
		Language: s.current.head.Language, Segments: segs,
	})
	s.write()
	return nil
}

// Finish completes the conversation; the session goes on with the next. An
// error is an *InputError: nothing was said in it, or too much waits for the
// store.
func (a *Attachment) Finish() error {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !a.mayTalk():
		return refuseAfterEnd(0)
	case !s.current.opened:
		return refuse(wire.CodeEmptyConversation, 0, "nothing was said in conversation %s yet; it stays open", s.current.head.ID)
	case !s.complete(event.ReasonFinish):
		return s.refuseForStore(0)
	}
	return nil
}

// mayTalk reports whether what this stream sends is the session's. The
// session's mu is held.
func (a *Attachment) mayTalk() bool {
	return a.s.phase == phaseLive && a.s.attached.Load() == a
}

func refuseAfterEnd(seq uint64) error {
	return refuse(wire.CodeAfterEnd, seq, "this stream's session has ended; what came after was not taken")
}

// End completes the conversation and begins to close the session; Wait must
// follow. An error is an *InputError: the session is not this stream's any more.
func (a *Attachment) End() error {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.mayTalk() {
		return refuseAfterEnd(0)
	}
	s.held = true
	s.depart(event.ReasonEnd)
	return nil
}

// Wait, after End, waits until the store has all that was said and the apps
// have answered the completions, and closes the session. When ctx ends first
// the session closes all the same, as soon as the store has what was said, and
// the error is ctx's.
func (a *Attachment) Wait(ctx context.Context) error {
	s := a.s
	err := s.wait(ctx)
	s.attached.CompareAndSwap(a, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	s.closeIfDrained()
	return err
}

// Detach says that the stream was lost. The session waits for another one, for
// the grace period; what was said is then completed with event.ReasonLost.
func (a *Attachment) Detach() {
	if longest := a.detach(); longest != nil {
		longest.giveUp()
	}
}

func (a *Attachment) detach() (longest *session) {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.attached.CompareAndSwap(a, nil) || s.phase != phaseLive {
		return nil
	}
	s.await(s.owner.o.Grace, event.ReasonLost)
	return s.owner.lose(s)
}
