package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/minio/highwayhash"
)

// The shape of a record, see the package's comment.
const (
	headBytes      = 22
	sumBytes       = 8
	minRecordBytes = headBytes + sumBytes
	maxRecordBytes = 32 << 20

	headersBit  = 1 << 31
	erasedBit   = 1 << 63
	deletionBit = 1 << 62
)

// Record is one record of a block. Subject, Headers and Body are parts of the
// block's bytes.
type Record struct {
	Offset   int    // in the block
	Bytes    int    // all of it
	Sequence uint64 // its own, or the one that it deletes
	Deletion bool   // it deletes Sequence
	Erased   bool   // there is nothing under Sequence
	Time     int64  // Unix ns
	Subject  []byte
	Headers  []byte // nil without; from "NATS/1.0" to the empty line
	Body     []byte
}

// message reports whether it holds something, unless it is deleted elsewhere.
func (r Record) message() bool { return !r.Deletion && !r.Erased }

// fault is what is wrong with a record.
type fault int

const (
	sound     fault = iota
	cutOff          // the block ends before it does
	misshapen       // its lengths fit nothing
	mismatch        // its checksum is another one
	invalid         // it is not what its subject says
)

func (f fault) String() string {
	switch f {
	case cutOff:
		return "the record is cut off, or its length is damaged"
	case misshapen:
		return "the record's lengths are damaged"
	case mismatch:
		return "the record's checksum does not match"
	case invalid:
		return "the record's subject or headers have a wrong length"
	}
	return "sound"
}

// block reads the records of one block.
type block struct {
	buf   []byte
	hash  *highwayhash.Digest64
	sum   [sumBytes]byte
	valid func(Record) bool // may be nil
}

func newBlock(stream string, number uint32, buf []byte, valid func(Record) bool) *block {
	return &block{buf: buf, hash: newHash(fmt.Sprintf("%s-%d", stream, number)), valid: valid}
}

func newHash(name string) *highwayhash.Digest64 {
	key := sha256.Sum256([]byte(name))
	h, err := highwayhash.NewDigest64(key[:])
	if err != nil {
		panic(err) // the key has the right length
	}
	return h
}

// parse reads the record at an offset. With a fault, r is what could be read
// of it: Bytes where its length is plausible, Subject where that is.
func (b *block) parse(at int) (r Record, f fault) {
	r.Offset = at
	rest := b.buf[at:]
	if len(rest) < headBytes {
		return r, cutOff
	}
	length := binary.LittleEndian.Uint32(rest)
	return b.read(at, int(length&^headersBit), length&headersBit != 0)
}

// read reads the record at an offset as if it had this length.
func (b *block) read(at, length int, headers bool) (r Record, f fault) {
	r.Offset = at
	rest := b.buf[at:]
	sequence := binary.LittleEndian.Uint64(rest[4:])
	r.Deletion, r.Erased = sequence&deletionBit != 0, sequence&erasedBit != 0
	r.Sequence = sequence &^ (deletionBit | erasedBit)
	r.Time = int64(binary.LittleEndian.Uint64(rest[12:]))
	subject := int(binary.LittleEndian.Uint16(rest[20:]))
	if s := rest[headBytes:]; subject <= len(s) && plausible(s[:subject]) {
		r.Subject = s[:subject]
	}
	switch {
	case length > maxRecordBytes || length < minRecordBytes:
		return r, misshapen
	case length > len(rest):
		return r, cutOff
	}
	r.Bytes = length
	head, data, sum := rest[4:20], rest[headBytes:length-sumBytes], rest[length-sumBytes:length]
	skip := 0
	if headers {
		skip = 4
	}
	if subject+skip > len(data) {
		return r, misshapen
	}
	b.hash.Reset()
	b.hash.Write(head)
	b.hash.Write(data[:subject])
	b.hash.Write(data[subject+skip:])
	if !bytes.Equal(b.hash.Sum(b.sum[:0]), sum) {
		return r, mismatch
	}
	r.Body = data[subject+skip:]
	if headers {
		n := binary.LittleEndian.Uint32(data[subject:])
		if uint64(n) > uint64(len(r.Body)) {
			return r, invalid
		}
		r.Headers, r.Body = r.Body[:n], r.Body[n:]
		if !bytes.HasPrefix(r.Headers, []byte("NATS/1.0")) || bytes.Index(r.Headers, []byte("\r\n\r\n")) != int(n)-4 {
			return r, invalid
		}
	}
	if r.message() && (r.Subject == nil || b.valid != nil && !b.valid(r)) {
		return r, invalid
	}
	return r, sound
}

// plausible reports whether a record may have this subject.
func plausible(subject []byte) bool {
	token := 0
	for _, c := range subject {
		switch {
		case c == '.':
			if token == 0 {
				return false
			}
			token = 0
			continue
		case c <= ' ' || c >= 0x7f || c == '*' || c == '>':
			return false
		}
		token++
	}
	return token > 0
}

// appendTo appends the record as it is written, with the length that it has.
func (r Record) appendTo(to, block []byte) []byte {
	start := len(to)
	to = append(to, block[r.Offset:r.Offset+r.Bytes]...)
	length := uint32(r.Bytes)
	if r.Headers != nil {
		length |= headersBit
	}
	binary.LittleEndian.PutUint32(to[start:], length)
	return to
}

// appendMark appends a record that says of a sequence only that it is deleted,
// or erased: sequence has the bit for it.
func (b *block) appendMark(to []byte, sequence uint64, time int64) []byte {
	start := len(to)
	to = binary.LittleEndian.AppendUint32(to, minRecordBytes)
	to = binary.LittleEndian.AppendUint64(to, sequence)
	to = binary.LittleEndian.AppendUint64(to, uint64(time))
	to = binary.LittleEndian.AppendUint16(to, 0)
	b.hash.Reset()
	b.hash.Write(to[start+4 : start+20])
	return b.hash.Sum(to)
}
