package main

import (
	"math"
	"os"
	"runtime"
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
)

// boundGarbage keeps the heap close to what is live. A host with thousands of
// quiet streams has much that is live and makes little garbage: Go's default
// would have it take twice the memory, to save next to no time. With GOGC or
// GOMEMLIMIT set the operator has chosen, and it does nothing.
func boundGarbage() {
	for _, v := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(v) != "" {
			return
		}
	}
	var (
		percent   = maxGCPercent
		at        = time.Now()
		allocated = heapBytes().allocated
		rate      float64
	)
	afterEachCollection(func() {
		now, heap := time.Now(), heapBytes()
		rate = smooth(rate, float64(heap.allocated-allocated), now.Sub(at))
		at, allocated = now, heap.allocated
		if p := gcPercent(heap.live, rate); p != percent { // setting it stops the world
			percent = p
			debug.SetGCPercent(p)
		}
	})
}

// gcPercent returns GOGC for so many live bytes, and so many allocated in a
// second.
func gcPercent(live uint64, rate float64) int {
	room := max(heapRoom, rate*collectEvery.Seconds())
	return int(min(100*room/max(float64(live), 1), maxGCPercent))
}

// smooth returns the rate a second of what has been rate, after so many bytes
// more in d: a burst that is shorter than collectEvery counts little.
func smooth(rate, bytes float64, d time.Duration) float64 {
	keep := math.Exp(-float64(d) / float64(collectEvery))
	return keep*rate + bytes/collectEvery.Seconds()*(1-keep)/max(float64(d)/float64(collectEvery), 1e-9)
}

type heapSize struct {
	live      uint64 // bytes that the last collection found, stacks included
	allocated uint64 // bytes since the process began
}

func heapBytes() heapSize {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	value := func(i int) uint64 {
		if s[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a later Go without it
		}
		return s[i].Value.Uint64()
	}
	return heapSize{live: value(0) + value(1), allocated: value(2)}
}

// afterEachCollection has f called after each garbage collection, by the
// runtime, for as long as the process lives.
func afterEachCollection(f func()) {
	// The smallest object that is not allocated together with others.
	runtime.AddCleanup(new([16]byte), func(struct{}) {
		f()
		afterEachCollection(f)
	}, struct{}{})
}
