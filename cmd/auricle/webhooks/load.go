package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/cmd/auricle/webhooks/work"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// The users who talk, and those who talk before a measurement, whose fourth app
// is not installed. Their numbers follow.
const (
	talkUsers = "talk-"
	warmUsers = "warm-"
)

// connectTimeout bounds how long a stream may take until ready.
const connectTimeout = 30 * time.Second

// talk is what the clients do: each sends a segment every Every, so many of
// them, and then ends, which completes its conversation. They take turns, spread
// over Every.
type talk struct {
	address  string
	users    string // talkUsers or warmUsers
	streams  int
	segments int
	every    time.Duration
	patience time.Duration // how long after the last segment what is due is waited for
	apps     []work.Task   // whose results are due: the healthy ones
}

// heard is what came of it.
type heard struct {
	sent      int             // segments, times apps that were to have them
	live      []time.Duration // from the sending of a segment to the result of an app that was made of it
	completed []time.Duration // from the sending of the end to the result of an app for the conversation
	late      []time.Duration // by how much later than planned segments were sent
	missing   int             // results of segments that had not come when patience ended; their age is in live
	unmade    int             // results of conversations, likewise; their age is in completed
	gaps      map[string]int  // segments that the host said it dropped, by app
	others    int             // outputs of apps whose results are not due
	problems  []string
}

// run has the clients talk, and returns what came of it. The error is that of
// connecting, or of ctx.
func (t talk) run(ctx context.Context) (heard, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	clients := make([]*client, t.streams)
	var wg sync.WaitGroup
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.conn.Close() // its reader ends
			}
		}
		wg.Wait()
	}()
	var due atomic.Int64 // results
	due.Store(int64(t.streams * len(t.apps) * (t.segments + 1)))
	all := make(chan struct{}) // closed when all have come
	for i := range clients {
		c, err := t.connect(ctx, i)
		if err != nil {
			return heard{}, errors.Join(ctx.Err(), fmt.Errorf("stream %d: %w", i, err))
		}
		clients[i] = c
		wg.Go(func() { // ends with the connection
			c.read(func() {
				if due.Add(-1) == 0 {
					close(all)
				}
			})
		})
	}
	begin := time.Now()
	var sending sync.WaitGroup
	for i, c := range clients {
		sending.Go(func() { c.talk(ctx, begin.Add(time.Duration(i)*t.every/time.Duration(t.streams))) })
	}
	sending.Wait()
	patience := time.NewTimer(t.patience)
	defer patience.Stop()
	select {
	case <-all:
	case <-patience.C:
	case <-ctx.Done():
		return heard{}, ctx.Err()
	}
	h := heard{sent: t.streams * t.segments * len(t.apps), gaps: map[string]int{}}
	now := time.Now()
	for _, c := range clients {
		c.count(&h, now)
	}
	return h, nil
}

// client is one stream. One goroutine sends, another reads.
type client struct {
	t    talk
	conn *websocket.Conn

	mu       sync.Mutex // guards what follows
	sent     []time.Time
	ended    time.Time
	late     []time.Duration
	live     map[work.Task][]time.Duration // by segment; 0 where none came
	finished map[work.Task]time.Duration
	gaps     map[string]int
	others   int
	problems []string
}

func (t talk) connect(ctx context.Context, i int) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+t.address+"/v1/stream", nil)
	if err != nil {
		return nil, err
	}
	c := &client{t: t, conn: conn, live: map[work.Task][]time.Duration{}, finished: map[work.Task]time.Duration{}, gaps: map[string]int{}}
	for _, a := range t.apps {
		c.live[a] = make([]time.Duration, t.segments)
	}
	if err := c.start(ctx, fmt.Sprint(t.users, i)); err != nil {
		conn.Close() // err says more
		return nil, err
	}
	return c, nil
}

// start begins a session, and waits until it has.
func (c *client) start(ctx context.Context, uid string) error {
	deadline, _ := ctx.Deadline()
	if err := errors.Join(c.conn.SetReadDeadline(deadline), c.say(&wire.Start{UID: uid})); err != nil {
		return err
	}
	for {
		_, b, err := c.conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("waiting for ready: %w", err)
		}
		m, err := wire.DecodeHost(b)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Ready:
			return c.conn.SetReadDeadline(time.Time{})
		case *wire.Error:
			return fmt.Errorf("start was answered with %s: %s", m.Code, m.Message)
		}
	}
}

// say sends a message; one goroutine at a time may.
func (c *client) say(m wire.Message) error {
	b, err := wire.Encode(m)
	if err != nil {
		return err
	}
	if err := c.conn.SetWriteDeadline(time.Now().Add(connectTimeout)); err != nil {
		return err
	}
	return c.conn.WriteMessage(websocket.TextMessage, b)
}

