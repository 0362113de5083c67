package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// badHost answers one stream as its script says. A real host does nothing
// of the kind; the tests of the real one are in stream_test.go.
type badHost struct {
	t      *testing.T
	script func(c *hostConn)

	mu  sync.Mutex // guards got
	got []string   // types of what came, "audio" with its length
	url string
}

// hostConn is the host's end of a stream.
type hostConn struct {
	*websocket.Conn
	host *badHost

	audio int // bytes that came
	deaf  int // how many of them are never acknowledged
}

func newBadHost(t *testing.T, script func(c *hostConn)) *badHost {
	h := &badHost{t: t, script: script}
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		up := websocket.Upgrader{}
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrading: %v", err)
			return
		}
		defer conn.Close()
		script(&hostConn{Conn: conn, host: h})
	}))
	t.Cleanup(func() { <-done; srv.Close() })
	h.url = "ws" + strings.TrimPrefix(srv.URL, "http")
	return h
}

// until reads messages up to one of type t and returns it. It acknowledges
// transcripts, and audio with them.
func (c *hostConn) until(t string) map[string]any {
	for {
		kind, b, err := c.ReadMessage()
		if err != nil {
			return nil
		}
		if kind == websocket.BinaryMessage {
			c.note(fmt.Sprintf("audio %d", len(b)))
			c.audio += len(b)
			continue
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			c.host.t.Errorf("the player sent %q: %v", b, err)
			return nil
		}
		c.note(fmt.Sprint(m["type"]))
		if m["type"] == "transcript" {
			c.say(fmt.Sprintf(`{"type":"ack","seq":%v,"audio_bytes":%d}`, m["seq"], max(c.audio-c.deaf, 0)))
		}
		if m["type"] == t {
			return m
		}
	}
}

func (c *hostConn) note(what string) {
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	c.host.got = append(c.host.got, what)
}

func (c *hostConn) say(text string) {
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.host.t.Errorf("host: %v", err)
	}
}

func (c *hostConn) closeWith(code wire.CloseCode) {
	_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code.Code, code.Reason), time.Now().Add(time.Second))
	_, _, _ = c.ReadMessage() // the answer to the close
}

const readyText = `{"type":"ready","session":"s_1","conversation":"c_1","audio":"buffered","apps":[]}`

// shortTalk is half a second of sound at 8 kHz with two segments.
func shortTalk(url string) playOptions {
	return playOptions{
		URL: url, UID: "ana", Speed: asFastAsItGoes,
		Audio:  bytes.NewReader(make([]byte, 8000)),
		Format: audio.Format{Codec: audio.PCM16, Rate: 8000, Channels: 1},
		Segments: []event.Segment{
			{ID: "1", Text: "Hello.", Start: 0, End: 0.15},
			{ID: "2", Text: "Bye.", Start: 0.4, End: 0.9},
		},
	}
}

func TestSegmentsAreSentWhenTheyHaveBeenSaid(t *testing.T) {
	h := newBadHost(t, func(c *hostConn) {
		c.until("start")
		c.say(readyText)
		c.until("end")
		c.closeWith(wire.CloseNormal)
	})
	result, err := play(t.Context(), shortTalk(h.url))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"start", "audio 1600", "audio 1600", "transcript", "audio 1600", "audio 1600", "audio 1600", "transcript", "end",
	}
	if !slices.Equal(h.got, want) {
		t.Errorf("the host got %q, want %q", h.got, want)
	}
	if result.Session != "s_1" || result.Unacked() != "" {
		t.Errorf("got %+v", result)
	}
}

func TestWhatIsNeverAcknowledgedIsTold(t *testing.T) {
	h := newBadHost(t, func(c *hostConn) {
		c.until("start")
		c.say(readyText)
		c.deaf = 4000
		c.until("end")
		c.closeWith(wire.CloseNormal)
	})
	result, err := play(t.Context(), shortTalk(h.url))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := result.Unacked(), "4000 bytes of audio"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := unackedError(result, nil); err == nil {
		t.Error("a loss is no error")
	}
}

