package plugins

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve maps n bytes of zeroes, which take no memory until they are
// touched. It returns nil where the system refuses; the memory then grows by
// copying.
func reserve(n int64) ([]byte, func([]byte)) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, nil
	}
	// A huge page would be the instance's own after one write to it. Where the
	// kernel has none, there is nothing to refuse.
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
	return b, unmap
}

func unmap(b []byte) {
	if err := unix.Munmap(b); err != nil {
		// Only a slice that is no mapping of ours gets here.
		panic("plugins: unmapping a guest's memory: " + err.Error())
	}
}

// discard drops the pages of a private mapping: what is read next is zeroes, or
// the image where that is mapped.
func discard(b []byte) bool {
	return len(b) > 0 && unix.Madvise(b, unix.MADV_DONTNEED) == nil
}

// imageFile is an image's memory in a file without a name.
type imageFile struct {
	memory []byte // mapped, to be read only
	fd     int
}

// newImageFile puts memory into a file, or returns nil where that can't be: an
// old kernel, no descriptors left, pages of another size.
func newImageFile(memory []byte) *imageFile {
	if len(memory) == 0 || os.Getpagesize() != systemPage {
		return nil
	}
	fd, err := unix.MemfdCreate("auricle-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil
	}
	f := &imageFile{fd: fd}
	if f.fill(memory) != nil {
		f.close()
		return nil
	}
	return f
}

// fill writes the file, seals it against any change, and maps it.
func (f *imageFile) fill(memory []byte) error {
	if err := unix.Ftruncate(f.fd, int64(len(memory))); err != nil {
		return err
	}
	// Zeroes need not be written, nor take memory.
	for at := 0; at < len(memory); {
		end := at
		for end < len(memory) && [systemPage]byte(memory[end:]) != zeroes {
			end += systemPage
		}
		if end == at {
			at += systemPage
			continue
		}
		n, err := unix.Pwrite(f.fd, memory[at:end], int64(at))
		if err != nil {
			return err
		}
		at += n / systemPage * systemPage
		if n < systemPage {
			return errors.New("short write")
		}
	}
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(f.fd), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	var err error
	f.memory, err = unix.Mmap(f.fd, 0, len(memory), unix.PROT_READ, unix.MAP_PRIVATE)
	return err
}

// mapOver puts the file's pages copy-on-write over the beginning of b.
func (f *imageFile) mapOver(b []byte) bool {
	p, err := unix.MmapPtr(f.fd, 0, unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(f.memory)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
	return err == nil && p == unsafe.Pointer(unsafe.SliceData(b))
}

func (f *imageFile) close() {
	if f.memory != nil {
		unmap(f.memory)
	}
	_ = unix.Close(f.fd) // nothing is written that could fail to be
	f.memory = nil
}

// pages tells which pages of a mapping are the process's own: those written
// since they were mapped. It reads /proc/self/pagemap, which the kernel
// describes in Documentation/admin-guide/mm/pagemap.rst. Safe for concurrent
// use.
type pages struct {
	file    *os.File
	entries sync.Pool // *[]byte
}

// openPages returns nil where there is no pagemap to read.
func openPages() *pages {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil
	}
	p := &pages{file: f}
	// Some systems have the file and nothing in it, or don't count faults.
	b, unmap := reserve(2 * systemPage)
	if b == nil {
		_ = f.Close()
		return nil
	}
	defer unmap(b)
	before := p.faults()
	b[systemPage] = 1
	if found, ok := p.private(b, nil); !ok || len(found) != 1 || found[0] != systemPage || p.faults() <= before {
		_ = f.Close()
		return nil
	}
	return p
}

// faults returns how many page faults the process has had, or -1 if that can't
// be told.
func (p *pages) faults() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return -1
	}
	return u.Minflt + u.Majflt
}

// Bits of a page's entry.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61 // or shared

	entryBytes = 8
)

// private appends to found where the pages of b begin, a private mapping, that
// are not the mapped file's. It reports whether that could be told.
func (p *pages) private(b []byte, found []int) ([]int, bool) {
	n := len(b) / systemPage
	kept, _ := p.entries.Get().(*[]byte)
	if kept == nil || cap(*kept) < n*entryBytes {
		kept = new([]byte)
		*kept = make([]byte, n*entryBytes)
	}
	defer p.entries.Put(kept)
	entries := (*kept)[:n*entryBytes]
	first := uintptr(unsafe.Pointer(unsafe.SliceData(b))) / systemPage
	if _, err := p.file.ReadAt(entries, int64(first)*entryBytes); err != nil {
		return nil, false
	}
	for i := range n {
		e := binary.NativeEndian.Uint64(entries[i*entryBytes:])
		if e&(pagePresent|pageSwapped) != 0 && e&pageOfFile == 0 {
			found = append(found, i*systemPage)
		}
	}
	return found, true
}

func (p *pages) close() error {
	if err := p.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
