// Package conversation is the conversation's life: it opens with the first
// thing said, gathers segments, falls silent, and completes.
//
// The way of the data: a stream starts a [Session] with [Sessions.Start] and
// gives it what its client sends. The session hands audio and segments to
// dispatch at once, and segments to its journal, which batches whatever waits
// into one synced write of the store and then acknowledges it. What apps make
// of it comes back through dispatch and goes to the client (at once) and to
// the store (in the background). A session holds one open conversation at a
// time and begins the next when that one completes:
//
//	open ──finish, end, silence, lost, shutdown, full──▶ completing ──on synced disk──▶ completed
//
// In this order: the client is told completing; the store has the whole
// conversation synced; the client is told completed; the apps get it. A
// conversation in which nothing was said leaves no trace.
//
// A store that fails or is slow delays acknowledgements and completions, never
// a stream's reader: each write is tried again, from 100 ms up to 5 s apart,
// until it succeeds or the host closes, and the client is told once with the
// error store_unavailable. What waits meanwhile is bounded: a conversation that
// reaches its bounds is completed with [event.ReasonFull] and the next begins, and
// when too many conversations wait for the store, transcripts that need yet
// another are refused with the same error and a reference, so that the client
// knows what to send again. What was acknowledged and not yet completed when
// the host died is found by [Sessions.Recover].
//
// Concurrency: Sessions is safe for concurrent use. A Session's Audio,
// Transcript, Finish, End and Detach belong to the goroutine that reads its
// stream and wait for nothing; Wait does, in another. A journal goroutine exists only while a session has something to write; Sessions.Close
// waits for it. Client and Dispatcher are called with the session's lock held
// and must not block; from within such a call they may call back the
// functions in dispatch.SessionOptions, which take no lock of the session.
//
// Lock order: Session.mu, then Sessions.mu or results.mu. Clients' and
// dispatch's own locks come after these.
//
// It does not store audio, and it does not know WebSockets. Imports: dispatch,
// store and audio below it, stream above it.
package conversation
