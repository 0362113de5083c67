// Package store keeps what lasts: the segments of open conversations,
// completed conversations, and what apps made of them.
//
// It embeds a NATS JetStream server that listens on no port and syncs every
// write to disk before it is acknowledged. Three streams hold everything:
//
//	OPEN           open.<id>                       segments of open conversations, a message an Append
//	CONVERSATIONS  conversation.<uid>.<id>         completed conversations, one message each
//	               part.<id>.<hash>.<n>            the body of a conversation too large for one message
//	RESULTS        result.<id>.<invocation>        what apps made of conversations, one message each
//
// Uids stand in subjects as base64url. An index in memory, rebuilt at Open
// from the subjects alone, says which conversations each user has.
//
// The way of the data: Append while a conversation is open, Complete once,
// AddResult before and after; Conversation and Conversations read it all
// back. Complete first writes the conversation and then lets the appended
// segments go, so that a crash between the two leaves both: Unfinished, which
// is asked once at start, skips and tidies those.
//
// Every write is idempotent: an operation whose answer was lost can be
// repeated. A context without a deadline gets one of 10 s.
//
// Concurrency: a Store is safe for concurrent use. The server's goroutines and
// the connection's are the Store's; Close waits for them. One process at a
// time may have a data directory open.
//
// It does not keep audio, and it does not keep what is only on its way to an
// app.
package store
