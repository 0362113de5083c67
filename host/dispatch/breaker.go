package dispatch

import "time"

// When a breaker opens, and for how long.
const (
	breakerFailures = 5
	breakerOpenFor  = 30 * time.Second
	probeWait       = time.Second // until a half-open one is asked again
)

// breaker stops calls of an app that keeps failing. It is closed until
// breakerFailures invocations in a row have failed, then open for
// breakerOpenFor, then half-open: it lets exactly one through, the probe,
// whose success closes it and whose failure opens it anew. Results of
// invocations that began before it opened are not counted while it is not
// closed. It is not safe for concurrent use.
type breaker struct {
	failures int  // in a row, while closed
	tripped  bool // open or half-open
	until    time.Time
	probing  bool // the probe is running
}

// verdict is what an invocation says about its app.
type verdict int

const (
	good verdict = iota
	bad
	void // it was not judged: cancelled, or the host's fault
)

// admit reports whether an invocation may begin at now, and whether it is the
// probe. Each admitted one is followed by one settle.
func (b *breaker) admit(now time.Time) (ok, probe bool) {
	switch {
	case !b.tripped:
		return true, false
	case b.probing || now.Before(b.until):
		return false, false
	}
	b.probing = true
	return true, true
}

// settle counts an admitted invocation's verdict and reports whether the
// breaker opened or closed by it.
func (b *breaker) settle(now time.Time, v verdict, probe bool) (changed bool) {
	if probe {
		b.probing = false
		switch v {
		case good:
			b.tripped, b.failures = false, 0
			return true
		case bad:
			b.until = now.Add(breakerOpenFor)
			return true
		}
		return false
	}
	if b.tripped || v == void {
		return false
	}
	if v == good {
		b.failures = 0
		return false
	}
	b.failures++
	if b.failures < breakerFailures {
		return false
	}
	b.tripped, b.until = true, now.Add(breakerOpenFor)
	return true
}

// next returns when it may let an invocation through: now, or later. While the
// probe runs nobody knows: it is to be asked again in probeWait.
func (b *breaker) next(now time.Time) time.Time {
	switch {
	case !b.tripped:
		return now
	case b.probing:
		return now.Add(probeWait)
	case b.until.After(now):
		return b.until
	}
	return now
}

// state returns "closed", "open" or "half_open".
func (b *breaker) state(now time.Time) string {
	switch {
	case !b.tripped:
		return "closed"
	case !b.probing && now.Before(b.until):
		return "open"
	}
	return "half_open"
}
