package plugins_test

import "bytes"

// generator makes modules from choices, such as a fuzzer's: valid, ending
// (every loop and function counts a global down, and traps when it is at
// zero), and of what a compiler makes and what none would. Functions take an
// i32 and an i64 and return an i32, and have two more i32, an i64 and an f64 as
// locals. No result depends on the bits of a NaN, which are up to the processor.
type generator struct {
	choices []byte // zeros at the end of it
	code    []byte
	labels  []bool // whether a branch there carries the function's result
	left    int    // statements

	start  bool // has a start function
	tables bool // changes its table and drops segments
	change int  // the only way in which it does, or -1 for any
	vector bool // has a mutable v128 global
}

const (
	genFunctions = 4 // "run" is the first; the table holds them, and as many nulls
	genPages     = 3 // the memory's maximum
	genTurns     = 200
)

// Indices of the generated modules' things.
const (
	genTick  = 0 // the imported function; ours come after it
	genTwice = 1 // (i32) -> (i32, i64)
	genFirst = 2

	genLeft   = 0 // the globals: turns left; an i32; an i64; a v128
	genI32    = 1
	genI64    = 2
	genVector = 3
)

func (g *generator) choose(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := int(g.choices[0]) % n
	g.choices = g.choices[1:]
	return c
}

func (g *generator) emit(parts ...any) { g.code = append(g.code, cat(parts...)...) }

// operand ops take two of a type and give one of it.
var (
	i32Operators = []int{0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x46, 0x48, 0x4d, 0x4f, 0x6d, 0x6e, 0x6f, 0x70}
	i64Operators = []int{0x7c, 0x7d, 0x7e, 0x83, 0x84, 0x85, 0x86, 0x88, 0x8a, 0x7f, 0x80, 0x81, 0x82}
	f64Operators = []int{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5}
)

// i32 emits an expression of that type.
func (g *generator) i32(depth int) {
	if depth > 3 {
		g.emit(0x20, []int{0, 2, 3}[g.choose(3)])
		return
	}
	switch g.choose(16) {
	case 0, 1:
		g.emit(0x41, signed(int64(g.choose(256)-100)))
	case 2, 3, 4:
		g.emit(0x20, []int{0, 2, 3}[g.choose(3)])
	case 5:
		g.emit(0x23, genI32)
	case 6, 7, 8:
		g.i32(depth + 1)
		g.i32(depth + 1)
		// Those that can trap are at the end, and seldom.
		g.emit(i32Operators[g.choose(15+g.choose(5))])
	case 9:
		g.i32(depth + 1)
		g.emit([]int{0x45, 0x67, 0x68, 0x69, 0xc0, 0xc1}[g.choose(6)]) // eqz, clz, ctz, popcnt, extend
	case 10:
		g.i64(depth + 1)
		g.emit([]int{0xa7, 0x50}[g.choose(2)]) // wrap, eqz
	case 11:
		g.address(depth)
		g.emit([]int{0x28, 0x2d, 0x2e}[g.choose(3)], 0, uleb(g.choose(256)))
	case 12:
		g.f64(depth + 1)
		g.emit([][]byte{{0xfc, 2}, {0xfc, 3}, {0xaa}}[g.choose(3)]) // the last can trap
	case 13:
		g.emit(0x3f, 0)
	case 14:
		g.i32(depth + 1)
		g.i32(depth + 1)
		g.i32(depth + 1)
		g.emit(0x1b)
	case 15:
		if g.tables {
			g.emit(0xfc, 16, 0) // table.size
			return
		}
		g.i64(depth + 1)
		g.i64(depth + 1)
		g.emit([]int{0x51, 0x53, 0x56, 0x5a}[g.choose(4)])
	}
}

