package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

func TestFuelEndsAnEndlessLoop(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "limits")
	for _, export := range []string{"spin", "tail"} {
		for _, limit := range []uint64{1, 99_999, 100_000, 100_001, 5_000_000} {
			res := runInvocation(t, m, plugins.Invocation{Export: export, Limits: plugins.Limits{Fuel: limit, Wall: time.Minute}})
			wantOutcome(t, res, plugins.FuelExhausted)
			if res.Fuel != limit {
				t.Errorf("%s: used %d, want the limit %d", export, res.Fuel, limit)
			}
			if want := fmt.Sprintf("fuel spent: %d of %d after ", limit, limit); !strings.HasPrefix(fmt.Sprint(res.Err), want) {
				t.Errorf("%s: error %q, want %q…", export, res.Err, want)
			}
		}
	}
}

func TestDefaultLimitsApply(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "limits")
	res := runInvocation(t, m, plugins.Invocation{Export: "spin"})
	switch {
	case res.Outcome == plugins.FuelExhausted && res.Fuel == 50_000_000:
	case res.Outcome == plugins.DeadlineExceeded && res.Wall >= 250*time.Millisecond:
	default:
		t.Errorf("got %s after %v and %d units", res.Outcome, res.Wall, res.Fuel)
	}
}

func TestLimitOneUnitShortOfTheNeedIsExhausted(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "limits")
	need := run(t, m, "work", 1000).Fuel
	for _, c := range []struct {
		limit uint64
		want  plugins.Outcome
	}{{need, plugins.OK}, {need - 1, plugins.FuelExhausted}, {need + 1, plugins.OK}} {
		res := runInvocation(t, m, plugins.Invocation{Export: "work", Args: []uint64{1000}, Limits: plugins.Limits{Fuel: c.limit}})
		wantOutcome(t, res, c.want)
		if want := min(need, c.limit); res.Fuel != want {
			t.Errorf("limit %d: used %d, want %d", c.limit, res.Fuel, want)
		}
	}
}

func TestFuelIsTheSameOverRunsSlicesAndInstances(t *testing.T) {
	type key struct {
		guest, export string
		arg           uint64
	}
	want := map[key]uint64{}
	for _, o := range []plugins.Options{
		{}, {}, {SliceFuel: 1}, {SliceFuel: 7}, {SliceFuel: 1000}, {SliceFuel: 1 << 62}, {IdleInstances: -1},
	} {
		o.HostModules = []plugins.HostModule{testHost(nil)}
		e := newEngine(t, o)
		for _, k := range []key{
			{"limits", "work", 1}, {"limits", "work", 12345}, {"limits", "fill", 3}, {"limits", "grow", 5}, {"limits", "modest", 0},
			{"state", "fresh", 0}, {"tables", "fresh", 0},
			{"wasi", "iovecs", 300}, {"host", "read", 5},
		} {
			m := load(t, e, k.guest)
			var args []uint64
			switch k.export {
			case "work", "fill", "grow":
				args = []uint64{k.arg}
			case "iovecs":
				args = []uint64{k.arg, 11}
			case "read":
				args = []uint64{0, k.arg}
			}
			for range 3 {
				res := run(t, m, k.export, args...)
				wantOutcome(t, res, plugins.OK)
				if first, ok := want[k]; !ok {
					want[k] = res.Fuel
				} else if res.Fuel != first {
					t.Errorf("%+v with %+v: used %d, %d before", k, o, res.Fuel, first)
				}
			}
		}
	}
}

func TestInitialisingTakesTheSameFuelEachTime(t *testing.T) {
	for _, name := range []string{"state", "init_sleep", "tables"} {
		a := load(t, newEngine(t, plugins.Options{}), name).Init()
		b := load(t, newEngine(t, plugins.Options{SliceFuel: 3}), name).Init()
		if a.Fuel != b.Fuel || a.Fuel == 0 || a.Outcome != plugins.OK {
			t.Errorf("%s: %d and %d units", name, a.Fuel, b.Fuel)
		}
	}
}

func TestTrapCountsAllButPartOfASlice(t *testing.T) {
	const slice = 1000
	m := load(t, newEngine(t, plugins.Options{SliceFuel: slice}), "limits")
	whole := run(t, m, "work", 100_000).Fuel
	byLoad := run(t, m, "work_and_trap", 100_000, 0)
	wantOutcome(t, byLoad, plugins.Trap)
	if byLoad.Fuel > whole || byLoad.Fuel+slice < whole {
		t.Errorf("a load that traps after about %d units counts %d", whole, byLoad.Fuel)
	}
	if again := run(t, m, "work_and_trap", 100_000, 0); again.Fuel != byLoad.Fuel {
		t.Errorf("the second run counts %d, the first %d", again.Fuel, byLoad.Fuel)
	}
	// Exactly: the same loop, then a get, an if and an unreachable for a get.
	byUnreachable := run(t, m, "work_and_trap", 100_000, 1)
	wantOutcome(t, byUnreachable, plugins.Trap)
	if byUnreachable.Fuel != whole+2 {
		t.Errorf("unreachable counts %d, want %d", byUnreachable.Fuel, whole+2)
	}
}

