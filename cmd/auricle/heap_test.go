package main

import "testing"

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
