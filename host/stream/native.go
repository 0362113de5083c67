package stream

import (
	"context"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/sdk/wire"
)

// native speaks the messages of sdk/wire.
type native struct{ st *stream }

var _ dialect = native{}

func (native) opened(context.Context) {}
func (native) closed()                {}
func (native) frames() int            { return websocket.TextMessage }

func (n native) binary(_ context.Context, now time.Time, b []byte) { n.st.audio(now, b) }
func (n native) text(ctx context.Context, b []byte)                { n.st.text(ctx, b) }

// say sends m as it is. A completed conversation that would take more than half
// of the output queue goes without its content.
func (n native) say(m wire.Message) {
	b, err := wire.Encode(m)
	if c, ok := m.(*wire.Conversation); ok && c.Conversation != nil && (err != nil || int64(len(b)) > n.st.server.o.Config.OutputQueueBytes/2) {
		b, err = wire.Encode(&wire.Conversation{ID: c.ID, State: c.State, Omitted: true})
	}
	if err != nil {
		// An app's data that is no JSON would have been refused long before.
		n.st.log().Error("a message can't be sent", "error", err)
		return
	}
	n.st.out.send(b)
}

// last encodes one of our own messages that hold strings and numbers only, which
// can't fail.
func (native) last(m wire.Message) []byte {
	b, err := wire.Encode(m)
	if err != nil {
		panic(err)
	}
	return b
}
