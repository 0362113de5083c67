package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/omi"
	"github.com/auricle-dev/auricle/sdk/wire"
)

const (
	// omiKind begins the names and ids of sessions that Omi's sockets begin.
	omiKind = "omi"
	// omiPending is how many requests to complete a conversation one stream may
	// have unanswered: as many as Omi's client keeps.
	omiPending = 100
	// omiAnswer bounds how long one of them is worked on. The client waits 120 s.
	omiAnswer = 100 * time.Second
	// omiRetry is how long after an error of the store it is tried again.
	omiRetry = time.Second
	// omiGuesses is how many frames of audio without a conversation's name are
	// asked whose they are: see guess.
	omiGuesses = 8
	// omiSilence is after what silence a conversation of the pusher completes,
	// whose client says when it is over: longer than its own longest, 4 h.
	omiSilence = 4*time.Hour + 10*time.Minute
)

// omiTypes are what the messages of Omi's sockets are counted as, besides audio
// and transcript.
var omiTypes = []string{"omi_heartbeat", "omi_conversation", "omi_process", "omi_speaker"}

// The codes of what is refused of Omi's clients, besides package omi's and wire's.
const (
	codeBadQuery       = "bad_query"            // before the upgrade
	codeNoConversation = "no_conversation"      // audio or segments before a conversation was named
	codeUnknownID      = "unknown_conversation" // a request about one that is not open here
	codeOtherFormat    = "other_format"         // audio of another rate than the conversation began with
	codeTooManyPending = "too_many_pending"
)

// OmiPusher is what Omi's backend speaks to its pusher.
var OmiPusher = &Dialect{Path: "/v1/trigger/listen", open: openPusher}

func openPusher(r *http.Request) (opening, *refusal) {
	q := readQuery(r)
	uid := q.uid(true)
	f := audio.Format{Codec: audio.PCM16, Rate: q.number("sample_rate", 8000, audio.MinRate, audio.MaxRate), Channels: 1}
	return opening{uid: uid, speak: func(st *stream) dialect {
		return &pusher{st: st, uid: uid, format: f, pending: map[string]struct{}{}}
	}}, q.refusal()
}

// pusher speaks Omi's frames. What its client calls a conversation is a session
// that is named after it, so that whatever stream, connection or host comes next
// finds it.
type pusher struct {
	st     *stream
	uid    string
	format audio.Format

	// Of the reader.
	current *omiHold // nil before a conversation is named, and once it is finished
	named   string   // Omi's id of the current one, also when it is finished
	guesses int      // frames of audio that came before a name

	mu      sync.Mutex          // guards pending
	pending map[string]struct{} // conversations to complete, by Omi's id
}

var _ dialect = (*pusher)(nil)

func (p *pusher) frames() int              { return websocket.BinaryMessage }
func (p *pusher) last(wire.Message) []byte { return nil } // the close says it: there is no frame for it

// say has nothing to say: the protocol has frames only to answer requests. What
// apps make is stored with the conversation.
func (p *pusher) say(wire.Message) {}

func (p *pusher) opened(context.Context) {
	p.st.pace = newPace(&p.format, p.st.server.o.Config)
	p.st.started()
}

func (p *pusher) closed() { p.letGo() }

// letGo leaves the current conversation to whatever stream comes next, or to the
// grace period.
func (p *pusher) letGo() {
	if p.current != nil {
		p.current.Detach()
		p.current = nil
	}
}

func (p *pusher) text(context.Context, []byte) {
	p.refused(omi.CodeBadMessage, "a text frame came; this socket takes binary ones")
}

// refused counts what was not taken. The stream goes on: Omi's client can't be
// told, and would lose what it has to send were it closed.
func (p *pusher) refused(code, why string) {
	p.st.server.metrics.refused.WithLabelValues(code).Inc()
	p.st.log().Debug("a frame of Omi's was not taken", "code", code, "why", why)
}

func (p *pusher) count(kind string) { p.st.server.metrics.messages[kind].Inc() }

func (p *pusher) binary(ctx context.Context, now time.Time, b []byte) {
	p.st.apart(func() { p.frame(ctx, now, b) }) // once a second: the goroutine costs less than the stack
}

