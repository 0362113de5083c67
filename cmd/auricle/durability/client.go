package durability

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/sdk/event"
)

// message is what a client needs of a host's message.
type message struct {
	Type       string `json:"type"`
	Session    string `json:"session"`
	ID         string `json:"id"`
	State      string `json:"state"`
	App        string `json:"app"`
	Event      string `json:"event"`
	Invocation string `json:"invocation"`
	Code       any    `json:"code"`
	Message    string `json:"message"`
	Seq        uint64 `json:"seq"`
	Received   struct {
		Seq uint64 `json:"seq"`
	} `json:"received"`
	Conversation json.RawMessage `json:"conversation"`
}

// line is a transcript that was sent or is to be sent.
type line struct {
	seq uint64
	id  string
}

// talker is a client that talks without end and resumes its session whenever
// its stream breaks. It keeps what is not acknowledged, and notes what was.
type talker struct {
	uid       string
	addresses func() string // where to connect next
	every     time.Duration // between two transcripts
	turns     int           // transcripts of a conversation

	conn    *websocket.Conn
	session string
	seq     uint64
	said    int    // segments made
	pending []line // sent or to be sent, not acknowledged
	inTurn  int    // transcripts since the last finish

	mu       sync.Mutex          // guards what follows
	acked    map[string]bool     // segment ids
	told     map[string]int      // conversation id -> how often it was told completed
	seen     map[string][]string // conversation and app -> invocations whose output came
	resumes  int
	resumed  []time.Duration // from the end of a stream until the session went on
	expired  int             // sessions that could not be resumed
	problems []string        // errors of the host that no fault explains
}

func newTalker(uid string, every time.Duration, turns int, addresses func() string) *talker {
	return &talker{
		uid: uid, every: every, turns: turns, addresses: addresses,
		acked: map[string]bool{}, told: map[string]int{}, seen: map[string][]string{},
	}
}

// talk streams until ctx ends. Then it completes what it has said, and returns
// when the host has acknowledged and completed all of it, or giveUp ends.
func (t *talker) talk(ctx, giveUp context.Context) error {
	var lost time.Time
	for {
		err := t.connect(giveUp)
		if err == nil {
			if !lost.IsZero() {
				t.mu.Lock()
				t.resumed = append(t.resumed, time.Since(lost))
				t.mu.Unlock()
			}
			var done bool
			if done, err = t.stream(ctx, giveUp); done {
				return nil
			}
			lost = time.Now()
		}
		if giveUp.Err() != nil {
			return fmt.Errorf("%s: %d transcripts were never acknowledged: %w", t.uid, len(t.pending), err)
		}
		// The host is being killed and started: try again soon.
		pause(giveUp, 5*time.Millisecond+time.Duration(rand.Int64N(int64(30*time.Millisecond))))
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// connect opens a stream and starts or resumes the session; what the host
// has not received is sent again.
func (t *talker) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+t.addresses()+"/v1/stream", nil)
	if err != nil {
		return err
	}
	start := map[string]any{"type": "start", "uid": t.uid}
	if t.session != "" {
		start["session"] = t.session
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetReadDeadline(deadline); err != nil {
		return t.drop(conn, err)
	}
	if err := conn.WriteJSON(start); err != nil {
		return t.drop(conn, err)
	}
	var m message
	for m.Type != "ready" {
		m = message{}
		if err := conn.ReadJSON(&m); err != nil {
			if websocket.IsCloseError(err, 4505) {
				t.forget()
			}
			return t.drop(conn, err)
		}
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return t.drop(conn, err)
	}
	if t.session != "" {
		t.mu.Lock()
		t.resumes++
		t.mu.Unlock()
	}
	t.session, t.conn = m.Session, conn
	for _, l := range t.pending {
		if l.seq > m.Received.Seq {
			if err := t.send(l); err != nil {
				return t.drop(conn, err)
			}
		}
	}
	return nil
}

func (t *talker) drop(conn *websocket.Conn, err error) error {
	conn.Close() // err says more
	return err
}

// forget begins a new session, with what was not acknowledged.
func (t *talker) forget() {
	t.mu.Lock()
	t.expired++
	t.mu.Unlock()
	t.session, t.seq = "", 0
	for i := range t.pending {
		t.seq++
		t.pending[i].seq = t.seq
	}
}

func (t *talker) send(l line) error {
	if err := t.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	return t.conn.WriteJSON(map[string]any{"type": "transcript", "seq": l.seq, "segments": []event.Segment{{
		ID: l.id, Text: "and then " + l.id + " was said, in a sentence of an ordinary length", Speaker: "A", Start: float64(t.said), End: float64(t.said) + 1,
	}}})
}

// stream talks on the connection until it breaks or all is done.
func (t *talker) stream(ctx, giveUp context.Context) (done bool, err error) {
	conn := t.conn
	messages := make(chan message, 256)
	broke := make(chan error, 1)
	quit := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { // ends when conn closes, which stream sees to
		for {
			var m message
			if err := conn.ReadJSON(&m); err != nil {
				broke <- err
				return
			}
			select {
			case messages <- m:
			case <-quit:
				return
			}
		}
	})
	drain := func() { // what came before the end counts
		for {
			select {
			case m := <-messages:
				t.take(m)
			default:
				return
			}
		}
	}
	defer func() {
		close(quit)
		conn.Close() // the stream is over
		reading.Wait()
		drain()
	}()
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	ending := ctx.Done()
	ended := false
	for {
		select {
		case m := <-messages:
			t.take(m)
		case err := <-broke:
			drain()
			if ended && websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				return len(t.pending) == 0, err
			}
			return false, err
		case <-giveUp.Done():
			return false, giveUp.Err()
		case <-ending:
			ending = nil
			ended = true
			if err := conn.WriteJSON(map[string]any{"type": "end"}); err != nil {
				return false, err
			}
		case <-tick.C:
			if ended {
				continue
			}
			t.seq++
			l := line{seq: t.seq, id: t.uid + "-" + strconv.Itoa(t.said)}
			t.said++
			t.pending = append(t.pending, l)
			if err := t.send(l); err != nil {
				return false, err
			}
			if t.inTurn++; t.inTurn == t.turns {
				t.inTurn = 0
				if err := conn.WriteJSON(map[string]any{"type": "finish"}); err != nil {
					return false, err
				}
			}
		}
	}
}

// take notes what the host said.
func (t *talker) take(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m.Type {
	case "ack":
		for len(t.pending) > 0 && t.pending[0].seq <= m.Seq {
			t.acked[t.pending[0].id] = true
			t.pending = t.pending[1:]
		}
	case "conversation":
		if m.State == "completed" {
			t.told[m.ID]++
		}
	case "output":
		if m.Event == event.KindConversation.String() {
			var id string
			if json.Unmarshal(m.Conversation, &id) == nil {
				key := id + " " + m.App
				t.seen[key] = append(t.seen[key], m.Invocation)
			}
		}
	case "error":
		if m.Code != "store_unavailable" && m.Code != "empty_conversation" {
			t.problems = append(t.problems, fmt.Sprintf("%s: %v: %s", t.uid, m.Code, m.Message))
		}
	}
}