func (g *generator) i64(depth int) {
	if depth > 3 {
		g.emit(0x20, []int{1, 4}[g.choose(2)])
		return
	}
	switch g.choose(10) {
	case 0:
		g.emit(0x42, signed(int64(g.choose(256))<<g.choose(56)))
	case 1, 2:
		g.emit(0x20, []int{1, 4}[g.choose(2)])
	case 3:
		g.emit(0x23, genI64)
	case 4, 5:
		g.i64(depth + 1)
		g.i64(depth + 1)
		g.emit(i64Operators[g.choose(9+g.choose(5))])
	case 6:
		g.i32(depth + 1)
		g.emit([]int{0xac, 0xad}[g.choose(2)])
	case 7:
		g.address(depth)
		g.emit([]int{0x29, 0x31, 0x35}[g.choose(3)], 0, uleb(g.choose(256)))
	case 8:
		g.f64(depth + 1)
		g.emit(0xfc, 6+g.choose(2))
	case 9:
		if g.vector {
			g.emit(0x23, genVector, 0xfd, 0x1d, g.choose(2)) // i64x2.extract_lane
			return
		}
		g.i64(depth + 1)
		g.emit([]int{0x79, 0x7a, 0x7b, 0xc4}[g.choose(4)])
	}
}

func (g *generator) f64(depth int) {
	if depth > 3 {
		g.emit(0x20, 5)
		return
	}
	switch g.choose(5) {
	case 0, 1:
		g.emit(0x20, 5)
	case 2, 3:
		g.i64(depth + 1)
		g.emit([]int{0xb9, 0xba}[g.choose(2)])
	case 4:
		g.f64(depth + 1)
		g.f64(depth + 1)
		g.emit(f64Operators[g.choose(len(f64Operators))])
	}
}

// address is one in the memory, most often.
func (g *generator) address(depth int) {
	g.i32(depth + 1)
	if g.choose(12) > 0 {
		g.emit(0x41, 0xff, 0xff, 0, 0x71) // the first 16 KiB
	}
}

// length is how much a bulk instruction touches: little, most often.
func (g *generator) length() {
	g.i32(2)
	if g.choose(12) > 0 {
		g.emit(0x41, 0xff, 3, 0x71) // at most 511
	}
}

// count traps when the last turn is done.
func (g *generator) count() {
	g.emit(0x23, genLeft, 0x45, 0x04, 0x40, 0x00, 0x0b)
	g.emit(0x23, genLeft, 0x41, 1, 0x6b, 0x24, genLeft)
}

func (g *generator) inside() {
	g.labels = append(g.labels, false)
	g.statements()
	g.labels = g.labels[:len(g.labels)-1]
}

func (g *generator) statements() {
	for range 1 + g.choose(5) {
		if g.left--; g.left < 0 || len(g.labels) > 8 {
			return
		}
		g.statement()
	}
}

// arguments are those of a call of ours.
func (g *generator) arguments() {
	g.i32(2)
	g.i64(2)
}

// element is an index of the table, most often in it.
func (g *generator) element() {
	g.i32(2)
	if g.choose(12) > 0 {
		g.emit(0x41, genFunctions-1, 0x71)
	}
}

// slot is an index of the table, of a function or of a null, most often.
func (g *generator) slot() {
	g.i32(2)
	if g.choose(12) > 0 {
		g.emit(0x41, 2*genFunctions-1, 0x71)
	}
}