// talk sends from begin on, until all is sent or ctx ends.
func (c *client) talk(ctx context.Context, begin time.Time) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range c.t.segments + 1 {
		due := begin.Add(time.Duration(i) * c.t.every)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		var m wire.Message
		now := time.Now()
		c.mu.Lock()
		if i < c.t.segments {
			c.sent, c.late = append(c.sent, now), append(c.late, now.Sub(due))
			m = &wire.Transcript{Seq: uint64(i) + 1, Segments: []event.Segment{segment(i)}}
		} else {
			c.ended = now
			m = &wire.End{}
		}
		c.mu.Unlock()
		if err := c.say(m); err != nil {
			c.problem("sending: %v", err)
			return
		}
	}
}

// segment is the i-th of a conversation. Its start says which it is.
func segment(i int) event.Segment {
	return event.Segment{
		ID: fmt.Sprintf("s%d", i), Text: sentences[i%len(sentences)], Speaker: []string{"A", "B", "C"}[i%3], IsUser: i%3 == 0,
		Start: float64(i), End: float64(i) + 0.9,
	}
}

// sentences are what is said, one or two a segment.
var sentences = []string{
	"Good morning everyone, and welcome to the weekly meeting. Let us begin with the budget.",
	"The customer in Lisbon asked again about the release date, and I said that we would know by Friday.",
	"I will send the revised contract to their office this afternoon.",
	"Hello, sorry for being late. The travel plan took longer than I thought.",
	"We must not miss the deadline a second time, so we are going to move two people over.",
	"That leaves the invoice from March, which nobody has paid, as far as I can see.",
	"I promise to look at it before lunch. It will need a signature, too.",
	"And what about hiring, are we still looking for someone for the night shift?",
}

// read takes what the host says until the connection ends. It calls came for
// each result that is due, once.
func (c *client) read(came func()) {
	for {
		_, b, err := c.conn.ReadMessage()
		now := time.Now()
		if err != nil {
			c.mu.Lock()
			ended := !c.ended.IsZero()
			c.mu.Unlock()
			if !ended {
				c.problem("reading: %v", err)
			}
			return
		}
		m, err := wire.DecodeHost(b)
		if err != nil {
			c.problem("%v", err)
			continue
		}
		switch m := m.(type) {
		case *wire.Output:
			if n, err := c.output(m.Output, now); err != nil {
				c.problem("%v", err)
			} else {
				for range n {
					came()
				}
			}
		case *wire.Gap:
			c.mu.Lock()
			c.gaps[m.App] += m.Segments
			c.mu.Unlock()
		case *wire.Error:
			c.problem("the host answered %s: %s", m.Code, m.Message)
		}
	}
}

// output notes when a result came, and returns how many of those that are due it
// holds: where an app lagged, several segments are made one event.
func (c *client) output(o event.Output, now time.Time) (n int, err error) {
	app := work.Task(o.App)
	if o.Kind != event.OutputEmitted {
		return 0, nil
	}
	if !slices.Contains(c.t.apps, app) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.others++
		return 0, nil
	}
	var a answered
	if err := json.Unmarshal(o.Data, &a); err != nil {
		return 0, fmt.Errorf("app %q: reading its output: %w", o.App, err)
	}
	made := work.Made(a.result())
	if made == nil {
		return 0, fmt.Errorf("app %q: its output says not what it is of: %s", o.App, o.Data)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Event == event.KindConversation.String() {
		if c.finished[app] == 0 && len(made) == c.t.segments {
			c.finished[app] = now.Sub(c.ended)
			n++
		}
		return n, nil
	}
	for _, i := range made {
		if i < 0 || i >= len(c.sent) {
			return n, fmt.Errorf("app %q: its output is of segment %d, which was not sent", o.App, i)
		}
		if c.live[app][i] == 0 {
			c.live[app][i] = now.Sub(c.sent[i])
			n++
		}
	}
	return n, nil
}

// count adds what came of the stream by now.
func (c *client) count(h *heard, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.t.apps {
		for i, d := range c.live[a] {
			switch {
			case d != 0:
				h.live = append(h.live, d)
			case i < len(c.sent):
				h.missing++
				h.live = append(h.live, now.Sub(c.sent[i]))
			default:
				h.missing++
			}
		}
		if d := c.finished[a]; d != 0 {
			h.completed = append(h.completed, d)
		} else {
			h.unmade++
			if !c.ended.IsZero() {
				h.completed = append(h.completed, now.Sub(c.ended))
			}
		}
	}
	h.late = append(h.late, c.late...)
	h.others += c.others
	for app, n := range c.gaps {
		h.gaps[app] += n
	}
	h.problems = append(h.problems, c.problems...)
}

func (c *client) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const keep = 3
	if len(c.problems) < keep {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}