func TestMessagesOfANewerHostArePassedOn(t *testing.T) {
	h := newBadHost(t, func(c *hostConn) {
		c.until("start")
		c.say(readyText)
		c.say(`{"type":"weather","sunny":true}`)
		c.until("end")
		c.closeWith(wire.CloseNormal)
	})
	o := shortTalk(h.url)
	var got []string
	o.OnMessage = func(m client.Message) {
		if m.Message == nil {
			got = append(got, string(m.Raw))
		}
	}
	if _, err := play(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if want := []string{`{"type":"weather","sunny":true}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlayFailsWithWhatTheHostSaid(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(c *hostConn)
		want   string
	}{
		{"refused start", func(c *hostConn) {
			c.until("start")
			c.say(`{"type":"error","code":"bad_message","message":"uid is empty; send one","fatal":true}`)
			c.closeWith(wire.CloseBadMessage)
		}, "waiting for ready: the host closed the stream: 4500: uid is empty; send one"},
		{"closing in the middle", func(c *hostConn) {
			c.until("start")
			c.say(readyText)
			c.until("transcript")
			c.say(`{"type":"closing","code":"shutting_down","message":"the host is stopping"}`)
			c.closeWith(wire.CloseShuttingDown)
		}, "the host closed the stream: 4001: the host is stopping"},
		{"a close without a word", func(c *hostConn) {
			c.until("start")
			c.say(readyText)
			c.until("end")
			c.closeWith(wire.CloseSlowReader)
		}, "waiting for the end: the host closed the stream: 4008: messages were not read fast enough"},
		{"a broken connection", func(c *hostConn) {
			c.until("start")
			c.say(readyText)
			c.until("end")
		}, "waiting for the end: the connection to the host broke"},
		{"something else than the protocol", func(c *hostConn) {
			c.until("start")
			c.say(`hello`)
			c.until("end")
		}, "decoding a message of the host"},
		{"control characters in what the host says", func(c *hostConn) {
			c.until("start")
			c.say(`{"type":"error","code":"x","message":"\u001b[2Jboo","fatal":true}`)
			c.closeWith(wire.CloseBadMessage)
		}, `4500: \x1b[2Jboo`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newBadHost(t, tt.script)
			_, err := play(t.Context(), shortTalk(h.url))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRefusedUpgradesSayWhy(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"a host that stops", `{"error":{"code":"shutting_down","message":"try later","request_id":"r_1"}}`, 503, "503 Service Unavailable: try later (shutting_down)"},
		{"another server", "<html>", 404, "404 Not Found; is it an Auricle host?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, tt.body, tt.status)
			}))
			defer srv.Close()
			_, err := play(t.Context(), shortTalk("ws"+strings.TrimPrefix(srv.URL, "http")))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestInterruptedPlayEndsProperly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := newBadHost(t, func(c *hostConn) {
		c.until("start")
		c.say(readyText)
		c.until("transcript")
		cancel()
		c.until("end")
		c.closeWith(wire.CloseNormal)
	})
	o := shortTalk(h.url)
	o.Speed = 0.01 // the rest of it would take most of a minute
	o.Segments[0].End = 0
	_, err := play(ctx, o)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "what was sent until then is completed") {
		t.Errorf("got %v", err)
	}
	if last := h.got[len(h.got)-1]; last != "end" {
		t.Errorf("the last message was %s, want end", last)
	}
}

func TestPacerWaitsForItsSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		for _, tt := range []struct {
			speed    float64
			position time.Duration
			want     time.Duration
		}{
			{0, 2 * time.Second, 2 * time.Second}, // zero is real time
			{1, 2 * time.Second, 2 * time.Second},
			{4, 2 * time.Second, time.Second / 2},
			{0.5, 2 * time.Second, 4 * time.Second},
			{asFastAsItGoes, time.Hour, 0},
		} {
			p := newPacer(tt.speed)
			before := time.Since(begin)
			if err := p.wait(t.Context(), nil, tt.position); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(begin) - before; got != tt.want {
				t.Errorf("speed %v: waited %v for %v, want %v", tt.speed, got, tt.position, tt.want)
			}
			p.stop()
		}
	})
}
