// Package stream is the WebSocket edge: GET /v1/stream, and what speaks other
// dialects. It turns a client's
// frames into calls of a conversation.Attachment, and what the session has to say
// into frames. docs/clients.md describes the protocol; sdk/wire has its messages.
//
// A [Dialect] reads its clients' messages and says what there is to say to them
// in their own words, over the same queue, limits and closes: docs/omi.md
// describes Omi's, docs/telephone.md telephone providers'.
//
// The way of the data: [Server] admits and upgrades a request. One goroutine
// reads the stream: it decodes each message strictly and hands it to the
// session, which waits for neither apps nor disk. All that goes out passes one
// queue a stream, bounded in bytes, from which one goroutine writes. When the
// queue is full the client is a slow reader and the stream closes with 4008;
// no other stream notices. A stream closes with a code of
// wire.CloseCodes, after the message that says why, and after closing it reads
// on for a while: otherwise the kernel would answer what the client still sends
// with a reset, and the reason would be lost with it.
//
// Concurrency: Server is safe for concurrent use. Each stream has a reader, a
// writer, and during end one goroutine that waits for the apps; Shutdown waits
// for all of them. A panic in any of them closes that stream with 1011 and is
// logged.
//
// It does not keep conversations, convert audio or know apps.
package stream
