package stream

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// readAheadBytes is how much is read from a socket at a time: a frame of 100 ms
// of 16 kHz audio with its header, in one call.
const readAheadBytes = 4 << 10

var readAheads = sync.Pool{New: func() any { return new([readAheadBytes]byte) }}

// idleConn reads ahead into a buffer that it borrows only once the socket has
// something to read, and gives back when that is taken. So a connection that
// waits holds none, and one that does not costs one system call for a frame:
// the buffer of the reader above it can be as small as that reader allows.
type idleConn struct {
	net.Conn
	raw  syscall.RawConn
	fill func(fd uintptr) bool // c.readAhead, bound once

	// Of the one goroutine that reads.
	ahead *[readAheadBytes]byte // nil: nothing was read ahead
	r, w  int                   // of ahead, what was not taken yet
	err   error                 // of the last readAhead
}

// idle returns c as an idleConn if it is a socket, otherwise c.
func idle(c net.Conn) net.Conn {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return c
	}
	i := &idleConn{Conn: c, raw: raw}
	i.fill = i.readAhead
	return i
}

// Read is net.Conn's.
func (c *idleConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.ahead == nil {
		if err := c.raw.Read(c.fill); err != nil {
			return 0, err
		}
		if c.err != nil {
			return 0, c.err
		}
	}
	n := copy(p, c.ahead[c.r:c.w])
	if c.r += n; c.r == c.w {
		readAheads.Put(c.ahead)
		c.ahead = nil
	}
	return n, nil
}

// readAhead reads once. It reports false when there is nothing to read yet:
// then it is called again when there is.
//
// The socket does not block, so neither does the call: the scheduler need not
// know of it. If it did, a reader could wait for its turn while it holds a
// buffer, and with thousands of them thousands could.
func (c *idleConn) readAhead(fd uintptr) bool {
	b := readAheads.Get().(*[readAheadBytes]byte)
	c.err = nil
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(b)), readAheadBytes)
	for errno == syscall.EINTR {
		n, _, errno = syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(b)), readAheadBytes)
	}
	if errno == 0 && n > 0 {
		c.ahead, c.r, c.w = b, 0, int(n)
		return true
	}
	readAheads.Put(b)
	switch errno {
	case syscall.EAGAIN:
		return false
	case 0:
		c.err = io.EOF
	default:
		c.err = &net.OpError{Op: "read", Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", errno)}
	}
	return true
}
