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
	"recurse":  func(*sdk.Context) { sink += recurse(1) },
	"flood":    flood,
	"log":      floodLog,
	"trap":     trap,
	"panic":    func(*sdk.Context) { panic("on purpose") },
	"sleep":    func(*sdk.Context) { time.Sleep(24 * time.Hour) },
}

// sink keeps the compiler from leaving out what has no use.
var sink int

// loop computes for ever.
func loop(*sdk.Context) {
	for {
		sink++
	}
}

// allocate asks for memory without end, and keeps it.
func allocate(*sdk.Context) {
	var kept [][]byte
	for {
		kept = append(kept, make([]byte, 1<<20))
		sink += len(kept)
	}
}

// recurse calls itself without end.
func recurse(depth int) int {
	return recurse(depth+1) + depth
}

// flood emits without end, whatever the host answers.
func flood(ctx *sdk.Context) {
	for {
		if err := ctx.Emit("water"); err != nil {
			sink++
		}
	}
}

// floodLog logs without end.
func floodLog(ctx *sdk.Context) {
	for {
		ctx.Log(sdk.LevelInfo, "water, water, every where")
	}
}

// trap reads memory that a module can't have: the last byte of 4 GiB.
func trap(*sdk.Context) {
	sink += int(*(*byte)(unsafe.Add(unsafe.Pointer(nil), 1<<32-1)))
}
