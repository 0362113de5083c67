package jobs_test

import (
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/jobs"
)

func TestWaitsGrowAndSumUpExactly(t *testing.T) {
	for _, over := range []time.Duration{0, 1, 1000, 10 * time.Minute, 240 * time.Hour, 1<<63 - 1} {
		for attempts := 1; attempts <= jobs.MaxAttempts; attempts++ {
			var sum, last time.Duration
			for k := 1; k < attempts; k++ {
				w := jobs.Wait(attempts, over, k)
				if w < last {
					t.Errorf("%d attempts over %v: wait %d is %v after %v", attempts, over, k, w, last)
				}
				// Each is cut to whole nanoseconds at both its ends.
				if off := w - 4*last; k > 1 && (off < -4 || off > 4) {
					t.Errorf("%d attempts over %v: wait %d is %v, not four times %v", attempts, over, k, w, last)
				}
				sum, last = sum+w, w
			}
			if attempts > 1 && sum != over {
				t.Errorf("%d attempts: waits sum up to %v, want %v", attempts, sum, over)
			}
			if w := jobs.Wait(attempts, over, attempts); w != 0 {
				t.Errorf("%d attempts: a wait of %v after the last", attempts, w)
			}
		}
	}
}

func TestWaitsOfTheDefaults(t *testing.T) {
	want := []time.Duration{7058823529, 28235294118, 112941176470, 451764705883}
	for i, w := range want {
		if got := jobs.Wait(jobs.DefaultAttempts, jobs.DefaultOver, i+1); got != w {
			t.Errorf("wait %d is %v, want %v", i+1, got, w)
		}
	}
}

func TestJitterIsAFifthEitherWay(t *testing.T) {
	const d = 100 * time.Second
	low, high := d, d
	for range 2000 {
		j := jobs.Jittered(d)
		low, high = min(low, j), max(high, j)
	}
	if low < 80*time.Second || high > 120*time.Second || low > 85*time.Second || high < 115*time.Second {
		t.Errorf("from %v to %v, want 80 s to 120 s", low, high)
	}
}

func TestAttemptsByOutcome(t *testing.T) {
	for reason, want := range map[string]int{
		"trap": 2, "fuel_exhausted": 2, "memory_exceeded": 2,
		"app_error": 5, "deadline_exceeded": 5, "host_error": 5,
	} {
		if got := jobs.Most(5, reason); got != want {
			t.Errorf("%s: %d attempts, want %d", reason, got, want)
		}
		if got := jobs.Most(1, reason); got != 1 {
			t.Errorf("%s: %d attempts of 1", reason, got)
		}
	}
}
