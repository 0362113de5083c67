package streams

import (
	"context"
	"sync"
	"time"
)

// slot is how finely a pacer spreads what it sends.
const slot = 2 * time.Millisecond

// pacer sends for its connections in turn, once in each period for each, spread
// evenly over the period. How late each was sent is counted: a generator that
// can't keep up says so.
type pacer struct {
	period time.Duration
	send   func(*conn, time.Time) // may block; then all that follow are late, too

	mu    sync.Mutex // guards what follows
	slots [][]*conn
	next  int // where the next connection is put
	late  lateness
}

func newPacer(period time.Duration, send func(*conn, time.Time)) *pacer {
	return &pacer{period: period, send: send, slots: make([][]*conn, max(1, period/slot))}
}

// stride is prime to the numbers of slots that are used, so that however many
// connections there are, they are spread.
const stride = 617

func (p *pacer) add(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.next * stride % len(p.slots)
	p.next++
	p.slots[i] = append(p.slots[i], c)
}

// run sends until ctx ends.
func (p *pacer) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	step := p.period / time.Duration(len(p.slots))
	due := time.Now()
	for i := 0; ; i = (i + 1) % len(p.slots) {
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		} else if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		live := p.slots[i][:0]
		for _, c := range p.slots[i] {
			if c.gone.Load() {
				continue
			}
			live = append(live, c)
			now := time.Now()
			p.late.add(now.Sub(due))
			p.send(c, now)
		}
		clear(p.slots[i][len(live):])
		p.slots[i] = live
		p.mu.Unlock()
		due = due.Add(step)
	}
}

// lateness counts how late things were, to 0.1 ms, up to a second.
type lateness struct {
	counts [10_001]uint32
	total  int64
}

func (l *lateness) add(d time.Duration) {
	l.counts[min(max(d, 0)/(100*time.Microsecond), time.Duration(len(l.counts)-1))]++
	l.total++
}

func (l *lateness) merge(o *lateness) {
	for i, n := range o.counts {
		l.counts[i] += n
	}
	l.total += o.total
}

// percentile returns the p-th percentile in ms.
func (l *lateness) percentile(p int64) float64 {
	rank := (l.total*p + 99) / 100
	for i, n := range l.counts {
		if rank -= int64(n); rank <= 0 {
			return float64(i) / 10
		}
	}
	return 0
}

// reset forgets what was counted, and take returns it.
func (p *pacer) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = lateness{}
}

func (p *pacer) take(into *lateness) {
	p.mu.Lock()
	defer p.mu.Unlock()
	into.merge(&p.late)
}
