package plugins_test

import "bytes"

// What tests make binaries from that the text format can't express, or that
// would be large in it.

// uleb is v as an unsigned LEB128.
func uleb(v int) []byte {
	var b []byte
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// cat joins byte slices, strings and bytes.
func cat(parts ...any) (b []byte) {
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

// named is a string with its length.
func named(s string) []byte { return cat(uleb(len(s)), s) }

// section is a section with its size.
func section(id int, parts ...any) []byte {
	body := cat(parts...)
	return cat(id, uleb(len(body)), body)
}

// wasmOf is a module of sections.
func wasmOf(sections ...[]byte) []byte {
	return cat("\x00asm\x01\x00\x00\x00", bytes.Join(sections, nil))
}

// vector is n equal elements, with their number.
func vector(n int, element ...any) []byte {
	return cat(uleb(n), bytes.Repeat(cat(element...), n))
}

// bodies is a code section of bodies, each given without its size and last end.
func bodies(b ...[]byte) []byte {
	all := uleb(len(b))
	for _, body := range b {
		all = cat(all, uleb(len(body)+1), body, 0x0b)
	}
	return section(10, all)
}

// oneFunction is a module whose function of type () is exported as "run" and
// given without its size and last end: groups of locals, then code.
func oneFunction(body ...any) []byte {
	return wasmOf(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(7, 1, named("run"), 0, 0), bodies(cat(body...)))
}
