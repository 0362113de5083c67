package stream

import "strconv"

// CloseCode is a reason for which the host closes a stream. The number alone
// says what a client may do: with 4000 to 4499 it may connect again, with 4500
// to 4999 it must not before something was changed.
type CloseCode struct {
	Code   int
	Reason string // sent in the close frame; at most 123 bytes
	Retry  bool   // whether the client may connect again, as it is
}

// The close codes. The one table: nothing else is sent, but for 1002 where a
// frame breaks RFC 6455 itself.
var (
	CloseNormal           = CloseCode{1000, "ended", false}                                              // the client sent end or closed the stream
	CloseTryLater         = CloseCode{1013, "the host can't say now; connect again later", true}         // after closing, with retry_after_ms
	CloseInternal         = CloseCode{1011, "a bug in the host; it has been logged", true}               // only ever our fault
	CloseShuttingDown     = CloseCode{4001, "the host is shutting down; connect again and resume", true} // after closing, with retry_after_ms
	CloseSlowReader       = CloseCode{4008, "messages were not read fast enough", true}                  // the output queue was full, or a write took too long
	CloseNoPong           = CloseCode{4012, "no pong came for too long", true}                           // pings were not answered
	CloseBadMessage       = CloseCode{4500, "a message that the protocol does not allow", false}         // the error before it says which
	CloseUnauthorised     = CloseCode{4501, "not authorised", false}                                     // start names another user than the credentials do
	CloseNeverStarted     = CloseCode{4502, "no start came in time", false}
	CloseUnsupportedAudio = CloseCode{4503, "audio that this host does not take", false}    // the error before it says what it takes
	CloseLimitReached     = CloseCode{4504, "a limit was reached", false}                   // the error before it says which
	CloseSessionExpired   = CloseCode{4505, "no session to resume; start a new one", false} // there is none, or it is over, or another user's
	CloseSuperseded       = CloseCode{4506, "a newer stream has taken over this session", false}
)

// CloseCodes lists every code by which the host closes a stream.
var CloseCodes = []CloseCode{
	CloseNormal, CloseInternal, CloseTryLater, CloseShuttingDown, CloseSlowReader, CloseNoPong, CloseBadMessage, CloseUnauthorised,
	CloseNeverStarted, CloseUnsupportedAudio, CloseLimitReached, CloseSessionExpired, CloseSuperseded,
}

// MayRetry reports whether a client whose stream was closed with code may
// connect again without changing anything: after 1001, 1006, 1011, 1012, 1013
// and 4000 to 4499.
func MayRetry(code int) bool {
	switch code {
	case 1001, 1006, 1011, 1012, 1013:
		return true
	}
	return code >= 4000 && code < 4500
}

// closeLabel returns code as a metric's label. Clients choose the code with
// which they close, so only a few are told apart.
func closeLabel(code int) string {
	switch code {
	case 1000, 1001, 1002, 1005, 1006:
		return strconv.Itoa(code)
	}
	for _, c := range CloseCodes {
		if c.Code == code {
			return strconv.Itoa(code)
		}
	}
	return "other"
}
