package plugins_test

import (
	"bytes"
	"fmt"
	"strings"
)

// nop is one byte that costs one unit.
const nop = 0x01

// chain is n functions of which each but the last calls the next so often.
// "run" is the first.
func chain(n, calls int) []byte {
	all := make([][]byte, n)
	for i := range n - 1 {
		all[i] = cat(0, bytes.Repeat(cat(0x10, uleb(i+1)), calls))
	}
	all[n-1] = cat(0, nop)
	return wasmOf(section(1, 1, 0x60, 0, 0), section(3, vector(n, 0)), section(7, 1, named("run"), 0, 0), bodies(all...))
}

// endlessWith is a function with n locals of i64 that goes round for ever, and
// touches the first and the last at each turn.
func endlessWith(locals int) []byte {
	last := uleb(locals - 1)
	return oneFunction(1, uleb(locals), 0x7e, 0x03, 0x40, 0x20, last, 0x42, 1, 0x7c, 0x22, 0, 0x21, last, 0x0c, 0, 0x0b)
}

// wide is a function of n parameters and as many results, that calls itself
// with what it was given.
func wide(n int) []byte {
	var gets []byte
	for i := range n {
		gets = cat(gets, 0x20, uleb(i))
	}
	zeros := bytes.Repeat([]byte{0x42, 0}, n)
	drops := bytes.Repeat([]byte{0x1a}, n)
	return wasmOf(section(1, 2, 0x60, 0, 0, 0x60, vector(n, 0x7e), vector(n, 0x7e)),
		section(3, 2, 0, 1), section(7, 1, named("run"), 0, 0),
		bodies(cat(0, zeros, 0x10, 1, drops), cat(0, gets, 0x10, 1)))
}

// nested is a function of n nested blocks or loops (op), the innermost with a
// branch to where the outermost begins or ends.
func nested(n, op int) []byte {
	return oneFunction(0, bytes.Repeat([]byte{byte(op), 0x40}, n), 0x0c, uleb(n-1), bytes.Repeat([]byte{0x0b}, n))
}

// nestedLoops is n nested loops that each go round for ever.
func nestedLoops(n int) []byte {
	return oneFunction(0, bytes.Repeat([]byte{0x03, 0x40}, n), bytes.Repeat([]byte{0x41, 1, 0x0d, 0, 0x0b}, n))
}

// fan is a loop around a br_table of n labels, all of the loop.
func fan(n int) []byte {
	return oneFunction(0, 0x03, 0x40, 0x41, uleb(n-1), 0x0e, uleb(n), bytes.Repeat([]byte{0}, n+1), 0x0b)
}

// straight is a loop around n instructions without a branch.
func straight(n int) []byte {
	return oneFunction(0, 0x03, 0x40, bytes.Repeat([]byte{nop}, n), 0x0c, 0, 0x0b)
}

// joins is a function of n places where two ways meet, with locals that are
// different on each.
func joins(n, locals int) []byte {
	var code []byte
	for i := range n {
		code = cat(code, 0x20, 0, 0xa7, 0x04, 0x40, 0x42, uleb(i%64), 0x21, uleb(i%locals), 0x0b)
	}
	return oneFunction(1, uleb(locals), 0x7e, 0x03, 0x40, code, 0x0c, 0, 0x0b)
}

// manyNames is a trap under n functions, each of a name of so many bytes, with
// control characters in it.
func manyNames(n, size int) []byte {
	all := make([][]byte, n)
	names := uleb(n)
	for i := range n {
		all[i] = cat(0, 0x10, uleb(i+1))
		names = cat(names, uleb(i), named(fmt.Sprintf("\x1b[31m\n%06d%s", i, strings.Repeat("x", size))))
	}
	all[n-1] = cat(0, 0x00)
	return wasmOf(section(1, 1, 0x60, 0, 0), section(3, vector(n, 0)), section(7, 1, named("run"), 0, 0), bodies(all...),
		section(0, named("name"), section(0, named(strings.Repeat("m", size))), section(1, names)))
}

// brokenNames is a trap with a name section that says it has n names.
func brokenNames(n int) []byte {
	return cat(oneFunction(0, 0x00), section(0, named("name"), section(1, uleb(n), 0, named("f"))))
}
