// Package wasmtest is what the tests of the engine and of its rewriter share:
// making binaries that the text format can't express, and reading the
// WebAssembly specification's tests.
package wasmtest

import "bytes"

// Uleb is v as an unsigned LEB128.
func Uleb(v int) []byte {
	var b []byte
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// Cat joins byte slices, bytes, numbers below 256 and strings.
func Cat(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case []byte:
			b = append(b, p...)
		case string:
			b = append(b, p...)
		}
	}
	return b
}

// Name is a string with its length.
func Name(s string) []byte { return Cat(Uleb(len(s)), s) }

// Section is a section with its size.
func Section(id int, parts ...any) []byte {
	body := Cat(parts...)
	return Cat(id, Uleb(len(body)), body)
}

// Module is a binary of sections.
func Module(sections ...[]byte) []byte {
	return Cat("\x00asm\x01\x00\x00\x00", bytes.Join(sections, nil))
}

// Code is a code section of bodies, each given without its size and last end.
func Code(bodies ...[]byte) []byte {
	b := Uleb(len(bodies))
	for _, body := range bodies {
		b = Cat(b, Uleb(len(body)+1), body, 0x0b)
	}
	return Section(10, b)
}
