package seed

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/sdk/event"
)

// message is what the measurements need of a host's message.
type message struct {
	Type         string          `json:"type"`
	ID           string          `json:"id"`
	State        string          `json:"state"`
	App          string          `json:"app"`
	Conversation json.RawMessage `json:"conversation"`
	Data         json.RawMessage `json:"data"`
	AudioBytes   int64           `json:"audio_bytes"`
	Code         any             `json:"code"`
	Message      string          `json:"message"`

	at time.Time // when it was read
}

// client is one stream. A goroutine reads it into messages until it closes;
// close waits for that goroutine.
type client struct {
	conn     *websocket.Conn
	messages chan message // closed when the stream ends
	quit     chan struct{}
	done     chan struct{}
}

// connect opens a stream, says start and waits for ready.
func (r *running) connect(ctx context.Context, uid string, audioRate int) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+r.Addr().String()+"/v1/stream", nil)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	c := &client{conn: conn, messages: make(chan message, 64), quit: make(chan struct{}), done: make(chan struct{})}
	go c.read() // ends when conn closes or quit is closed; close waits for it
	start := map[string]any{"type": "start", "uid": uid}
	if audioRate != 0 {
		start["audio"] = map[string]any{"codec": "pcm_s16le", "rate": audioRate, "channels": 1}
	}
	if err := c.send(start); err != nil {
		c.close()
		return nil, err
	}
	if _, err := c.wait(ctx, func(m message) bool { return m.Type == "ready" }); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *client) read() {
	defer close(c.done)
	defer close(c.messages)
	for {
		_, b, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		m := message{at: time.Now()}
		if err := json.Unmarshal(b, &m); err != nil {
			m = message{Type: "error", Code: "unreadable", Message: err.Error()}
		}
		select {
		case c.messages <- m:
		case <-c.quit:
			return
		}
	}
}

func (c *client) send(m any) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	return c.conn.WriteJSON(m)
}

func (c *client) transcript(seq int, s event.Segment) error {
	return c.send(map[string]any{"type": "transcript", "seq": seq, "segments": []event.Segment{s}})
}

// wait returns the first message that want accepts. An error message from the
// host ends the wait: no measurement expects one.
func (c *client) wait(ctx context.Context, want func(message) bool) (message, error) {
	for {
		select {
		case m, ok := <-c.messages:
			switch {
			case !ok:
				return message{}, fmt.Errorf("the stream closed early")
			case m.Type == "error":
				return message{}, fmt.Errorf("the host answered %v: %s", m.Code, m.Message)
			case want(m):
				return m, nil
			}
		case <-ctx.Done():
			return message{}, ctx.Err()
		}
	}
}

func (c *client) close() {
	close(c.quit)
	c.conn.Close()
	<-c.done
}
