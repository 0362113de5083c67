package durability

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
	"github.com/auricle-dev/auricle/cmd/auricle/figures"
	"github.com/auricle-dev/auricle/sdk/event"
)

// CompletionsOptions say how long to measure.
type CompletionsOptions struct {
	Options
	Seconds int // for each of the two loads; 0 means 10
	Clients int // that complete conversations at once; 0 means 64
}

// CompletionsReport is how fast conversations complete durably. Its JSON form
// is that of `auricle bench completions -json`.
type CompletionsReport struct {
	Machine  figures.Machine `json:"machine"`
	Apps     int             `json:"apps"`
	Segments int             `json:"segments"`           // of a conversation
	Bytes    int             `json:"conversation_bytes"` // of one, as it is stored
	Full     Load            `json:"full"`               // as fast as the clients go on
	Half     Load            `json:"half"`               // at half that rate
	Durable  Durable         `json:"durable"`
	CPUs     float64         `json:"generator_cpus"` // that the load itself took, at the full rate
}

// Load is what a rate of completions gave.
type Load struct {
	PerSecond float64 `json:"per_s"`  // completions, each app's output stored and received
	P50Millis float64 `json:"p50_ms"` // from finish to completed
	P99Millis float64 `json:"p99_ms"`
	Effects50 float64 `json:"effects_p50_ms"` // from finish to the last app's output
	Effects99 float64 `json:"effects_p99_ms"`
	CPUMillis float64 `json:"cpu_ms"` // of the host, a completion
}

// Err returns what kept the report from showing anything, or nil.
func (r CompletionsReport) Err() error {
	if r.Full.PerSecond == 0 || r.Half.PerSecond == 0 {
		return errors.New("nothing was completed")
	}
	return nil
}

const segmentsEach = 20

