package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

func TestNothingRunsAfterClose(t *testing.T) {
	ctx := context.Background()
	e, err := plugins.New(ctx, plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := load(t, e, "limits"), load(t, e, "state")
	for range 2 {
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Run(ctx, plugins.Invocation{Export: "work", Args: []uint64{1}}); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("a closed module runs: %v", err)
	}
	wantOutcome(t, run(t, b, "fresh"), plugins.OK)
	for range 2 {
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Run(ctx, plugins.Invocation{Export: "fresh"}); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("a closed engine runs: %v", err)
	}
	if _, err := e.Load(ctx, guest(t, "limits"), plugins.LoadOptions{}); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("a closed engine loads: %v", err)
	}
}

func TestCloseWaitsThenEndsWhatRuns(t *testing.T) {
	for _, what := range []string{"engine", "module"} {
		for _, export := range []string{"spin", "wait"} {
			ctx := context.Background()
			running := make(chan struct{}, 1)
			e, err := plugins.New(ctx, plugins.Options{HostModules: []plugins.HostModule{testHost(func(c *plugins.Call) error {
				running <- struct{}{}
				<-c.Context().Done()
				return c.Context().Err()
			})}})
			if err != nil {
				t.Fatal(err)
			}
			name := "host"
			if export == "spin" {
				name = "limits"
				running <- struct{}{} // as near as can be told
			}
			m := load(t, e, name)
			done := make(chan error)
			go func() { // ends with the run, received below
				_, err := m.Run(ctx, plugins.Invocation{Export: export, Limits: plugins.Limits{Fuel: 1 << 60, Wall: time.Hour}})
				done <- err
			}()
			receive(t, running)
			patience, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			close := e.Close
			if what == "module" {
				close = m.Close
			}
			closed := close(patience)
			cancel()
			if err := receive(t, done); !errors.Is(err, plugins.ErrClosed) {
				t.Errorf("%s, %s: the run ended with %v, want ErrClosed", what, export, err)
			}
			// A run that had not begun yet leaves nothing to wait for.
			if closed != nil && !errors.Is(closed, context.DeadlineExceeded) {
				t.Errorf("%s: Close returned %v", what, closed)
			}
			late, cancel := context.WithTimeout(ctx, 30*time.Second)
			if err := e.Close(late); err != nil {
				t.Errorf("%s: closing again: %v", what, err)
			}
			cancel()
		}
	}
}

func TestCloseEndsAnInitialisation(t *testing.T) {
	ctx := context.Background()
	e, err := plugins.New(ctx, plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { // ends with the load, received below
		_, err := e.Load(ctx, guest(t, "init_endless"), plugins.LoadOptions{Init: plugins.Limits{Fuel: 1 << 60, Wall: time.Hour}})
		done <- err
	}()
	for {
		patience, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		err := e.Close(patience)
		cancel()
		if err == nil {
			break
		}
	}
	if err := receive(t, done); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("the load ended with %v, want ErrClosed", err)
	}
}

// mapped is the address space that the process uses, in bytes. (Counting
// mappings would miss some: neighbours are merged into one.)
func mapped(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc/self/statm here: ", err)
	}
	var pages int64
	if _, err := fmt.Sscan(string(b), &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	round := func() {
		ctx := context.Background()
		e, err := plugins.New(ctx, plugins.Options{})
		if err != nil {
			t.Fatal(err)
		}
		limits, state, tables := load(t, e, "limits"), load(t, e, "state"), load(t, e, "tables")
		for range 10 {
			run(t, limits, "work", 5)
			run(t, limits, "bomb")
			run(t, state, "fresh")
			run(t, state, "spoil_and_trap")
			run(t, tables, "fresh")
		}
		if _, err := e.Load(ctx, guest(t, "segment_outside"), plugins.LoadOptions{}); err == nil {
			t.Error("loaded")
		}
		if _, err := e.Load(ctx, guest(t, "init_trap"), plugins.LoadOptions{}); err == nil {
			t.Error("loaded")
		}
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
		for range 3 {
			runtime.GC() // compiled code is unmapped by finalisers
		}
	}
	round()
	goroutines, before := runtime.NumGoroutine(), mapped(t)
	for range 10 {
		round()
	}
	// Each instance reserves 64 MiB; the rounds make more than 300.
	if grown := mapped(t) - before; grown > 1<<30 {
		t.Errorf("%d MiB of address space are left mapped", grown>>20)
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
}
