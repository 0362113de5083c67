package plugins

import (
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// systemPage is the unit in which dirty memory is found and put back. Where the
// system's pages are larger, everything is copied instead.
const systemPage = 4 << 10

// memory is an instance's linear memory. It implements wazero's
// MemoryAllocator for the one instance it is made for, and its LinearMemory.
//
// Address space for all that the instance may ever use is reserved at once
// where the system can (reserve), so that growing neither moves nor copies.
// Used by one goroutine at a time: the one that runs the instance, or looks
// after it while it is idle.
type memory struct {
	limit int64  // bytes; growth beyond is refused
	image *image // what it begins with and goes back to; nil while the first is made
	pages *pages // finds what was written; nil where that can't be

	reserved []byte       // address space for the limit, or nil where it can't be had
	unmap    func([]byte) // gives reserved back
	mapped   bool         // image's pages are under it, copy-on-write

	bytes   []byte // what the guest has now
	shrink  int    // what Reallocate has to cut down to, once, whatever it is asked for; -1 means nothing
	refused int64  // the size last asked for and refused since the run began; 0 means none
	private int64  // bytes of it that no other instance shares, when last looked at

	// What is known without looking: found are the pages that were its own in the
	// first scanned bytes, when last looked at; since, the process had faults at
	// the beginning of the run.
	found   []int
	scanned int   // -1: nothing is known
	faults  int64 // -1 if that can't be told
}

// newMemory returns a memory to allocate from, of at most limit bytes, that
// begins as img. (img may be nil: all zeroes.)
func newMemory(limit int64, img *image, p *pages) *memory {
	return &memory{limit: limit, image: img, pages: p, shrink: -1, scanned: -1, found: make([]int, 0, 64)}
}

var (
	_ experimental.MemoryAllocator = (*memory)(nil)
	_ experimental.LinearMemory    = (*memory)(nil)
)

// Allocate implements experimental.MemoryAllocator.
func (m *memory) Allocate(_, max uint64) experimental.LinearMemory {
	if n := min(int64(min(max, 1<<32)), m.limit); n > 0 {
		m.reserved, m.unmap = reserve(n)
		m.mapImage()
	}
	return m
}

// mapImage puts the image's pages under the memory, where that can be.
func (m *memory) mapImage() {
	if m.image != nil && len(m.image.memory) <= len(m.reserved) {
		m.mapped = m.image.mapOver(m.reserved)
		m.scanned = -1
	}
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
	m.reserved, m.bytes, m.mapped = nil, nil, false
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

// resize makes the memory n bytes. What it loses must be zeroes already, as it
// may be grown into again. It reports false if that can't be done; the memory
// is then of no use any more.
//
// wazero has no call for making a memory smaller. But growing one takes what
// Reallocate returns for the memory there is, so what it returns may be less.
func (m *memory) resize(guest api.Memory, n int) bool {
	ok := true
	switch more := n - len(m.bytes); {
	case more > 0:
		_, ok = guest.Grow(uint32(more / pageBytes))
	case more < 0:
		m.shrink = n
		_, ok = guest.Grow(1) // refused at the module's own maximum
	}
	return ok && len(m.bytes) == n
}

// begin makes a new instance's memory as the image says.
func (m *memory) begin(guest api.Memory) bool {
	// The binary may have data of its own, which is there by now.
	return m.resize(guest, len(m.image.memory)) && m.restore(guest)
}

// restore makes the memory what the image says, and as large: of what was
// written, pages of the image are copied back and those beyond it cleared. They
// stay the instance's own, as the next run is likely to write to them again: a
// fault costs more than a copy.
func (m *memory) restore(guest api.Memory) bool {
	img := m.image.memory
	written := m.written()
	if written == nil {
		copy(m.bytes, img)
		clear(m.bytes[min(len(img), len(m.bytes)):])
	}
	for _, at := range written {
		page := m.bytes[at : at+systemPage]
		if at < len(img) {
			copy(page, img[at:])
		} else {
			clear(page)
		}
	}
	return m.resize(guest, len(img))
}

// watch is called before a run.
func (m *memory) watch() {
	if m.pages != nil {
		m.faults = m.pages.faults()
	}
}

// written returns where the pages begin that were written since the memory was
// made, in rising order: they may hold something else than the image. It is
// valid until the next call. Nil when that is not known: it may be all of them.
//
// A page becomes the instance's own by a page fault. Where the whole process had
// none since the run began, as is usual for a short call on an instance that has
// served like ones, there is nothing new to be found.
func (m *memory) written() []int {
	if !m.mapped || m.pages == nil {
		m.private = int64(len(m.bytes))
		return nil
	}
	if m.scanned < len(m.bytes) || m.faults < 0 || m.pages.faults() != m.faults {
		found, ok := m.pages.private(m.bytes, m.found[:0])
		if !ok {
			m.scanned, m.private = -1, int64(len(m.bytes))
			return nil
		}
		m.found, m.scanned = found, len(m.bytes)
		m.private = int64(len(found)) * systemPage
	}
	n := len(m.found)
	for n > 0 && m.found[n-1] >= len(m.bytes) { // what a run before had grown by
		n--
	}
	return m.found[:n]
}

// discard gives what the memory holds back to the system, where that can be. It
// must be as the image is.
func (m *memory) discard() {
	if m.mapped && discard(m.reserved) {
		m.private, m.scanned = 0, -1
	}
}
