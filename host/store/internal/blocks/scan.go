package blocks

import (
	"bytes"
	"encoding/binary"
)

// stretch is a part of a block that holds no sound record.
type stretch struct {
	from, to int
	fault    fault
	read     Record // what could be read at its beginning
	mended   bool   // read is sound but for its length, which is now right
}

// searchBudget bounds the bytes that looking for the next sound record may put
// through the checksum, as a multiple of the block's: damage never costs more
// than that, whatever the bytes pretend to be.
const searchBudget = 32

// scan calls good for each sound record of the block and bad for each stretch
// between them, in order.
func (b *block) scan(good func(Record), bad func(stretch)) {
	budget := searchBudget * len(b.buf)
	for at := 0; at < len(b.buf); {
		r, f := b.parse(at)
		if f == sound {
			good(r)
			at += r.Bytes
			continue
		}
		next := b.next(at+1, &budget)
		for at < next {
			s := stretch{from: at, to: next, fault: f, read: r}
			// Several damaged records, one after the other, as far as their
			// lengths show them.
			if end := at + r.Bytes; f != misshapen && r.Bytes > 0 && end < next && b.shaped(end, next) {
				s.to = end
			}
			if m, ok := b.mend(s.from, s.to); ok {
				s.read, s.mended = m, true
			}
			bad(s)
			if at = s.to; at < next {
				r, f = b.parse(at)
			}
		}
	}
}

// next returns where the next sound record begins, or the block's end.
func (b *block) next(at int, budget *int) int {
	for ; at+minRecordBytes <= len(b.buf); at++ {
		length := int(binary.LittleEndian.Uint32(b.buf[at:]) &^ headersBit)
		if length < minRecordBytes || length > len(b.buf)-at {
			continue
		}
		if *budget -= length; *budget < 0 {
			break
		}
		if _, f := b.parse(at); f == sound {
			return at
		}
	}
	return len(b.buf)
}

// shaped reports whether what is at an offset looks like a record that ends by
// limit.
func (b *block) shaped(at, limit int) bool {
	r, f := b.parse(at)
	return (f == mismatch || f == invalid) && at+r.Bytes <= limit && r.Subject != nil
}

// mend reads a stretch as one record whose length alone is damaged.
func (b *block) mend(from, to int) (Record, bool) {
	if to-from < minRecordBytes {
		return Record{}, false
	}
	for _, headers := range []bool{false, true} {
		if r, f := b.read(from, to-from, headers); f == sound {
			return r, true
		}
	}
	return Record{}, false
}

// unfinished reports whether a stretch can be what an unclean stop leaves at the
// end of the last block, see the package's comment.
func (b *block) unfinished(s stretch) bool {
	if s.to != len(b.buf) || s.mended {
		return false
	}
	return s.fault == cutOff || bytes.Equal(b.buf[max(s.from, s.to-sumBytes):], make([]byte, min(s.to-s.from, sumBytes)))
}
