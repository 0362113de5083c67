package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The errors of a Client's methods that callers tell apart, besides
// *RefusedError and *ClosedError.
var (
	ErrClosed   = errors.New("the client is closed")
	ErrEnded    = errors.New("the client was told to end; nothing more can be written")
	ErrTooLarge = errors.New("larger than a message may be, or than the client's buffer")
	ErrNoAudio  = errors.New("the client was made without an audio format; it has transcripts only")
)

// RefusedError says that a host refused the handshake, by plain HTTP.
type RefusedError struct {
	URL        string
	Status     int           // of HTTP
	Code       string        // the host's word for it, for example "too_many_streams"; "" when it was no Auricle host that answered
	Message    string        // for people: what is wrong and what to do
	RetryAfter time.Duration // 0: it does not say
}

// Error names the URL, the status and what the host says of it.
func (e *RefusedError) Error() string {
	status := strconv.Itoa(e.Status) + " " + http.StatusText(e.Status)
	if e.Message == "" {
		return fmt.Sprintf("%s refused the stream: %s; is it an Auricle host?", e.URL, status)
	}
	return fmt.Sprintf("%s refused the stream: %s: %s (%s)", e.URL, status, e.Message, e.Code)
}

// retryable reports whether the same request may be taken later.
func (e *RefusedError) retryable() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

// ClosedError says that the host closed the stream. wire.MayRetry says of its
// Code whether the client connects again by itself.
type ClosedError struct {
	Code    int    // of the close frame
	Reason  string // of the close frame
	Word    string // the code of the error or closing message before, for example "unsupported_audio"; "" when there was none
	Message string // of that message, for people
}

// Error gives the code and what the host said before it closed.
func (e *ClosedError) Error() string {
	said := e.Message
	if said == "" {
		said = e.Reason
	}
	return fmt.Sprintf("the host closed the stream: %d: %s", e.Code, said)
}
