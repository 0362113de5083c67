package conversation

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/sdk/event"
)

// maxScratchBytes is how much memory for converted audio a session keeps
// between two frames.
const maxScratchBytes = 256 << 10

// ackInterval is the least time between two acks that audio alone causes.
const ackInterval = time.Second

// phase is how far a session is on its way.
type phase int

const (
	phaseLive    phase = iota // a stream is attached and may send
	phaseWaiting              // the stream was lost; grace runs
	phaseLeaving              // takes nothing more; closes once its conversations are stored
	phaseClosed
)

// Session is what one client is doing: a row of conversations. Start makes it;
// it closes after End and Wait, after Detach once the grace period is over, or with
// Sessions.Close, and always stores what was said first.
type Session struct {
	owner      *Sessions
	id         string
	request    StartRequest
	frameBytes int // of one sample of all channels; 0 without audio
	boxes      Mailboxes
	scratch    []byte // converted audio; belongs to the stream's goroutine

	attached atomic.Pointer[Client] // nil once the stream is gone

	lost    bool          // guarded by owner.mu; the stream is gone
	waiting *list.Element // guarded by owner.mu; place in owner.detached

	drained chan struct{} // closed when a leaving session has stored everything
	done    chan struct{} // closed when the session is closed

	mu         sync.Mutex // guards what follows; held across calls of boxes and the client, which never block
	phase      phase
	held       bool // after End: Wait closes the session
	current    *conversation
	completing []*conversation // oldest first; the journal takes them off
	journaling bool            // a journal goroutine runs
	storeDown  bool            // the client was told that the store fails
	due        []<-chan struct{}

	audioBytes int64  // taken since the session began
	seq        uint64 // of the last transcript accepted
	ackedSeq   uint64
	ackedAudio int64 // bytes
	ackArmed   bool
	ackTimer   *time.Timer

	silenceTimer *time.Timer
	graceTimer   *time.Timer
}

// ID returns the session's id.
func (s *Session) ID() string { return s.id }

// Conversation returns the id of the conversation that the next content
// belongs to.
func (s *Session) Conversation() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.head.ID
}

// Apps returns the apps that this session's user has.
func (s *Session) Apps() []*apps.App { return s.boxes.Apps() }

// Audience says what becomes of the session's audio: "buffered" for the apps
// that may have it, "discarded" when there is none, "none" when the session
// has no audio.
func (s *Session) Audience() string {
	switch {
	case s.request.Audio == nil:
		return "none"
	case s.boxes.WantsAudio():
		return "buffered"
	}
	return "discarded"
}

// next returns the conversation that comes after the current one.
func (s *Session) next() *conversation {
	return &conversation{head: event.Conversation{
		ID: newID("c_"), Session: s.id, UID: s.request.UID,
		Language: s.request.Language, Source: s.request.Source, Metadata: s.request.Metadata,
	}}
}

// tell returns the attached client; without one what is said goes nowhere.
func (s *Session) tell() Client {
	if c := s.attached.Load(); c != nil {
		return *c
	}
	return nobody{}
}

type nobody struct{}

func (nobody) Conversation(string, State, *event.Conversation) {}
func (nobody) Ack(uint64, int64)                               {}
func (nobody) Output(event.Output)                             {}
func (nobody) Gap(dispatch.Gap)                                {}
func (nobody) Warn(*InputError)                                {}

// deliver takes what became of an invocation. Dispatch calls it on a worker,
// also after the session has closed.
func (s *Session) deliver(inv apps.Invocation) {
	c := s.tell()
	for _, o := range inv.Outputs {
		c.Output(o)
	}
	s.owner.results.keep(inv)
}

func (s *Session) gap(g dispatch.Gap) { s.tell().Gap(g) }

// Audio takes one frame of the client's audio, which it does not keep. With no
// app to hear it the frame is counted and let go, and nothing is allocated. An
// error is an *InputError: the frame was refused whole.
func (s *Session) Audio(frame []byte) error {
	if len(frame) == 0 {
		return nil
	}
	if s.frameBytes == 0 {
		return refuse(CodeNoAudio, 0, "this session has no audio: its start named no audio format; start a session with one, or send transcripts only")
	}
	if len(frame)%s.frameBytes != 0 {
		return refuse(CodeHalfSample, 0, "a frame of %d bytes is not whole samples: send a multiple of %d bytes (%s); the frame was not taken", len(frame), s.frameBytes, *s.request.Audio)
	}
	pcm, wanted := frame, s.boxes.WantsAudio()
	if wanted {
		var err error
		if pcm, err = s.request.Audio.AppendMono(s.scratch[:0], frame); err != nil {
			return refuse(CodeHalfSample, 0, "%v; the frame was not taken", err)
		}
		if s.scratch = pcm; cap(pcm) > maxScratchBytes {
			s.scratch = nil
		}
	}

	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseLive {
		return s.refuseAfterEnd(0)
	}
	s.open(now)
	if len(s.current.entries) == 0 {
		s.current.quietSince = now
	}
	start := s.current.audioBytes / int64(s.frameBytes)
	s.current.audioBytes += int64(len(frame))
	s.audioBytes += int64(len(frame))
	s.owner.metrics.audioReceived.Add(float64(len(frame)))
	s.ackSoon()
	if wanted {
		s.boxes.Audio(s.current.head.ID, start, pcm)
	} else {
		s.owner.metrics.audioDiscarded.Add(float64(len(frame)))
	}
	return nil
}

