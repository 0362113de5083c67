package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Message is a text frame of either side: one of the types in this file.
type Message interface {
	// Type returns the message's "type" as it stands on the wire.
	Type() string
}

// Start is a client's first message, once: what it is going to send.
type Start struct {
	UID      string            `json:"uid,omitempty"`      // 1 to 128 printable ASCII characters without spaces; may be left out where the credentials say whose they are
	Audio    *Format           `json:"audio,omitempty"`    // nil: transcripts only
	Session  string            `json:"session,omitempty"`  // to resume; left out begins a new one
	Language string            `json:"language,omitempty"` // BCP 47; at most 64 bytes
	Source   string            `json:"source,omitempty"`   // the device or program; at most 128 bytes
	Metadata map[string]string `json:"metadata,omitempty"` // kept with the conversation; at most 16 entries of 256 bytes each side
}

// Format is how a client's audio is encoded: PCM with its channels interleaved,
// or one Opus packet in each binary message. Which codecs and rates are taken
// is the host's affair; CloseUnsupportedAudio refuses the others.
type Format struct {
	Codec    string `json:"codec"`    // PCM16 or another of the constants
	Rate     int    `json:"rate"`     // samples a second of each channel; 8,000 to 48,000. Opus: what it is decoded to, 8,000, 12,000, 16,000, 24,000 or 48,000
	Channels int    `json:"channels"` // 1 or 2; a packet of Opus says itself what it has
}

// The codecs that hosts take.
const (
	PCM16 = "pcm_s16le" // signed 16-bit little-endian PCM
	PCM8  = "pcm_u8"    // unsigned 8-bit PCM: 128 is silence
	MuLaw = "pcm_mulaw" // 8-bit mu-law, ITU-T G.711
	ALaw  = "pcm_alaw"  // 8-bit A-law, ITU-T G.711
	Opus  = "opus"      // RFC 6716, without a container
)

// The bounds of what Start says.
const (
	MaxUIDBytes        = event.MaxUIDBytes
	MaxSessionBytes    = 128
	MaxLanguageBytes   = 64
	MaxSourceBytes     = 128
	MaxMetadataEntries = 16
	MaxMetadataBytes   = 256 // of a name, and of a value
)

// Transcript carries segments from the client's own speech-to-text. A segment
// whose id is known replaces the earlier one.
type Transcript struct {
	Seq      uint64          `json:"seq"`      // counts up from 1; what Ack names
	Segments []event.Segment `json:"segments"` // 1 to 1,000
}

// Finish asks to complete the conversation now; the session goes on with a
// new one.
type Finish struct{}

// End asks to complete the conversation and to close the stream with 1000 once
// all that is due has been sent.
type End struct{}

// Keepalive does nothing but keep proxies from closing a silent wire.
type Keepalive struct{}

// Ready answers Start.
type Ready struct {
	Session      string   `json:"session"`
	Conversation string   `json:"conversation"` // to which what is sent next belongs
	Audio        string   `json:"audio"`        // "buffered", "discarded" (no app may have it) or "none" (start named none)
	Apps         []App    `json:"apps"`         // that this user has
	Received     Received `json:"received"`
	Limits       Limits   `json:"limits"`
}

// App is an app that a session's user has.
type App struct {
	Name         string             `json:"name"`
	Version      string             `json:"version"`
	Capabilities []event.Capability `json:"capabilities"`
}

// Apps says that the user of a session that is open has other apps now, or
// other versions of them: they were switched on or off, or the host was given
// another configuration.
type Apps struct {
	Audio string `json:"audio"` // as in Ready
	Apps  []App  `json:"apps"`  // that this user has now, all of them
}

// Received says what the host has taken of a session, so where the client goes
// on from; a new one's is zero. It may let go of its copy only of what was
// acknowledged, which Ack says.
type Received struct {
	AudioBytes int64  `json:"audio_bytes"`
	Seq        uint64 `json:"seq"`
}

