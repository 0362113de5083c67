package conversation

import (
	"cmp"
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/clock"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// ackInterval is the least time between two acks that audio alone causes. A
// write to a socket costs about as much as reading a frame of audio.
const ackInterval = 2 * time.Second

// A stream that resumes is told of what was completed while it was away: of
// the last maxNews conversations, those that no stream was told of, and those
// told of less than newsAge ago, perhaps to one that was broken already.
const (
	maxNews = 8
	newsAge = time.Minute
)

// phase is how far a session is on its way.
type phase int

const (
	phaseLive    phase = iota // a stream is attached and may send
	phaseWaiting              // for a stream to resume it; the grace runs
	phaseLeaving              // takes nothing more; closes once nothing waits to be written
	phaseClosed
)

// session is what one client is doing, over any number of streams: a row of
// conversations. It closes after End and Wait, when it waited in vain for
// another stream, when another host has it, and with Sessions.Close; what was
// said is stored first.
type session struct {
	owner   *Sessions
	id      string
	request StartRequest // of the stream that began it
	boxes   Mailboxes

	attached atomic.Pointer[Attachment] // nil without a stream; written with mu held, but by Wait

	place place // guarded by owner.mu

	drained chan struct{} // closed when a leaving session has nothing to write
	done    chan struct{} // closed when the session is closed

	mu         sync.Mutex // guards what follows; held across calls of boxes and the client, which never block
	phase      phase
	held       bool // after End: Wait closes the session
	handingOff bool // leaving: the journal's last write leaves the session to whoever finds it
	handedOff  bool // it has
	forgetting bool // leaving: the journal's last write takes back the record of a session with nothing said
	gone       bool // leaving: another host has it, or the journal failed; nothing more is written
	current    *conversation
	completing []*conversation // oldest first; the journal takes them off
	journaling bool            // a journal goroutine runs
	storeDown  bool            // the client was told that the store fails
	due        []<-chan struct{}
	news       []news // the last maxNews completions, oldest first

	audioBytes int64 // taken since the session began
	seq        sequence
	ackedSeq   uint64
	ackedAudio int64 // bytes
	ackArmed   bool
	ackAlarm   clock.Alarm

	silenceAlarm clock.Alarm

	// While phaseWaiting.
	lostAt     time.Time
	grace      time.Duration
	lostReason event.Reason // with which the conversation completes when the grace is over
	graceAlarm clock.Alarm
}

// place is where a session counts.
type place struct {
	attached bool          // in Sessions.attached
	waiting  *list.Element // in Sessions.waiting
}

// news is a completion that a stream may have to be told of again.
type news struct {
	conversation string
	told         bool
	at           time.Time // when it was completed, or last told
}

// newSession returns a session that is not registered yet. Its current
// conversation is for the caller to set.
func (m *Sessions) newSession(id string, r StartRequest, restored bool) *session {
	s := &session{owner: m, id: id, request: r, done: make(chan struct{}), drained: make(chan struct{})}
	s.ackAlarm.Init(m.clock, s.onAck)
	s.silenceAlarm.Init(m.clock, s.onSilence)
	s.graceAlarm.Init(m.clock, s.onGrace)
	so := dispatch.SessionOptions{UID: r.UID, ID: id, Language: r.Language, Recovered: restored, Deliver: s.deliver, Gap: s.gap, Changed: s.appsChanged}
	if r.Audio != nil {
		so.Rate = r.Audio.Rate
	}
	s.mu.Lock() // appsChanged may be called as soon as the boxes are open
	s.boxes = m.o.Dispatch.Open(so)
	s.mu.Unlock()
	return s
}

// attach gives the session to a stream, and tells it how things stand. The
// caller holds mu, and has seen to it that the session counts as one with a
// stream.
func (s *session) attach(c Client) *Attachment {
	a := &Attachment{s: s, client: c}
	if older := s.attached.Load(); older != nil {
		older.client.Superseded()
	}
	s.phase = phaseLive
	s.storeDown = false // whoever is new has not been told
	s.graceAlarm.Stop()
	c.Ready(Ready{
		Session: s.id, Conversation: s.current.head.ID, Audio: s.audience(), Format: s.request.Audio, Apps: s.boxes.Apps(),
		Seq: s.seq.last, AudioBytes: s.audioBytes,
	})
	s.attached.Store(a) // what apps make goes to this stream from here on, and so after Ready
	return a
}

// silence is after what silence a conversation completes.
func (s *session) silence() time.Duration { return cmp.Or(s.request.Silence, s.owner.o.Silence) }

// catchUp tells a stream that has resumed the session what it may have missed.
// mu is held.
func (s *session) catchUp() {
	now := time.Now()
	for i := range s.news {
		if n := &s.news[i]; !n.told || now.Sub(n.at) < newsAge {
			s.tell().Conversation(n.conversation, wire.StateCompleted, nil)
			n.told, n.at = true, now
		}
	}
	s.current.announced = false
	if s.current.opened {
		s.announce()
		if !s.silenceAlarm.IsSet() {
			s.silenceAlarm.Set(s.current.quietSince.Add(s.silence()))
		}
	}
	if s.ackedSeq > 0 || s.ackedAudio > 0 {
		s.tell().Ack(s.ackedSeq, s.ackedAudio)
	}
}

// noteCompleted keeps the news of a completion for streams to come. mu is held.
func (s *session) noteCompleted(conversation string, told bool) {
	if len(s.news) == maxNews {
		s.news = append(s.news[:0], s.news[1:]...)
	}
	s.news = append(s.news, news{conversation, told, time.Now()})
}

// audience says what becomes of the session's audio.
func (s *session) audience() string {
	switch {
	case s.request.Audio == nil:
		return "none"
	case s.boxes.WantsAudio():
		return "buffered"
	}
	return "discarded"
}

// newConversation returns one of this session in which nothing was said yet.
func (s *session) newConversation(id string) *conversation {
	return &conversation{
		head: event.Conversation{
			ID: id, Session: s.id, UID: s.request.UID,
			Language: s.request.Language, Source: s.request.Source, Metadata: s.request.Metadata,
		},
		lastSeq: s.seq.last,
	}
}

// tell returns the attached client; without one what is said goes nowhere.
func (s *session) tell() Client {
	if a := s.attached.Load(); a != nil {
		return a.client
	}
	return nobody{}
}

type nobody struct{}

func (nobody) Ready(Ready)                                          {}
func (nobody) Conversation(string, wire.State, *event.Conversation) {}
func (nobody) Ack(uint64, int64)                                    {}
func (nobody) Apps(string, []*apps.App)                             {}
func (nobody) Output(event.Output)                                  {}
func (nobody) Gap(dispatch.Gap)                                     {}
func (nobody) Warn(*InputError)                                     {}
func (nobody) Superseded()                                          {}
func (nobody) Failed()                                              {}

// deliver takes what became of an invocation with a realtime event. Dispatch
// calls it on a worker, also after the session has closed.
func (s *session) deliver(inv apps.Invocation) {
	s.deliverStored(inv)
	s.owner.results.keep(inv)
}

// deliverStored takes an app's result that the store has.
func (s *session) deliverStored(inv apps.Invocation) {
	c := s.tell()
	for _, o := range inv.Outputs {
		c.Output(o)
	}
}

// appsChanged tells the client which apps its user has now. Dispatch calls it
// with no lock held.
func (s *session) appsChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell().Apps(s.audience(), s.boxes.Apps())
}

func (s *session) gap(g dispatch.Gap) { s.tell().Gap(g) }

func (s *session) refuseForStore(seq uint64) error {
	return refuse(wire.CodeStoreUnavailable, seq, "%d conversations wait to be stored; this message was not taken: send it again in a few seconds, with a new seq if it has one", len(s.completing))
}

// wait waits until all that was said is stored and answered by the apps.
func (s *session) wait(ctx context.Context) error {
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
		case <-s.owner.closing: // what is left is done by the next host
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
