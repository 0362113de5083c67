package streams

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// group is streams that do the same. It owns its connections and goroutines;
// close ends them.
type group struct {
	o      order
	pacers []*pacer
	cancel context.CancelFunc // of the pacers
	pacing sync.WaitGroup

	conns []*conn // the generator's own

	gaps    atomic.Int64 // messages that tell of a gap
	outputs atomic.Int64 // of apps
	broken  atomic.Int64 // connections that ended by themselves

	mu       sync.Mutex      // guards what follows
	acks     []time.Duration // from the sending to the acknowledgement
	problems []string        // the first few
}

const manyProblems = 5

// opening is how many connections are opened at once, unless it is to be as fast
// as it goes: then all are.
const opening = 64

var theAudioFrame = audioFrame()

func newGroup(ctx context.Context, o order) *group {
	g := &group{o: o}
	ctx, g.cancel = context.WithCancel(ctx)
	pace := func(period time.Duration, send func(*conn, time.Time)) {
		p := newPacer(period, send)
		g.pacers = append(g.pacers, p)
		g.pacing.Go(func() { p.run(ctx) })
	}
	// One for each CPU, so that one that is held up does not hold up the rest.
	for range runtime.GOMAXPROCS(0) {
		if o.Audio {
			pace(100*time.Millisecond, func(c *conn, _ time.Time) { c.write(theAudioFrame) })
		}
	}
	if o.TranscriptMillis > 0 {
		var b []byte
		pace(time.Duration(o.TranscriptMillis)*time.Millisecond, func(c *conn, at time.Time) {
			b = c.transcript(b[:0], at)
			c.write(b)
		})
	}
	if o.FinishMillis > 0 {
		finish := appendFrame(nil, opText, []byte(`{"type":"finish"}`))
		pace(time.Duration(o.FinishMillis)*time.Millisecond, func(c *conn, _ time.Time) { c.write(finish) })
	}
	return g
}

// open opens so many more streams, PerSecond of them a second; 0 opens them as
// fast as it goes.
func (g *group) open(ctx context.Context, n, perSecond int) error {
	return g.resume(ctx, make([]string, n), perSecond)
}

// resume is open for sessions that are there already; "" is a new one.
func (g *group) resume(ctx context.Context, sessions []string, perSecond int) error {
	n := len(sessions)
	conns := make([]*conn, n)
	first := len(g.conns)
	atOnce := opening
	if perSecond == 0 {
		atOnce = n
	}
	err := each(ctx, n, atOnce, perSecond, func(i int) (err error) {
		conns[i], err = g.connect(ctx, g.o.First+first+i, sessions[i])
		if err != nil && sessions[i] != "" && ctx.Err() == nil {
			// As a client does: it came too late, or not at all. Once more, anew.
			g.refused("resuming: " + err.Error())
			conns[i], err = g.connect(ctx, g.o.First+first+i, "")
		}
		return err
	})
	for _, c := range conns {
		if c != nil {
			g.take(c)
		}
	}
	return err
}

// take has a connection that was opened do its part.
func (g *group) take(c *conn) {
	i := len(g.conns)
	g.conns = append(g.conns, c)
	if g.o.Mute {
		close(c.done) // nobody reads
	} else {
		go c.read() // ends when c closes; close waits for done
	}
	audio, others := 0, 0
	if g.o.Audio {
		audio = runtime.GOMAXPROCS(0)
		g.pacers[i%audio].add(c)
	}
	if others = len(g.pacers) - audio; others > 0 && !(g.o.HalfSilent && i%2 == 1) {
		for _, p := range g.pacers[audio:] {
			p.add(c)
		}
	}
}

// close ends all streams and waits for what belongs to them.
func (g *group) close(how string) (err error) {
	g.cancel()
	g.pacing.Wait()
	for _, c := range g.conns {
		err = errors.Join(err, ignoreClosed(c.end(how)))
	}
	if how == endSaid {
		late := time.AfterFunc(connectTimeout, func() {
			for _, c := range g.conns {
				c.c.Close() // waited long enough
			}
		})
		defer late.Stop()
	}
	for _, c := range g.conns {
		<-c.done
		c.c.Close() // it has ended
	}
	g.conns = nil
	return err
}

func (g *group) acknowledged(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acks = append(g.acks, d)
}

func (g *group) broke(err error) {
	g.broken.Add(1)
	if !g.o.Mute { // those are closed by the host: that is what they are for
		g.refused(err.Error())
	}
}

func (g *group) refused(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.problems) < manyProblems {
		g.problems = append(g.problems, g.o.Group+": "+what)
	}
}

// each does f for 0 to n-1, so many at once, and begins perSecond a second.
func each(ctx context.Context, n, atOnce, perSecond int, f func(i int) error) error {
	var next atomic.Int64
	failed := make([]error, min(atOnce, max(n, 1)))
	began := time.Now()
	var wg sync.WaitGroup
	for w := range failed {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if perSecond > 0 {
					pause(ctx, time.Until(began.Add(time.Duration(i)*time.Second/time.Duration(perSecond))))
				}
				if ctx.Err() != nil {
					failed[w] = ctx.Err()
					return
				}
				if err := f(i); err != nil {
					failed[w] = fmt.Errorf("stream %d: %w", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// pause waits; it returns at once when ctx has ended or d is not above 0.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