// Limits are the bounds that a stream is held to.
type Limits struct {
	MessageBytes       int64 `json:"message_bytes"`        // a message, either kind; beyond: 4504
	OutputQueueBytes   int64 `json:"output_queue_bytes"`   // messages that the client has not read; beyond: 4008
	SegmentTextBytes   int   `json:"segment_text_bytes"`   // beyond: bad_segment
	SegmentsPerMessage int   `json:"segments_per_message"` // beyond: bad_segment
	SilenceMillis      int64 `json:"silence_ms"`           // after which a conversation completes

	// Where these are 0, or a host does not say, there is no such limit.
	AudioRate        float64 `json:"audio_rate"`       // how fast audio may come on average, in times real time
	AudioBurstMillis int64   `json:"audio_burst_ms"`   // of audio, that may come at once on top of AudioRate
	IdleMillis       int64   `json:"idle_ms"`          // without any message, keepalive included, after which the stream is closed
	StreamsPerUser   int     `json:"streams_per_user"` // that may be open at once
	Sessions         int     `json:"sessions"`         // of the whole host
}

// Ack says what is safe: transcripts up to Seq are on synced disk, and
// AudioBytes bytes of audio were taken, which are not kept. A transcript that was refused with an
// Error naming its seq is not covered.
type Ack struct {
	Seq        uint64 `json:"seq"`
	AudioBytes int64  `json:"audio_bytes"`
}

// Output is something that an app made for this user.
type Output struct{ event.Output }

// State is a conversation's state, as clients are told it.
type State string

// The states, in the order in which a conversation goes through them.
const (
	StateOpen       State = "open"       // something was said
	StateCompleting State = "completing" // nothing more is added; not on disk yet
	StateCompleted  State = "completed"  // on synced disk
)

// Conversation tells of a conversation's life.
type Conversation struct {
	ID           string              `json:"id"`
	State        State               `json:"state"`
	Conversation *event.Conversation `json:"conversation,omitempty"` // whole, when State is completed
	Omitted      bool                `json:"omitted,omitempty"`      // completed, but too large for this message, or while no stream was attached: GET /v1/conversations/{id}
}

// Gap says that something was dropped for an app; the conversation itself
// lacks nothing. Drops of one app, kind and reason are added up to at most
// one message a second and app.
type Gap struct {
	App      string `json:"app"`
	Event    string `json:"event"`              // "audio", "transcript"
	Bytes    int64  `json:"bytes,omitempty"`    // of audio, mono s16le
	Segments int    `json:"segments,omitempty"` // of transcript
	Reason   string `json:"reason"`             // "buffer_full", "superseded", "queue_full", "mailbox_full", "breaker_open", "session_closed", "switched_off", "not_installed"
}

// Error says what was wrong with something the client sent, or of trouble in
// the host. After a fatal one the stream closes.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"` // for people: what is wrong and what to do
	Fatal   bool   `json:"fatal"`
	Ref     *Ref   `json:"ref,omitempty"` // the refused message
}

// Ref names a message of the client: a transcript by its seq, another by its
// type. On the wire it is a number or a string.
type Ref struct {
	Seq  uint64
	Type string // when Seq is 0
}

// Closing says that the host is about to close the stream, though the client
// did nothing wrong that trying again would not mend.
type Closing struct {
	Code             string `json:"code"` // "shutting_down", "slow_reader", "no_pong", "store_unavailable"
	Message          string `json:"message"`
	RetryAfterMillis int64  `json:"retry_after_ms,omitempty"`
}

