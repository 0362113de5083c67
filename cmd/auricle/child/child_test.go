package child_test

import (
	"os"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
)

// sh is a child that runs a script, so that what it does can be chosen.
var sh = []string{"sh", "-c"}

func TestAServerSaysItsAddressAndEndsWithItsInput(t *testing.T) {
	c, address, err := child.StartServer(sh, t.TempDir(), "echo 127.0.0.1:1; cat")
	if err != nil {
		t.Fatal(err)
	}
	if address != "127.0.0.1:1" {
		t.Errorf("got address %q", address)
	}
	if u, err := c.Usage(); err != nil || u.Threads < 1 || u.RSS < 1 || u.FDs < 1 {
		if _, no := os.Stat("/proc/self/stat"); no == nil {
			t.Errorf("got usage %+v (%v)", u, err)
		}
	}
	if err := c.Died(); err != nil {
		t.Errorf("it lives, but %v", err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

func TestAChildThatFailsSaysWhy(t *testing.T) {
	_, _, err := child.StartServer(sh, t.TempDir(), "echo no such thing >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "no such thing") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want its last words and its status", err)
	}
}

func TestAChildThatIsKilledIsNoFault(t *testing.T) {
	c, _, err := child.StartServer(sh, t.TempDir(), "echo here; cat")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	select {
	case <-c.Exited:
	default:
		t.Error("it has not ended")
	}
}