func (g *generator) statement() {
	if g.tables && g.choose(6) == 0 {
		g.changeTable()
		return
	}
	switch g.choose(30) {
	case 0, 1:
		g.i32(0)
		g.emit(0x21, []int{0, 2, 3}[g.choose(3)])
	case 2:
		g.i64(0)
		g.emit(0x21, []int{1, 4}[g.choose(2)])
	case 3:
		g.f64(0)
		g.emit(0x21, 5)
	case 4:
		g.i32(0)
		g.emit(0x24, genI32)
	case 5:
		g.i64(0)
		g.emit(0x24, genI64)
	case 6, 7:
		g.address(0)
		if g.choose(2) == 0 {
			g.i32(1)
			g.emit([]int{0x36, 0x3a, 0x3b}[g.choose(3)], 0, uleb(g.choose(256)))
		} else {
			g.i64(1)
			g.emit([]int{0x37, 0x3e}[g.choose(2)], 0, uleb(g.choose(256)))
		}
	case 8:
		g.emit(0x02, 0x40)
		g.inside()
		g.emit(0x0b)
	case 9, 10:
		g.emit(0x03, 0x40)
		g.count()
		g.inside()
		g.i32(1)
		g.emit(0x41, 7, 0x71, 0x0d, 0, 0x0b)
	case 11, 12: // a counted loop, as compilers make them
		g.emit(0x41, 0, 0x21, 3, 0x03, 0x40)
		inner := g.choose(3)
		if inner > 0 {
			g.count()
		}
		if inner == 2 {
			g.inside()
		} else {
			g.address(2)
			g.i32(2)
			g.emit(0x36, 0, 0)
		}
		if inner == 0 { // no call in it, nor a count: it must end by itself
			g.emit(0x20, 3, 0x41, 1, 0x6a, 0x22, 3, 0x41, signed(int64(g.choose(100))), 0x48, 0x0d, 0, 0x0b)
			return
		}
		g.emit(0x20, 3, 0x41, 1, 0x6a, 0x22, 3, 0x41, signed(int64(g.choose(20))), 0x47, 0x0d, 0, 0x0b)
	case 13:
		g.i32(0)
		g.emit(0x04, 0x40)
		g.inside()
		g.emit(0x05)
		g.inside()
		g.emit(0x0b)
	case 14:
		g.i32(0)
		g.emit(0x04, 0x40)
		g.inside()
		g.emit(0x0b)
	case 15, 16, 17:
		to := g.choose(len(g.labels))
		withResult := g.labels[len(g.labels)-1-to]
		if withResult {
			g.i32(1)
		}
		if g.choose(3) == 0 {
			g.emit(0x0c, to)
			return
		}
		g.i32(1)
		g.emit(0x0d, to)
		if withResult {
			g.emit(0x1a)
		}
	case 18:
		if n := len(g.labels) - 1; n > 0 {
			g.i32(1)
			g.emit(0x0e, 3, g.choose(n), g.choose(n), g.choose(n), g.choose(n))
		}
	case 19:
		g.i32(1)
		g.emit(0x0f)
	case 20:
		g.arguments()
		g.emit(0x10, genFirst+g.choose(genFunctions), 0x21, 2)
	case 21:
		g.arguments()
		g.element()
		g.emit(0x11, 0, 0, 0x21, 2)
	case 22:
		g.arguments()
		if g.choose(2) == 0 {
			g.emit(0x12, genFirst+g.choose(genFunctions))
		} else {
			g.element()
			g.emit(0x13, 0, 0)
		}
	case 23:
		g.address(0)
		g.i32(1)
		g.length()
		g.emit(0xfc, 11, 0)
	case 24:
		g.address(0)
		g.address(0)
		g.length()
		g.emit(0xfc, 10, 0, 0)
	case 25:
		g.address(0)
		g.emit(0x41, g.choose(8), 0x41, g.choose(12), 0xfc, 8, 1, 0) // memory.init of 16 bytes
	case 26:
		g.i32(1)
		g.emit(0x41, 3, 0x71, 0x40, 0, 0x24, genI32)
	case 27:
		g.i32(1)
		g.emit(0x10, genTick, 0x21, 3)
	case 28:
		g.i32(1)
		g.emit(0x10, genTwice, 0x21, 4, 0x21, 3)
	case 29:
		if g.vector {
			g.i64(1)
			g.emit(0xfd, 0x12, 0x23, genVector, 0xfd, 0xce, 1, 0x24, genVector) // splat, i64x2.add
			return
		}
		g.emit(0x01)
	}
}

