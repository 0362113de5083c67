package streams

import (
	"errors"
	"syscall"
)

// narrowly gives a socket that is about to connect the smallest receive buffer,
// so that it offers little room from the first packet on.
func narrowly(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048)
	})
	return errors.Join(err, set)
}
