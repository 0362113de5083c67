package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/store"
)

// maxWriters is how many writes are under way at once: as many as the store
// puts into one batch.
const maxWriters = 256

// storeTimeout bounds one call of the store.
const storeTimeout = 10 * time.Second

// The time between two tries of a call of the store doubles from the first to
// the last of these.
const (
	minRetry = 100 * time.Millisecond
	maxRetry = 5 * time.Second
)

// writers do what waits for the store, maxWriters at once. Each lives only
// while there is something to do. Adding never blocks.
type writers struct {
	waiting prometheus.Gauge

	mu    sync.Mutex // guards all below
	idle  *sync.Cond // on mu; the last writer ended
	queue []func()
	n     int // writers
}

func newWriters(waiting prometheus.Gauge) *writers {
	w := &writers{waiting: waiting}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// add has f done soon.
func (w *writers) add(f func()) {
	w.waiting.Inc()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, f)
	if w.n < maxWriters {
		w.n++
		go w.run() // ends when the queue is empty; wait waits for it
	}
}

func (w *writers) run() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 {
		f := w.queue[0]
		w.queue[0] = nil
		w.queue = w.queue[1:]
		w.mu.Unlock()
		f()
		w.waiting.Dec()
		w.mu.Lock()
	}
	w.queue = nil
	if w.n--; w.n == 0 {
		w.idle.Broadcast()
	}
}

// wait waits until nothing is left to do.
func (w *writers) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.n > 0 {
		w.idle.Wait()
	}
}

// store calls f until it succeeds, it is known that repeating is in vain, or
// Jobs gave up; what it was doing is for the log.
func (j *Jobs) store(doing string, f func(context.Context) error) error {
	for wait := minRetry; ; wait = min(2*wait, maxRetry) {
		err := j.once(f)
		if err == nil || inVain(err) || j.ctx.Err() != nil {
			return err
		}
		j.metrics.storeRetries.WithLabelValues(doing).Inc()
		j.log.Warn("the store did not take what it is to keep; trying again", "doing", doing, "error", err)
		if !pause(j.ctx, wait) {
			return err
		}
	}
}

// once calls f with a deadline.
func (j *Jobs) once(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(j.ctx, storeTimeout)
	defer cancel()
	return f(ctx)
}

// pause waits for d. It reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// inVain reports whether calling the store again can't help.
func inVain(err error) bool {
	return errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrNotFound) ||
		errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrBadID)
}
