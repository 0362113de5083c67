package wire

// The codes of an Error. After those of the first group the stream goes on;
// the others are fatal. docs/clients.md says what a client does about each.
const (
	CodeBadSegment        = "bad_segment"        // a segment breaks a limit
	CodeBadSeq            = "bad_seq"            // a transcript's seq does not go up
	CodeHalfSample        = "half_sample"        // a frame of audio is not whole samples of every channel
	CodeBadAudio          = "bad_audio"          // a frame of audio is not an Opus packet
	CodeNoAudio           = "no_audio"           // audio came, but start declared none
	CodeEmptyConversation = "empty_conversation" // finish, but nothing was said
	CodeAfterEnd          = "after_end"          // something came after end
	CodeStoreUnavailable  = "store_unavailable"  // the host can't write; it goes on trying. Of a Closing too: it can't read

	CodeBadJSON          = "bad_json"          // not JSON, or not UTF-8
	CodeUnknownType      = "unknown_type"      // no message of this type
	CodeBadMessage       = "bad_message"       // a field is unknown, missing, given twice or of the wrong kind
	CodeNotStarted       = "not_started"       // something came before start
	CodeAlreadyStarted   = "already_started"   // a second start
	CodeUnauthorised     = "unauthorised"      // start names another user than the credentials do
	CodeBadStart         = "bad_start"         // a value of start breaks a limit
	CodeNeverStarted     = "never_started"     // no start came in time
	CodeUnsupportedAudio = "unsupported_audio" // a codec, rate or number of channels
	CodeMessageTooLarge  = "message_too_large" // a message, either kind, beyond Limits.MessageBytes
	CodeAudioTooFast     = "audio_too_fast"    // audio beyond Limits.AudioRate and AudioBurstMillis
	CodeTooManyStreams   = "too_many_streams"  // of one user, beyond Limits.StreamsPerUser
	CodeUnknownSession   = "unknown_session"   // start names a session that can't be resumed
	CodeSuperseded       = "superseded"        // a newer stream has the session
	CodeInternal         = "internal"          // the host's own fault
)

// The codes of a Closing, besides CodeStoreUnavailable.
const (
	CodeShuttingDown = "shutting_down" // the host stops, or hands over to another
	CodeSlowReader   = "slow_reader"   // messages were not read fast enough
	CodeNoPong       = "no_pong"       // pings were not answered
	CodeTokenExpired = "token_expired" // the credentials with which the stream was opened
	CodeIdle         = "idle"          // no message came for too long
	CodeHostFull     = "host_full"     // it has as many sessions as it may
)
