// Package audio turns what clients stream into the one shape that apps get,
// and holds it for as long as an app still has to have it.
//
// The way of the data: a client's binary frame, in the [Format] its start
// declared, goes through [Format.AppendMono] to 16-bit mono PCM at the same
// rate, then by [Buffer.Write] into the session's [Buffer], out of which each
// consumer takes pieces through a [Reader] of its own.
//
// A Buffer exists only where an app consumes audio; a session without one
// makes none and pays nothing. It holds what is due to its slowest reader up
// to a bound in bytes; beyond that the oldest samples go, and each reader that
// loses some is told how many.
//
// Concurrency: a Format is a value. A Buffer and its Readers are safe for
// concurrent use; nothing in this package blocks or starts a goroutine.
//
// It does not resample, and it does not write audio to disk.
package audio