// Transcript takes segments of the client's, which are not changed after. They
// go to the apps at once, and are acknowledged when the store has them. An
// error is an *InputError: the message was refused whole.
func (s *Session) Transcript(seq uint64, segs []event.Segment) error {
	if err := checkSegments(seq, segs); err != nil {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseLive {
		return s.refuseAfterEnd(seq)
	}
	if seq <= s.seq {
		return refuse(CodeBadSeq, seq, "seq %d does not follow %d: number transcripts upwards from 1; the transcript was not taken", seq, s.seq)
	}
	if !s.current.fits(segs, s.owner.o.MaxConversationSegments, s.owner.o.MaxConversationBytes) && !s.complete(event.ReasonFull) {
		return s.refuseForStore(seq)
	}
	s.open(now)
	s.seq = seq
	s.current.add(segs)
	s.current.lastSeq = seq
	s.current.quietSince = now
	s.boxes.Transcript(event.Transcript{
		Session: s.id, Conversation: s.current.head.ID, UID: s.request.UID,
		Language: s.request.Language, Segments: segs,
	})
	s.write()
	return nil
}

// Finish completes the conversation; the session goes on with the next. An
// error is an *InputError: nothing was said in it, or too much waits for the
// store.
func (s *Session) Finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase != phaseLive:
		return s.refuseAfterEnd(0)
	case !s.current.opened:
		return refuse(CodeEmptyConversation, 0, "nothing was said in conversation %s yet; it stays open", s.current.head.ID)
	case !s.complete(event.ReasonFinish):
		return s.refuseForStore(0)
	}
	return nil
}

func (s *Session) refuseAfterEnd(seq uint64) error {
	return refuse(CodeAfterEnd, seq, "the session has ended; what came after end was not taken")
}

func (s *Session) refuseForStore(seq uint64) error {
	return refuse(CodeStoreUnavailable, seq, "%d conversations wait to be stored; this message was not taken: send it again in a few seconds, with a new seq if it has one", len(s.completing))
}

// End completes the conversation and begins to close the session; Wait must
// follow.
func (s *Session) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseLive {
		s.held = true
		s.depart(event.ReasonEnd)
	}
}

// Wait, after End, waits until the store has all that was said and the apps
// have answered the completions, and closes the session. When ctx ends first
// the session closes all the same, as soon as the store has what was said, and
// the error is ctx's.
func (s *Session) Wait(ctx context.Context) error {
	err := s.wait(ctx)
	s.attached.Store(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	s.closeIfDrained()
	return err
}

// wait waits until all that was said is stored and answered by the apps.
func (s *Session) wait(ctx context.Context) error {
	select {
	case <-s.drained:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	due := s.due
	s.due = nil
	s.mu.Unlock()
	for _, answered := range due {
		select {
		case <-answered:
		case <-s.owner.closing: // dispatch's Drain waits for these
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Detach says that the stream was lost. What was said waits for the grace
// period and is then completed with event.ReasonLost; a session in which
// nothing waits closes at once.
func (s *Session) Detach() {
	s.attached.Store(nil)
	if longest := s.detach(); longest != nil {
		longest.leave(event.ReasonLost)
	}
}

func (s *Session) detach() (longest *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseLive {
		return nil
	}
	if !s.current.opened {
		s.depart(event.ReasonLost)
		return nil
	}
	s.phase = phaseWaiting
	s.graceTimer = time.AfterFunc(s.owner.o.Grace, func() { s.leave(event.ReasonLost) })
	return s.owner.lose(s)
}

// leave completes the conversation and closes the session when the store has
// it. It does nothing to a session that is leaving already.
func (s *Session) leave(r event.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase < phaseLeaving {
		s.depart(r)
	}
}

// depart is leave with mu held and the session live or waiting.
func (s *Session) depart(r event.Reason) {
	s.phase = phaseLeaving
	if s.graceTimer != nil {
		s.graceTimer.Stop()
	}
	if s.current.opened {
		s.begin(r)
	}
	s.closeIfDrained()
}

// closeIfDrained closes a leaving session of which nothing waits to be written.
func (s *Session) closeIfDrained() {
	if s.phase != phaseLeaving || len(s.completing) > 0 || s.journaling {
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
	for _, t := range []*time.Timer{s.ackTimer, s.silenceTimer} {
		if t != nil {
			t.Stop()
		}
	}
	if s.boxes != nil {
		s.boxes.Close()
	}
	s.owner.remove(s)
	s.owner.log.Debug("session closed", "session", s.id)
	close(s.done)
}
