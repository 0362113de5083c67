package plugins

import (
	"context"
	"sync"
	"time"
)

// keeper is the engine's own goroutine: it makes spare instances ahead of need,
// and gives back the memory of what is not used any more.
type keeper struct {
	engine *Engine
	wake   chan struct{} // there may be something in wanted
	stop   context.CancelFunc
	done   chan struct{} // closed when the goroutine is over

	mu     sync.Mutex
	wanted map[*Module]struct{} // short of spare instances
}

// keep starts the goroutine, which ends when close is called.
func (e *Engine) keep() *keeper {
	ctx, stop := context.WithCancel(context.Background())
	k := &keeper{engine: e, wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}), wanted: map[*Module]struct{}{}}
	go k.run(ctx)
	return k
}

func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	var tick <-chan time.Time
	if after := k.engine.o.IdleAfter; after > 0 {
		t := time.NewTicker(max(after/2, time.Millisecond))
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			k.engine.Trim(k.engine.o.IdleAfter)
		case <-k.wake:
			k.mu.Lock()
			wanted := k.wanted
			k.wanted = map[*Module]struct{}{}
			k.mu.Unlock()
			for m := range wanted {
				if m.gate.enter() {
					// Whoever needs an instance meets the error, too, and says so.
					_ = m.spare(ctx)
					m.gate.leave()
				}
			}
		}
	}
}

// want asks for m's spare instances. It does not wait for them.
func (k *keeper) want(m *Module) {
	if k.engine.o.SpareInstances <= 0 {
		return
	}
	k.mu.Lock()
	k.wanted[m] = struct{}{}
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// close ends the goroutine and waits for it.
func (k *keeper) close() {
	k.stop()
	<-k.done
}

// Trim gives back the memory of what was not used for age: idle instances are
// closed, but for Options.SpareInstances of each module, which keep no pages of
// their own, and sessions are parked. The engine does this by itself with
// Options.IdleAfter; a host that is short of memory may do it at any time.
func (e *Engine) Trim(age time.Duration) {
	before := time.Now().Add(-age)
	for _, m := range e.all() {
		if m.gate.enter() {
			m.trim(before)
			m.gate.leave()
		}
	}
}
