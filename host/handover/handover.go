// Package handover passes a host's listening sockets on to the host that takes
// its turn on the same machine, so that an upgrade refuses no connection:
// while neither accepts, clients that connect wait in the socket's own queue.
//
// The running host offers its sockets on a Unix socket in its data directory.
// The new one takes it, once; the old one then stops accepting, drains and
// ends, which the new one sees by the end of their connection, however the old
// one ended. Passing the sockets themselves was chosen over SO_REUSEPORT: there,
// the kernel deals connections out to both, and resets those that the old one
// had not accepted when it closes.
//
// It needs Unix; elsewhere Offer and Take return errors.ErrUnsupported.
package handover

import (
	"errors"
	"net"
)

// ErrNobody says that no host offers its socket: none runs, or it was taken
// already.
var ErrNobody = errors.New("no running host offers its socket")

// Socket is the name of the Unix socket in a host's data directory.
const Socket = "handover.sock"

// Taken is what Take got. Close it.
type Taken struct {
	Listener  net.Listener  // the old host's for clients; the caller's from now on
	Operators net.Listener  // its one for operators, likewise; nil from a host of a version that has none
	Ended     chan struct{} // closed when the old host has ended and let go of its data directory

	conn net.Conn
}

// Close ends the connection to the old host. The listeners are not closed.
func (t *Taken) Close() error {
	err := t.conn.Close()
	<-t.Ended
	return err
}