func TestDeadlineEndsAnEndlessLoop(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "limits")
	const wall = 20 * time.Millisecond
	res := runInvocation(t, m, plugins.Invocation{Export: "spin", Limits: plugins.Limits{Fuel: 1 << 60, Wall: wall}})
	wantOutcome(t, res, plugins.DeadlineExceeded)
	if res.Wall < wall || res.Wall > wall+2*time.Second {
		t.Errorf("ended after %v, limit %v", res.Wall, wall)
	}
	if res.Fuel == 0 {
		t.Error("no fuel counted")
	}
	if want := "20ms wall-clock limit passed"; fmt.Sprint(res.Err) != want {
		t.Errorf("error %q, want %q", res.Err, want)
	}
	wantOutcome(t, run(t, m, "work", 10), plugins.OK)
}

func TestCallersContextEndsARun(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{HostModules: []plugins.HostModule{testHost(nil)}}), "limits")
	endless := plugins.Invocation{Export: "spin", Limits: plugins.Limits{Fuel: 1 << 60, Wall: time.Hour}}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	res, err := m.Run(ctx, endless)
	if !errors.Is(err, context.DeadlineExceeded) || res.Outcome != "" {
		t.Errorf("got outcome %q, error %v", res.Outcome, err)
	}
	if _, err := m.Run(ctx, endless); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context that is over: %v", err)
	}

	ctx, cancel = context.WithCancel(context.Background())
	done := make(chan error)
	go func() { // ends with the run, received below
		_, err := m.Run(ctx, endless)
		done <- err
	}()
	cancel()
	if err := receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// receive takes one value, or fails the test when it takes too long.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came within 30 s")
		panic("unreachable")
	}
}

func TestMemoryLimit(t *testing.T) {
	e := newEngine(t, plugins.Options{})
	m, err := e.Load(context.Background(), guest(t, "limits"), plugins.LoadOptions{MemoryBytes: 2<<20 + 5})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.MemoryLimit(); got != 2<<20 {
		t.Errorf("limit %d, want whole pages", got)
	}

	res := run(t, m, "bomb")
	wantOutcome(t, res, plugins.MemoryExceeded)
	if res.MemoryBytes != 2<<20 {
		t.Errorf("memory at the end is %d bytes", res.MemoryBytes)
	}
	if want := "memory limit of 2 MiB reached (growth to 2112 KiB refused): wasm unreachable"; fmt.Sprint(res.Err) != want {
		t.Errorf("error %q, want %q", res.Err, want)
	}

	if got := value(t, run(t, m, "modest")); got != 32 {
		t.Errorf("a guest that takes a refusal well has %d pages, want 32", got)
	}
	if got := value(t, run(t, m, "grow", 31)); got != 1 {
		t.Errorf("growing to the limit gave %d, want 1", got)
	}
	for _, pages := range []uint64{32, 65535, 65536, 0xffffffff} {
		if got := value(t, run(t, m, "grow", pages)); uint32(got) != 0xffffffff {
			t.Errorf("growing by %d pages gave %d, want a refusal", pages, int32(got))
		}
	}
	// A refusal is forgotten by the next invocation.
	wantOutcome(t, run(t, m, "recurse"), plugins.Trap)
}

func TestModulesOwnMaximumHolds(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "memory_own_max")
	if got := value(t, run(t, m, "grow", 1)); got != 1 {
		t.Errorf("growing to the maximum gave %d", got)
	}
	if got := value(t, run(t, m, "grow", 2)); uint32(got) != 0xffffffff {
		t.Errorf("growing beyond the maximum gave %d", got)
	}
}

func TestTableBombIsRefused(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "tables")
	if got := value(t, run(t, m, "table_bomb")); uint32(got) != 0xffffffff {
		t.Errorf("growing a table by 2^31 gave %d", int32(got))
	}
}

func TestTrapsSayWhatAndWhere(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "traps")
	for export, want := range map[string]string{
		"unreachable":   "wasm unreachable",
		"out_of_bounds": "wasm out of bounds memory access",
		"divide":        "wasm integer divide by zero",
		"overflow":      "wasm integer overflow",
		"convert":       "wasm invalid conversion to integer",
		"null_call":     "wasm invalid table access",
		"table_bounds":  "wasm invalid table access",
		"type_mismatch": "wasm indirect call type mismatch",
	} {
		res := run(t, m, export)
		wantOutcome(t, res, plugins.Trap)
		if fmt.Sprint(res.Err) != want {
			t.Errorf("%s: error %q, want %q", export, res.Err, want)
		}
	}
	var re *plugins.RunError
	if res := run(t, m, "unreachable"); !errors.As(res.Err, &re) || fmt.Sprint(re.Stack) != "[inner() outer()]" {
		t.Errorf("stack %q, want inner and outer", re.Stack)
	}
}

func TestRecursionHarmsNobody(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "limits")
	for range 2 {
		res := run(t, m, "recurse")
		wantOutcome(t, res, plugins.Trap)
		if want := "wasm stack overflow"; !strings.HasPrefix(fmt.Sprint(res.Err), want) {
			t.Errorf("error %q, want %q", res.Err, want)
		}
	}
	wantOutcome(t, run(t, m, "work", 10), plugins.OK)
}

func TestSpinningGuestLetsTheCollectorRun(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "limits")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { // ends when ctx is cancelled, received below
		_, err := m.Run(ctx, plugins.Invocation{Export: "spin", Limits: plugins.Limits{Fuel: 1 << 60, Wall: time.Hour}})
		done <- err
	}()
	for range 3 {
		runtime.GC() // waits until every goroutine has stopped
	}
	cancel()
	if err := receive(t, done); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
