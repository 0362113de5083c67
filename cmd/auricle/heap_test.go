package main

import (
	"math"
	"testing"
	"time"
)

func TestGarbageIsBoundedByWhatIsLiveAndHowFastItIsMade(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live uint64
		rate float64 // bytes a second
		want int     // percent of live
		why  string
	}{
		{0, 0, 100, "nothing is known yet"},
		{10 * mib, mib, 100, "a small heap is Go's own affair"},
		{64 * mib, mib, 25, "16 MiB at least"},
		{128 * mib, mib, 12, "16 MiB at least"},
		{128 * mib, 10 * mib, 39, "what is made in 5 s"},
		{128 * mib, 100 * mib, 100, "Go's default at most"},
	} {
		if got := gcPercent(c.live, c.rate); got != c.want {
			t.Errorf("%d MiB live, %.0f MiB/s: got %d %%, want %d %%: %s", c.live/mib, c.rate/mib, got, c.want, c.why)
		}
	}
}

func TestABurstIsNoRate(t *testing.T) {
	const mib = 1 << 20
	rate := 0.0
	for range 100 { // 10 MiB a second, for 20 s
		rate = smooth(rate, 2*mib, 200*time.Millisecond)
	}
	if math.Abs(rate-10*mib) > mib/2 {
		t.Errorf("steady: got %.2f MiB/s, want 10", rate/mib)
	}
	if got := smooth(rate, 50*mib, 10*time.Millisecond); got > 21*mib {
		t.Errorf("50 MiB at once: got %.2f MiB/s, want no more than it adds to the mean", got/mib)
	}
	if got := smooth(rate, 0, time.Minute); got > mib/10 {
		t.Errorf("a quiet minute: got %.2f MiB/s", got/mib)
	}
}
