package plugins_test

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// driver makes a function that uses a module as a program would: it allocates
// memory, puts text there, calls exports one after the other, and ends with a
// sum of the module's whole memory. The function is put into the module under
// the name "drive": an invocation is one call, on fresh state. A plain runtime
// and the engine are given the same module.
//
// What is on the stack at the end are the function's results, besides the sum.
type driver struct {
	t       testing.TB
	exports map[string]uint32 // functions
	globals map[string]uint32 // exported
	code    []byte
	vars    map[string]int // locals, all i32
	results []byte
}

const i32Type, i64Type = 0x7f, 0x7e

// variable returns the local of that name.
func (d *driver) variable(name string) []byte {
	i, ok := d.vars[name]
	if !ok {
		i = len(d.vars)
		d.vars[name] = i
	}
	return uleb(i)
}

func (d *driver) add(parts ...any) { d.code = append(d.code, cat(parts...)...) }

// get puts a variable on the stack, set takes it from there.
func (d *driver) get(name string) { d.add(0x20, d.variable(name)) }
func (d *driver) set(name string) { d.add(0x21, d.variable(name)) }

// i32 and i64 put a number on the stack.
func (d *driver) i32(v int32) { d.add(0x41, signed(int64(v))) }
func (d *driver) i64(v int64) { d.add(0x42, signed(v)) }

// call calls an export with what is on the stack.
func (d *driver) call(export string) {
	d.t.Helper()
	i, ok := d.exports[export]
	if !ok {
		d.t.Fatalf("the module does not export %q", export)
	}
	d.add(0x10, uleb(int(i)))
}

// global puts an exported global on the stack.
func (d *driver) global(export string) {
	d.t.Helper()
	i, ok := d.globals[export]
	if !ok {
		d.t.Fatalf("the module does not export a global %q", export)
	}
	d.add(0x23, uleb(int(i)))
}

// page makes the variable a pointer to fresh memory of so many pages.
func (d *driver) page(name string, pages int32) {
	d.i32(pages)
	d.add(0x40, 0) // memory.grow
	d.i32(16)
	d.add(0x74) // shl
	d.set(name)
}

// put stores text, and a zero behind it, at the variable's address.
func (d *driver) put(name, text string) {
	b := append([]byte(text), 0)
	for at := 0; at < len(b); at += 8 {
		var eight [8]byte
		n := copy(eight[:], b[at:])
		if n == 8 {
			d.get(name)
			d.i64(int64(binary.LittleEndian.Uint64(eight[:])))
			d.add(0x37, 0, uleb(at))
			continue
		}
		for i := range n {
			d.get(name)
			d.i32(int32(eight[i]))
			d.add(0x3a, 0, uleb(at+i))
		}
	}
}

// load puts the i32 at the variable's address and an offset on the stack.
func (d *driver) load(name string, offset int) {
	d.get(name)
	d.add(0x28, 0, uleb(offset))
}

// end makes the function's body and says that it returns such values, besides
// the sum of the memory.
func (d *driver) end(results ...byte) {
	d.results = append(results, i64Type)
	at := d.variable("sum at")
	sum := uleb(len(d.vars)) // the only i64
	// sum = (sum ^ the next 8 bytes) * prime, to the memory's end
	d.i32(0)
	d.add(0x21, at)
	d.add(0x03, 0x40) // loop
	d.add(0x20, sum, 0x20, at, 0x29, 0, 0, 0x85, 0x42, signed(0x100000001b3), 0x7e, 0x21, sum)
	d.add(0x20, at, 0x41, 8, 0x6a, 0x22, at, 0x3f, 0, 0x41, 16, 0x74, 0x49, 0x0d, 0)
	d.add(0x0b)
	d.add(0x20, sum, 0x42, 29, 0x8a, 0x20, sum, 0x85) // so that high bits count
	d.code = cat(2, uleb(len(d.vars)), i32Type, 1, i64Type, d.code)
}

// signed is v as a signed LEB128.
func signed(v int64) (b []byte) {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// drive puts a function that steps makes into the module, as its last and
// under the name "drive".
func drive(t testing.TB, wasm []byte, steps func(d *driver)) []byte {
	t.Helper()
	d := &driver{t: t, exports: map[string]uint32{}, globals: map[string]uint32{}, vars: map[string]int{}}
	type part struct {
		id   byte
		body []byte
	}
	var parts []part
	imported, types, functions := 0, 0, 0
	for at := 8; at < len(wasm); {
		id := wasm[at]
		size, n := leb(wasm[at+1:])
		body := wasm[at+1+n : at+1+n+size]
		parts = append(parts, part{id, body})
		at += 1 + n + size
		count, n := 0, 0
		if id != 0 && id != 8 {
			count, n = leb(body)
		}
		switch id {
		case 1:
			types = count
		case 2:
			imported = importedFunctions(body[n:], count)
		case 3:
			functions = imported + count
		case 7:
			for rest := body[n:]; count > 0; count-- {
				size, n := leb(rest)
				name, kind := string(rest[n:n+size]), rest[n+size]
				i, m := leb(rest[n+size+1:])
				rest = rest[n+size+1+m:]
				switch kind {
				case 0:
					d.exports[name] = uint32(i)
				case 3:
					d.globals[name] = uint32(i)
				}
			}
		}
	}
	steps(d)
	out := append([]byte(nil), wasm[:8]...)
	for _, p := range parts {
		var more []byte
		switch p.id {
		case 1:
			more = cat(0x60, 0, uleb(len(d.results)), d.results)
		case 3:
			more = uleb(types)
		case 7:
			more = cat(named("drive"), 0, uleb(functions))
		case 10:
			more = cat(uleb(len(d.code)+1), d.code, 0x0b)
		default:
			out = append(out, section(int(p.id), p.body)...)
			continue
		}
		count, n := leb(p.body)
		out = append(out, section(int(p.id), uleb(count+1), p.body[n:], more)...)
	}
	return out
}

// leb reads an unsigned LEB128 and returns how long it is.
func leb(b []byte) (v, n int) {
	for shift := 0; ; shift += 7 {
		v |= int(b[n]&0x7f) << shift
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
}

// importedFunctions counts the functions among imports.
func importedFunctions(b []byte, count int) (functions int) {
	for range count {
		for range 2 {
			size, n := leb(b)
			b = b[n+size:]
		}
		if b[0] != 0 {
			panic(fmt.Sprintf("an import of kind %d", b[0]))
		}
		_, n := leb(b[1:])
		b = b[1+n:]
		functions++
	}
	return functions
}
