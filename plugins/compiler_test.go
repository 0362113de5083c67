package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/plugins"
)

// compilerEnv makes the test's binary a process that compiles: "yes", or that
// does otherwise.
const compilerEnv = "AURICLE_TEST_COMPILER"

func compilerProcess(mode string) int {
	switch mode {
	case "crash":
		panic("too much for me")
	case "hang":
		dir := os.Args[len(os.Args)-1]
		if err := os.WriteFile(filepath.Join(filepath.Dir(filepath.Dir(dir)), "hanging"), nil, 0o600); err != nil {
			panic(err)
		}
		c := make(chan os.Signal, 1)
		signal.Notify(c, os.Interrupt)
		<-c
	}
	return plugins.CompileProcess(context.Background(), os.Args[1:], os.Stderr)
}

func newApart(t testing.TB, mode, dir string) *plugins.Engine {
	t.Helper()
	t.Setenv(compilerEnv, mode)
	return newEngine(t, plugins.Options{CacheDir: dir, Compiler: []string{os.Args[0]}})
}

func TestModulesAreCompiledApart(t *testing.T) {
	dir := t.TempDir()
	e := newApart(t, "yes", dir)
	for _, name := range []string{"state", "kinds", "traps"} {
		if m := load(t, e, name); m.Cached() {
			t.Errorf("%s was never compiled before", name)
		}
	}
	if value(t, run(t, load(t, e, "state"), "fresh")) != 1 {
		t.Error("the state is not as it was")
	}
	if m, err := e.Load(context.Background(), guest(t, "answer"), plugins.LoadOptions{Background: true}); err != nil || value(t, run(t, m, "calls")) != 1 {
		t.Errorf("in the background: %v", err)
	}
	// What it made is what would have been made here.
	here := newEngine(t, plugins.Options{CacheDir: dir})
	if m := load(t, here, "kinds"); !m.Cached() || value(t, run(t, m, "entries")) != 1 {
		t.Error("it is of no use to an engine without a compiler apart")
	}
	if got := filesIn(t, dir); len(got) != 8 {
		t.Errorf("the cache holds %q", got)
	}
}

func TestCompilerApartMayFail(t *testing.T) {
	dir := t.TempDir()
	wasm := guest(t, "answer")
	_, err := newApart(t, "crash", dir).Load(context.Background(), wasm, plugins.LoadOptions{Name: "answer"})
	if !errors.Is(err, plugins.ErrUnsupported) || !strings.Contains(fmt.Sprint(err), "too much for me") {
		t.Errorf("after a crash: %v", err)
	}
	invalid := guest(t, "answer")
	invalid = append(invalid[:8:8], 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 5, 1, 3, 0, 0x1a, 0x0b) // a drop of nothing
	for _, mode := range []string{"yes", "crash"} {
		_, err = newApart(t, mode, dir).Load(context.Background(), invalid, plugins.LoadOptions{Name: "answer"})
		if want := map[string]error{"yes": plugins.ErrMalformed, "crash": plugins.ErrUnsupported}[mode]; !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", mode, err, want)
		}
	}
	none := newEngine(t, plugins.Options{CacheDir: dir, Compiler: []string{"/nowhere/compiler"}})
	if _, err := none.Load(context.Background(), wasm, plugins.LoadOptions{}); err == nil || !strings.Contains(err.Error(), "/nowhere/compiler") {
		t.Errorf("without a compiler: %v", err)
	}
	filesIn(t, dir)
	if m := load(t, newApart(t, "yes", dir), "answer"); m.Cached() {
		t.Error("a failure was kept")
	}
	if _, err := plugins.New(context.Background(), plugins.Options{Compiler: []string{"x"}}); err == nil {
		t.Error("a compiler without a cache is taken")
	}
}

func TestCompilingApartCanBeInterrupted(t *testing.T) {
	dir := t.TempDir()
	e := newApart(t, "hang", dir)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { // ends when the load does, which cancel ends
		_, err := e.Load(ctx, guest(t, "answer"), plugins.LoadOptions{})
		ended <- err
	}()
	for {
		if _, err := os.Stat(filepath.Join(dir, "hanging")); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
