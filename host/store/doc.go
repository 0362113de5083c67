// Package store keeps what lasts: open conversations and what is due for them,
// completed conversations, what apps made of them, the work of apps that could
// not be done at once, and what apps keep for users.
//
// It embeds a NATS JetStream server that listens on no port and syncs every
// write to disk before it is acknowledged; or it uses the servers of a NATS
// cluster, which acknowledge when a quorum has a write, and shares what they
// keep with other hosts. A few streams hold everything:
//
//	OPEN           open.<session>.<id>             parts of open conversations; at last a marker that one is settled
//	               open.<id>                       what an earlier version left open
//	CONVERSATIONS  conversation.<uid>.<id>         completed conversations, one message each
//	               part.<id>.<hash>.<n>            the body of a conversation too large for one message
//	RESULTS        result.<id>.<invocation>        what apps made of conversations while they were open
//	               result.<id>.j_<app>             what an app made of the completed one: one message, the first
//	JOBS           job.<app>.<id>                  an app's work that is waiting, running or dead, one message each
//	USERS          user.<uid>                      what users have chosen about apps, one message each
//	MEMORIES       memory.<uid>.<id>               what apps have noted about a user, a message for each note
//	VALUES         value.<app>.<uid>               what an app keeps for a user, one message each
//	HOSTS          host.<id>                       in a cluster: the hosts, in memory
//
// Uids and apps' names stand in subjects as base64url. An index in memory,
// rebuilt at Open from the subjects alone, says which conversations each user
// has; in a cluster it follows what other hosts complete.
//
// # The life of a conversation
//
// Append keeps its parts while it is open; the last, Closing one, makes its
// writer the one to complete it. Complete keeps it under its own subject.
// Every app whose work is due then has a result, by FinishJob, or a Job, by
// PutJob. Settle lets go of the parts. So OPEN is the ledger: whatever
// Unfinished finds there has something to be done, wherever its host died.
//
// # Revisions
//
// What may have another writer is written by compare-and-set: the write names
// the Revision it goes on from, and of two that name the same one succeeds and
// the other gets ErrFenced. There are no locks and no leaders. A write whose
// answer was lost can be repeated with the same revision: the Store knows its
// own writes again. All other writes are idempotent by their ids.
//
// # Group commit
//
// The writes of a stream that wait while earlier ones are being synced are
// written as one atomic batch, with one sync. If the batch is refused, each of
// its messages is written by itself, so that a fenced one fails alone. The
// embedded server sets a batch down in memory before it commits it, where
// there is a file system in memory: no message needs the others of its batch.
// While the connection is broken, writes wait for as long as their callers do.
//
// # Retention
//
// Once a minute the oldest of what exceeds Options.Retention is removed:
// completed conversations with all that belongs to them, outputs, and dead
// letters. Nothing is removed otherwise: what users have chosen stays until they
// choose otherwise, and what apps keep until they or an operator delete it.
//
// # The embedded server's files
//
// Open reads through all of them before the server does, which would cut a file
// off at the first record that is bad: every record's checksum, and, after an
// orderly stop, that nothing is missing. What a host that was killed leaves at a
// file's end is no damage. Damaged files are refused with a *DamageError, which
// names what is lost, or salvaged: set aside, and written anew without what is
// bad.
//
// # The embedded server's disk
//
// While less than Options.Reserve is free, and once a write has failed, writes
// get ErrUnavailable at once and Ready says why; what is stored can be read. As
// soon as there is room, writes are taken again; the server, which does not
// recover from a write that failed, is started anew for it, within the Store.
// A disk that stalls delays writes for as long as their callers wait.
//
// Concurrency: a Store is safe for concurrent use. The server's goroutines,
// the connection's and those of the Store itself are the Store's; Close waits
// for them. A context without a deadline gets one of 10 s. One process at a
// time may have a data directory open; any number of hosts may share a
// cluster, each under its own id.
//
// It does not keep audio, and it does not keep what is only on its way to an
// app.
package store
