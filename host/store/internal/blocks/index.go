package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server/avl"
)

// index is what index.db says of a stream.
type index struct {
	last     uint64            // the highest sequence
	subjects map[string]uint64 // how many messages; nil unless asked for
	blocks   []indexed
	number   uint32         // of the last block
	sum      [sumBytes]byte // the last 8 bytes of the last block
}

// indexed is what index.db says of a block.
type indexed struct {
	number      uint32
	first, last uint64
	deleted     *avl.SequenceSet // between the two; nil: none
}

// live calls f for the sequences that the block held.
func (x indexed) live(f func(uint64)) {
	for s := x.first; s <= x.last && s != 0; s++ {
		if x.deleted == nil || !x.deleted.Exists(s) {
			f(s)
		}
	}
}

// messages is how many of them there were.
func (x indexed) messages() uint64 {
	n := x.last + 1 - x.first
	if x.last+1 < x.first {
		return 0
	}
	if x.deleted != nil {
		n -= min(n, uint64(x.deleted.Size()))
	}
	return n
}

const (
	indexMagic   = 11
	indexVersion = 4 // the newest that is understood here; the oldest is 2
)

// errIndex says that index.db can't be read: it is of another version of the
// server, or damaged.
var errIndex = errors.New("unreadable")

// readIndex decodes index.db, with the subjects if asked for.
func readIndex(stream string, buf []byte, subjects bool) (x index, err error) {
	if len(buf) < 32 {
		return x, fmt.Errorf("%w: %d bytes", errIndex, len(buf))
	}
	body, sum := buf[:len(buf)-sumBytes], buf[len(buf)-sumBytes:]
	h := newHash(stream)
	h.Write(body)
	if !bytes.Equal(h.Sum(nil), sum) {
		return x, fmt.Errorf("%w: its checksum does not match", errIndex)
	}
	version := body[1]
	if body[0] != indexMagic || version < 2 || version > indexVersion {
		return x, fmt.Errorf("%w: version %d", errIndex, version)
	}
	r := &indexReader{rest: body[2:]}
	r.uint() // messages
	r.uint() // bytes
	r.uint() // first sequence
	r.int()  // its time
	x.last = r.uint()
	r.int() // its time
	n := r.uint()
	if subjects {
		x.subjects = make(map[string]uint64, min(n, 1<<20))
	}
	for ; n > 0 && !r.bad; n-- {
		subject := r.bytes(r.uint())
		if len(subject) == 0 {
			continue // as the server reads it
		}
		total := r.uint()
		r.uint() // first block
		if total > 1 || version >= 4 {
			r.uint() // last block
		}
		if subjects {
			x.subjects[string(subject)] = total
		}
	}
	for n := r.uint(); n > 0 && !r.bad; n-- {
		b := indexed{number: uint32(r.uint())}
		r.uint() // bytes
		b.first = r.uint()
		r.int()
		b.last = r.uint()
		r.int()
		deleted := r.uint()
		r.uint() // with a time to live
		if version >= 3 {
			r.uint() // scheduled
		}
		if deleted > 0 && !r.bad {
			set, used, err := avl.Decode(r.rest)
			if err != nil {
				return x, fmt.Errorf("%w: %v", errIndex, err)
			}
			b.deleted = set
			r.bytes(uint64(used))
		}
		x.blocks = append(x.blocks, b)
	}
	x.number = uint32(r.uint())
	copy(x.sum[:], r.bytes(sumBytes))
	if r.bad {
		return x, fmt.Errorf("%w: it ends too early", errIndex)
	}
	return x, nil
}

// indexReader reads the numbers of index.db. After the first that is not there
// it is bad and gives zeros.
type indexReader struct {
	rest []byte
	bad  bool
}

func (r *indexReader) uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *indexReader) int() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *indexReader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.rest, r.bad = nil, true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// Stop is how a stream's derived files were when the server had stopped.
type Stop struct {
	Index  string `json:"index"`            // the checksum that index.db ends in
	Expiry string `json:"expiry,omitempty"` // the SHA-256 of thw.db; empty: there was none
}

// Stopped returns how derived files are, of the streams whose index.db says how
// their blocks end: so it does after the server was stopped in order. It is for
// Options.Stopped when the files are checked next.
func Stopped(dir string) (map[string]Stop, error) {
	streams, err := list(dir)
	if err != nil {
		return nil, err
	}
	stops := map[string]Stop{}
	for _, s := range streams {
		raw, err := os.ReadFile(filepath.Join(s.dir, dirMessages, nameIndex))
		if err != nil {
			continue // there is none, or none that helps
		}
		x, err := readIndex(s.Name, raw, false)
		if err != nil || len(s.blocks) == 0 {
			continue
		}
		last := s.blocks[len(s.blocks)-1]
		file, err := os.Open(last.path)
		if err != nil {
			return nil, err
		}
		_, err = file.ReadAt(last.end[:], max(0, last.size-sumBytes))
		file.Close()
		if err == nil && x.ends(s.blocks) {
			stops[s.Name] = Stop{Index: sumOf(raw), Expiry: s.expirySum()}
		}
	}
	return stops, nil
}

// ends reports whether the blocks end as index.db says.
func (x index) ends(blocks []*blockFile) bool {
	if len(blocks) == 0 {
		return false
	}
	last := blocks[len(blocks)-1]
	return x.number == last.number && x.sum == last.end
}

// sumOf returns the checksum that index.db ends in.
func sumOf(raw []byte) string { return hex.EncodeToString(raw[max(0, len(raw)-sumBytes):]) }

// expirySum returns the SHA-256 of thw.db, empty when there is none.
func (s *Stream) expirySum() string {
	raw, err := os.ReadFile(filepath.Join(s.dir, dirMessages, nameExpiry))
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
