package plugins_test

import (
	"bytes"

	"github.com/auricle-dev/auricle/plugins/internal/wasmtest"
)

// What tests make binaries from that the text format can't express, or that
// would be large in it.
var (
	uleb    = wasmtest.Uleb
	cat     = wasmtest.Cat
	named   = wasmtest.Name
	section = wasmtest.Section
	wasmOf  = wasmtest.Module
	bodies  = wasmtest.Code
)

// vector is n equal elements, with their number.
func vector(n int, element ...any) []byte {
	return cat(uleb(n), bytes.Repeat(cat(element...), n))
}

// oneFunction is a module whose function of type () is exported as "run" and
// given without its size and last end: groups of locals, then code.
func oneFunction(body ...any) []byte {
	return wasmOf(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(7, 1, named("run"), 0, 0), bodies(cat(body...)))
}
