package conversation

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
)

const (
	resultLanes = 4 // results are stored by this many writers at once, those of one conversation by one

	// maxLaneResults and maxLaneBytes bound what may wait in one lane; beyond,
	// new results are dropped and counted.
	maxLaneResults = 4096
	maxLaneBytes   = 16 << 20

	// maxResultTries is how often a result is written before it is dropped, so
	// that those behind it get their turn.
	maxResultTries = 8
)

// results keeps what apps answer to realtime events until the store has it.
// Adding never blocks.
type results struct {
	store   Store
	log     hclog.Logger
	metrics *metrics
	seed    maphash.Seed
	ctx     context.Context // ends when flush gives up
	cancel  context.CancelFunc

	mu    sync.Mutex // guards what follows; never held across a call of the store
	lost  int        // dropped because flush gave up
	idle  *sync.Cond // on mu; a lane became idle
	lanes [resultLanes]lane
}

// lane is a queue with at most one writer, which lives only while there is
// something to write.
type lane struct {
	queue   []result
	bytes   int64 // of queue
	writing bool
}

type result struct {
	conversation string
	bytes        int64
	store.Result
}

func newResults(s Store, log hclog.Logger, m *metrics) *results {
	r := &results{store: s, log: log, metrics: m, seed: maphash.MakeSeed()}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.idle = sync.NewCond(&r.mu)
	return r
}

// keep queues the outputs of an invocation, if there are any.
func (r *results) keep(inv apps.Invocation) {
	if inv.Outcome != plugins.OK || len(inv.Outputs) == 0 {
		return
	}
	res := result{
		conversation: inv.Conversation,
		Result: store.Result{
			App: inv.App, Event: inv.Kind.String(), Invocation: inv.ID, Outcome: string(inv.Outcome),
			Error: inv.Err, Attempt: 1, Outputs: inv.Outputs,
		},
	}
	for _, o := range inv.Outputs {
		res.bytes += int64(len(o.Data))
	}
	i := maphash.String(r.seed, inv.Conversation) % resultLanes

	r.mu.Lock()
	defer r.mu.Unlock()
	l := &r.lanes[i]
	if len(l.queue) >= maxLaneResults || l.bytes+res.bytes > maxLaneBytes || r.ctx.Err() != nil {
		reason := "queue_full"
		if r.ctx.Err() != nil {
			reason = "shutdown"
		}
		r.drop(res, reason, nil)
		return
	}
	l.queue = append(l.queue, res)
	l.bytes += res.bytes
	r.metrics.resultsWaiting.Inc()
	if !l.writing {
		l.writing = true
		go r.write(l) // ends when the lane is empty; flush waits for it
	}
}

// drop counts and reports a result that is not stored. Call it with mu held.
func (r *results) drop(res result, reason string, err error) {
	if reason == "shutdown" {
		r.lost++
	}
	r.metrics.resultsDropped.WithLabelValues(reason).Inc()
	r.log.Error("an app's result was not stored", "reason", reason, "app", res.App, "event", res.Event,
		"conversation", res.conversation, "invocation", res.Invocation, "error", err)
}

func (r *results) write(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(l.queue) > 0 {
		res := l.queue[0]
		l.queue[0] = result{}
		l.queue = l.queue[1:]
		r.mu.Unlock()
		err := r.save(res)
		r.mu.Lock()
		l.bytes -= res.bytes
		r.metrics.resultsWaiting.Dec()
		switch {
		case err == nil:
		case r.ctx.Err() != nil:
			r.drop(res, "shutdown", err)
		default:
			r.drop(res, "store_failed", err)
		}
	}
	l.queue, l.writing = nil, false
	r.idle.Broadcast()
}

// save writes one result, trying again until it is stored, is known to be in
// vain, or nobody waits for it.
func (r *results) save(res result) error {
	var b backoff
	for try := 1; ; try++ {
		err := func() error {
			ctx, cancel := context.WithTimeout(r.ctx, storeTimeout)
			defer cancel()
			return r.store.AddResult(ctx, res.conversation, res.Result)
		}()
		if err == nil || inVain(err) || try >= maxResultTries {
			return err
		}
		r.metrics.storeRetries.WithLabelValues("result").Inc()
		r.log.Warn("storing an app's result", "app", res.App, "conversation", res.conversation, "try", try, "error", err)
		if !b.wait(r.ctx) {
			return err
		}
	}
}

// inVain reports whether trying a write again can't help.
func inVain(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrBadID)
}

// flush waits until every lane is empty. When ctx ends first, what is left is
// dropped, and so is what comes later.
func (r *results) flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, r.cancel)
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.lanes {
		for r.lanes[i].writing {
			r.idle.Wait()
		}
	}
	if r.lost > 0 {
		return fmt.Errorf("storing what apps answered: %d results were dropped: %w", r.lost, ctx.Err())
	}
	return nil
}