func (p *pusher) frame(ctx context.Context, now time.Time, b []byte) {
	f, err := omi.DecodeFrame(b)
	if bad := (*omi.Error)(nil); errors.As(err, &bad) {
		p.refused(bad.Code, bad.Message)
		return
	}
	switch f := f.(type) {
	case omi.Heartbeat:
		p.count("omi_heartbeat")
	case omi.Audio:
		p.count("audio")
		p.audio(ctx, now, f.PCM)
	case omi.Transcript:
		p.count("transcript")
		p.transcript(ctx, f)
	case omi.Conversation:
		p.count("omi_conversation")
		p.turnTo(ctx, f.ID)
	case omi.Process:
		p.count("omi_process")
		p.process(ctx, f)
	case omi.SpeakerSample:
		p.count("omi_speaker")
		p.speaker(f)
	}
}

func (p *pusher) audio(ctx context.Context, now time.Time, pcm []byte) {
	if p.named == "" && p.current == nil {
		p.guess(ctx)
	}
	switch {
	case p.current == nil && p.named == "":
		p.refused(codeNoConversation, "audio came before a conversation was named")
		return
	case p.current == nil:
		p.refused(wire.CodeAfterEnd, "audio came after the conversation was finished")
		return
	case p.current.otherFormat:
		p.refused(codeOtherFormat, "the conversation began with audio of another rate, on another stream")
		return
	case !p.st.pace.admit(now, pcm): // what an interruption has held up comes at once
		p.refused(wire.CodeAudioTooFast, "audio came faster than it may")
		return
	}
	p.retry(ctx, func(h *omiHold) error { return h.Audio(pcm) })
}

func (p *pusher) transcript(ctx context.Context, t omi.Transcript) {
	if t.Conversation != "" {
		p.turnTo(ctx, t.Conversation)
	}
	if p.current == nil {
		if code := codeNoConversation; p.named == "" {
			p.refused(code, "segments came before a conversation was named")
		} else {
			p.refused(wire.CodeAfterEnd, "segments came after the conversation was finished")
		}
		return
	}
	for segs := t.Segments; len(segs) > 0; {
		n := min(len(segs), conversation.MaxSegments)
		batch := spoken(segs[:n])
		segs = segs[n:]
		p.retry(ctx, func(h *omiHold) error {
			h.seq++
			return h.Transcript(h.seq, batch)
		})
	}
}

// retry does something with the current conversation, once more where another
// stream, or the end of it, has taken it away meanwhile.
func (p *pusher) retry(ctx context.Context, do func(*omiHold) error) {
	if p.current == nil {
		return
	}
	err := do(p.current)
	var in *conversation.InputError
	if errors.As(err, &in) && in.Code == wire.CodeAfterEnd && !p.st.out.isClosing() {
		p.begin(ctx, p.named, p.current.name)
		if p.current != nil {
			err = do(p.current)
		}
	}
	if errors.As(err, &in) {
		p.refused(in.Code, in.Message)
	} else if err != nil {
		p.st.log().Error("a session refused a frame of Omi's for a reason of its own", "error", err)
		p.refused(wire.CodeInternal, err.Error())
	}
}

// turnTo makes a conversation the current one.
func (p *pusher) turnTo(ctx context.Context, id string) {
	name := omiName(p.uid, id)
	switch {
	case p.named == id:
		return
	case p.current != nil && p.current.name == name: // guessed
		p.named = id
		return
	}
	p.begin(ctx, id, name)
}

// guess takes up the conversation to which audio belongs that comes before a
// name: after a reconnect Omi's client does not name it again. It is the user's
// one that waits for a stream; where several do, nobody knows.
func (p *pusher) guess(ctx context.Context) {
	if p.guesses++; p.guesses > omiGuesses {
		return
	}
	var names []string
	for _, w := range p.st.server.o.Sessions.Waiting(p.uid, omiKind) {
		if w.Name != "" {
			names = append(names, w.Name)
		}
	}
	if len(names) == 1 {
		p.begin(ctx, "", names[0])
	}
}

