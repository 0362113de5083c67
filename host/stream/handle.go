package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The codes of errors that the stream itself finds; each is fatal.
const (
	CodeNotStarted       = "not_started"       // something came before start
	CodeAlreadyStarted   = "already_started"   // a second start
	CodeBadStart         = "bad_start"         // a value of start breaks a limit
	CodeUnknownSession   = "unknown_session"   // start names a session that can't be resumed
	CodeSuperseded       = "superseded"        // a newer stream has the session
	CodeUnsupportedAudio = "unsupported_audio" // a codec, rate or number of channels
	CodeTooManySessions  = "too_many_sessions" // the host is full
)

// audio takes a binary message. It allocates nothing that it does not have to.
func (st *stream) audio(b []byte) {
	if st.session == nil {
		st.fail(CloseBadMessage, CodeNotStarted, "audio came before start; send start first", &Ref{Type: "audio"})
		return
	}
	st.server.metrics.messages["audio"].Inc()
	if err := st.session.Audio(b); err != nil {
		st.refused(err, "audio")
	}
}

// text takes a text message.
func (st *stream) text(ctx context.Context, b []byte) {
	m, err := DecodeClient(b)
	if err != nil {
		var bad *MessageError
		if !errors.As(err, &bad) {
			bad = &MessageError{Code: CodeBadMessage, Message: err.Error()}
		}
		var ref *Ref
		if bad.Type != "" && bad.Code != CodeUnknownType {
			ref = &Ref{Type: bad.Type}
		}
		st.fail(CloseBadMessage, bad.Code, bad.Message, ref)
		return
	}
	st.server.metrics.messages[m.Type()].Inc()
	start, isStart := m.(*Start)
	switch {
	case isStart && st.session != nil:
		st.fail(CloseBadMessage, CodeAlreadyStarted, "this stream has started already; open another stream for another session", &Ref{Type: "start"})
		return
	case isStart:
		st.start(ctx, start)
		return
	case st.session == nil:
		st.fail(CloseBadMessage, CodeNotStarted, m.Type()+" came before start; send start first", &Ref{Type: m.Type()})
		return
	}
	switch m := m.(type) {
	case *Transcript:
		err = st.session.Transcript(m.Seq, m.Segments)
	case *Finish:
		err = st.session.Finish()
	case *End:
		err = st.end(ctx)
	case *Keepalive:
	}
	if err != nil {
		st.refused(err, m.Type())
	}
}

// refused tells the client that something it sent was not taken; the stream
// goes on.
func (st *stream) refused(err error, messageType string) {
	var in *conversation.InputError
	if !errors.As(err, &in) {
		st.log.Error("a session refused a message for a reason of its own", "error", err)
		in = &conversation.InputError{Code: "internal", Message: "the host failed; it has been logged"}
	}
	st.server.metrics.refused.WithLabelValues(in.Code).Inc()
	if in.Code == conversation.CodeAfterEnd {
		if st.toldEnded {
			return
		}
		st.toldEnded = true
	}
	if messageType == "audio" {
		if now := time.Now(); now.Sub(st.warned) < warnInterval {
			return
		} else {
			st.warned = now
		}
	}
	ref := &Ref{Seq: in.Seq}
	if in.Seq == 0 {
		ref.Type = messageType
	}
	st.send(&Error{Code: in.Code, Message: in.Message, Ref: ref})
}

// start begins the session.
func (st *stream) start(ctx context.Context, m *Start) {
	ref := &Ref{Type: "start"}
	if !st.mayStart(m, ref) {
		return
	}
	if fault := checkStart(m); fault != "" {
		st.fail(CloseBadMessage, CodeBadStart, fault, ref)
		return
	}
	if m.Audio != nil {
		if err := m.Audio.Check(); err != nil {
			st.fail(CloseUnsupportedAudio, CodeUnsupportedAudio, strings.ReplaceAll(err.Error(), "\n", "; "), ref)
			return
		}
	}
	sessions := st.server.o.Sessions
	session, err := sessions.Start(ctx, conversation.StartRequest{
		UID: m.UID, Session: m.Session, Audio: m.Audio, Language: m.Language, Source: m.Source, Metadata: m.Metadata,
	}, client{st})
	switch {
	case errors.Is(err, conversation.ErrClosed):
		st.shutdown()
		return
	case errors.Is(err, conversation.ErrTooManySessions):
		st.fail(CloseLimitReached, CodeTooManySessions, "the host has as many sessions as it may; start again in a while", ref)
		return
	case errors.Is(err, conversation.ErrUnknownSession):
		st.fail(CloseSessionExpired, CodeUnknownSession, "there is no session "+quote(m.Session)+" of this uid to resume, or it is over; what it had said is kept. Start a new one, without session", ref)
		return
	case errors.Is(err, conversation.ErrFormatChanged):
		st.fail(CloseBadMessage, CodeBadStart, err.Error()+"; resume with the same, or start a new session", ref)
		return
	case err != nil && m.Session != "" && ctx.Err() == nil:
		st.log.Warn("a session can't be resumed now", "session", m.Session, "error", err)
		st.out.close(CloseTryLater, &Closing{Code: conversation.CodeStoreUnavailable, RetryAfterMillis: st.server.retryAfter().Milliseconds(),
			Message: "the host can't read its store now; connect again and resume in a while"})
		return
	case err != nil:
		st.log.Error("starting a session", "error", err)
		st.fail(CloseInternal, "internal", "the host failed to start a session; it has been logged", ref)
		return
	}
	st.session = session
	st.out.expect(time.Now().Add(st.server.o.Config.PongTimeout))
}

