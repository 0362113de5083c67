package stream

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/clock"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/omi"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

const (
	omiPing          = 10 * time.Second // between two texts "ping"
	omiInactivity    = 90 * time.Second // within which a message must come
	omiTimeout       = 120              // seconds of silence that complete a conversation, unless the query says
	omiLeastTimeout  = 2
	omiMostTimeout   = 4 * 60 * 60
	omiHeartbeatSize = 2 // bytes of a binary message that is none of audio, at most
)

// omiCodecs are the codecs of Omi's clients that this host takes. pcm8 and pcm16
// are both 16-bit: they are named after their usual rates.
var omiCodecs = map[string]audio.Codec{
	"pcm8": audio.PCM16, "pcm16": audio.PCM16, "opus": audio.Opus, "opus_fs320": audio.Opus,
	"mulaw": audio.MuLaw, "ulaw": audio.MuLaw, "mulaw8": audio.MuLaw, "alaw": audio.ALaw,
}

// OmiListen is what Omi's devices and apps speak to its backend.
var OmiListen = &Dialect{Path: "/v4/listen", open: openListen}

func openListen(r *http.Request) (opening, *refusal) {
	q := readQuery(r)
	l := omiListener{
		uid:       q.uid(false),
		format:    audio.Format{Codec: q.codec(), Rate: q.number("sample_rate", 8000, 1, 1<<20), Channels: q.number("channels", 1, 1, 64)},
		language:  omiLanguage(q.values.Get("language")),
		source:    q.values.Get("source"),
		customSTT: q.values.Get("custom_stt") == "enabled",
	}
	if l.source == "" {
		l.source = omiKind
	}
	seconds := q.number("conversation_timeout", omiTimeout, -1, 1<<20)
	if seconds == -1 { // the longest, to Omi's apps
		seconds = omiMostTimeout
	}
	l.silence = time.Duration(min(max(seconds, omiLeastTimeout), omiMostTimeout)) * time.Second
	if fault := checkStart(&wire.Start{UID: "u", Language: l.language, Source: l.source}); fault != "" {
		q.fail(codeBadQuery, "%s", fault)
	}
	if err := l.format.Check(); err != nil {
		q.fail(wire.CodeUnsupportedAudio, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return opening{uid: l.uid, needsUID: true, speak: func(st *stream) dialect {
		l := l
		l.st = st
		st.watch.idle = omiInactivity
		return &l
	}}, q.refusal()
}

// codec returns the codec that the query names, as the host calls it.
func (q *query) codec() audio.Codec {
	name := q.values.Get("codec")
	if name == "" {
		name = "pcm8"
	}
	codec, ok := omiCodecs[name]
	if !ok {
		q.fail(wire.CodeUnsupportedAudio, "the codec %+.32q is not taken; send pcm8 or pcm16 (both 16-bit), opus, opus_fs320, mulaw or alaw", name)
	}
	return codec
}

// omiListener speaks the messages of /v4/listen. Its conversations complete by
// silence, as Omi's do, and each stream is a session, or goes on with one of the
// user's that waits for a stream: Omi's clients can't name one.
type omiListener struct {
	st        *stream
	uid       string
	format    audio.Format
	language  string
	source    string
	silence   time.Duration
	customSTT bool
	beat      clock.Alarm

	seq uint64 // of the last transcript; the host numbers them, as Omi does not
}

var _ dialect = (*omiListener)(nil)

func (l *omiListener) frames() int { return websocket.TextMessage }

func (l *omiListener) opened(ctx context.Context) {
	l.beat.Init(l.st.server.clock, l.onBeat)
	l.onBeat()
	l.tell(serviceStatus{"service_status", "initiating", "Service Starting"})
	l.st.apart(func() { l.start(ctx) })
}

// start goes on with the session that the user lost last, or begins one.
func (l *omiListener) start(ctx context.Context) {
	r, ok := l.st.startRequest(&wire.Start{UID: l.uid, Language: l.language, Source: l.source,
		Audio: &wire.Format{Codec: string(l.format.Codec), Rate: l.format.Rate, Channels: l.format.Channels}})
	if !ok {
		return
	}
	r.Kind, r.Silence = omiKind, l.silence
	for _, w := range l.st.server.o.Sessions.Waiting(r.UID, omiKind) {
		if w.Name == "" {
			r.Session = w.Session
		}
	}
	if r.Session != "" {
		session, err := l.st.server.o.Sessions.Start(ctx, r, client{l.st})
		switch {
		case err == nil:
			l.st.began(session, r)
			return
		case !errors.Is(err, conversation.ErrUnknownSession) && !errors.Is(err, conversation.ErrFormatChanged):
			l.st.failStart(ctx, r, err)
			return
		}
		r.Session = ""
	}
	l.st.begin(ctx, r)
}

// onBeat sends the text by which Omi's clients know that the host is alive.
func (l *omiListener) onBeat() {
	if !l.st.out.isClosing() {
		l.st.out.send([]byte("ping"))
		l.beat.In(omiPing)
	}
}

func (l *omiListener) closed() { l.beat.Stop() }

func (l *omiListener) binary(_ context.Context, now time.Time, b []byte) {
	if len(b) <= omiHeartbeatSize {
		l.st.server.metrics.messages["omi_heartbeat"].Inc()
		return
	}
	if l.st.session != nil { // otherwise it is closing
		l.st.audio(now, b)
	}
}

func (l *omiListener) text(_ context.Context, b []byte) {
	if l.st.session == nil {
		return // it is closing
	}
	m, err := omi.DecodeMessage(b)
	if bad := (*omi.Error)(nil); errors.As(err, &bad) {
		l.refused(bad.Code, bad.Message)
		return
	}
	switch m := m.(type) {
	case omi.SuggestedTranscript:
		l.st.server.metrics.messages["transcript"].Inc()
		l.suggested(m)
	case omi.SpeakerAssigned:
		l.st.server.metrics.messages["omi_speaker"].Inc()
		l.assigned(m)
	}
}

// suggested takes segments of the client's own, and sends them back as its
// backend does what it has taken.
func (l *omiListener) suggested(m omi.SuggestedTranscript) {
	if !l.customSTT {
		l.refused(omi.CodeBadMessage, "suggested_transcript is taken from streams that were opened with custom_stt=enabled")
		return
	}
	for segs := m.Segments; len(segs) > 0; {
		n := min(len(segs), conversation.MaxSegments)
		batch := spoken(segs[:n])
		for i := range batch {
			segs[i].ID = batch[i].ID
		}
		l.seq++
		if err := l.st.session.Transcript(l.seq, batch); err != nil {
			l.st.refused(err, "transcript")
			return
		}
		l.tell(segs[:n])
		segs = segs[n:]
	}
}

func (l *omiListener) assigned(m omi.SpeakerAssigned) {
	name := m.PersonName
	if name == "" {
		name = m.PersonID
	}
	if _, err := l.st.session.AssignSpeaker(m.Segments, name, m.PersonID == "user"); err != nil {
		l.st.refused(err, "speaker_assigned")
	}
}

// refused counts what was not taken and tells the client; the stream goes on.
func (l *omiListener) refused(code, why string) {
	l.st.server.metrics.refused.WithLabelValues(code).Inc()
	if now := time.Now(); now.Sub(l.st.warned) >= warnInterval {
		l.st.warned = now
		l.tell(trouble{"auricle_error", code, why, 0})
	}
}

// The messages to the client. Those whose type begins with auricle_ are not
// Omi's: its clients let them go.
type (
	serviceStatus struct {
		Type   string `json:"type"`
		Status string `json:"status"`
		Text   string `json:"status_text,omitempty"`
	}
	conversationSession struct {
		Type   string `json:"type"`
		ID     string `json:"conversation_id"`
		Status string `json:"status"`
	}
	memoryEvent struct {
		Type     string     `json:"type"`
		Memory   omi.Memory `json:"memory"`
		Messages []any      `json:"messages"`
	}
	outputEvent struct {
		Type string `json:"type"`
		event.Output
	}
	trouble struct {
		Type             string `json:"type"`
		Code             string `json:"code"`
		Message          string `json:"message"`
		RetryAfterMillis int64  `json:"retry_after_ms,omitempty"`
	}
)

// tell queues a message.
func (l *omiListener) tell(m any) {
	if l.st.out.isClosing() {
		return
	}
	b, err := json.Marshal(m)
	if err != nil {
		l.st.log().Error("a message can't be sent", "error", err)
		return
	}
	l.st.out.send(b)
}

func (l *omiListener) say(m wire.Message) {
	switch m := m.(type) {
	case *wire.Ready:
		l.seq = m.Received.Seq
		l.tell(serviceStatus{"service_status", "ready", ""})
		l.tell(conversationSession{"conversation_session", m.Conversation, "in_progress"})
	case *wire.Conversation:
		l.conversation(m)
	case *wire.Output:
		l.tell(outputEvent{"auricle_output", m.Output})
	case *wire.Error:
		l.tell(trouble{"auricle_error", m.Code, m.Message, 0})
	}
}

func (l *omiListener) conversation(m *wire.Conversation) {
	switch m.State {
	case wire.StateOpen:
		l.tell(conversationSession{"conversation_session", m.ID, "in_progress"})
	case wire.StateCompleting:
		l.tell(conversationSession{"conversation_session", m.ID, "processing"})
		l.tell(memoryEvent{"memory_processing_started", omi.MemoryOf(event.Conversation{ID: m.ID, Language: l.language}, "processing", nil), []any{}})
	case wire.StateCompleted:
		l.tell(conversationSession{"conversation_session", m.ID, "completed"})
		whole := m.Conversation
		if whole == nil {
			whole = &event.Conversation{ID: m.ID, Language: l.language}
		}
		memory := memoryEvent{"memory_created", omi.MemoryOf(*whole, "completed", nil), []any{}}
		b, err := json.Marshal(memory)
		if err == nil && int64(len(b)) > l.st.server.o.Config.OutputQueueBytes/2 {
			memory.Memory.Segments = []omi.Segment{} // the client can ask for it
		}
		l.tell(memory)
	}
}

func (l *omiListener) last(m wire.Message) []byte {
	var t trouble
	switch m := m.(type) {
	case *wire.Error:
		t = trouble{"auricle_error", m.Code, m.Message, 0}
	case *wire.Closing:
		t = trouble{"auricle_closing", m.Code, m.Message, m.RetryAfterMillis}
	default:
		return nil
	}
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and a number
	}
	return b
}
