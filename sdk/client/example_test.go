package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// A device that streams its microphone, prints what apps say, and gives up
// when the host was away for ten attempts.
func Example() {
	c, err := client.New(client.Options{
		URL:   "wss://host.example/v1/stream",
		UID:   "ada",
		Token: client.Token("…"),
		Audio: &wire.Format{Codec: wire.PCM16, Rate: 16000, Channels: 1},
		OnMessage: func(m client.Message) {
			if o, ok := m.Message.(*wire.Output); ok {
				fmt.Printf("%s says %s\n", o.App, o.Data)
			}
		},
		OnRetry: func(r client.Retry) error {
			if r.Attempt > 10 {
				return r.Err
			}
			log.Printf("%v; connecting again in %v", r.Err, r.In)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for frame := range microphone() {
		if _, err := c.WriteAudio(ctx, frame); err != nil {
			log.Fatal(err)
		}
	}
	err = c.Transcript(ctx, []event.Segment{{ID: "1", Text: "The budget is due.", IsUser: true, Start: 0.2, End: 1.6}})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.End(ctx); err != nil { // completes the conversation
		log.Fatal(err)
	}
}

// microphone returns 100 ms frames of 16 kHz PCM.
func microphone() <-chan []byte {
	frames := make(chan []byte)
	close(frames)
	return frames
}
