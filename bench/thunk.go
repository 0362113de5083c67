package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// thunk is a call of an export with a given argument.
type thunk struct {
	export string
	arg    uint32
}

// name is the export, without parameters, that addThunks makes of it.
func (t thunk) name() string { return fmt.Sprintf("%s_%d", t.export, t.arg) }

var errBinary = errors.New("the module's binary is cut short or has no functions")

// addThunks adds exports without parameters to a module, one for each thunk:
// Extism calls no others. What they return is what the export does.
func addThunks(wasm []byte, thunks []thunk) (_ []byte, err error) {
	defer func() {
		if v := recover(); v != nil { // a slice out of range: what is read is no module of ours
			err = fmt.Errorf("%w: %v", errBinary, v)
		}
	}()
	const header = 8
	sections := map[byte][]byte{} // contents
	for b := wasm[header:]; len(b) > 0; {
		id, size := b[0], 0
		size, b = number(b[1:])
		if id != 0 {
			sections[id] = b[:size]
		}
		b = b[size:]
	}
	const types, imports, functions, exports, code = 1, 2, 3, 7, 10
	newType, _ := number(sections[types])
	next, _ := number(sections[functions])
	next += importedFunctions(sections[imports])
	exported := exportedFunctions(sections[exports])

	var declared, named, bodies [][]byte
	for _, t := range thunks {
		callee, ok := exported[t.export]
		if !ok {
			return nil, fmt.Errorf("function %q is not exported", t.export)
		}
		body := []byte{0, 0x41} // no locals; i32.const
		body = appendSigned(body, int32(t.arg))
		body = append(body, 0x10) // call
		body = binary.AppendUvarint(body, uint64(callee))
		body = append(body, 0x0b)
		bodies = append(bodies, append(binary.AppendUvarint(nil, uint64(len(body))), body...))
		declared = append(declared, binary.AppendUvarint(nil, uint64(newType)))
		export := append(binary.AppendUvarint(nil, uint64(len(t.name()))), t.name()...)
		named = append(named, binary.AppendUvarint(append(export, 0), uint64(next)))
		next++
	}
	for id, added := range map[byte][][]byte{
		types: {{0x60, 0, 1, 0x7f}}, functions: declared, exports: named, code: bodies,
	} {
		n, rest := number(sections[id])
		grown := append(binary.AppendUvarint(nil, uint64(n+len(added))), rest...)
		sections[id] = append(grown, slices.Concat(added...)...)
	}

	out := slices.Clone(wasm[:header])
	for _, id := range []byte{1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11} { // the order that there must be
		if content, ok := sections[id]; ok {
			out = append(binary.AppendUvarint(append(out, id), uint64(len(content))), content...)
		}
	}
	return out, nil
}

// number reads a LEB128 number and returns what follows it.
func number(b []byte) (int, []byte) {
	n, size := binary.Uvarint(b)
	return int(n), b[size:]
}

// appendSigned appends v as signed LEB128.
func appendSigned(b []byte, v int32) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// importedFunctions counts them in an import section, which has nothing else
// in the modules that are measured.
func importedFunctions(section []byte) int {
	if section == nil {
		return 0
	}
	n, _ := number(section)
	return n
}

// exportedFunctions returns their indices from an export section.
func exportedFunctions(section []byte) map[string]int {
	indices := map[string]int{}
	n, b := number(section)
	for range n {
		size, index := 0, 0
		size, b = number(b)
		name, kind := string(b[:size]), b[size]
		index, b = number(b[size+1:])
		if kind == 0 {
			indices[name] = index
		}
	}
	return indices
}
