package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/plugins"
)

// Fresh is what fresh state for every call costs a guest in Go whose handler
// decodes and searches one segment of a transcript. All are medians.
type Fresh struct {
	FreshFigures
	Kilobyte FreshFigures `json:"1kb"` // the same with 1 KB of transcript
}

// FreshFigures are those of one handler.
type FreshFigures struct {
	ResetP50US             float64 `json:"reset_p50_us"`        // putting the instance back, which is part of a fresh call
	CallP50US              float64 `json:"call_p50_us"`         // a fresh call: state is the image's each time
	WarmP50US              float64 `json:"warm_p50_us"`         // a session's call: the same, metered, and nothing is reset
	PlainWarmP50US         float64 `json:"plain_warm_p50_us"`   // plain wazero, the same instance each time
	NewInstanceP50US       float64 `json:"new_instance_p50_us"` // plain wazero, an instance for each call
	CallRatioToWarm        float64 `json:"call_ratio_to_warm"`
	TimesFasterNewInstance float64 `json:"times_faster_than_new_instance"`
}

func (l *lab) measureFresh(ctx context.Context, guest []byte, calls int) (f Fresh, err error) {
	if f.FreshFigures, err = l.measureHandler(ctx, guest, kernels.Event, calls); err != nil {
		return f, err
	}
	f.Kilobyte, err = l.measureHandler(ctx, guest, kernels.Handle, calls)
	return f, err
}

func (l *lab) measureHandler(ctx context.Context, guest []byte, export string, calls int) (f FreshFigures, err error) {
	fresh, closeEngine, err := l.metered(ctx, guest, plugins.Options{})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, closeEngine()) }()
	session, err := fresh.NewSession()
	if err != nil {
		return f, err
	}
	defer session.Close()
	p, err := l.plain(ctx, guest, false)
	if err != nil {
		return f, err
	}
	defer p.close(ctx)
	in, err := p.instantiate(ctx)
	if err != nil {
		return f, err
	}
	kept := in.ExportedFunction(export)
	first, err := kept.Call(ctx, 1)
	if err != nil {
		return f, err
	}
	sum := uint32(first[0])

	// In turns of burst calls: one of some microseconds must not find the
	// processor's caches as the milliseconds of a new instance left them.
	const burst = 20
	inv := plugins.Invocation{Export: export, Args: []uint64{1}, Limits: ample}
	var freshes, resets, warms, plains, news []time.Duration
	for range max(1, calls/burst) {
		for range burst {
			start := time.Now()
			res, err := fresh.Run(ctx, inv)
			freshes = append(freshes, time.Since(start))
			resets = append(resets, res.Restore)
			if err := ended(res, err, sum); err != nil {
				return f, fmt.Errorf("fresh: %w", err)
			}
		}
		for range burst {
			start := time.Now()
			res, err := session.Run(ctx, inv)
			warms = append(warms, time.Since(start))
			if err := ended(res, err, sum); err != nil {
				return f, fmt.Errorf("warm: %w", err)
			}
		}
		for range burst {
			start := time.Now()
			values, err := kept.Call(ctx, 1)
			plains = append(plains, time.Since(start))
			if err = errors.Join(err, equal(values, sum)); err != nil {
				return f, fmt.Errorf("in plain wazero: %w", err)
			}
		}
		start := time.Now()
		in, err := p.instantiate(ctx)
		if err != nil {
			return f, err
		}
		values, err := in.ExportedFunction(export).Call(ctx, 1)
		err = errors.Join(err, equal(values, sum), in.Close(ctx))
		news = append(news, time.Since(start))
		if err != nil {
			return f, fmt.Errorf("new instance: %w", err)
		}
	}
	call, warm, made := percentile(50, freshes), percentile(50, warms), percentile(50, news)
	return FreshFigures{
		ResetP50US: microseconds(percentile(50, resets)), CallP50US: microseconds(call), WarmP50US: microseconds(warm),
		PlainWarmP50US: microseconds(percentile(50, plains)), NewInstanceP50US: microseconds(made),
		CallRatioToWarm:        float64(call) / float64(warm),
		TimesFasterNewInstance: float64(made) / float64(call),
	}, nil
}
