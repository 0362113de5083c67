// Counter is an app that counts its events in a variable, for the tests of
// state that is kept for a session. The first segment's text may tell it to
// end otherwise than well.
package main

import (
	"errors"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "counter", Version: "0.1.0", State: event.StateSession,
		OnAudio:        func(ctx *sdk.Context, e *event.Audio) error { return count(ctx, e.Restarted, "") },
		OnTranscript:   func(ctx *sdk.Context, e *event.Transcript) error { return count(ctx, e.Restarted, e.Segments[0].Text) },
		OnConversation: func(ctx *sdk.Context, e *event.Conversation) error { return count(ctx, e.Restarted, "") },
	})
}

// events is how many this session has had, each told whether it restarted.
var events []bool

func count(ctx *sdk.Context, restarted bool, order string) error {
	events = append(events, restarted)
	switch order {
	case "error":
		return errors.New("on order")
	case "panic":
		panic("on order")
	case "loop":
		for {
		}
	case "fill":
		for all := [][]byte(nil); ; {
			all = append(all, make([]byte, 1<<20))
		}
	}
	return ctx.Emit(events)
}

func main() {}
