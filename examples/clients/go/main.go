// Command go streams a WAV file (16-bit mono PCM) to an Auricle host in real
// time and prints what comes back. It stays with the host: when the connection
// breaks, or the host is restarted, it resumes and nothing is missing.
//
//	go run ./examples/clients/go examples/conversations/budget-meeting/budget-meeting.wav
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: go run . FILE.wav [ws://127.0.0.1:7080/v1/stream]")
	}
	url := append(os.Args, "ws://127.0.0.1:7080/v1/stream")[2]
	wav, err := os.ReadFile(os.Args[1])
	check(err)
	if len(wav) < 44 || string(wav[:4]) != "RIFF" {
		log.Fatalf("%s is not a WAV file", os.Args[1])
	}
	rate, pcm := int(binary.LittleEndian.Uint32(wav[24:])), wav[44:] // a plain header is 44 bytes

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := client.New(client.Options{
		URL: url, UID: "ana", Language: "en", Source: "example",
		Audio:     &wire.Format{Codec: wire.PCM16, Rate: rate, Channels: 1},
		OnMessage: show,
		OnRetry: func(r client.Retry) error {
			log.Printf("%v; connecting again in %v", r.Err, r.In.Round(time.Millisecond))
			return nil
		},
	})
	check(err)
	defer c.Close()

	frame := rate / 10 * 2 // 100 ms in bytes
	for tick := time.Tick(100 * time.Millisecond); len(pcm) > 0; <-tick {
		n := min(frame, len(pcm)/2*2)
		if n == 0 {
			break
		}
		_, err := c.WriteAudio(ctx, pcm[:n])
		check(err)
		pcm = pcm[n:]
	}
	// Speech-to-text is the client's part; here is a line it might have heard.
	check(c.Transcript(ctx, []event.Segment{{ID: "1", Speaker: "Ana", IsUser: true, Start: 46.2, End: 51.7,
		Text: "I'll send the revised budget to Claire by Friday."}}))
	check(c.End(ctx)) // completes the conversation, and waits for what is due
}

// show prints what the host says.
func show(m client.Message) {
	switch m := m.Message.(type) {
	case *wire.Output:
		fmt.Printf("%s says %s\n", m.App, m.Data)
	case *wire.Conversation:
		fmt.Printf("conversation %s is %s\n", m.ID, m.State)
	case *wire.Error:
		fmt.Printf("error %s: %s\n", m.Code, m.Message)
	case *wire.Gap:
		fmt.Printf("%s missed something: %s\n", m.App, m.Reason)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
