package plugins_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

// buildGoGuest builds testdata/goguest, once for all tests.
var buildGoGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "goguest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-o", out, "./testdata/goguest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return os.ReadFile(out)
})

// goCache is where the tests' engines keep the guest's compiled code, so that
// it is compiled once for all of them.
var goCache string

func TestMain(m *testing.M) {
	if dir := os.Getenv(cacheEnv); dir != "" {
		if err := loadShared(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if mode := os.Getenv(compilerEnv); mode != "" {
		os.Exit(compilerProcess(mode))
	}
	dir, err := os.MkdirTemp("", "plugins-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goCache = filepath.Join(dir, "cache")
	registryTemp = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func goGuest(t testing.TB, o plugins.Options) *plugins.Module {
	t.Helper()
	wasm, err := buildGoGuest()
	if err != nil {
		t.Fatalf("building the Go guest: %v", err)
	}
	o.CacheDir = goCache
	m, err := newEngine(t, o).Load(context.Background(), wasm, plugins.LoadOptions{Name: "goguest"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGoGuest(t *testing.T) {
	m := goGuest(t, plugins.Options{})
	t.Logf("initialising: %d units, %v; image %d KiB; %d imports", m.Init().Fuel, m.Init().Wall, m.MemoryBytes()>>10, len(m.Imports()))
	if r := m.Reinitialised(); r != "" {
		t.Errorf("a Go guest can't be restored: %s", r)
	}
	if got := value(t, run(t, m, "handle", 5)); got != 10 {
		t.Errorf("handle(5) = %d, want 10", got)
	}
	if got := value(t, run(t, m, "workers", 20)); got != 210 {
		t.Errorf("workers(20) = %d, want 210", got)
	}
	if got := value(t, run(t, m, "files")); got != 0 {
		t.Errorf("the guest sees files, an environment or arguments (%d)", got)
	}
	for range 3 {
		if got := value(t, run(t, m, "count")); got != 1 {
			t.Errorf("the guest counts %d calls", got)
		}
	}
	if a, b := value(t, run(t, m, "random")), value(t, run(t, m, "random")); a == b {
		t.Errorf("random twice %x", a)
	}

	var out bytes.Buffer
	wantOutcome(t, runInvocation(t, m, plugins.Invocation{Export: "say", Stderr: &out}), plugins.OK)
	if out.String() != "to stdout\nto stderr\n" {
		t.Errorf("said %q", out.String())
	}
	if got := time.Duration(value(t, run(t, m, "nap", 5))); got < 5*time.Millisecond || got > 5*time.Second {
		t.Errorf("a nap of 5 ms took %v by the guest's clock", got)
	}
}

func TestGoGuestEndsBadly(t *testing.T) {
	m := goGuest(t, plugins.Options{})
	ended := func(export string, want plugins.Outcome, args ...uint64) (*plugins.RunError, string) {
		t.Helper()
		var out bytes.Buffer
		res := runInvocation(t, m, plugins.Invocation{Export: export, Args: args, Stderr: &out, Limits: plugins.Limits{Fuel: 2e9, Wall: 20 * time.Second}})
		wantOutcome(t, res, want)
		var re *plugins.RunError
		if !errors.As(res.Err, &re) {
			return &plugins.RunError{}, out.String()
		}
		return re, out.String()
	}
	// Go's runtime says what it has to say, then executes unreachable.
	if re, out := ended("fail", plugins.Trap); len(re.Stack) == 0 || !strings.Contains(out, "panic: assignment to entry in nil map") {
		t.Errorf("a panic has stack %q and says %q", re.Stack, out)
	}
	if re, _ := ended("quit", plugins.AppError, 7); re.ExitCode != 7 {
		t.Errorf("exit(7) gave %v", re)
	}
	ended("quit", plugins.OK, 0)
	if re, out := ended("hoard", plugins.MemoryExceeded); !strings.HasPrefix(re.Message, "memory limit of 64 MiB reached (growth to ") {
		t.Errorf("hoarding ends with %q, says %q", re.Message, out)
	}
	if _, out := ended("alone", plugins.Trap); !strings.Contains(out, "deadlock") {
		t.Errorf("blocking for ever says %q", out)
	}

	res := runInvocation(t, m, plugins.Invocation{Export: "nap", Args: []uint64{3_600_000}, Limits: plugins.Limits{Wall: 20 * time.Millisecond}})
	wantOutcome(t, res, plugins.DeadlineExceeded)
	if got := value(t, run(t, m, "count")); got != 1 {
		t.Errorf("after all of that the guest counts %d calls", got)
	}
}

func TestGoGuestTakesTheSameFuelEachTime(t *testing.T) {
	var want uint64
	for _, o := range []plugins.Options{{}, {IdleInstances: -1}, {SliceFuel: 10_000}} {
		m := goGuest(t, o)
		for range 3 {
			res := run(t, m, "handle", 3)
			wantOutcome(t, res, plugins.OK)
			if want == 0 {
				want = res.Fuel
			}
			if res.Fuel != want {
				t.Errorf("%+v: used %d, %d before", o, res.Fuel, want)
			}
			run(t, m, "sorted", 1000)
		}
	}
}

func BenchmarkGoGuest(b *testing.B) {
	for _, way := range []struct {
		name string
		o    plugins.Options
	}{{"restored", plugins.Options{}}, {"new-instance", plugins.Options{IdleInstances: -1}}} {
		b.Run(way.name, func(b *testing.B) {
			m := goGuest(b, way.o)
			inv := plugins.Invocation{Export: "handle", Args: []uint64{1}, Limits: ample}
			b.ReportAllocs()
			for b.Loop() {
				res, err := m.Run(context.Background(), inv)
				if err != nil || res.Outcome != plugins.OK || res.Values[0] != 2 {
					b.Fatal(res, err)
				}
			}
		})
	}
}

// BenchmarkRestoredToInitialised reports how many times longer a call takes
// when each initialises an instance of its own, measured in turns.
func BenchmarkRestoredToInitialised(b *testing.B) {
	m := goGuest(b, plugins.Options{})
	init := m.Init().Wall
	var restored time.Duration
	n := 0
	for b.Loop() {
		start := time.Now()
		res, err := m.Run(context.Background(), plugins.Invocation{Export: "handle", Args: []uint64{1}, Limits: ample})
		if err != nil || res.Outcome != plugins.OK {
			b.Fatal(res, err)
		}
		restored += time.Since(start)
		n++
	}
	b.ReportMetric(float64(init+restored/time.Duration(n))/(float64(restored)/float64(n)), "x-initialised")
}

func BenchmarkDeadlineOvershoot(b *testing.B) {
	m := load(b, newEngine(b, plugins.Options{}), "limits")
	const wall = 10 * time.Millisecond
	var worst time.Duration
	for b.Loop() {
		res, err := m.Run(context.Background(), plugins.Invocation{Export: "spin", Limits: plugins.Limits{Fuel: 1 << 60, Wall: wall}})
		if err != nil || res.Outcome != plugins.DeadlineExceeded || res.Wall < wall {
			b.Fatal(res, err)
		}
		worst = max(worst, res.Wall-wall)
	}
	b.ReportMetric(float64(worst.Microseconds()), "us-worst-overshoot")
}
