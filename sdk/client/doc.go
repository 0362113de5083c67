// Package client streams audio and transcripts to an Auricle host, and stays
// with it: over connections that break, hosts that restart and hosts that die.
//
// Usage: [New] with the host's URL, the user and the audio's format; then
// [Client.WriteAudio] and [Client.Transcript] as they come, and [Client.End],
// which returns when the host has everything and has closed the stream. What
// the host says comes through Options.OnMessage, as messages of sdk/wire.
//
// The way of the data: what is written goes into one buffer, in order, and stays
// there until the host has acknowledged it. One goroutine sends from it, at the
// pace that the host allows. When the stream is lost it connects again, after
// what time the host asked for or with full-jitter exponential back-off, resumes
// the session, and goes on from what the host has received. A session that
// can't be resumed is followed by a new one, with what was not acknowledged.
//
// What is promised: audio arrives once and in order, but for what a host that
// died had taken and lost, which Stats counts. Transcripts arrive once and in
// order within a session; when a session could not be resumed, some that its
// host had stored without being able to say so may be in the next session too.
// Nothing is dropped to make room: when the buffer is full, writing waits.
//
// What is not: messages of the host that were due while no stream was open are
// not repeated by the host, but for conversations that were completed
// (docs/clients.md, "Resuming"), and these may be told twice.
//
// Concurrency: a Client's methods may be called from any goroutine. What is to
// keep its order is written by one. A Client has one goroutine, and one more for each connection; Close and End
// wait for both.
package client
