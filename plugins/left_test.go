package plugins_test

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// holdings are what a process holds that an engine might leave behind.
type holdings struct {
	goroutines  int
	descriptors int
	executable  int64 // bytes of compiled code mapped (the kernel joins mappings)
	memfds      int   // mappings of images
	foreign     int64 // bytes mapped that are neither of a file nor of Go's own
}

// foreignSlack is by how much Go's own account of its memory may differ from
// the kernel's. It is less than what is reserved for one guest's memory.
const foreignSlack = 48 << 20

func held(t testing.TB) (h holdings) {
	t.Helper()
	h.goroutines = runtime.NumGoroutine()
	if runtime.GOOS != "linux" {
		return h
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	h.descriptors = len(fds)
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		// 7f7739720000-7f7739900000 rw-p 00000000 00:00 0      /path
		f := strings.Fields(lines.Text())
		from, to, _ := strings.Cut(f[0], "-")
		a, err1 := strconv.ParseUint(from, 16, 64)
		b, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("a mapping %q", lines.Text())
		}
		anonymous := len(f) == 5
		switch {
		case !anonymous && strings.HasPrefix(f[5], "/memfd:"):
			h.memfds++
		case anonymous && f[1][2] == 'x':
			h.executable += int64(b - a)
		case anonymous && f[1][0] == 'r' && !raceEnabled: // the race detector has its own
			h.foreign += int64(b - a)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if !raceEnabled {
		h.foreign -= int64(m.Sys)
	}
	return h
}

// more says what h has beyond before; "" if nothing.
func (h holdings) more(before holdings) string {
	var out []string
	if h.goroutines > before.goroutines {
		out = append(out, fmt.Sprintf("%d goroutines", h.goroutines-before.goroutines))
	}
	if h.descriptors > before.descriptors {
		out = append(out, fmt.Sprintf("%d descriptors", h.descriptors-before.descriptors))
	}
	if h.executable > before.executable {
		out = append(out, fmt.Sprintf("%d bytes of code mapped", h.executable-before.executable))
	}
	if h.memfds > before.memfds {
		out = append(out, fmt.Sprintf("%d mappings of images", h.memfds-before.memfds))
	}
	if h.foreign > before.foreign+foreignSlack {
		out = append(out, fmt.Sprintf("%d bytes mapped", h.foreign-before.foreign))
	}
	return strings.Join(out, ", ")
}

// nothingLeft fails the test if the process holds more than before. Compiled
// code is unmapped when the collector has found that nothing refers to it, so
// that is run, and what it runs is waited for.
func nothingLeft(t testing.TB, before holdings) {
	t.Helper()
	more := ""
	for range 20 {
		if more = held(t).more(before); more == "" {
			return
		}
		collected := make(chan struct{})
		runtime.SetFinalizer(&struct{ c *int }{new(int)}, func(any) { close(collected) })
		runtime.GC()
		receive(t, collected)
	}
	t.Errorf("left behind: %s", more)
}
