package plugins

import (
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// memory is an instance's linear memory. It implements wazero's
// MemoryAllocator for the one instance it is made for, and its LinearMemory.
//
// Address space for all that the instance may ever use is reserved at once
// where the system can (reserve), so that growing neither moves nor copies.
// Used by one goroutine at a time: the one that runs the instance.
type memory struct {
	limit int64 // bytes; growth beyond is refused

	reserved []byte       // address space for the limit, or nil where it can't be had
	unmap    func([]byte) // gives reserved back

	bytes   []byte // what the guest has now
	shrink  int    // what Reallocate has to cut down to, once, whatever it is asked for; -1 means nothing
	refused int64  // the size last asked for and refused since the run began; 0 means none
}

// newMemory returns a memory to allocate from, of at most limit bytes.
func newMemory(limit int64) *memory { return &memory{limit: limit, shrink: -1} }

var (
	_ experimental.MemoryAllocator = (*memory)(nil)
	_ experimental.LinearMemory    = (*memory)(nil)
)

// Allocate implements experimental.MemoryAllocator.
func (m *memory) Allocate(_, max uint64) experimental.LinearMemory {
	if n := min(int64(min(max, 1<<32)), m.limit); n > 0 {
		m.reserved, m.unmap = reserve(n)
	}
	return m
}

// Reallocate implements experimental.LinearMemory: it returns nil, which the
// guest sees as memory.grow answering -1, beyond the limit.
func (m *memory) Reallocate(size uint64) []byte {
	if m.shrink >= 0 {
		m.bytes = m.bytes[:m.shrink]
		m.shrink = -1
		return m.bytes
	}
	if size > uint64(m.limit) {
		m.refused = int64(size)
		return nil
	}
	switch n := int(size); {
	case n <= len(m.reserved):
		m.bytes = m.reserved[:n:n]
	case n <= cap(m.bytes):
		m.bytes = m.bytes[:n]
	default:
		grown := make([]byte, n, max(n, min(2*cap(m.bytes), int(m.limit))))
		copy(grown, m.bytes)
		m.bytes = grown
	}
	return m.bytes
}

// Free implements experimental.LinearMemory. It may be called again.
func (m *memory) Free() {
	if m.reserved != nil {
		m.unmap(m.reserved)
	}
	m.reserved, m.bytes = nil, nil
}

// size returns the bytes that the guest has now.
func (m *memory) size() int64 { return int64(len(m.bytes)) }

// view returns the n bytes at ptr, or false if they are not all in memory.
func (m *memory) view(ptr uint32, n uint64) ([]byte, bool) {
	if end := uint64(ptr) + n; n <= 1<<32 && end <= uint64(len(m.bytes)) {
		return m.bytes[ptr:end:end], true
	}
	return nil, false
}

// restore makes the memory what image says, and as large. It reports false if
// that can't be done; the memory is then of no use any more.
//
// wazero has no call for making a memory smaller. But growing one takes what
// Reallocate returns for the memory there is, so what it returns may be less.
func (m *memory) restore(guest api.Memory, image []byte) bool {
	ok := true
	switch more := len(image) - len(m.bytes); {
	case more > 0:
		_, ok = guest.Grow(uint32(more / pageBytes))
	case more < 0:
		clear(m.bytes[len(image):])
		m.shrink = len(image)
		_, ok = guest.Grow(1) // refused at the module's own maximum
	}
	if !ok || len(m.bytes) != len(image) {
		return false
	}
	copy(m.bytes, image)
	return true
}
