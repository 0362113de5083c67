package dispatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/sdk/event"
)

// SessionOptions say whose session it is and who hears of it. UID and ID are
// required.
type SessionOptions struct {
	UID, ID, Language string
	Rate              int // samples a second of the PCM given to Audio; 0 when the session has no audio

	// Recovered says that an earlier host began the session: what apps kept for
	// it is lost, and they are told.
	Recovered bool

	// Deliver gets each finished invocation with a realtime event of this session;
	// for one app in order, and before its next event begins. It is called on a
	// worker and must not block. Nil discards.
	Deliver func(apps.Invocation)

	// Gap is told what was dropped, once for each drop and so maybe often: the
	// receiver merges. It must not block. Nil discards; drops are counted anyway.
	Gap func(Gap)

	// Changed is told that Apps, or WantsAudio, is different since Open returned
	// or since it was last told. It must not block. Nil discards.
	Changed func()
}

// Gap is something that was dropped for an app.
type Gap struct {
	App      string
	Kind     event.Kind
	Bytes    int64  // audio
	Segments int    // transcript
	Reason   string // one of the Reason constants
}

// The reasons of a Gap, and for which an Attempt is deferred.
const (
	ReasonBufferFull    = "buffer_full"    // the session's audio buffer was full
	ReasonSuperseded    = "superseded"     // the app lags and wants the latest audio only: newer came
	ReasonMailboxFull   = "mailbox_full"   // the app lags behind this session's transcript
	ReasonQueueFull     = "queue_full"     // the app lags behind all its sessions together
	ReasonBreakerOpen   = "breaker_open"   // the app kept failing and is not called for a while
	ReasonSessionClosed = "session_closed" // the session closed before the event's turn came
	ReasonShutdown      = "shutdown"       // the host is shutting down
	ReasonHostError     = "host_error"     // the event could not be run, by no fault of the app's
	ReasonNotInstalled  = "not_installed"  // the user has no such app, or it may not have such events
	ReasonSwitchedOff   = "switched_off"   // the user has switched the app off
)

// Session is the Dispatcher's side of one session: a mailbox for each app that
// its user has, and an audio buffer if one of them is to get audio. Both change
// with Dispatcher.Replace and Dispatcher.Refit. Close it.
type Session struct {
	d      *Dispatcher
	o      SessionOptions
	roster atomic.Pointer[roster] // changed with mu held only
	closed atomic.Bool            // likewise

	next, prev *Session // of the same user, while open; guarded by d.mu

	mu sync.Mutex // held while the roster or closed changes, and across no callback
}

// Open returns the session of a user, who has the apps that serve uid.
func (d *Dispatcher) Open(o SessionOptions) *Session {
	s := &Session{d: d, o: o}
	s.roster.Store(&roster{})
	d.mu.Lock()
	defer d.mu.Unlock()
	s.fit()
	for _, m := range s.roster.Load().mailboxes {
		m.state.Lost = o.Recovered
	}
	d.enlist(s)
	return s
}

// enlist notes an open session. d.mu is held.
func (d *Dispatcher) enlist(s *Session) {
	d.sessions[s] = struct{}{}
	if s.next = d.ofUser[s.o.UID]; s.next != nil {
		s.next.prev = s
	}
	d.ofUser[s.o.UID] = s
}

// strike undoes enlist. d.mu is held.
func (d *Dispatcher) strike(s *Session) {
	delete(d.sessions, s)
	if s.next != nil {
		s.next.prev = s.prev
	}
	switch {
	case s.prev != nil:
		s.prev.next = s.next
	case s.next != nil:
		d.ofUser[s.o.UID] = s.next
	default:
		delete(d.ofUser, s.o.UID)
	}
	s.next, s.prev = nil, nil
}

// WantsAudio reports whether Audio keeps anything: the session has audio, and
// an app of this user holds the audio capability now. It is cheap.
func (s *Session) WantsAudio() bool { return s.roster.Load().buffer != nil }

// BufferedAudio returns the bytes of audio held now: 0, and no buffer exists,
// when WantsAudio is false.
func (s *Session) BufferedAudio() int64 {
	if b := s.roster.Load().buffer; b != nil {
		return b.Buffered()
	}
	return 0
}

// Transcript hands segments that are new or changed to each app that holds
// transcript. Where an app lags they are merged into its pending event, each
// segment once and in its newest form. Session, UID and Language are filled in
// where t lacks them. t's segments must not be changed afterwards.
func (s *Session) Transcript(t event.Transcript) {
	if len(t.Segments) == 0 {
		return
	}
	t.Session, t.UID = s.o.ID, s.o.UID
	if t.Language == "" {
		t.Language = s.o.Language
	}
	for _, m := range s.roster.Load().mailboxes {
		if m.lane.now().app.Holds(event.CapTranscript) {
			m.putTranscript(t)
		}
	}
}

