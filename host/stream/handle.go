package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// audio takes a binary message. It allocates nothing that it does not have to.
func (st *stream) audio(now time.Time, b []byte) {
	if st.session == nil {
		st.fail(wire.CloseBadMessage, wire.CodeNotStarted, "audio came before start; send start first", &wire.Ref{Type: "audio"})
		return
	}
	st.server.metrics.messages["audio"].Inc()
	if !st.pace.admit(now, b) {
		c := &st.server.o.Config
		st.fail(wire.CloseAudioTooFast, wire.CodeAudioTooFast, fmt.Sprintf("audio came faster than %d times real time and %v at once (limits.audio_rate, limits.audio_burst_ms); send what was recorded before more slowly. What came before is taken: see audio_bytes of the last ack", c.AudioRate, c.AudioBurst), &wire.Ref{Type: "audio"})
		return
	}
	if err := st.session.Audio(b); err != nil {
		st.refused(err, "audio")
	}
}

// text takes a text message.
func (st *stream) text(ctx context.Context, b []byte) {
	m, err := wire.DecodeClient(b)
	if err != nil {
		var bad *wire.MessageError
		if !errors.As(err, &bad) {
			bad = &wire.MessageError{Code: wire.CodeBadMessage, Message: err.Error()}
		}
		var ref *wire.Ref
		if bad.Type != "" && bad.Code != wire.CodeUnknownType {
			ref = &wire.Ref{Type: bad.Type}
		}
		st.fail(wire.CloseBadMessage, bad.Code, bad.Message, ref)
		return
	}
	st.server.metrics.messages[m.Type()].Inc()
	start, isStart := m.(*wire.Start)
	switch {
	case isStart && st.session != nil:
		st.fail(wire.CloseBadMessage, wire.CodeAlreadyStarted, "this stream has started already; open another stream for another session", &wire.Ref{Type: "start"})
		return
	case isStart:
		st.start(ctx, start)
		return
	case st.session == nil:
		st.fail(wire.CloseBadMessage, wire.CodeNotStarted, m.Type()+" came before start; send start first", &wire.Ref{Type: m.Type()})
		return
	}
	switch m := m.(type) {
	case *wire.Transcript:
		err = st.session.Transcript(m.Seq, m.Segments)
	case *wire.Finish:
		err = st.session.Finish()
	case *wire.End:
		err = st.end(ctx)
	case *wire.Keepalive:
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
		st.log().Error("a session refused a message for a reason of its own", "error", err)
		in = &conversation.InputError{Code: wire.CodeInternal, Message: "the host failed; it has been logged"}
	}
	st.server.metrics.refused.WithLabelValues(in.Code).Inc()
	if in.Code == wire.CodeAfterEnd {
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
	ref := &wire.Ref{Seq: in.Seq}
	if in.Seq == 0 {
		ref.Type = messageType
	}
	st.send(&wire.Error{Code: in.Code, Message: in.Message, Ref: ref})
}

// start begins the session.
func (st *stream) start(ctx context.Context, m *wire.Start) {
	if r, ok := st.startRequest(m); ok {
		st.begin(ctx, r)
	}
}

// startRequest returns what m asks for. It reports false when m may not have
// that; the stream is then being closed.
func (st *stream) startRequest(m *wire.Start) (r conversation.StartRequest, ok bool) {
	ref := &wire.Ref{Type: "start"}
	if !st.mayStart(m, ref) {
		return r, false
	}
	if fault := checkStart(m); fault != "" {
		st.fail(wire.CloseBadMessage, wire.CodeBadStart, fault, ref)
		return r, false
	}
	var format *audio.Format
	if m.Audio != nil {
		format = &audio.Format{Codec: audio.Codec(m.Audio.Codec), Rate: m.Audio.Rate, Channels: m.Audio.Channels}
		if err := format.Check(); err != nil {
			st.fail(wire.CloseUnsupportedAudio, wire.CodeUnsupportedAudio, strings.ReplaceAll(err.Error(), "\n", "; "), ref)
			return r, false
		}
	}
	return conversation.StartRequest{
		UID: m.UID, Session: m.Session, Audio: format, Language: m.Language, Source: m.Source, Metadata: m.Metadata,
	}, true
}

// begin gives the stream its one session. It reports false when there is none;
// the stream is then being closed.
func (st *stream) begin(ctx context.Context, r conversation.StartRequest) bool {
	session, err := st.server.o.Sessions.Start(ctx, r, client{st})
	if err != nil {
		st.failStart(ctx, r, err)
		return false
	}
	st.began(session, r)
	return true
}

// began notes the session that the stream was given.
func (st *stream) began(session *conversation.Attachment, r conversation.StartRequest) {
	st.session = session
	st.pace = newPace(r.Audio, st.server.o.Config)
	st.started()
}

// failStart closes the stream for an error of Sessions.Start.
func (st *stream) failStart(ctx context.Context, m conversation.StartRequest, err error) {
	ref := &wire.Ref{Type: "start"}
	sessions := st.server.o.Sessions
	switch {
	case errors.Is(err, conversation.ErrClosed):
		st.shutdown()
		return
	case errors.Is(err, conversation.ErrTooManySessions):
		st.server.metrics.refused.WithLabelValues(wire.CodeHostFull).Inc()
		st.out.close(wire.CloseTryLater, &wire.Closing{Code: wire.CodeHostFull, RetryAfterMillis: st.server.retryAfter().Milliseconds(),
			Message: "the host has as many sessions as it may (limits.sessions); connect again in a while"})
		return
	case errors.Is(err, conversation.ErrTooManyStreams):
		st.fail(wire.CloseTooManyStreams, wire.CodeTooManyStreams, fmt.Sprintf("the user has %d streams, as many as allowed (limits.streams_per_user); end one of them, or resume its session", sessions.MaxPerUser()), ref)
		return
	case errors.Is(err, conversation.ErrUnknownSession):
		st.fail(wire.CloseSessionExpired, wire.CodeUnknownSession, fmt.Sprintf("there is no session %+.64q of this uid to resume, or it is over; what it had said is kept. Start a new one, without session", m.Session), ref)
		return
	case errors.Is(err, conversation.ErrFormatChanged):
		st.fail(wire.CloseBadMessage, wire.CodeBadStart, err.Error()+"; resume with the same, or start a new session", ref)
		return
	case err != nil && (m.Session != "" || m.Name != "") && ctx.Err() == nil:
		st.log().Warn("a session can't be resumed now", "session", cmp.Or(m.Session, m.Name), "error", err)
		st.out.close(wire.CloseTryLater, &wire.Closing{Code: wire.CodeStoreUnavailable, RetryAfterMillis: st.server.retryAfter().Milliseconds(),
			Message: "the host can't read its store now; connect again and resume in a while"})
		return
	case err != nil:
		st.log().Error("starting a session", "error", err)
		st.fail(wire.CloseInternal, wire.CodeInternal, "the host failed to start a session; it has been logged", ref)
		return
	}
}

// checkStart says what value of m, its audio aside, breaks a limit; "" when
// none does.
func checkStart(m *wire.Start) string {
	if m.UID == "" {
		return "start has no uid; say whose audio it is, which these credentials leave open"
	}
	if len(m.UID) > wire.MaxUIDBytes {
		return fmt.Sprintf("uid is %d bytes; give at most %d", len(m.UID), wire.MaxUIDBytes)
	}
	for _, r := range m.UID {
		if r <= ' ' || r > '~' {
			return fmt.Sprintf("uid holds %q; give printable ASCII characters without spaces", r)
		}
	}
	if len(m.Session) > wire.MaxSessionBytes {
		return fmt.Sprintf("session is %d bytes; give one that a ready named, at most %d", len(m.Session), wire.MaxSessionBytes)
	}
	if len(m.Language) > wire.MaxLanguageBytes {
		return fmt.Sprintf("language is %d bytes; give a tag as en or pt-BR, at most %d", len(m.Language), wire.MaxLanguageBytes)
	}
	if len(m.Source) > wire.MaxSourceBytes {
		return fmt.Sprintf("source is %d bytes; give at most %d", len(m.Source), wire.MaxSourceBytes)
	}
	for k, v := range m.Metadata {
		if len(k) > wire.MaxMetadataBytes || len(v) > wire.MaxMetadataBytes {
			return fmt.Sprintf("metadata %+.64q is %d bytes and its value %d; give at most %d each", k, len(k), len(v), wire.MaxMetadataBytes)
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
			st.log().Warn("a stream is closed before the apps have answered; what they answer later is stored", "session", st.session.Session(), "error", err)
		}
		st.gaps.close()
		st.out.close(wire.CloseNormal, nil)
	})
	return nil
}