// begin gives the stream the session of a name; id is Omi's, "" while it is not
// known.
func (p *pusher) begin(ctx context.Context, id, name string) {
	p.letGo()
	p.named = id
	m := &wire.Start{UID: p.uid, Source: omiKind,
		Audio: &wire.Format{Codec: string(p.format.Codec), Rate: p.format.Rate, Channels: p.format.Channels}}
	if id != "" {
		m.Metadata = map[string]string{"omi_conversation": id}
	}
	r, ok := p.st.startRequest(m)
	if !ok {
		return
	}
	r.Name, r.Silence, r.AnyAudio = name, omiSilence, true
	h := &omiHold{p: p, name: name}
	a, err := p.st.server.o.Sessions.Start(ctx, r, h)
	switch {
	case errors.Is(err, conversation.ErrFinished): // what comes of it still is refused
	case err != nil:
		p.st.failStart(ctx, r, err)
	default:
		h.Attachment = a
		p.current = h
	}
}

// process completes a conversation, and answers when that is done: in whatever
// order.
func (p *pusher) process(ctx context.Context, r omi.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, asked := p.pending[r.Conversation]; asked {
		return // it is answered once
	}
	if len(p.pending) >= omiPending {
		p.refused(codeTooManyPending, fmt.Sprintf("%d requests wait for their answers", len(p.pending)))
		p.st.out.send(omi.Processed(r.Conversation, codeTooManyPending))
		return
	}
	p.pending[r.Conversation] = struct{}{}
	p.st.wg.Go(func() { // ends after omiAnswer, or with the stream's reader, which waits for it
		defer p.st.rescue("completing a conversation")
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.pending, r.Conversation)
		}()
		if fault, ok := p.complete(ctx, r); ok {
			p.st.out.send(omi.Processed(r.Conversation, fault))
		}
	})
}

// complete completes a conversation. fault is "" when it is. It reports false
// when there is nothing to answer: the stream ends, and the client asks again on
// the next.
func (p *pusher) complete(ctx context.Context, r omi.Process) (fault string, ok bool) {
	bounded, cancel := context.WithTimeout(ctx, omiAnswer)
	defer cancel()
	for {
		err := p.st.server.o.Sessions.FinishNamed(bounded, p.uid, omiName(p.uid, r.Conversation), omiLanguage(r.Language))
		switch {
		case err == nil:
			return "", true
		case ctx.Err() != nil, errors.Is(err, conversation.ErrClosed):
			return "", false
		case errors.Is(err, conversation.ErrUnknownSession):
			p.refused(codeUnknownID, "a request to complete a conversation that this user does not have")
			return "conversation_not_found", true
		case bounded.Err() != nil:
			p.st.log().Warn("a conversation is not completed in time", "error", err)
			p.refused(wire.CodeStoreUnavailable, err.Error())
			return "not_completed_in_time", true
		}
		p.st.log().Warn("a conversation can't be completed now; trying again", "error", err)
		again := time.NewTimer(omiRetry)
		select {
		case <-again.C:
		case <-bounded.Done():
			again.Stop()
		}
	}
}

// speaker says who spoke segments of the current conversation, and answers how
// many that concerns.
func (p *pusher) speaker(r omi.SpeakerSample) {
	if p.current == nil || p.current.name != omiName(p.uid, r.Conversation) {
		p.refused(codeUnknownID, "a speaker for segments of a conversation that is not the current one")
		p.st.out.send(omi.Assigned(r, 0, codeUnknownID))
		return
	}
	changed, err := p.current.AssignSpeaker(r.Segments, r.Person, r.Person == "user")
	if err != nil {
		var in *conversation.InputError
		if !errors.As(err, &in) {
			in = &conversation.InputError{Code: wire.CodeInternal, Message: err.Error()}
		}
		p.refused(in.Code, in.Message)
		p.st.out.send(omi.Assigned(r, 0, in.Code))
		return
	}
	p.st.out.send(omi.Assigned(r, len(changed), ""))
}

// omiName is the name of the session that is a user's conversation of Omi's id.
func omiName(uid, id string) string {
	sum := sha256.Sum256([]byte(uid + "\x00" + id)) // a uid has no zero byte
	return omiKind + "_" + hex.EncodeToString(sum[:16])
}
