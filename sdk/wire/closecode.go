package wire

// CloseCode is a reason for which the host closes a stream. The number alone
// says what a client may do: with 4000 to 4499 it may connect again, with 4500
// to 4999 it must not before something was changed.
type CloseCode struct {
	Code   int
	Reason string // sent in the close frame; at most 123 bytes
	Retry  bool   // whether the client may connect again, as it is
}

// The close codes. The one table: nothing else is sent.
var (
	CloseNormal           = CloseCode{1000, "ended", false}                                                    // the client sent end or closed the stream
	CloseProtocolError    = CloseCode{1002, "a frame that breaks RFC 6455", false}                             // there is no telling what comes after it
	CloseTryLater         = CloseCode{1013, "the host can't take this now; connect again later", true}         // after closing, with retry_after_ms: it is full, or can't read its store
	CloseInternal         = CloseCode{1011, "a bug in the host; it has been logged", true}                     // only ever our fault
	CloseShuttingDown     = CloseCode{4001, "the host is shutting down; connect again and resume", true}       // after closing, with retry_after_ms
	CloseSlowReader       = CloseCode{4008, "messages were not read fast enough", true}                        // the output queue was full, or a write took too long
	CloseIdle             = CloseCode{4010, "no message came for too long", true}                              // neither content nor keepalive
	CloseExpired          = CloseCode{4011, "the credentials have expired; connect again with new ones", true} // of a JWT
	CloseNoPong           = CloseCode{4012, "no pong came for too long", true}                                 // pings were not answered
	CloseBadMessage       = CloseCode{4500, "a message that the protocol does not allow", false}               // the error before it says which
	CloseUnauthorised     = CloseCode{4501, "not authorised", false}                                           // start names another user than the credentials do
	CloseNeverStarted     = CloseCode{4502, "no start came in time", false}
	CloseUnsupportedAudio = CloseCode{4503, "audio that this host does not take", false}    // the error before it says what it takes
	CloseMessageTooLarge  = CloseCode{4504, "a message was too large", false}               // limits.message_bytes
	CloseSessionExpired   = CloseCode{4505, "no session to resume; start a new one", false} // there is none, or it is over, or another user's
	CloseSuperseded       = CloseCode{4506, "a newer stream has taken over this session", false}
	CloseAudioTooFast     = CloseCode{4507, "audio came faster than it may", false}           // limits.audio_rate and audio_burst_ms
	CloseTooManyStreams   = CloseCode{4508, "the user has as many streams as allowed", false} // limits.streams_per_user
)

// CloseCodes lists every code by which the host closes a stream.
var CloseCodes = []CloseCode{
	CloseNormal, CloseProtocolError, CloseInternal, CloseTryLater, CloseShuttingDown, CloseSlowReader, CloseIdle, CloseExpired, CloseNoPong, CloseBadMessage, CloseUnauthorised,
	CloseNeverStarted, CloseUnsupportedAudio, CloseMessageTooLarge, CloseSessionExpired, CloseSuperseded, CloseAudioTooFast, CloseTooManyStreams,
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
