package conversation

import (
	"context"
	"errors"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
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
	s      *session
	client Client

	// The stream's goroutine's own.
	decoder *audio.Decoder // nil while no app hears
	scratch []byte         // converted audio
}

// Session returns the session's id.
func (a *Attachment) Session() string { return a.s.id }

// Audio takes one frame of the client's audio, which it does not keep. With no
// app to hear it the frame is counted and let go: nothing is decoded, and
// nothing is allocated. An error that is an *InputError says that the frame was
// refused whole; any other is the host's own.
func (a *Attachment) Audio(frame []byte) error {
	s := a.s
	if len(frame) == 0 {
		return nil
	}
	if s.request.Audio == nil {
		return refuse(wire.CodeNoAudio, 0, "this session has no audio: its start named no audio format; start a session with one, or send transcripts only")
	}
	samples, err := s.request.Audio.Samples(frame)
	if err != nil {
		return refuseFrame(err)
	}
	var pcm []byte
	wanted := s.boxes.WantsAudio()
	if wanted {
		if pcm, err = a.decode(frame); err != nil {
			return refuseFrame(err)
		}
	} else {
		a.forget()
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
	before := s.current.audioSamples
	s.current.audioSamples += int64(samples)
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

// decode turns a frame into PCM, which is valid until the next. There is a
// decoder from the first frame that an app hears.
func (a *Attachment) decode(frame []byte) (pcm []byte, err error) {
	if a.decoder == nil {
		if a.decoder, err = a.s.owner.decoders.New(*a.s.request.Audio); err != nil {
			return nil, err
		}
	}
	if pcm, err = a.decoder.AppendMono(a.scratch[:0], frame); err != nil {
		return nil, err
	}
	if a.scratch = pcm; cap(pcm) > maxScratchBytes {
		a.scratch = nil
	}
	return pcm, nil
}

// forget lets the decoder go: what it heard is no past for what comes later.
func (a *Attachment) forget() {
	if a.decoder != nil {
		a.decoder.Close()
		a.decoder = nil
	}
}

// refuseFrame says what Format.Samples or a decoder has against a frame. What
// is no fault of the client's stays as it is.
func refuseFrame(err error) error {
	switch {
	case errors.Is(err, audio.ErrPartialSample):
		return refuse(wire.CodeHalfSample, 0, "%v: send whole samples of every channel; the frame was not taken", err)
	case errors.Is(err, audio.ErrBadPacket):
		return refuse(wire.CodeBadAudio, 0, "%v: send one Opus packet in each binary message, without a container; the frame was not taken", err)
	}
	return err
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
	a.forget()
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
