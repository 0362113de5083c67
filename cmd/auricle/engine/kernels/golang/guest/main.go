//go:build wasip1

// Command guest exports the kernels in Go to WebAssembly hosts.
package main

import (
	"strconv"
	"strings"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels/golang"
)

// variant is set by the linker, and tells guests apart that do the same.
var variant = ""

//go:wasmexport event
func event(n uint32) uint32 { return golang.Event(n) }

//go:wasmexport handle
func handle(n uint32) uint32 { return golang.Handle(n) }

//go:wasmexport sort
func sort(n uint32) uint32 { return golang.Sort(n) }

//go:wasmexport sha256
func sha256(n uint32) uint32 { return golang.SHA256(n) }

//go:wasmexport maps
func maps(n uint32) uint32 { return golang.Maps(n) }

//go:wasmexport channels
func channels(n uint32) uint32 { return golang.Channels(n) }

//go:wasmexport variant
func number() uint32 {
	n, err := strconv.ParseUint(variant[strings.LastIndexByte(variant, '-')+1:], 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

func main() {}