// Completions measures completions through a real host, then what the durable
// part of one costs beside bare publishes.
func Completions(ctx context.Context, o CompletionsOptions) (_ CompletionsReport, err error) {
	if o.Seconds == 0 {
		o.Seconds = 10
	}
	if o.Clients == 0 {
		o.Clients = 64
	}
	r := CompletionsReport{Machine: figures.ThisMachine(), Apps: apps, Segments: segmentsEach}
	dir, err := os.MkdirTemp(o.Dir, "completions-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o.say("the durable part by itself, beside bare publishes")
	if r.Durable, r.Bytes, err = measureDurable(ctx, dir); err != nil {
		return r, err
	}

	address, err := child.FreeAddress()
	if err != nil {
		return r, err
	}
	config, err := writeConfig(dir, address, fmt.Sprintf("data_dir = %q\nlog_level = \"warn\"", filepath.Join(dir, "data")))
	if err != nil {
		return r, err
	}
	p, err := startProcess(o.Command, config, address)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.until(ctx, true); err != nil {
		return r, err
	}
	length := time.Duration(o.Seconds) * time.Second
	o.say("as fast as %d clients go on", o.Clients)
	own := cpuTime(os.Getpid())
	began := time.Now()
	if r.Full, err = p.load(ctx, o.Clients, length, 0); err != nil {
		return r, err
	}
	r.CPUs = (cpuTime(os.Getpid()) - own).Seconds() / time.Since(began).Seconds()
	o.say("at half that rate")
	if r.Half, err = p.load(ctx, o.Clients, length, r.Full.PerSecond/2); err != nil {
		return r, err
	}
	return r, nil
}

// load has clients complete conversations for so long: each the next when it
// has all of the last, or, with a rate, when its turn comes.
func (p *process) load(ctx context.Context, clients int, length time.Duration, rate float64) (Load, error) {
	var every time.Duration
	if rate > 0 {
		every = time.Duration(float64(clients) / rate * float64(time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, length+time.Minute)
	defer cancel()
	var (
		wg        sync.WaitGroup
		mu        sync.Mutex // guards completed and answered
		completed []time.Duration
		answered  []time.Duration
	)
	failed := make([]error, clients)
	warm := length / 5
	begin := time.Now()
	from, until := begin.Add(warm), begin.Add(warm+length)
	var cpu time.Duration
	wg.Go(func() {
		pause(ctx, time.Until(from))
		cpu -= cpuTime(p.cmd.Process.Pid)
		pause(ctx, time.Until(until))
		cpu += cpuTime(p.cmd.Process.Pid)
	})
	for i := range clients {
		wg.Go(func() {
			c, err := openCompleter(ctx, p.address, fmt.Sprintf("completer-%d", i))
			if err != nil {
				failed[i] = err
				return
			}
			defer c.conn.Close()
			var mine, effects []time.Duration
			turn := begin.Add(every * time.Duration(i) / time.Duration(clients))
			for n := 0; ; n++ {
				if every > 0 {
					pause(ctx, time.Until(turn))
					turn = turn.Add(every)
				}
				if !time.Now().Before(until) {
					break
				}
				done, all, err := c.complete(n)
				if err != nil {
					failed[i] = err
					return
				}
				if now := time.Now(); now.After(from) && now.Before(until) {
					mine, effects = append(mine, done), append(effects, all)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			completed, answered = append(completed, mine...), append(answered, effects...)
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return Load{}, err
	}
	l := Load{
		PerSecond: float64(len(answered)) / length.Seconds(),
		P50Millis: figures.Percentile(completed, 50), P99Millis: figures.Percentile(completed, 99),
		Effects50: figures.Percentile(answered, 50), Effects99: figures.Percentile(answered, 99),
	}
	if len(answered) > 0 {
		l.CPUMillis = cpu.Seconds() * 1000 / float64(len(answered))
	}
	return l, nil
}

// completer is a client that completes one conversation after the other. It
// reads no more of the host's messages than it must: it runs beside the host.
type completer struct {
	conn *websocket.Conn
	seq  int
}

func openCompleter(ctx context.Context, address, uid string) (*completer, error) {
	conn, _, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+address+"/v1/stream", nil)
	if err != nil {
		return nil, err
	}
	c := &completer{conn: conn}
	if err := conn.WriteJSON(map[string]any{"type": "start", "uid": uid}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	for {
		_, b, err := c.read()
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		if bytes.HasPrefix(b, []byte(`{"type":"ready"`)) {
			return c, nil
		}
	}
}

func (c *completer) read() (int, []byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, nil, err
	}
	return c.conn.ReadMessage()
}

// spoken returns the segments of conversation n.
func spoken(n int) []event.Segment {
	segs := make([]event.Segment, segmentsEach)
	for i := range segs {
		segs[i] = event.Segment{
			ID: fmt.Sprintf("%d-%d", n, i), Text: "so the budget for the next quarter is what we have to agree on before Friday, and then " + strings.Repeat("more ", i%5),
			Speaker: "A", Start: float64(3 * i), End: float64(3*i + 2),
		}
	}
	return segs
}

// transcript is the message that carries a conversation.
type transcript struct {
	Type     string          `json:"type"`
	Seq      int             `json:"seq"`
	Segments []event.Segment `json:"segments"`
}

// complete says a conversation, finishes it, and waits until it is completed
// and every app has answered. It returns how long both took from the finish on.
func (c *completer) complete(n int) (completed, answered time.Duration, err error) {
	c.seq++
	if err := c.conn.WriteJSON(transcript{"transcript", c.seq, spoken(n)}); err != nil {
		return 0, 0, err
	}
	finish := time.Now()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"finish"}`)); err != nil {
		return 0, 0, err
	}
	for outputs := 0; completed == 0 || outputs < apps; {
		_, b, err := c.read()
		if err != nil {
			return 0, 0, fmt.Errorf("waiting for a completion: %w", err)
		}
		switch {
		case bytes.HasPrefix(b, []byte(`{"type":"output"`)):
			outputs++
		case bytes.HasPrefix(b, []byte(`{"type":"conversation"`)) && bytes.Contains(b[:min(len(b), 200)], []byte(`"state":"completed"`)):
			completed = time.Since(finish)
		case bytes.HasPrefix(b, []byte(`{"type":"error"`)), bytes.HasPrefix(b, []byte(`{"type":"closing"`)):
			return 0, 0, fmt.Errorf("the host says: %s", b)
		}
	}
	return completed, time.Since(finish), nil
}
