// Package telephone decodes the frames by which telephone providers stream the
// audio of a call: Twilio's Media Streams, Telnyx's media streaming and Plivo's
// audio streams. All three send JSON text frames of one shape (start, media,
// stop) over a WebSocket that they open, and name the fields differently.
//
// The way of the data: [Vendor.Decode] turns one frame into a [Frame]; its start
// says in what format the audio is and which parameters the call's owner gave it;
// [Order] puts the chunks of one track back into their order.
//
// Decoding is strict about what the host relies on: the event, the stream's id,
// the format, the track and the payload; each must be there and of its kind. It
// lets be what it does not know: providers add fields and events without notice,
// and a call must not end for that. What a frame may hold is bounded
// ([MaxPayload], [MaxParameters]); the length of the frame itself is the caller's
// to bound.
//
// Sources, as of 2026: Twilio "Media Streams: WebSocket Messages"; Telnyx "Media
// Streaming over WebSockets" and its AsyncAPI description; Plivo "Stream Event
// Protocol" and "Audio streaming reference".
//
// Concurrency: a Vendor is a value, a Frame is the caller's; an Order belongs to
// one goroutine. Nothing here blocks, keeps a frame's bytes or starts a goroutine.
//
// It speaks to nobody, and it knows no sessions and no credentials.
package telephone
