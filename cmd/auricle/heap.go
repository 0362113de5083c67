package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage may pile up on what is live before it is collected: what is
// made in collectEvery, and heapRoom at least, but no more than is live, which is
// Go's default.
const (
	collectEvery = 5 * time.Second
	heapRoom     = 16 << 20 // bytes
	maxGCPercent = 100

	// What is free but not given back to the system: where it is more than that
	// for a while, as after thousands of clients have connected at once, it is
	// given back. Go does that by itself, but takes minutes.
	heapFree = 48 << 20 // bytes
)

// boundGarbage keeps the process's memory close to what is live, until ctx ends. A host with
// thousands of quiet streams has much that is live and makes little garbage:
// Go's default would have it take twice the memory, to save next to no time. With
// GOGC or GOMEMLIMIT set the operator has chosen, and it does nothing.
func boundGarbage(ctx context.Context) {
	for _, v := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(v) != "" {
			return
		}
	}
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	percent, before, wasFree := maxGCPercent, heapBytes().allocated, false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		heap := heapBytes()
		p := gcPercent(heap.live, heap.allocated-before)
		before = heap.allocated
		if p < percent-percent/8 || p > percent+percent/8 { // setting it stops the world
			percent = p
			debug.SetGCPercent(p)
		}
		isFree := heap.free > heapFree
		if isFree && wasFree {
			debug.FreeOSMemory()
			isFree = false
		}
		wasFree = isFree
	}
}

// gcPercent returns GOGC for so many live bytes, and so many that were allocated
// in the last collectEvery.
func gcPercent(live, allocated uint64) int {
	return int(min(100*max(heapRoom, allocated)/max(live, 1), maxGCPercent))
}

type heapSize struct {
	live      uint64 // bytes that the last collection found, stacks included
	allocated uint64 // bytes since the process began
	free      uint64 // bytes that the system has not got back
}

func heapBytes() heapSize {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(s)
	value := func(i int) uint64 {
		if s[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a later Go without it
		}
		return s[i].Value.Uint64()
	}
	return heapSize{live: value(0) + value(1), allocated: value(2), free: value(3)}
}