// client is the stream as its session sees it.
type client struct{ st *stream }

var _ conversation.Client = client{}

// Ready answers the start.
func (c client) Ready(r conversation.Ready) {
	o := c.st.server.o
	c.st.send(&wire.Ready{
		Session:      r.Session,
		Conversation: r.Conversation,
		Audio:        r.Audio,
		Apps:         listApps(r.Apps),
		Received:     wire.Received{AudioBytes: r.AudioBytes, Seq: r.Seq},
		Limits: wire.Limits{
			MessageBytes:       o.Config.MaxMessageBytes,
			OutputQueueBytes:   o.Config.OutputQueueBytes,
			SegmentTextBytes:   conversation.MaxSegmentTextBytes,
			SegmentsPerMessage: conversation.MaxSegments,
			SilenceMillis:      o.Sessions.Silence().Milliseconds(),
			AudioRate:          float64(o.Config.AudioRate),
			AudioBurstMillis:   burstMillis(o.Config),
			IdleMillis:         o.Config.IdleTimeout.Milliseconds(),
			StreamsPerUser:     o.Sessions.MaxPerUser(),
			Sessions:           o.Sessions.MaxSessions(),
		},
	})
}

// Conversation sends a conversation's state.
func (c client) Conversation(id string, state wire.State, whole *event.Conversation) {
	c.st.send(&wire.Conversation{ID: id, State: state, Conversation: whole, Omitted: whole == nil && state == wire.StateCompleted})
}

