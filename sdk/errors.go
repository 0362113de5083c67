package sdk

import "github.com/auricle-dev/auricle/sdk/event"

// Error is the host's refusal of an effect.
type Error struct {
	Op      string // what was asked for, for example "notify"
	Code    string // one of event's Code constants
	Message string // for people
}

// Error returns the refusal as one line.
func (e *Error) Error() string {
	s := e.Message + " (" + e.Code + ")"
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	return s
}

// Is reports whether target is the refusal of the same code, whatever its
// message, so that errors.Is(err, ErrRateLimited) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Op == "" && t.Code == e.Code
}

// The refusals; compare with errors.Is.
var (
	ErrBadRequest  = &Error{Code: event.CodeBadRequest, Message: "the host did not understand the request"}
	ErrUnknownOp   = &Error{Code: event.CodeUnknownOp, Message: "this host has no such effect"}
	ErrNotGranted  = &Error{Code: event.CodeNotGranted, Message: "the operator did not grant the capability"}
	ErrRateLimited = &Error{Code: event.CodeRateLimited, Message: "at most one notification in 30 s"}
	ErrBadKey      = &Error{Code: event.CodeBadKey, Message: "a key is 1 to 512 bytes of UTF-8 without control characters"}
	ErrNotFound    = &Error{Code: event.CodeNotFound, Message: "there is no such key"}
	ErrNotNumber   = &Error{Code: event.CodeNotNumber, Message: "the value is no number that this can be added to"}
	ErrQuota       = &Error{Code: event.CodeQuota, Message: "that is more than the operator lets the app keep for a user"}
	ErrBadText     = &Error{Code: event.CodeBadText, Message: "a notification is 5 to 150 characters"}
	ErrWrongEvent  = &Error{Code: event.CodeWrongEvent, Message: "not while handling an event of this kind"}
)
