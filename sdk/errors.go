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
	ErrRateLimited = &Error{Code: event.CodeRateLimited, Message: "more than the host lets through: one notification in 30 s, calls of web services as configured"}
	ErrBadText     = &Error{Code: event.CodeBadText, Message: "a notification is 5 to 150 characters"}
)

// Why Context.Fetch got no answer, besides ErrBadRequest, ErrNotGranted and
// ErrRateLimited; compare with errors.Is. All but the first three may pass by
// themselves.
var (
	ErrHostNotGranted   = &Error{Code: event.CodeHostNotGranted, Message: "the operator did not grant this host"}
	ErrAddressRefused   = &Error{Code: event.CodeAddressRefused, Message: "the host's address is not public, and not granted"}
	ErrRequestTooLarge  = &Error{Code: event.CodeRequestTooLarge, Message: "the request is larger than the operator allows"}
	ErrRedirectRefused  = &Error{Code: event.CodeRedirectRefused, Message: "the answer sends to where the app may not go"}
	ErrResponseTooLarge = &Error{Code: event.CodeResponseTooLarge, Message: "the answer is larger than the operator allows"}
	ErrTimeout          = &Error{Code: event.CodeTimeout, Message: "no whole answer within the call's time"}
	ErrConnectFailed    = &Error{Code: event.CodeConnectFailed, Message: "the service could not be reached"}
	ErrExchangeFailed   = &Error{Code: event.CodeExchangeFailed, Message: "the service broke the exchange off"}
	ErrTooManyCalls     = &Error{Code: event.CodeTooManyCalls, Message: "as many calls as may be are under way"}
)