func (c client) Ack(seq uint64, audioBytes int64) {
	c.st.send(&wire.Ack{Seq: seq, AudioBytes: audioBytes})
}

func (c client) Output(o event.Output) { c.st.send(&wire.Output{Output: o}) }

func (c client) Gap(g dispatch.Gap) { c.st.gaps.add(g) }

func (c client) Warn(w *conversation.InputError) {
	m := &wire.Error{Code: w.Code, Message: w.Message}
	if w.Seq != 0 {
		m.Ref = &wire.Ref{Seq: w.Seq}
	}
	c.st.send(m)
}

// Apps tells of other apps.
func (c client) Apps(audio string, as []*apps.App) {
	c.st.send(&wire.Apps{Audio: audio, Apps: listApps(as)})
}

func listApps(as []*apps.App) []wire.App {
	list := []wire.App{}
	for _, a := range as {
		list = append(list, wire.App{Name: a.Name, Version: a.Manifest.Version, Capabilities: a.Capabilities()})
	}
	return list
}

// Superseded closes the stream: a newer one has its session.
func (c client) Superseded() {
	c.st.out.close(wire.CloseSuperseded, &wire.Error{Code: wire.CodeSuperseded, Fatal: true,
		Message: "a newer stream has taken over this session, and what this one sends is not taken any more"})
}

// Failed closes the stream by a fault of the host's.
func (c client) Failed() {
	c.st.out.close(wire.CloseInternal, &wire.Error{Code: wire.CodeInternal, Fatal: true,
		Message: "the host failed in this session; it has been logged, and what was acknowledged is kept: connect again and resume"})
}
