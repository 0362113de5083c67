package telephone

import (
	"fmt"

	"github.com/auricle-dev/auricle/host/audio"
)

// Vendor is a provider of telephone calls whose frames can be decoded.
type Vendor string

// The vendors.
const (
	Twilio Vendor = "twilio"
	Telnyx Vendor = "telnyx"
	Plivo  Vendor = "plivo"
)

// Vendors lists all of them.
var Vendors = []Vendor{Twilio, Telnyx, Plivo}

// The events that a stream depends on.
const (
	EventStart = "start" // the stream begins: Frame.Start
	EventMedia = "media" // a chunk of audio: Frame.Media
	EventStop  = "stop"  // the stream is over
)

// Others lists the other events that the vendors are known to send. They ask
// nothing of the host.
var Others = []string{"connected", "dtmf", "mark", "error", "playedStream", "clearedAudio"}

// The bounds of a frame.
const (
	// MaxPayload is the most bytes of audio in one media frame: 4 s of a G.711
	// call, whose frames usually are of 20 ms.
	MaxPayload = 32 << 10
	// MaxParameters is how many parameters a start may have.
	MaxParameters = 32
	// MaxName is the most bytes of a stream's or a call's id.
	MaxName = 256
)

// Frame is what one message of a vendor's says.
type Frame struct {
	Event  string // as the vendor names it: EventStart, …; one that is unknown is no error
	Stream string // the stream's id; "" where the event has none
	Start  *Start // of EventStart
	Media  *Media // of EventMedia
}

// Start says what call begins, and in what format its audio comes.
type Start struct {
	Call       string            // the vendor's id of the call
	Tracks     []string          // Inbound, Outbound; empty where the vendor does not say
	Format     audio.Format      // passes Check
	Parameters map[string]string // what the call's owner gave the stream; not nil
}

// The tracks of a call.
const (
	Inbound  = "inbound"  // what the provider hears: whoever is on the line
	Outbound = "outbound" // what the provider plays to them
)

// Media is a chunk of one track's audio.
type Media struct {
	Track   string // Inbound or Outbound; "" where the vendor does not say
	Chunk   uint64 // counts the track's chunks, from 1; 0 where the vendor does not say
	Payload []byte // audio, in the start's format, at most MaxPayload bytes; the caller's
}

// The codes of an Error.
const (
	CodeBadMessage       = "bad_message"       // no JSON object, or a field that is missing or of the wrong kind
	CodeBadStart         = "bad_start"         // a start that says too much, or what can't be
	CodeUnsupportedAudio = "unsupported_audio" // a format that the host does not take
	CodeBadPayload       = "bad_payload"       // audio that is no base64
	CodePayloadTooLarge  = "payload_too_large" // more than MaxPayload bytes of it
)

// The codes of what is no fault of a frame's own; Decode returns no Error with
// them.
const (
	CodeUnknownEvent = "unknown_event" // an event that no vendor is known to send
	CodeWrongStream  = "wrong_stream"  // a frame of another stream than the start's
)

// Error says why a frame was not decoded. Its text is fit to be logged: it holds
// no parameter's value.
type Error struct {
	Code    string // one of the Code constants
	Event   string // the frame's; "" where it could not be read
	Message string // for people: what is wrong and where
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func fault(code, event, format string, a ...any) error {
	return &Error{Code: code, Event: event, Message: fmt.Sprintf(format, a...)}
}
