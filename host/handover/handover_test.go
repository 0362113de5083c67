//go:build unix

package handover_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/auricle-dev/auricle/host/handover"
)

// answer accepts connections and writes name to each, until l is closed.
func answer(l net.Listener, name string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(c, name)
		c.Close()
	}
}

// ask connects and returns who answered.
func ask(t *testing.T, address string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	defer c.Close()
	said, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatalf("cut off: %v", err)
	}
	return strings.TrimSpace(said)
}

func TestTheSocketGoesFromHostToHost(t *testing.T) {
	for name, dir := range map[string]string{
		"short": t.TempDir(),
		"long":  filepath.Join(t.TempDir(), strings.Repeat("long/", 40)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if _, err := handover.Take(t.Context(), dir); !errors.Is(err, handover.ErrNobody) {
				t.Fatalf("taking from nobody: %v", err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			operators, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := l.Addr().String()
			go answer(l, "old")
			taken := make(chan struct{})
			offer, err := handover.NewOffer(dir, l, operators, func() { close(taken) })
			if err != nil {
				t.Fatal(err)
			}
			if got := ask(t, address); got != "old" {
				t.Errorf("%s answered", got)
			}

			next, err := handover.Take(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			<-taken
			if got := next.Operators.Addr().String(); got != operators.Addr().String() {
				t.Errorf("took %s for operators, want %s", got, operators.Addr())
			}
			l.Close() // the old one stops accepting; the sockets live on
			operators.Close()

			// Neither accepts now: who connects waits, and is answered by the next.
			waiting, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatalf("refused between the two: %v", err)
			}
			select {
			case <-next.Ended:
				t.Error("the old host ended before it did")
			default:
			}
			// The next offers in its turn, while the old one still drains.
			again, err := handover.NewOffer(dir, next.Listener, next.Operators, func() {})
			if err != nil {
				t.Fatal(err)
			}
			if err := offer.Close(); err != nil {
				t.Fatal(err)
			}
			<-next.Ended
			go answer(next.Listener, "new")
			said, err := bufio.NewReader(waiting).ReadString('\n')
			if err != nil || said != "new\n" {
				t.Errorf("who waited was answered %q, %v", said, err)
			}
			if got := ask(t, address); got != "new" {
				t.Errorf("%s answered", got)
			}
			if _, err := os.Stat(filepath.Join(dir, handover.Socket)); err != nil {
				t.Errorf("the next host's offer was taken away with the old one's: %v", err)
			}
			if err := errors.Join(again.Close(), next.Close(), next.Listener.Close(), next.Operators.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStrangersTakeNothing(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	operators, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer operators.Close()
	offer, err := handover.NewOffer(dir, l, operators, func() { t.Error("it was taken") })
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", filepath.Join(dir, handover.Socket))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(c, "GET / HTTP/1.1 and some more bytes")
	if n, err := c.Read(make([]byte, 64)); n > 0 || err == nil {
		t.Errorf("a stranger was answered with %d bytes", n)
	}
	if err := offer.Close(); err != nil {
		t.Error(err)
	}
	if _, err := handover.Take(context.Background(), dir); !errors.Is(err, handover.ErrNobody) {
		t.Errorf("taking after the offer's end: %v", err)
	}
}

// A host of before operators had a listener of their own offers one socket, and
// hangs up on words that it does not know.
func TestAHostOfBeforeOffersOneSocket(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const words = "auricle handover 1\n"
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, handover.Socket), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	passed := make(chan error, 1)
	ended := make(chan struct{})
	go func() { // ends when it has passed its socket, and been told to end
		for {
			c, err := old.AcceptUnix()
			if err != nil {
				passed <- err
				return
			}
			said := make([]byte, len(words))
			if _, err := io.ReadFull(c, said); err != nil || string(said) != words {
				c.Close()
				continue
			}
			f, err := l.(*net.TCPListener).File()
			if err == nil {
				_, _, err = c.WriteMsgUnix(said, syscall.UnixRights(int(f.Fd())), nil)
				f.Close()
			}
			passed <- err
			<-ended
			c.Close()
			return
		}
	}()
	taken, err := handover.Take(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-passed; err != nil {
		t.Fatal(err)
	}
	if taken.Operators != nil || taken.Listener.Addr().String() != l.Addr().String() {
		t.Errorf("took %v and %v, want %s and none", taken.Listener.Addr(), taken.Operators, l.Addr())
	}
	close(ended)
	<-taken.Ended
	if err := errors.Join(taken.Close(), taken.Listener.Close(), old.Close()); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// A host of before takes the clients' socket from one of today.
func TestAHostOfBeforeTakesOneSocket(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	operators, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer operators.Close()
	taken := make(chan struct{})
	offer, err := handover.NewOffer(dir, l, operators, func() { close(taken) })
	if err != nil {
		t.Fatal(err)
	}
	defer offer.Close()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, handover.Socket), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const words = "auricle handover 1\n"
	if _, err := io.WriteString(c, words); err != nil {
		t.Fatal(err)
	}
	said, oob := make([]byte, len(words)), make([]byte, syscall.CmsgSpace(4))
	n, oobn, flags, _, err := c.ReadMsgUnix(said, oob)
	if err != nil || string(said[:n]) != words || flags&syscall.MSG_CTRUNC != 0 {
		t.Fatalf("answered %q with flags %x, %v", said[:n], flags, err)
	}
	ms, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(ms) != 1 {
		t.Fatalf("%d messages, %v", len(ms), err)
	}
	fds, err := syscall.ParseUnixRights(&ms[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%d sockets, %v", len(fds), err)
	}
	syscall.Close(fds[0])
	<-taken
}