// changeTable changes what only a new instance, or one restored with care,
// does not show to the next run.
func (g *generator) changeTable() {
	change := g.change
	if change < 0 {
		change = g.choose(8)
	}
	switch change {
	case 0:
		g.slot()
		g.element()
		g.emit(0x25, 0, 0x26, 0) // table.set of a table.get
	case 1:
		g.slot()
		g.emit(0xd0, 0x70, 0x41, 2, 0xfc, 17, 0) // table.fill with nulls
	case 2:
		g.slot()
		g.emit(0xd2, genFirst+g.choose(genFunctions), 0x26, 0)
	case 3:
		g.emit(0xd0, 0x70, 0x41, 2, 0xfc, 15, 0, 0x1a) // table.grow
	case 4:
		g.slot()
		g.emit(0x41, 0, 0x41, 1, 0xfc, 12, 1, 0) // table.init
	case 5:
		// table.init, and elem.drop, after which that traps
		g.emit(0x41, 6, 0x41, 0, 0x41, 1, 0xfc, 12, 1, 0, 0xfc, 13, 1)
	case 6:
		// memory.init, and data.drop, after which that traps
		g.emit(0x41, 6, 0x41, 0, 0x41, 1, 0xfc, 8, 1, 0, 0xfc, 9, 1)
	case 7:
		g.slot()
		g.element()
		g.emit(0x41, 2, 0xfc, 14, 0, 0) // table.copy
	}
}

// generate makes a module from choices.
func generate(choices []byte) []byte {
	g := &generator{choices: choices, left: 120}
	g.start = g.choose(3) == 0
	kind := g.choose(6)
	g.tables, g.vector = kind <= 1, kind == 2
	g.change = g.choose(9) - 1
	var all [][]byte
	all = append(all, cat(0, 0x20, 0, 0x41, 3, 0x6c, 0x23, genI64, 0x42, 1, 0x7c)) // twice: n*3, the i64 global and one
	for i := range genFunctions {
		g.code = []byte{3, 2, 0x7f, 1, 0x7e, 1, 0x7c}
		g.labels = []bool{true}
		g.count()
		if i == 0 && g.tables {
			g.changeTable() // else few would
		}
		g.statements()
		g.i32(0)
		all = append(all, g.code)
	}
	vector := []byte{}
	globals := 3
	if g.vector {
		globals = 4
		vector = cat(0x7b, 1, 0xfd, 0x0c, bytes.Repeat([]byte{7}, 16), 0x0b)
	}
	// look tells which of the table's elements are null, and its size.
	look := cat(1, 1, 0x7f, 0xfc, 16, 0)
	for i := range 2 * genFunctions {
		look = cat(look, 0x41, 1, 0x74, 0x41, i, 0x25, 0, 0xd1, 0x72)
	}
	startSection, startType := []byte(nil), []byte(nil)
	all = append(all, look)
	if g.start {
		// Calls the last function, and gives the turns back.
		all = append(all, cat(0, 0x41, 9, 0x42, 9, 0x10, genFirst+genFunctions-1, 0x1a, 0x41, signed(genTurns), 0x24, genLeft))
		startType, startSection = []byte{3}, section(8, genFirst+genFunctions+1)
	}
	return wasmOf(
		section(1, 5, 0x60, 2, 0x7f, 0x7e, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 2, 0x7f, 0x7e, 0x60, 0, 0, 0x60, 0, 1, 0x7f),
		section(2, 1, named("env"), named("tick"), 0, 1),
		section(3, len(all), 2, bytes.Repeat([]byte{0}, genFunctions), 4, startType),
		section(4, 1, 0x70, 1, 2*genFunctions, 2*genFunctions+4),
		section(5, 1, 1, 1, genPages),
		section(6, globals, 0x7f, 1, 0x41, signed(genTurns), 0x0b, 0x7f, 1, 0x41, 5, 0x0b, 0x7e, 1, 0x42, 6, 0x0b, vector),
		section(7, 5, named("run"), 0, genFirst, named("look"), 0, genFirst+genFunctions, named("left"), 3, genLeft, named("i32"), 3, genI32, named("i64"), 3, genI64),
		startSection,
		section(9, 2, 0, 0x41, 0, 0x0b, genFunctions, genFirst, genFirst+1, genFirst+2, genFirst+3, 1, 0, 2, genFirst, genFirst+1),
		section(12, 2),
		bodies(all...),
		section(11, 2, 0, 0x41, 16, 0x0b, named("an active segment"), 1, named("a passive one...")))
}