const (
	maxUIDBytes      = 128
	maxSessionBytes  = 128
	maxLanguageBytes = 64
	maxSourceBytes   = 128
)

// checkStart says what value of m, its audio aside, breaks a limit; "" when
// none does.
func checkStart(m *Start) string {
	if m.UID == "" {
		return "start has no uid; say whose audio it is, which these credentials leave open"
	}
	if len(m.UID) > maxUIDBytes {
		return fmt.Sprintf("uid is %d bytes; give at most %d", len(m.UID), maxUIDBytes)
	}
	for _, r := range m.UID {
		if r <= ' ' || r > '~' {
			return fmt.Sprintf("uid holds %q; give printable ASCII characters without spaces", r)
		}
	}
	if len(m.Session) > maxSessionBytes {
		return fmt.Sprintf("session is %d bytes; give one that a ready named, at most %d", len(m.Session), maxSessionBytes)
	}
	if len(m.Language) > maxLanguageBytes {
		return fmt.Sprintf("language is %d bytes; give a tag as en or pt-BR, at most %d", len(m.Language), maxLanguageBytes)
	}
	if len(m.Source) > maxSourceBytes {
		return fmt.Sprintf("source is %d bytes; give at most %d", len(m.Source), maxSourceBytes)
	}
	for k, v := range m.Metadata {
		if len(k) > maxMetadataBytes || len(v) > maxMetadataBytes {
			return fmt.Sprintf("metadata %s is %d bytes and its value %d; give at most %d each", quote(k), len(k), len(v), maxMetadataBytes)
		}
	}
	return ""
}

// end completes the conversation and closes the stream when the apps have
// answered. The reader goes on meanwhile: for pongs, and to notice a client
// that leaves.
func (st *stream) end(ctx context.Context) error {
	if st.ended {
		return nil
	}
	if err := st.session.End(); err != nil {
		return err
	}
	st.ended = true
	st.wg.Go(func() { // ends after endTimeout at the latest; run waits for it
		defer st.rescue("ending")
		ctx, cancel := context.WithTimeout(ctx, endTimeout)
		defer cancel()
		if err := st.session.Wait(ctx); err != nil && !errors.Is(err, context.Canceled) {
			st.log.Warn("a stream is closed before the apps have answered; what they answer later is stored", "session", st.session.Session(), "error", err)
		}
		st.gaps.close()
		st.out.close(CloseNormal, nil)
	})
	return nil
}

// client is the stream as its session sees it.
type client struct{ st *stream }

var _ conversation.Client = client{}

// Ready answers the start.
func (c client) Ready(r conversation.Ready) {
	apps := []App{}
	for _, a := range r.Apps {
		apps = append(apps, App{Name: a.Name, Version: a.Manifest.Version, Capabilities: a.Capabilities()})
	}
	o := c.st.server.o
	c.st.send(&Ready{
		Session:      r.Session,
		Conversation: r.Conversation,
		Audio:        r.Audio,
		Apps:         apps,
		Received:     Received{AudioBytes: r.AudioBytes, Seq: r.Seq},
		Limits: Limits{
			MessageBytes:       o.Config.MaxMessageBytes,
			OutputQueueBytes:   o.Config.OutputQueueBytes,
			SegmentTextBytes:   conversation.MaxSegmentTextBytes,
			SegmentsPerMessage: conversation.MaxSegments,
			SilenceMillis:      o.Sessions.Silence().Milliseconds(),
		},
	})
}

// Conversation sends a conversation's state. A completed one that would take
// more than half of the output queue goes without its content.
func (c client) Conversation(id string, state conversation.State, whole *event.Conversation) {
	m := &Conversation{ID: id, State: state, Conversation: whole, Omitted: whole == nil && state == conversation.StateCompleted}
	if whole == nil || c.st.out.isClosing() {
		c.st.send(m)
		return
	}
	b, err := Encode(m)
	if err != nil || int64(len(b)) > c.st.server.o.Config.OutputQueueBytes/2 {
		c.st.send(&Conversation{ID: id, State: state, Omitted: true})
		return
	}
	c.st.out.send(b)
}

func (c client) Ack(seq uint64, audioBytes int64) {
	c.st.send(&Ack{Seq: seq, AudioBytes: audioBytes})
}

func (c client) Output(o event.Output) { c.st.send(&Output{o}) }

func (c client) Gap(g dispatch.Gap) { c.st.gaps.add(g) }

func (c client) Warn(w *conversation.InputError) {
	m := &Error{Code: w.Code, Message: w.Message}
	if w.Seq != 0 {
		m.Ref = &Ref{Seq: w.Seq}
	}
	c.st.send(m)
}

// Superseded closes the stream: a newer one has its session.
func (c client) Superseded() {
	c.st.out.close(CloseSuperseded, &Error{Code: CodeSuperseded, Fatal: true,
		Message: "a newer stream has taken over this session, and what this one sends is not taken any more"})
}

// Failed closes the stream by a fault of the host's.
func (c client) Failed() {
	c.st.out.close(CloseInternal, &Error{Code: "internal", Fatal: true,
		Message: "the host failed in this session; it has been logged, and what was acknowledged is kept: connect again and resume"})
}
