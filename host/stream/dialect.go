package stream

import (
	"context"
	"net/http"
	"time"

	"github.com/auricle-dev/auricle/sdk/wire"
)

// dialect is what one stream speaks: how its client's messages are read, and how
// what there is to say to it is said. The outbox, the watch over its time, the
// limits, the closes and the session are the same for all.
//
// opened, binary, text and closed are called by the stream's one reader, one at
// a time, text on a goroutine that the reader waits for (see apart). The others
// may be called by anybody, with locks held, and must not block.
type dialect interface {
	// opened is called first, before anything is read.
	opened(ctx context.Context)
	// binary takes a binary message, whose bytes are the caller's again after.
	binary(ctx context.Context, now time.Time, b []byte)
	// text takes a text message; likewise.
	text(ctx context.Context, b []byte)
	// closed is called last, when nothing is read any more, and before
	// stream.session is let go: it lets go of what the dialect holds besides.
	closed()

	// say queues what m says with stream.out.send, as any number of frames.
	say(m wire.Message)
	// last returns the frame that is sent before the host closes, for a wire.Error
	// or wire.Closing; nil is none.
	last(m wire.Message) []byte
	// frames returns the kind of all frames that are sent, of websocket's message
	// types.
	frames() int
}

// A Dialect is a kind of stream that a Server serves at a path of its own.
type Dialect struct {
	// Path is where its clients connect.
	Path string
	// late says that credentials may come in the first message: a request without
	// any becomes a stream, which must call authenticate before it starts a
	// session.
	late bool
	// open reads a request, which is refused where it asks for what there is not.
	open func(r *http.Request) (opening, *refusal)
}

// opening is a request that a dialect has read.
type opening struct {
	uid      string // for whom the request asks; "" where it does not say
	needsUID bool   // it must say, unless the credentials do
	speak    func(*stream) dialect
}

// Native is the protocol of docs/clients.md.
var Native = &Dialect{
	Path: "/v1/stream",
	open: func(*http.Request) (opening, *refusal) { return opening{speak: speakNative}, nil },
}

func speakNative(st *stream) dialect { return native{st} }

// Dialects are all that a Server can speak.
var Dialects = append([]*Dialect{Native, OmiPusher, OmiListen}, Telephone...)
