// Package wire has the messages of GET /v1/stream, the native protocol between
// clients and a host, for both sides: their types, [Encode], the decoders, the
// codes of errors, and the close codes with who may connect again.
// docs/clients.md describes the protocol, docs/asyncapi.yaml is its schema.
//
// A host reads clients with [DecodeClient], which is strict; clients read the
// host with [DecodeHost], which skips what a newer host may say. Audio is not
// a message: it is sent in binary frames, in the [Format] that [Start] declared.
//
// Everything here is values and pure functions, safe for concurrent use. It
// opens no connection: sdk/client does.
package wire
