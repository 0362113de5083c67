//go:build unix

package host_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/handover"
)

// A host of before operators had a listener of their own passes the clients'
// socket only: operators' is listened on anew, once that host has ended.
func TestTakingOverFromAHostWithoutAnOperatorsListener(t *testing.T) {
	dir := t.TempDir()
	clients, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// The port is not free before the older host's end: only a host that waits
	// for that gets it.
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	offer, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, handover.Socket), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	passed := make(chan error, 1)
	go func() { passed <- passClients(offer, clients.(*net.TCPListener), held) }() // ends with the exchange; waited for below

	c := configuration(dir, echo())
	c.Operators.Listen = held.Addr().String()
	next, _ := startWith(t, host.Options{Config: c, TakeOver: true})
	if err := <-passed; err != nil {
		t.Fatal(err)
	}
	if next.Addr().String() != clients.Addr().String() || next.OperatorsAddr().String() != held.Addr().String() {
		t.Errorf("listening on %s and %s, want %s and %s", next.Addr(), next.OperatorsAddr(), clients.Addr(), held.Addr())
	}
	if status, body := get(t, next, "/metrics"); status != http.StatusOK {
		t.Errorf("/metrics to operators: %d %s", status, body)
	}
}

// passClients does what a host of version 1 of the exchange does: it hangs up
// on other words, passes one socket, and ends, and held with it.
func passClients(offer *net.UnixListener, clients *net.TCPListener, held net.Listener) error {
	const words = "auricle handover 1\n"
	for {
		conn, err := offer.AcceptUnix()
		if err != nil {
			return err
		}
		said := make([]byte, len(words))
		if _, err := io.ReadFull(conn, said); err != nil || string(said) != words {
			conn.Close()
			continue
		}
		f, err := clients.File()
		if err != nil {
			return err
		}
		_, _, err = conn.WriteMsgUnix(said, syscall.UnixRights(int(f.Fd())), nil)
		return errors.Join(err, f.Close(), offer.Close(), clients.Close(), held.Close(), conn.Close()) // conn last: it says that the host has ended
	}
}