// Audio hands the next audio of a conversation, mono s16le at
// SessionOptions.Rate and whole samples, to each app that holds audio, in
// pieces of the length it asks for. start is pcm's first sample, counted since
// the conversation began. It copies pcm. It does nothing unless WantsAudio.
func (s *Session) Audio(conversation string, start int64, pcm []byte) {
	r := s.roster.Load()
	if r.buffer == nil || len(pcm) == 0 {
		return
	}
	if s.closed.Load() || s.d.draining.Load() {
		reason := ReasonSessionClosed
		if !s.closed.Load() {
			reason = ReasonShutdown
		}
		for _, m := range r.listeners {
			m.tell([]Gap{{App: m.lane.name, Kind: event.KindAudio, Bytes: int64(len(pcm)), Reason: reason}})
		}
		return
	}
	for _, drop := range r.buffer.Write(conversation, start, pcm) {
		for _, m := range r.listeners {
			if m.lane.name == drop.Consumer {
				m.tell([]Gap{{App: drop.Consumer, Kind: event.KindAudio, Bytes: drop.Bytes, Reason: ReasonBufferFull}})
			}
		}
	}
	for _, m := range r.listeners {
		m.wake()
	}
}

// EndAudio says that a conversation gets no more audio, so that what is left
// of it goes to the apps though it is shorter than a piece. Complete and the
// next conversation's audio do so too.
func (s *Session) EndAudio(conversation string) {
	r := s.roster.Load()
	if r.buffer == nil {
		return
	}
	r.buffer.EndConversation(conversation)
	for _, m := range r.listeners {
		m.wake()
	}
}

// Complete hands a stored conversation to the apps named by due, to each after
// what is left of its audio and transcript, once. answer is called exactly once
// for each of them, on a worker or before Complete returns, and must not block.
// Complete must come before Close. The channel closes when all have been
// answered, and every other app of the user has had its transcript and audio up
// to here, if its queue had room for that.
//
// An app that fails is not tried again. It is not run at all, and its Attempt
// is deferred, while its breaker is open (ReasonBreakerOpen), when Options.Queue
// events of its wait already (ReasonQueueFull), when the host shuts down before
// its turn (ReasonShutdown) and when this user has it not (ReasonNotInstalled,
// ReasonSwitchedOff).
func (s *Session) Complete(c event.Conversation, due []string, answer func(Attempt)) <-chan struct{} {
	to := &answers{call: answer, done: make(chan struct{})}
	to.due.Store(int64(1 + len(due))) // one is this call's own, given at the end
	defer to.give()
	r := s.roster.Load()
	if r.buffer != nil {
		r.buffer.EndConversation(c.ID)
	}
	var payload []byte
	var err error
	if len(due) > 0 {
		payload, err = json.Marshal(c)
	}
	for _, name := range due {
		m := r.named(name)
		if m == nil || !m.lane.now().app.Holds(event.CapConversation) {
			s.d.missing(to, s.o.UID, name)
			continue
		}
		switch {
		case err != nil:
			m.lane.now().stats.hostError()
			m.lane.tell(to, m.unrun(c.ID, fmt.Sprintf("the conversation can't be written as JSON: %v", err)))
		case !m.lane.take():
			m.lane.tell(to, Attempt{Deferred: ReasonQueueFull})
		case !s.d.work.enter():
			m.lane.gone()
			m.lane.tell(to, Attempt{Deferred: ReasonShutdown})
		default:
			m.put(&item{kind: itemConversation, m: m, conversation: c.ID, payload: payload, answers: to})
		}
	}
	for _, m := range r.mailboxes {
		if slices.Contains(due, m.lane.name) || !m.busy(c.ID) || !m.lane.take() {
			continue
		}
		if !s.d.work.enter() {
			m.lane.gone()
			continue
		}
		to.due.Add(1)
		m.put(&item{kind: itemFlush, m: m, conversation: c.ID, answers: to})
	}
	return to.done
}

// Close ends the session: realtime work that waits is dropped and counted,
// save what came before a Complete. Conversation events go on, and are
// delivered, and what an app keeps for the session is given back when they
// are. Afterwards Transcript and Audio drop what they get. It does not wait for
// what runs.
func (s *Session) Close() {
	s.mu.Lock()
	again := s.closed.Swap(true)
	s.mu.Unlock()
	if again {
		return
	}
	s.d.mu.Lock()
	s.d.strike(s)
	s.d.mu.Unlock()
	for _, m := range s.roster.Load().mailboxes {
		m.close(ReasonSessionClosed)
	}
}
