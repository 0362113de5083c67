package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/plugins"
)

// Fuel is what counting fuel costs, as times of the same module in plain
// wazero, where nothing is bounded.
type Fuel struct {
	Geomean             float64  `json:"geomean"`
	Worst               float64  `json:"worst"`
	CancellationGeomean float64  `json:"cancellation_geomean"` // with wazero's own cancellation instead
	Kernels             []Kernel `json:"kernels"`
}

// Kernel is one program's share in that: the best of its runs.
type Kernel struct {
	Name              string  `json:"name"`
	Language          string  `json:"language"`
	Kind              string  `json:"kind"`
	PlainUS           float64 `json:"plain_us"`
	Ratio             float64 `json:"ratio"`
	CancellationRatio float64 `json:"cancellation_ratio"`
	Fuel              uint64  `json:"fuel"` // used by the first run
}

func (l *lab) measureFuel(ctx context.Context, ks []kernels.Kernel, runs int) (f Fuel, err error) {
	logs, cancellationLogs := 0.0, 0.0
	for _, k := range ks {
		m, err := l.measureKernel(ctx, k, runs)
		if err != nil {
			return f, fmt.Errorf("%s (%s): %w", k.Name, k.Language, err)
		}
		f.Kernels = append(f.Kernels, m)
		f.Worst = max(f.Worst, m.Ratio)
		logs += math.Log(m.Ratio)
		cancellationLogs += math.Log(m.CancellationRatio)
	}
	f.Geomean = math.Exp(logs / float64(len(ks)))
	f.CancellationGeomean = math.Exp(cancellationLogs / float64(len(ks)))
	return f, nil
}

func (l *lab) measureKernel(ctx context.Context, k kernels.Kernel, runs int) (r Kernel, err error) {
	r = Kernel{Name: k.Name, Language: k.Language, Kind: k.Kind}
	// wazero's cancellation needs a context that can end.
	bounded, cancel := context.WithTimeout(ctx, ample.Wall)
	defer cancel()

	metered, closeEngine, err := l.metered(ctx, k.Wasm, plugins.Options{})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, closeEngine()) }()
	session, err := metered.NewSession() // as in plain wazero, nothing is reset
	if err != nil {
		return r, err
	}
	defer session.Close()
	var calls [2]func() (time.Duration, error)
	for i, c := range []context.Context{ctx, bounded} {
		p, err := l.plain(c, k.Wasm, c == bounded)
		if err != nil {
			return r, err
		}
		defer p.close(ctx)
		in, err := p.instantiate(c)
		if err != nil {
			return r, err
		}
		f := in.ExportedFunction(k.Export)
		calls[i] = func() (time.Duration, error) {
			start := time.Now()
			values, err := f.Call(c, uint64(k.Arg))
			took := time.Since(start)
			if err == nil {
				err = equal(values, k.Sum)
			}
			return took, err
		}
	}

	best, bestMetered, bestCancellable := time.Hour, time.Hour, time.Hour
	for range runs {
		took, err := calls[0]()
		if err != nil {
			return r, fmt.Errorf("in plain wazero: %w", err)
		}
		best = min(best, took)
		start := time.Now()
		res, err := session.Run(ctx, plugins.Invocation{Export: k.Export, Args: []uint64{uint64(k.Arg)}, Limits: ample})
		bestMetered = min(bestMetered, time.Since(start))
		if err := ended(res, err, k.Sum); err != nil {
			return r, fmt.Errorf("metered: %w", err)
		}
		if r.Fuel == 0 {
			r.Fuel = res.Fuel
		}
		if took, err = calls[1](); err != nil {
			return r, fmt.Errorf("with wazero's cancellation: %w", err)
		}
		bestCancellable = min(bestCancellable, took)
	}
	r.PlainUS = microseconds(best)
	r.Ratio = float64(bestMetered) / float64(best)
	r.CancellationRatio = float64(bestCancellable) / float64(best)
	return r, nil
}
