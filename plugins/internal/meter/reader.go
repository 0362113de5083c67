package meter

import (
	"fmt"
	"unicode/utf8"
)

// reader reads a part of the original binary. Its offsets are the whole
// binary's. Each method panics with an *Error when it can't read what it is
// asked for; Rewrite recovers it.
type reader struct {
	b   []byte // the whole binary
	at  int    // the next byte
	end int    // of the part
}

// fail gives up with an error about the byte at offset.
func fail(offset int, cause error, format string, args ...any) {
	panic(&Error{Offset: int64(offset), What: fmt.Sprintf(format, args...), Err: cause})
}

// remaining is the number of bytes left in the part.
func (r *reader) remaining() int { return r.end - r.at }

// byte reads one byte.
func (r *reader) byte(what string) byte {
	if r.at >= r.end {
		fail(r.at, ErrMalformed, "unexpected end in %s", what)
	}
	b := r.b[r.at]
	r.at++
	return b
}

// skip passes over n bytes and returns them.
func (r *reader) skip(n int, what string) []byte {
	if n < 0 || n > r.remaining() {
		fail(r.at, ErrMalformed, "unexpected end: %s needs %d bytes, %d are left", what, n, r.remaining())
	}
	b := r.b[r.at : r.at+n]
	r.at += n
	return b
}

// sub returns a reader of the next n bytes and passes over them.
func (r *reader) sub(n uint32, what string) reader {
	start := r.at
	if uint64(n) > uint64(r.remaining()) {
		fail(start, ErrMalformed, "unexpected end: %s needs %d bytes, %d are left", what, n, r.remaining())
	}
	r.at += int(n)
	return reader{b: r.b, at: start, end: r.at}
}

// u32 reads an unsigned LEB128 of at most 32 bits.
func (r *reader) u32(what string) uint32 {
	start := r.at
	var v uint32
	for shift := 0; ; shift += 7 {
		b := r.byte(what)
		if shift == 28 && b > 0x0f {
			fail(start, ErrMalformed, "integer too long or too large in %s", what)
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

// signed reads a signed LEB128 of at most the given number of bits (32, 33 or 64).
func (r *reader) signed(bits int, what string) int64 {
	start := r.at
	var v int64
	for shift := 0; ; shift += 7 {
		b := r.byte(what)
		v |= int64(b&0x7f) << shift
		if left := bits - shift; left <= 7 {
			// The last byte: no more may follow, and its unused bits must
			// all equal the sign.
			if unused := int8(b<<1) >> left; b >= 0x80 || unused != 0 && unused != -1 {
				fail(start, ErrMalformed, "integer too long or too large in %s", what)
			}
		}
		if b < 0x80 {
			if shift += 7; shift < 64 && b&0x40 != 0 {
				v |= -1 << shift
			}
			return v
		}
	}
}

// count reads a vector's length. Each element takes at least one byte, so a
// length above the bytes that are left is refused before anything is made of
// it; one above limit is refused by name.
func (r *reader) count(limit int, what string) int {
	start := r.at
	n := r.u32("number of " + what)
	if uint64(n) > uint64(r.remaining()) {
		fail(start, ErrMalformed, "%d %s in %d bytes", n, what, r.remaining())
	}
	if int(n) > limit {
		fail(start, ErrLimit, "%d %s, the limit is %d", n, what, limit)
	}
	return int(n)
}

// name reads a UTF-8 string.
func (r *reader) name(limit int, what string) string {
	start := r.at
	n := r.u32("length of " + what)
	b := r.skip(int(n), what)
	if int(n) > limit {
		fail(start, ErrLimit, "%s of %d bytes, the limit is %d", what, n, limit)
	}
	if !utf8.Valid(b) {
		fail(start, ErrMalformed, "%s is not UTF-8", what)
	}
	return string(b)
}

// done checks that the part was read to its end.
func (r *reader) done(what string) {
	if r.at != r.end {
		fail(r.at, ErrMalformed, "%d bytes too many in %s", r.remaining(), what)
	}
}

// appendU32 appends v as an unsigned LEB128.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// appendS64 appends v as a signed LEB128.
func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// appendName appends a string with its length before it.
func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}

// appendSection appends a section with its id and size.
func appendSection(b []byte, id byte, body []byte) []byte {
	b = append(b, id)
	b = appendU32(b, uint32(len(body)))
	return append(b, body...)
}
