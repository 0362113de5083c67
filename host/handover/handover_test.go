//go:build unix

package handover_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
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
			address := l.Addr().String()
			go answer(l, "old")
			taken := make(chan struct{})
			offer, err := handover.NewOffer(dir, l, func() { close(taken) })
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
			l.Close() // the old one stops accepting; the socket lives on

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
			again, err := handover.NewOffer(dir, next.Listener, func() {})
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
			if err := errors.Join(again.Close(), next.Close(), next.Listener.Close()); err != nil {
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
	offer, err := handover.NewOffer(dir, l, func() { t.Error("it was taken") })
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
