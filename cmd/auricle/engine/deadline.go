package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/plugins"
)

// Deadline is by how much loops without end outstay their wall-clock limit.
type Deadline struct {
	Runs           int     `json:"runs"`
	OvershootP99US float64 `json:"overshoot_p99_us"`
}

const deadlineWall = 20 * time.Millisecond

func (l *lab) measureDeadline(ctx context.Context, runs int) (d Deadline, err error) {
	m, closeEngine, err := l.metered(ctx, kernels.SpinModule(), plugins.Options{})
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, closeEngine()) }()
	limits := ample
	limits.Wall = deadlineWall
	var over []time.Duration
	for range runs {
		start := time.Now()
		res, err := m.Run(ctx, plugins.Invocation{Export: kernels.Spin, Args: []uint64{0}, Limits: limits})
		if err != nil {
			return d, err
		}
		if res.Outcome != plugins.DeadlineExceeded {
			return d, fmt.Errorf("a loop without end ended with %s", res.Outcome)
		}
		over = append(over, time.Since(start)-deadlineWall)
	}
	return Deadline{Runs: runs, OvershootP99US: microseconds(percentile(99, over))}, nil
}
