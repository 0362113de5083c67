package client

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// The bounds of the wait before connecting again.
const (
	retryBase = 500 * time.Millisecond
	retryCap  = 30 * time.Second

	// maxRetryAfter bounds what a host may ask for.
	maxRetryAfter = 5 * time.Minute
)

// steady is how long a stream must have lived for the next back-off to begin
// anew. A host that breaks each stream at once is not asked ever faster.
const steady = 10 * time.Second

// Retry tells of a stream that was lost, or that was not to be had, and that
// the client is about to try again.
type Retry struct {
	Err     error         // why: *RefusedError, *ClosedError, or the network's
	Attempt int           // how many times in a row, 1 for the first
	In      time.Duration // until then the client waits
	Ready   bool          // whether there was a stream before, of which the host said ready
}

// wait returns how long to wait before the attempt after n that failed: full
// jitter, that is anything up to the exponential bound, on top of what the host
// asked for. See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
func wait(n int, asked time.Duration, jitter func(time.Duration) time.Duration) time.Duration {
	bound := retryCap
	if shift := n - 1; shift < 16 {
		bound = min(retryBase<<max(shift, 0), retryCap)
	}
	return min(max(asked, 0), maxRetryAfter) + min(max(jitter(bound), 0), bound)
}

// anyUpTo is the jitter that is used when none is given.
func anyUpTo(most time.Duration) time.Duration { return rand.N(most + 1) }

// retryAfter reads the header of that name, RFC 9110 section 10.2.3: seconds or
// a date; 0 when there is none that makes sense.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
