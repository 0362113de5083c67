package plugins

import (
	"math"
	"time"
)

// WASI's clocks. Those of processor time are not offered.
const (
	clockRealtime  = 0
	clockMonotonic = 1
)

func clockRes(c *Call, p []uint64) (errno, error) {
	if uint32(p[0]) > clockMonotonic {
		return inval, nil
	}
	b, ok := c.view(p[1], 8)
	if !ok {
		return fault, nil
	}
	le.PutUint64(b, 1)
	return success, nil
}

func clockTime(c *Call, p []uint64) (errno, error) {
	now, ok := c.r.clock(uint32(p[0]))
	if !ok {
		return inval, nil
	}
	b, ok := c.view(p[2], 8)
	if !ok {
		return fault, nil
	}
	le.PutUint64(b, uint64(now))
	return success, nil
}

// clock reads one of the guest's clocks, in nanoseconds.
func (r *run) clock(id uint32) (int64, bool) {
	var live func() int64
	switch id {
	case clockRealtime:
		live = r.realtime
	case clockMonotonic:
		live = r.monotonic
	default:
		return 0, false
	}
	if t := r.inv.Tape; t != nil {
		return t.clock(id, live), true
	}
	return live(), true
}

const (
	subscriptionBytes = 48
	eventBytes        = 32
	subscriptionFuel  = subscriptionBytes + eventBytes + 20

	eventClock   = 0
	eventFdRead  = 1
	eventFdWrite = 2

	absoluteTime = 1 // flag of a clock subscription
	hangup       = 1 // flag of an event
)

// pollOneoff waits for the first of the clocks that the guest subscribed to.
// Descriptors are ready, or wrong, at once: with one of them there is no wait.
func pollOneoff(c *Call, p []uint64) (errno, error) {
	n := uint64(uint32(p[2]))
	if n == 0 {
		return inval, nil
	}
	if err := c.Charge(n * subscriptionFuel); err != nil {
		return 0, err
	}
	in, ok1 := c.view(p[0], n*subscriptionBytes)
	out, ok2 := c.view(p[1], n*eventBytes)
	count, ok3 := c.view(p[3], 4)
	if !ok1 || !ok2 || !ok3 {
		return fault, nil
	}
	wait := time.Duration(math.MaxInt64)
	now := clocks{r: c.r}
	for s := range subscriptions(in) {
		d, _ := now.until(s)
		wait = min(wait, d)
	}
	events := uint32(0)
	for s := range subscriptions(in) {
		if d, e := now.until(s); d <= wait {
			writeEvent(out[events*eventBytes:], s, e)
			events++
		}
	}
	le.PutUint32(count, events)
	return success, c.r.sleep(wait)
}

// subscriptions yields each subscription in b.
func subscriptions(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for ; len(b) > 0 && yield(b[:subscriptionBytes]); b = b[subscriptionBytes:] {
		}
	}
}

// clocks are the guest's, each read once at most.
type clocks struct {
	r    *run
	now  [2]int64
	read [2]bool
}

func (c *clocks) clock(id uint32) (int64, bool) {
	if id > clockMonotonic {
		return 0, false
	}
	if !c.read[id] {
		c.now[id], c.read[id] = c.r.clock(id)
	}
	return c.now[id], true
}

// until returns how long it is until a subscription's event, and its errno.
// What is due or wrong is 0 away.
func (c *clocks) until(s []byte) (time.Duration, errno) {
	id := le.Uint32(s[16:])
	switch tag := s[8]; {
	case tag == eventClock:
		now, ok := c.clock(id)
		if !ok {
			return 0, inval
		}
		d := int64(min(le.Uint64(s[24:]), math.MaxInt64))
		if le.Uint16(s[40:])&absoluteTime != 0 {
			d -= now
		}
		return time.Duration(max(d, 0)), success
	case tag == eventFdRead && id == 0, tag == eventFdWrite && (id == 1 || id == 2):
		return 0, success
	case tag == eventFdRead, tag == eventFdWrite:
		return 0, badf
	}
	return 0, inval
}

func writeEvent(b, s []byte, e errno) {
	userdata, tag, id := le.Uint64(s), s[8], le.Uint32(s[16:])
	clear(b[:eventBytes])
	le.PutUint64(b, userdata)
	le.PutUint16(b[8:], uint16(e))
	b[10] = tag
	if e == success && tag == eventFdRead && id == 0 {
		le.PutUint16(b[24:], hangup)
	}
}
