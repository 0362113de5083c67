package engine

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/plugins"
)

// GCPause is what guests that do nothing but work do to the rest of the
// process: the longest call of runtime.GC, and the longest that a goroutine
// which ticks every millisecond had to wait beyond that.
type GCPause struct {
	UnmeteredMS      float64 `json:"unmetered_ms"` // beside one call in plain wazero, of 400 ms
	UnmeteredStallMS float64 `json:"unmetered_stall_ms"`
	MeteredMS        float64 `json:"metered_ms"` // beside Spinning invocations
	StallMS          float64 `json:"stall_ms"`
	Spinning         int     `json:"spinning"`
}

const spinFor = 400 * time.Millisecond

func (l *lab) measureStalls(ctx context.Context, spinning int) (g GCPause, err error) {
	g.Spinning = spinning
	p, err := l.plain(ctx, kernels.SpinModule(), false)
	if err != nil {
		return g, err
	}
	defer p.close(ctx)
	in, err := p.instantiate(ctx)
	if err != nil {
		return g, err
	}
	spin := in.ExportedFunction(kernels.Spin)
	const sample = 10_000_000
	start := time.Now()
	if _, err := spin.Call(ctx, sample); err != nil {
		return g, err
	}
	turns := uint64(float64(sample) * float64(spinFor) / float64(time.Since(start)))
	pause, stall, err := disturbed(func() error {
		_, err := spin.Call(ctx, max(turns, 1))
		return err
	})
	if err != nil {
		return g, err
	}
	g.UnmeteredMS, g.UnmeteredStallMS = milliseconds(pause), milliseconds(stall)

	m, closeEngine, err := l.metered(ctx, kernels.SpinModule(), plugins.Options{})
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, closeEngine()) }()
	limits := ample
	limits.Wall = 5 * spinFor // between them, they have the processors of a few
	pause, stall, err = disturbed(func() error {
		errs := make([]error, spinning)
		var runs sync.WaitGroup
		for i := range spinning {
			runs.Go(func() {
				res, err := m.Run(ctx, plugins.Invocation{Export: kernels.Spin, Args: []uint64{0}, Limits: limits})
				if err == nil && res.Outcome != plugins.DeadlineExceeded {
					err = errors.New("a loop without end ended with " + string(res.Outcome))
				}
				errs[i] = err
			})
		}
		runs.Wait()
		return errors.Join(errs...)
	})
	g.MeteredMS, g.StallMS = milliseconds(pause), milliseconds(stall)
	return g, err
}

// disturbed runs work, and returns the longest collection and the longest
// delay of a ticking goroutine beside it: from before it began until a tick
// after its end, lest one that never had its turn look well.
func disturbed(work func() error) (pause, stall time.Duration, err error) {
	done := make(chan struct{})
	begun := time.Now()
	var beside sync.WaitGroup
	beside.Go(func() { // ends with work
		for more := true; more; more = running(done) {
			start := time.Now()
			runtime.GC()
			pause = max(pause, time.Since(start))
		}
	})
	beside.Go(func() { // ends with work
		const every = time.Millisecond
		tick := time.NewTimer(every)
		for last, more := begun, true; more; more = running(done) {
			<-tick.C
			now := time.Now()
			stall = max(stall, now.Sub(last)-every)
			last = now
			tick.Reset(every)
		}
	})
	err = work()
	close(done)
	beside.Wait()
	return pause, stall, err
}

// running reports whether done is still open.
func running(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}
