//go:build wasip1

// Command guest exports the kernels in Go to WebAssembly hosts.
package main

import "github.com/auricle-dev/auricle/cmd/auricle/engine/kernels/golang"

// variant is set by the linker, so that guests can be made whose contents
// differ but not what they do.
var variant = "0"

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
func variantLength() uint32 { return uint32(len(variant)) }

func main() {}
