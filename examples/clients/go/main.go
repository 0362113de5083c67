// Command go streams a WAV file (16-bit mono PCM) to an Auricle host in real
// time and prints what comes back. Plain maps show what goes over the wire.
//
//	go run ./examples/clients/go examples/conversations/budget-meeting/budget-meeting.wav
package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/gorilla/websocket"
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

	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	check(err)
	defer conn.Close()
	check(conn.WriteJSON(map[string]any{"type": "start", "uid": "ana", "language": "en",
		"audio": map[string]any{"codec": "pcm_s16le", "rate": rate, "channels": 1}}))
	closed := make(chan error)
	go func() { closed <- read(conn) }() // ends when the stream does

	frame := rate / 10 * 2 // 100 ms in bytes
	for tick := time.Tick(100 * time.Millisecond); len(pcm) > 0; <-tick {
		n := min(frame, len(pcm))
		check(conn.WriteMessage(websocket.BinaryMessage, pcm[:n]))
		pcm = pcm[n:]
	}
	// Speech-to-text is the client's part; here is a line it might have heard.
	check(conn.WriteJSON(map[string]any{"type": "transcript", "seq": 1, "segments": []any{map[string]any{
		"id": "1", "speaker": "Ana", "is_user": true, "start": 46.2, "end": 51.7,
		"text": "I'll send the revised budget to Claire by Friday."}}}))
	check(conn.WriteJSON(map[string]any{"type": "end"})) // complete the conversation, then close
	if err := <-closed; !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		log.Fatal(err)
	}
}

// read prints the host's messages until the stream closes, and returns why.
func read(conn *websocket.Conn) error {
	for {
		var m map[string]any
		if err := conn.ReadJSON(&m); err != nil {
			return err
		}
		switch m["type"] {
		case "output":
			fmt.Printf("%v says %v\n", m["app"], m["data"])
		case "conversation":
			fmt.Printf("conversation %v is %v\n", m["id"], m["state"])
		case "error", "gap", "closing":
			fmt.Println(m)
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
