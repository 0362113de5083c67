package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// square returns 20 ms of a square wave of about -12 dBFS: the two samples in
// turn.
func square(n int, high, low []byte) []byte {
	var b []byte
	for i := range n {
		if i/20%2 == 0 {
			b = append(b, high...)
		} else {
			b = append(b, low...)
		}
	}
	return b
}

// A call of each vendor, in the vendor's own codec, is heard by a real app at
// the level that it has.
func TestCallsAreHeardByAnApp(t *testing.T) {
	addr := startHost(t)
	for vendor, chunk := range map[string][]byte{
		"twilio": square(160, []byte{0x9f}, []byte{0x1f}),             // mu-law, ±8316
		"telnyx": square(160, []byte{0xb5}, []byte{0x35}),             // A-law, ±8448
		"plivo":  square(320, []byte{0x7c, 0x20}, []byte{0x84, 0xdf}), // L16, ±8316
	} {
		t.Run(vendor, func(t *testing.T) {
			f, err := os.Open(filepath.Join("..", "..", "host", "stream", "telephone", "testdata", vendor+".jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			c, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+addr+"/v1/telephone/"+vendor, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			send := func(m map[string]any) {
				t.Helper()
				if err := c.WriteJSON(m); err != nil {
					t.Fatal(err)
				}
			}
			sent := false
			for s := bufio.NewScanner(f); s.Scan(); {
				m := map[string]any{}
				if err := json.Unmarshal([]byte(strings.ReplaceAll(s.Text(), "ada", vendor)), &m); err != nil {
					t.Fatal(err)
				}
				if m["event"] != "media" {
					send(m)
					continue
				}
				for i := range 110 { // 2.2 s in the place of the recording's frames
					if sent {
						break
					}
					media := m["media"].(map[string]any)
					media["chunk"], media["payload"] = fmt.Sprint(i+1), base64.StdEncoding.EncodeToString(chunk)
					send(m)
				}
				sent = true
			}
			c.SetReadDeadline(time.Now().Add(time.Minute)) // its end fails the test
			var ce *websocket.CloseError
			if _, b, err := c.ReadMessage(); !errors.As(err, &ce) || ce.Code != 1000 {
				t.Fatalf("got %q, %v; want a close with 1000", b, err)
			}

			var list struct{ Conversations []struct{ ID string } }
			get(t, addr, "/v1/conversations?uid="+vendor, &list)
			if len(list.Conversations) != 1 {
				t.Fatalf("got %+v, want one conversation", list)
			}
			var whole struct {
				Source   string
				AudioMS  int64 `json:"audio_ms"`
				Metadata map[string]string
				Outputs  []struct {
					App  string
					Data struct {
						RMS *float64 `json:"rms_dbfs"`
					}
				}
			}
			get(t, addr, "/v1/conversations/"+list.Conversations[0].ID, &whole)
			if whole.Source != vendor || whole.AudioMS != 2200 || whole.Metadata["ticket"] != "4711" {
				t.Errorf("got %+v", whole)
			}
			heard := 0
			for _, o := range whole.Outputs {
				if o.App != "loudness" {
					continue
				}
				heard++
				if o.Data.RMS == nil || math.Abs(*o.Data.RMS+11.9) > 0.3 {
					t.Errorf("loudness heard %v dBFS, want about -11.9", o.Data.RMS)
				}
			}
			if heard < 2 {
				t.Errorf("loudness heard %d pieces, want 2 or more: %+v", heard, whole.Outputs)
			}
		})
	}
}

func get(t *testing.T, addr, path string, into any) {
	t.Helper()
	resp, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %s, %v", path, resp.Status, b.Bytes(), err)
	}
	if err := json.Unmarshal(b.Bytes(), into); err != nil {
		t.Fatalf("GET %s: %v: %s", path, err, b.Bytes())
	}
}
