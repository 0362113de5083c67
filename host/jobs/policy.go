package jobs

import (
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

const (
	jitter = 0.2 // of a wait, either way

	// hopelessAttempts is how often a deterministic app is called that ended by
	// itself: the second time in case the first had met bad luck.
	hopelessAttempts = 2
)

// policy says how often a job is tried, and how far apart.
type policy struct {
	attempts int
	over     time.Duration
}

// most returns how many attempts a job has of which the last ended so.
func (p policy) most(reason string) int {
	switch plugins.Outcome(reason) {
	case plugins.Trap, plugins.FuelExhausted, plugins.MemoryExceeded:
		return min(hopelessAttempts, p.attempts)
	}
	return p.attempts
}

// wait returns how long to wait after k attempts, without jitter: four times as
// long as after one less. From the first attempt to the last it is p.over in
// all, to the nanosecond.
func (p policy) wait(k int) time.Duration { return p.until(k) - p.until(k-1) }

// until returns the sum of the first k waits: over·(4^k-1)/(4^(attempts-1)-1).
func (p policy) until(k int) time.Duration {
	if p.attempts < 2 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(p.over), 1<<(2*min(k, p.attempts-1))-1)
	q, _ := bits.Div64(hi, lo, 1<<(2*(p.attempts-1))-1)
	return time.Duration(q)
}

// jittered returns d, give or take jitter.
func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + jitter*(2*rand.Float64()-1)))
}
