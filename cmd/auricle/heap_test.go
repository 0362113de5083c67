package main

import "testing"

func TestGarbageIsBoundedByWhatIsLiveAndHowFastItIsMade(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live, allocated uint64 // bytes; the latter in 5 s
		want            int    // percent of live
		why             string
	}{
		{0, 0, 100, "nothing is known yet"},
		{10 * mib, mib, 100, "a small heap is Go's own affair"},
		{64 * mib, mib, 25, "16 MiB at least"},
		{128 * mib, mib, 12, "16 MiB at least"},
		{128 * mib, 50 * mib, 39, "what is made in 5 s"},
		{128 * mib, 500 * mib, 100, "Go's default at most"},
	} {
		if got := gcPercent(c.live, c.allocated); got != c.want {
			t.Errorf("%d MiB live, %d MiB made: got %d %%, want %d %%: %s", c.live/mib, c.allocated/mib, got, c.want, c.why)
		}
	}
}
