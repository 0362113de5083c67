package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/plugins"
)

// Compiling is what a running module notices of the compiling of one that was
// never seen before: the 99th percentile of its calls beside that and without,
// of all rounds together. A round is as long without as it is beside.
type Compiling struct {
	AloneP99US  float64 `json:"alone_p99_us"`
	BesideP99US float64 `json:"beside_p99_us"`
	Ratio       float64 `json:"p99_ratio"`
	SecondsEach float64 `json:"seconds_each"` // to compile, median
	Rounds      int     `json:"rounds"`
}

// measureCompiling calls the handler every millisecond.
func measureCompiling(ctx context.Context, guest []byte, rounds int, compiler []string) (c Compiling, err error) {
	dir, err := os.MkdirTemp("", "auricle-bench-")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	e, err := plugins.New(ctx, plugins.Options{CacheDir: filepath.Join(dir, cacheDir), Compiler: compiler})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	m, err := e.Load(ctx, guest, plugins.LoadOptions{})
	if err != nil {
		return c, err
	}
	inv := plugins.Invocation{Export: kernels.Event, Args: []uint64{1}, Limits: ample}
	call := func() (time.Duration, error) {
		start := time.Now()
		res, err := m.Run(ctx, inv)
		took := time.Since(start)
		if err == nil && res.Err != nil {
			err = res.Err
		}
		return took, err
	}
	const every = time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	var alone, beside, each []time.Duration
	for i := range rounds {
		loaded := make(chan error, 1)
		start := time.Now()
		go func() { // ends with the load, waited for below
			_, err := e.Load(ctx, kernels.Variant(guest, i), plugins.LoadOptions{Background: true})
			loaded <- err
		}()
		for done := false; !done; {
			<-tick.C
			took, err := call()
			if err != nil {
				return c, errors.Join(err, <-loaded)
			}
			select {
			case err := <-loaded:
				if err != nil {
					return c, fmt.Errorf("compiling: %w", err)
				}
				done = true
			default:
				beside = append(beside, took)
			}
		}
		took := time.Since(start)
		each = append(each, took)
		for end := time.Now().Add(took); time.Now().Before(end); {
			<-tick.C
			took, err := call()
			if err != nil {
				return c, err
			}
			alone = append(alone, took)
		}
	}
	a, b := percentile(99, alone), percentile(99, beside)
	return Compiling{
		AloneP99US: microseconds(a), BesideP99US: microseconds(b), Ratio: float64(b) / float64(a),
		SecondsEach: percentile(50, each).Seconds(), Rounds: rounds,
	}, nil
}