// Type returns the message's type on the wire.
func (*Start) Type() string        { return "start" }
func (*Transcript) Type() string   { return "transcript" }
func (*Finish) Type() string       { return "finish" }
func (*End) Type() string          { return "end" }
func (*Keepalive) Type() string    { return "keepalive" }
func (*Ready) Type() string        { return "ready" }
func (*Apps) Type() string         { return "apps" }
func (*Ack) Type() string          { return "ack" }
func (*Output) Type() string       { return "output" }
func (*Conversation) Type() string { return "conversation" }
func (*Gap) Type() string          { return "gap" }
func (*Error) Type() string        { return "error" }
func (*Closing) Type() string      { return "closing" }

// ClientTypes lists the types of the messages that a client may send.
var ClientTypes = []string{"start", "transcript", "finish", "end", "keepalive"}

// newHostMessage returns an empty message of a type that the host sends, nil
// for any other.
func newHostMessage(t string) Message {
	switch t {
	case "ready":
		return new(Ready)
	case "apps":
		return new(Apps)
	case "ack":
		return new(Ack)
	case "output":
		return new(Output)
	case "conversation":
		return new(Conversation)
	case "gap":
		return new(Gap)
	case "error":
		return new(Error)
	case "closing":
		return new(Closing)
	}
	return nil
}

// MarshalJSON writes a number or a string.
func (r Ref) MarshalJSON() ([]byte, error) {
	if r.Seq != 0 {
		return strconv.AppendUint(nil, r.Seq, 10), nil
	}
	return json.Marshal(r.Type)
}

// UnmarshalJSON reads a number or a string.
func (r *Ref) UnmarshalJSON(b []byte) error {
	*r = Ref{}
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &r.Type)
	}
	return json.Unmarshal(b, &r.Seq)
}

// Encode returns m's text frame: a JSON object that begins with its type.
func Encode(m Message) ([]byte, error) {
	if b := encodeShort(m); b != nil {
		return b, nil
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding a %s message: %w", m.Type(), err)
	}
	b := make([]byte, 0, len(body)+len(m.Type())+len(`{"type":"",`))
	b = append(b, `{"type":"`...)
	b = append(b, m.Type()...)
	b = append(b, '"')
	if !bytes.Equal(body, []byte("{}")) {
		b = append(b, ',')
	}
	return append(b, body[1:]...), nil
}

// encodeShort is Encode for the messages that a host sends all the time, to
// thousands of streams, without the time and the stack that reflection takes. It
// returns nil for any other.
func encodeShort(m Message) []byte {
	switch m := m.(type) {
	case *Ack:
		b := append(make([]byte, 0, 64), `{"type":"ack","seq":`...)
		b = strconv.AppendUint(b, m.Seq, 10)
		b = append(b, `,"audio_bytes":`...)
		b = strconv.AppendInt(b, m.AudioBytes, 10)
		return append(b, '}')
	case *Conversation:
		if m.Conversation != nil || m.Omitted || !plain(m.ID) || !plain(string(m.State)) {
			return nil
		}
		b := append(make([]byte, 0, 96), `{"type":"conversation","id":"`...)
		b = append(b, m.ID...)
		b = append(b, `","state":"`...)
		b = append(b, m.State...)
		return append(b, `"}`...)
	}
	return nil
}

// plain reports whether s stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// UnknownTypeError is DecodeHost's for a message of a type that this version
// does not know. A client goes on without it.
type UnknownTypeError struct{ MessageType string }

// Error names the type.
func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("unknown message type %s", quote(e.MessageType))
}

// DecodeHost reads a text frame of the host's, for clients. Fields that it
// does not know are skipped, so that a newer host can be spoken to; the error
// is an *UnknownTypeError for a message that it does not know.
func DecodeHost(b []byte) (Message, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("decoding a message of the host: %w", err)
	}
	m := newHostMessage(head.Type)
	if m == nil {
		return nil, &UnknownTypeError{MessageType: head.Type}
	}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decoding a %s message of the host: %w", head.Type, err)
	}
	return m, nil
}

// quote quotes a client's word for a message, cut so that the message stays
// short.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "…"
	}
	return strconv.QuoteToASCII(s)
}
