package meter_test

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

//go:embed testdata/fuel.wasm
var fuelWasm []byte

// fuelCases says what each call of testdata/fuel.wat costs, counted by hand.
var fuelCases = []struct {
	export string
	arg    uint64
	fuel   int64
}{
	{"empty", 0, 0},
	{"nops", 0, 3},
	{"one", 0, 1},
	{"block", 0, 3},
	{"br", 0, 3}, // nop, br, the last nop
	{"br_if", 0, 5},
	{"br_if", 1, 3},
	{"br_out", 0, 5},
	{"br_out", 1, 3},
	{"if", 0, 3}, // local.get, if, i32.const
	{"if", 1, 5},
	{"if_else", 0, 6},
	{"if_else", 1, 4},
	{"if_return", 0, 5},
	{"if_return", 1, 4},
	{"loop", 1, 6},
	{"loop", 10, 51},
	{"loop", 100_000, 500_001},
	{"loop_param", 10, 51},
	{"loop_nested", 3, 3*7 + 5*(3+2+1)},
	{"br_table", 0, 6},
	{"br_table", 1, 5},
	{"br_table", 2, 3},
	{"br_table", 3, 2},
	{"br_table", 99, 2},
	{"multi", 0, 10},
	{"multi", 1, 4},
	{"call", 0, 3 + 2*3},
	{"call_host", 0, 2},
	{"call_indirect", 0, 3 + 1},
	{"call_indirect", 1, 3 + 3},
	{"return_call", 5, 5*6 + 3},
	{"return_call", 20_000, 20_000*6 + 3},
	{"return_call_indirect", 1, 3 + 3},
	{"fac", 5, 5*9 + 4},
	{"select", 1, 4},
	{"global", 1, 3},
	{"ref_func", 0, 20 + 1},
	{"memory.fill", 0, 4},
	{"memory.fill", 1, 4 + 1},
	{"memory.fill", 16, 4 + 1},
	{"memory.fill", 17, 4 + 2},
	{"memory.fill", 65536, 4 + 4096},
	{"memory.copy", 33, 4 + 3},
	{"memory.init", 36, 4 + 3},
	{"memory.grow", 0, 1 + 100},
	{"memory.grow", 2, 1 + 100 + 2*4096},
	{"memory.grow", 9, 1 + 100},              // refused
	{"memory.grow", math.MaxUint32, 1 + 100}, // refused
	{"table.grow", 3, 2 + 100 + 3},
	{"table.grow", 9, 2 + 100}, // refused
	{"table.fill", 4, 3 + 20 + 4},
	{"table.copy", 2, 4 + 2},
	{"table.init", 3, 4 + 3},
	{"fill_in_loop", 10, 10 * (9 + 2)},
}

// fuelTraps says what is counted when a call traps, and with which error.
var fuelTraps = []struct {
	export string
	arg    uint64
	fuel   int64
	want   string
}{
	{"unreachable", 0, 3, "unreachable"},
	// All of it, touched or not, is paid before.
	{"memory.fill", math.MaxUint32, 4 + 1<<28, "out of bounds memory access"},
	{"memory.init", 37, 4 + 3, "out of bounds memory access"},
	{"table.init", math.MaxUint32, 4 + math.MaxUint32, "invalid table access"},
	// Other traps lose what has not been written back.
	{"indirect_trap", 2, 0, "invalid table access"},
	{"load_trap", math.MaxUint32, 0, "out of bounds memory access"},
	{"loop_trap", 10, 0, "out of bounds memory access"},
	{"div_trap", 1, 0, "integer divide by zero"},
}

// metered is an instance of a rewritten module with a tank.
type metered struct {
	mod  api.Module
	tank *tank
}

// start makes an instance of a module rewritten with o, its tank empty and no
// start function run.
func start(tb testing.TB, config wazero.RuntimeConfig, wasm []byte, o meter.Options, t *tank) metered {
	tb.Helper()
	m, err := meter.Rewrite(wasm, o)
	if err != nil {
		tb.Fatal(err)
	}
	r := newRuntime(tb, config)
	addRefuel(tb, r, t)
	addHost(tb, r)
	mod, err := r.InstantiateWithConfig(context.Background(), m.Wasm, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		tb.Fatal(err)
	}
	if err := put(mod, m); err != nil {
		tb.Fatal(err)
	}
	return metered{mod, t}
}

