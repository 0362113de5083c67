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
	// hello is what the taker sends, and the old host answers; it names the
	// version of this exchange. With helloOne, of before operators had a listener
	// of their own, the clients' socket alone is passed.
	hello    = "auricle handover 2\n"
	helloOne = "auricle handover 1\n" // as long as hello
	// talkTimeout bounds the exchange, not the old host's drain.
	talkTimeout = 10 * time.Second
	// maxSocketPath is what the smallest of systems takes as a socket's path.
	maxSocketPath = 100
)

// Offer is a host's standing offer of its listening sockets. Close it when the
// host has ended: not before, as that is what the taker waits for.
type Offer struct {
	listener  *net.UnixListener
	taken     func()
	clients   *net.TCPListener
	operators *net.TCPListener

	wg sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conn  net.Conn   // to the taker
	ended bool
}

// NewOffer offers the listeners for clients and for operators in the data
// directory dir, until they are taken or Close. taken is called once, on a
// goroutine of its own, when another host has the sockets: the caller must then stop accepting.
func NewOffer(dir string, clients, operators net.Listener, taken func()) (*Offer, error) {
	o := &Offer{taken: taken}
	for l, into := range map[net.Listener]**net.TCPListener{clients: &o.clients, operators: &o.operators} {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return nil, fmt.Errorf("offering the listening sockets: %T is none of TCP", l)
		}
		*into = tcp
	}
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

// pass sends the sockets.
func (o *Offer) pass(conn *net.UnixConn) error {
	if err := conn.SetDeadline(time.Now().Add(talkTimeout)); err != nil {
		return err
	}
	said := make([]byte, len(hello))
	if _, err := io.ReadFull(conn, said); err != nil {
		return err
	}
	var listeners []*net.TCPListener
	switch string(said) {
	case hello:
		listeners = []*net.TCPListener{o.clients, o.operators}
	case helloOne:
		listeners = []*net.TCPListener{o.clients}
	default:
		return errors.New("another version")
	}
	var fds []int
	for _, l := range listeners {
		f, err := l.File()
		if err != nil {
			return err
		}
		defer f.Close() // the taker has its own
		fds = append(fds, int(f.Fd()))
	}
	_, _, err := conn.WriteMsgUnix(said, syscall.UnixRights(fds...), nil)
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

// Take takes the listening sockets of the host whose data directory dir is. The
// error wraps ErrNobody when there is no such host.
func Take(ctx context.Context, dir string) (*Taken, error) {
	t, err := take(ctx, dir, hello)
	if errors.Is(err, errOtherWords) {
		// A host of before knows helloOne only, and hangs up on hello.
		t, err = take(ctx, dir, helloOne)
	}
	return t, err
}

// errOtherWords says that the running host hung up on what it was asked.
var errOtherWords = errors.New("the running host answers in another version's words; stop it and start this one")

// take takes what a host passes on who says these words.
func take(ctx context.Context, dir, words string) (_ *Taken, err error) {
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
	if _, err := io.WriteString(conn, words); err != nil {
		return nil, err
	}
	ls, err := receive(conn, words)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, closeAll(ls))
	}
	t := &Taken{Listener: ls[0], Ended: make(chan struct{}), conn: conn}
	if len(ls) > 1 {
		t.Operators = ls[1]
	}
	go func() { // ends with the old host, or Close, which waits for it
		defer close(t.Ended)
		_, _ = io.Copy(io.Discard, conn) // the end is what matters, however it came
	}()
	return t, nil
}

// receive reads the sockets that answer words, at least one.
func receive(conn *net.UnixConn, words string) ([]net.Listener, error) {
	want := 1
	if words == hello {
		want = 2
	}
	said, oob := make([]byte, len(words)), make([]byte, syscall.CmsgSpace(4*want))
	n, oobn, _, _, err := conn.ReadMsgUnix(said, oob)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || err == nil && string(said[:n]) != words {
		return nil, errOtherWords
	}
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, err
	}
	var ls []net.Listener
	var errs []error
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			continue // of another kind
		}
		for _, fd := range fds {
			f := os.NewFile(uintptr(fd), "listener")
			l, err := net.FileListener(f)
			if errs = append(errs, err, f.Close()); err == nil { // the listener has its own
				ls = append(ls, l)
			}
		}
	}
	if len(ls) != want {
		errs = append(errs, fmt.Errorf("the running host sent %d sockets, not %d", len(ls), want))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, closeAll(ls))
	}
	return ls, nil
}

func closeAll(ls []net.Listener) error {
	var errs []error
	for _, l := range ls {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
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
