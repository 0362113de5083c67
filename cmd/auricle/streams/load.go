package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

// order is what the load generator is told to do: one JSON object a line.
type order struct {
	Do      string `json:"do"` // open, reset, figures, close, cycles, storm or talk
	Group   string `json:"group,omitempty"`
	Address string `json:"address,omitempty"`

	// open: a group's first says what its streams do.
	N                int  `json:"n,omitempty"`
	First            int  `json:"first,omitempty"` // number of the first, for uids
	PerSecond        int  `json:"per_second,omitempty"`
	Bare             bool `json:"bare,omitempty"`  // the floor: no session
	Audio            bool `json:"audio,omitempty"` // a frame every 100 ms
	TranscriptMillis int  `json:"transcript_ms,omitempty"`
	FinishMillis     int  `json:"finish_ms,omitempty"`   // asks for an error each time, which costs the host nothing but to say it
	Mute             bool `json:"mute,omitempty"`        // reads nothing after ready
	HalfSilent       bool `json:"half_silent,omitempty"` // every other one sends nothing, too

	How    string `json:"how,omitempty"`     // close: how
	AtOnce int    `json:"at_once,omitempty"` // cycles and talk
	Frames int    `json:"frames,omitempty"`  // cycles and talk: of audio for each
}

// answer is what it says when that is done, one JSON object a line.
type answer struct {
	Error       string   `json:"error,omitempty"`
	Streams     int      `json:"streams"` // that are open, in the group
	Frames      int64    `json:"frames"`  // that were sent since reset, of any kind
	LateP99     float64  `json:"late_p99_ms"`
	Acks        int      `json:"acks"`
	AckP50      float64  `json:"ack_p50_ms"`
	AckP99      float64  `json:"ack_p99_ms"`
	Gaps        int64    `json:"gaps"`
	Outputs     int64    `json:"outputs"`
	Broken      int64    `json:"broken"`
	Problems    []string `json:"problems,omitempty"`
	TookSeconds float64  `json:"took_s"`
}

// generator is the clients of all scenarios.
type generator struct {
	groups map[string]*group
}

// Generate makes the load: it follows the orders that come on in, one after
// the other, until in ends.
func Generate(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g := &generator{groups: map[string]*group{}}
	orders, unread := make(chan order), make(chan error, 1)
	go func() { // ends with in, at the latest with the process
		defer cancel() // whoever gave the orders has ended: so does what is being done
		defer close(orders)
		for in := json.NewDecoder(in); ; {
			var o order
			if err := in.Decode(&o); err != nil {
				unread <- err
				return
			}
			orders <- o
		}
	}()
	answers := json.NewEncoder(out)
	for o := range orders {
		began := time.Now()
		a, err := g.do(ctx, o)
		if err != nil {
			a.Error = err.Error()
		}
		a.TookSeconds = time.Since(began).Seconds()
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
	if err := <-unread; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (g *generator) do(ctx context.Context, o order) (a answer, err error) {
	gr := g.groups[o.Group]
	switch {
	case o.Do == "open" && gr == nil:
		gr = newGroup(ctx, o)
		g.groups[o.Group] = gr
	case o.Do == "cycles":
		return a, cycles(ctx, o)
	case o.Do == "talk":
		return a, talk(ctx, o)
	case gr == nil:
		return a, fmt.Errorf("there is no group %q", o.Group)
	}
	switch o.Do {
	case "open":
		err = gr.open(ctx, o.N, o.PerSecond)
		a.Streams = len(gr.conns)
	case "reset":
		gr.reset()
	case "figures":
		a = gr.figures()
	case "storm":
		err = gr.storm(ctx)
	case "close":
		delete(g.groups, o.Group)
		err = gr.close(o.How)
	default:
		err = fmt.Errorf("there is no order %q", o.Do)
	}
	return a, err
}

func (g *group) reset() {
	for _, p := range g.pacers {
		p.reset()
	}
	g.gaps.Store(0)
	g.outputs.Store(0)
	g.broken.Store(0)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acks, g.problems = nil, nil
}

func (g *group) figures() answer {
	late := new(lateness)
	for _, p := range g.pacers {
		p.take(late)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return answer{
		Streams: len(g.conns), Frames: late.total, LateP99: late.percentile(99),
		Acks: len(g.acks), AckP50: figures.Percentile(g.acks, 50), AckP99: figures.Percentile(g.acks, 99),
		Gaps: g.gaps.Load(), Outputs: g.outputs.Load(), Broken: g.broken.Load(), Problems: g.problems,
	}
}

// storm cuts all streams of the group at once, and has all of them connect
// again and resume at once.
func (g *group) storm(ctx context.Context) error {
	old := g.conns
	g.conns = nil
	var errs []error
	var sessions []string
	for _, c := range old {
		sessions = append(sessions, c.session)
		errs = append(errs, ignoreClosed(c.end(endReset)))
	}
	for _, c := range old {
		<-c.done
	}
	errs = append(errs, g.resume(ctx, sessions, 0))
	return errors.Join(errs...)
}

// cycles has clients connect, start, send some audio and leave: every other one
// says so, the others vanish.
func cycles(ctx context.Context, o order) error {
	g := &group{o: o}
	return each(ctx, o.N, o.AtOnce, 0, func(i int) error {
		c, err := g.connect(ctx, o.First+i, "")
		if err != nil {
			return err
		}
		defer c.c.Close() // it has ended
		for range o.Frames {
			if _, err := c.c.Write(theAudioFrame); err != nil {
				return err
			}
		}
		if i%2 == 1 {
			return c.end(endReset)
		}
		if err := c.end(endSaid); err != nil {
			return err
		}
		return c.untilClosed()
	})
}

// untilClosed reads until the host closes.
func (c *conn) untilClosed() error {
	if err := c.c.SetReadDeadline(time.Now().Add(connectTimeout)); err != nil {
		return err
	}
	var b [16]byte
	for {
		op, _, err := readFrame(c.r, b[:])
		if err != nil {
			return fmt.Errorf("waiting for the host's close: %w", err)
		}
		if op == opClose {
			return nil
		}
	}
}

// talk has N streams send so many frames each, as fast as the host takes them,
// and end.
func talk(ctx context.Context, o order) error {
	g := &group{o: o}
	many := make([]byte, 0, 10*len(theAudioFrame))
	for range 10 {
		many = append(many, theAudioFrame...)
	}
	return each(ctx, o.N, o.AtOnce, 0, func(i int) (err error) {
		c, err := g.connect(ctx, o.First+i, "")
		if err != nil {
			return err
		}
		closed := make(chan error, 1)
		if err := c.c.SetReadDeadline(time.Now().Add(talkTimeout)); err != nil {
			return err
		}
		go func() { // ends with the connection; waited for below
			defer close(closed)
			var b [16]byte
			for {
				op, payload, err := readFrame(c.r, b[:])
				if err != nil || op == opClose {
					closed <- err
					return
				}
				if op == opPing {
					c.write(appendFrame(nil, opPong, payload))
				}
			}
		}()
		defer func() {
			err = errors.Join(err, ignoreClosed(c.c.Close()))
			if err != nil {
				<-closed
			}
		}()
		for sent := 0; sent < o.Frames; sent += 10 {
			if _, err := c.c.Write(many[:min(10, o.Frames-sent)*len(theAudioFrame)]); err != nil {
				return err
			}
		}
		if err := c.end(endSaid); err != nil {
			return err
		}
		return <-closed
	})
}

// talkTimeout bounds how long a stream may take for all that it sends.
const talkTimeout = 10 * time.Minute

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
