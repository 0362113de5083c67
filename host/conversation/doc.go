// Package conversation is the conversation's life: it opens with the first
// thing said, gathers segments, falls silent, and completes.
//
// The way of the data: a stream starts or resumes a session with
// [Sessions.Start] and gives what its client sends to its [Attachment]. The
// session hands audio and segments to dispatch at once, and segments to its
// journal, which batches whatever waits into one synced write of the store and
// then acknowledges it. What apps make of realtime events comes back through
// dispatch and goes to the client (at once) and to the store (in the
// background). A session holds one open conversation at a time and begins the
// next when that one completes:
//
//	open ──finish, end, silence, lost, recovered, full──▶ completing ──on synced disk──▶ completed
//
// In this order: the client is told completing; the store has the
// conversation's last part, and with it that it is closing; the store has the
// whole conversation; the client is told completed; [Jobs] has the apps' work
// done, and settles the conversation. A conversation in which nothing was said
// is not completed and leaves no trace.
//
// Who holds a session: each write names the revision that it goes on from, so
// that of two hosts, or a host and its own earlier life, one wins and the other
// lets go of the session. The last part is the right to complete: there is one
// completion. A session without a stream waits for one that resumes it, for the
// grace period. When the host closes, its sessions are handed over, not
// completed; [Sessions.Recover] adopts what was handed over, and what hosts that
// died have left. What a stream was told to be safe is what a resumed session
// knows.
//
// Clocks: durations are measured by the monotonic clock. The wall clock dates a
// conversation's beginning and names nothing twice, however it jumps.
//
// A store that fails or is slow delays acknowledgements and completions, never
// a stream's reader: each write is tried again, from 100 ms up to 5 s apart,
// until it succeeds or the host closes, and the client is told once with the
// error store_unavailable. What waits meanwhile is bounded: a conversation that
// reaches its bounds is completed with [event.ReasonFull] and the next begins, and
// when too many conversations wait for the store, transcripts that need yet
// another are refused with the same error and a reference, so that the client
// knows what to send again.
//
// Concurrency: Sessions is safe for concurrent use. An Attachment's Audio,
// Transcript, Finish, End and Detach belong to the goroutine that reads its
// stream and wait for nothing; Wait does, in another. A journal goroutine exists
// only while a session has something to write; Sessions.Close waits for it. What
// waits for its time does so on one clock, which Sessions.Close ends. A
// panic in it lets go of the session, which is adopted again as after a crash. Client
// and Dispatcher are called with the session's lock held and must not block;
// from within such a call they may call back the functions in
// dispatch.SessionOptions, which take no lock of the session.
//
// Lock order: session.mu, then Sessions.mu or results.mu. Clients' and
// dispatch's own locks come after these.
//
// It does not store audio, and it does not know WebSockets. Imports: jobs,
// dispatch, store and audio below it, stream above it.
package conversation