// addHost makes the module env, whose function host returns its parameter.
func addHost(tb testing.TB, r wazero.Runtime) {
	tb.Helper()
	_, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithFunc(func(v uint32) uint32 { return v }).Export("host").Instantiate(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
}

// call returns what a call of an export used.
func (m metered) call(export string, arg uint64) (int64, error) {
	f := m.mod.ExportedFunction(export)
	args := []uint64{arg}[:len(f.Definition().ParamTypes())]
	before := m.tank.used(m.mod)
	_, err := f.Call(context.Background(), args...)
	return m.tank.used(m.mod) - before, err
}

func TestFuelIsExact(t *testing.T) {
	for name, config := range map[string]wazero.RuntimeConfig{"compiler": compiler(), "interpreter": interpreter()} {
		for _, slice := range []int64{1, 7, 1000, 1_000_000} {
			t.Run(fmt.Sprintf("%s/slice=%d", name, slice), func(t *testing.T) {
				for _, c := range fuelCases {
					if slice == 1 && c.fuel > 100_000 {
						continue // a refuel for each unit takes long
					}
					m := start(t, config, fuelWasm, meter.Options{MaxMemoryBytes: 4 << 16}, &tank{slice: slice, limit: math.MaxInt64})
					for _, when := range []string{"first", "again"} {
						if when == "again" && strings.HasSuffix(c.export, ".grow") {
							continue // what is grown already counts against the maximum
						}
						got, err := m.call(c.export, c.arg)
						if err != nil {
							t.Errorf("%s(%d): %v", c.export, c.arg, err)
						}
						if got != c.fuel {
							t.Errorf("%s(%d) %s: used %d, want %d", c.export, c.arg, when, got, c.fuel)
						}
					}
				}
			})
		}
	}
}

func TestFuelAtTraps(t *testing.T) {
	for name, config := range map[string]wazero.RuntimeConfig{"compiler": compiler(), "interpreter": interpreter()} {
		t.Run(name, func(t *testing.T) {
			for _, c := range fuelTraps {
				m := start(t, config, fuelWasm, meter.Options{}, &tank{slice: 1 << 40, limit: math.MaxInt64})
				if _, err := m.call("loop", 1); err != nil { // fills the tank
					t.Fatal(err)
				}
				for range 2 {
					got, err := m.call(c.export, c.arg)
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%s(%d): error %v, want %q", c.export, c.arg, err, c.want)
					}
					if got != c.fuel {
						t.Errorf("%s(%d): used %d, want %d", c.export, c.arg, got, c.fuel)
					}
				}
			}
		})
	}
}

// A trap deep in a loop loses at most the slice that was being used.
func TestTrapLosesAtMostOneSlice(t *testing.T) {
	m := start(t, compiler(), fuelWasm, meter.Options{}, &tank{slice: 1000, limit: math.MaxInt64})
	got, err := m.call("loop_trap", 10_000)
	if err == nil {
		t.Fatal("no trap")
	}
	if spent := int64(50_000); got > spent || got < spent-1000 {
		t.Errorf("used %d, want within 1000 below %d", got, spent)
	}
}

func TestRunawaysEnd(t *testing.T) {
	for _, slice := range []int64{1, 10, 100_000} {
		tank := &tank{slice: slice, limit: 1000}
		m := start(t, compiler(), fuelWasm, meter.Options{}, tank)
		if _, err := m.call("spin", 0); !errors.Is(err, errNoFuel) {
			t.Errorf("slice %d: %v, want %v", slice, err, errNoFuel)
		}
		// The loop is checked every four turns.
		if tank.atEnd != 1004 {
			t.Errorf("slice %d: stopped after %d, want 1004", slice, tank.atEnd)
		}
	}
	var used [2]int64
	for i := range used {
		var err error
		m := start(t, compiler(), fuelWasm, meter.Options{}, endless())
		used[i], err = m.call("deep", 0)
		if err == nil || !strings.Contains(err.Error(), "stack overflow") {
			t.Errorf("endless recursion: %v", err)
		}
	}
	if used[0] < 1000 || used[0] != used[1] {
		t.Errorf("endless recursion used %d, then %d", used[0], used[1])
	}
}

// The price of what a bulk instruction touches is checked before it runs.
func TestBulkInstructionsArePaidBefore(t *testing.T) {
	m := start(t, compiler(), fuelWasm, meter.Options{}, &tank{slice: 100, limit: 1000})
	if _, err := m.call("memory.fill", 1<<15); !errors.Is(err, errNoFuel) {
		t.Errorf("memory.fill: %v, want %v", err, errNoFuel)
	}
	if b, _ := m.mod.Memory().ReadByte(0); b == 0xaa {
		t.Error("memory.fill ran before it was paid")
	}
}

// A module is stopped soon after its limit also while deep recursion returns.
func TestReturningIsChecked(t *testing.T) {
	const depth, tail = 2000, 1000
	// f(n): if n > 0 then f(n-1); then nops.
	body := cat(0, 0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0, 0x0b, strings.Repeat("\x01", tail))
	wasm := module(section(1, 1, 0x60, 1, 0x7f, 0), section(3, 1, 0), section(7, 1, name("f"), 0, 0), codeSection(body))
	const limit = 100_000
	tank := &tank{slice: 1000, limit: limit}
	m := start(t, compiler(), wasm, meter.Options{}, tank)
	if _, err := m.call("f", depth); !errors.Is(err, errNoFuel) {
		t.Errorf("%v, want %v", err, errNoFuel)
	}
	if over := tank.atEnd - limit; over <= 0 || over > 2*tail {
		t.Errorf("stopped %d over the limit, want at most %d", over, 2*tail)
	}
}
