//go:build unix

package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// hello is what the taker sends; it names the version of this exchange.
	hello = "auricle handover 1\n"
	// talkTimeout bounds the exchange, not the old host's drain.
	talkTimeout = 10 * time.Second
	// maxSocketPath is what the smallest of systems takes as a socket's path.
	maxSocketPath = 100
)

// Offer is a host's standing offer of its listening socket. Close it when the
// host has ended: not before, as that is what the taker waits for.
type Offer struct {
	listener *net.UnixListener
	taken    func()
	what     *net.TCPListener

	wg sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conn  net.Conn   // to the taker
	ended bool
}

// NewOffer offers l in the data directory dir, until it is taken or Close.
// taken is called once, on a goroutine of its own, when another host has the
// socket: the caller must then stop accepting.
func NewOffer(dir string, l net.Listener, taken func()) (*Offer, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("offering the listening socket: %T is none of TCP", l)
	}
	o := &Offer{what: tcp, taken: taken}
	err := at(dir, func(path string) (err error) {
		// The data directory is this host's own: what is there was left by a
		// host that died.
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		o.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		o.listener.SetUnlinkOnClose(false) // path may be of this process only
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		if o.listener != nil {
			err = errors.Join(err, o.listener.Close())
		}
		return nil, fmt.Errorf("offering the listening socket in %s: %w", dir, err)
	}
	o.wg.Go(func() { o.serve(dir) })
	return o, nil
}

// serve waits for a taker.
func (o *Offer) serve(dir string) {
	for {
		conn, err := o.listener.AcceptUnix()
		if err != nil {
			return // closed
		}
		o.mu.Lock()
		o.conn = conn
		ended := o.ended
		o.mu.Unlock()
		if ended || o.pass(conn) != nil {
			conn.Close() // it was none of ours, or has gone: the next may be
			continue
		}
		// The taker makes its own offer under this name.
		_ = at(dir, os.Remove)
		o.listener.Close()
		o.taken()
		return
	}
}

// pass sends the socket.
func (o *Offer) pass(conn *net.UnixConn) error {
	if err := conn.SetDeadline(time.Now().Add(talkTimeout)); err != nil {
		return err
	}
	said := make([]byte, len(hello))
	if _, err := io.ReadFull(conn, said); err != nil {
		return err
	}
	if string(said) != hello {
		return errors.New("another version")
	}
	f, err := o.what.File()
	if err != nil {
		return err
	}
	defer f.Close() // the taker has its own
	_, _, err = conn.WriteMsgUnix([]byte(hello), syscall.UnixRights(int(f.Fd())), nil)
	return err
}

// Close withdraws the offer, and tells a host that has taken it that this one
// has ended.
func (o *Offer) Close() error {
	o.mu.Lock()
	o.ended = true
	conn := o.conn
	o.mu.Unlock()
	err := o.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil // it was taken
	}
	if conn != nil {
		conn.Close()
	}
	o.wg.Wait()
	return err
}

// Take takes the listening socket of the host whose data directory dir is. The
// error wraps ErrNobody when there is no such host.
func Take(ctx context.Context, dir string) (_ *Taken, err error) {
	var conn *net.UnixConn
	err = at(dir, func(path string) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil {
			conn = c.(*net.UnixConn)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w in %s", ErrNobody, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("taking over from the host in %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("taking over from the host in %s: %w", dir, errors.Join(err, conn.Close()))
		}
	}()
	deadline := time.Now().Add(talkTimeout)
	if t, ok := ctx.Deadline(); ok && t.Before(deadline) {
		deadline = t
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, hello); err != nil {
		return nil, err
	}
	l, err := receive(conn)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	t := &Taken{Listener: l, Ended: make(chan struct{}), conn: conn}
	go func() { // ends with the old host, or Close, which waits for it
		defer close(t.Ended)
		_, _ = io.Copy(io.Discard, conn) // the end is what matters, however it came
	}()
	return t, nil
}

// receive reads the socket.
func receive(conn *net.UnixConn) (net.Listener, error) {
	said, oob := make([]byte, len(hello)), make([]byte, syscall.CmsgSpace(4))
	n, oobn, _, _, err := conn.ReadMsgUnix(said, oob)
	if err != nil {
		return nil, err
	}
	if string(said[:n]) != hello {
		return nil, errors.New("the running host answers in another version's words; stop it and start this one")
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil || len(fds) == 0 {
			continue
		}
		f := os.NewFile(uintptr(fds[0]), "listener")
		l, err := net.FileListener(f)
		return l, errors.Join(err, f.Close()) // the listener has its own
	}
	return nil, errors.New("the running host sent no socket")
}

// at calls f with the path of the socket in dir, by a shorter name where the
// system can't take it whole.
func at(dir string, f func(path string) error) error {
	path := filepath.Join(dir, Socket)
	if len(path) <= maxSocketPath {
		return f(path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() // it was opened for its name only
	byDescriptor := filepath.Join("/proc/self/fd", strconv.Itoa(int(d.Fd())))
	if _, err := os.Stat(byDescriptor); err != nil {
		return fmt.Errorf("the path %s is too long for a socket (%d bytes, at most %d); choose a shorter data_dir", path, len(path), maxSocketPath)
	}
	return f(filepath.Join(byDescriptor, Socket))
}
