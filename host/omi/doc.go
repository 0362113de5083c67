// Package omi reads and writes what Omi's backend and clients say on their two
// sockets: the frames of /v1/trigger/listen, by which its listen service feeds
// its pusher, and the messages of /v4/listen, by which devices and apps stream;
// and it writes conversations as Omi's clients and apps know them.
//
// It is formats only: bytes in, values out. A field that is not known is left
// alone, as those programs gain some with every release; one that is known must
// be of its kind. Package stream maps the values onto sessions.
//
// The source of the formats is the code of BasedHardware/omi: backend/routers
// pusher.py and transcribe.py, backend/models/message_event.py and
// transcript_segment.py.
package omi

import "fmt"

// The codes of an Error.
const (
	CodeShortFrame  = "short_frame"  // a frame ends before what its type has to hold
	CodeUnknownType = "unknown_type" // no frame or message of this type
	CodeBadJSON     = "bad_json"     // not JSON, or not UTF-8
	CodeBadMessage  = "bad_message"  // JSON that is no object, or a field of the wrong kind
)

// Error says why something that came is no message.
type Error struct {
	Code    string // one of the codes
	Message string // what is wrong
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func fault(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
