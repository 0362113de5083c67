package main

import (
	"time"
	"unsafe"

	"github.com/auricle-dev/auricle/sdk"
)

// modes are the ways to misbehave.
var modes = map[string]func(*sdk.Context){
	"loop":     loop,
	"allocate": allocate,
	"recurse":  func(ctx *sdk.Context) { ctx.Infof("recursion came back with %d", recurse(1)) },
	"flood":    flood,
	"log":      floodLog,
	"trap":     trap,
	"panic":    func(*sdk.Context) { panic("on purpose") },
	"sleep":    func(*sdk.Context) { time.Sleep(24 * time.Hour) },
}

// loop computes for ever.
func loop(ctx *sdk.Context) {
	for n := 1; ; n++ {
		if n == 0 {
			ctx.Infof("counted all numbers")
		}
	}
}

// allocate asks for memory without end, and keeps it.
func allocate(*sdk.Context) {
	var kept [][]byte
	for {
		kept = append(kept, make([]byte, 1<<20))
		kept[len(kept)-1][0] = 1
	}
}

// recurse calls itself without end; no depth is below 0.
func recurse(depth int) int {
	if depth < 0 {
		return 0
	}
	return recurse(depth+1) + depth
}

// flood emits without end, whatever the host answers: that is the misbehaviour.
func flood(ctx *sdk.Context) {
	for {
		_ = ctx.Emit("water")
	}
}

// floodLog logs without end.
func floodLog(ctx *sdk.Context) {
	for {
		ctx.Log(sdk.LevelInfo, "water, water, every where")
	}
}

// trap reads memory that a module can't have: the last byte of 4 GiB.
func trap(ctx *sdk.Context) {
	ctx.Infof("read %d", *(*byte)(unsafe.Add(unsafe.Pointer(nil), 1<<32-1)))
}
