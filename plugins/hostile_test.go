package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

//go:generate sh -c "cd testdata/hostile && for f in *.wat; do wat2wasm --debug-names --enable-all $DOLLAR{f} -o $DOLLAR{f%.wat}.wasm; done"

// hostile is a module that means harm, and what becomes of it.
type hostile struct {
	name string
	wasm func() []byte // nil: testdata/hostile/name.wasm

	// Of one that is refused:
	step string // of the LoadError
	is   error
	want string         // in its text
	init plugins.Limits // zero: enough

	// Of one that is run:
	runs []attempt

	large bool // takes the rewriter or the compiler long
}

// attempt is one invocation of a hostile module.
type attempt struct {
	export  string // "" means "run"
	args    []uint64
	limits  plugins.Limits // zero: enough
	want    plugins.Outcome
	message string // in the error
	fuel    uint64 // used, exactly; 0: the limit if it is exhausted, else whatever
}

const (
	outOfBounds   = "wasm out of bounds memory access"
	stackOverflow = "wasm stack overflow"
	badIndirect   = "wasm indirect call type mismatch"
	badTable      = "wasm invalid table access"
)

var (
	enough = plugins.Limits{Fuel: 20_000_000, Wall: time.Minute}
	brief  = plugins.Limits{Fuel: 1 << 60, Wall: 20 * time.Millisecond}
	deep   = plugins.Limits{Fuel: 1 << 40, Wall: time.Minute} // the stack is at its end before

	exhausted = []attempt{{want: plugins.FuelExhausted, message: "fuel spent: 20000000 of 20000000"}}
	overflows = []attempt{{limits: deep, want: plugins.Trap, message: stackOverflow}}
)

// each is the same attempt at several exports.
func each(a attempt, exports ...string) (out []attempt) {
	for _, e := range exports {
		a.export = e
		out = append(out, a)
	}
	return out
}

// hostiles is every module that means harm that we could think of.
var hostiles = []hostile{
	// Memory.
	{name: "memory_bomb", runs: []attempt{{want: plugins.MemoryExceeded, message: "memory limit of 64 MiB reached (growth to 128 MiB refused): wasm unreachable"}}},
	{name: "memory_creep", runs: exhausted},
	{name: "memory_declared", step: "parsing", is: plugins.ErrLimit, want: "the module's memory begins with 4096 MiB, the limit is 64 MiB"},
	{name: "memory_fill", runs: exhausted},
	{name: "memory_copy", runs: exhausted},
	{name: "memory_init", runs: each(exhausted[0], "run", "nothing")},
	{name: "memory_edge", runs: each(attempt{want: plugins.Trap, message: outOfBounds},
		"store64_max", "store64_wraps", "store64_wraps_to_1", "store64_straddles", "store8_next", "store8_offset",
		"store128_straddles", "load8_max", "load128_wraps", "load_lane_wraps", "store_lane_straddles", "fill_wraps", "fill_next",
		"copy_wraps", "copy_to_next", "init_wraps", "init_beyond", "init_segment_wraps")},
	{name: "data_beyond", step: "initialising", is: plugins.ErrInit},
	{name: "data_wraps", step: "initialising", is: plugins.ErrInit},

	// Tables.
	{name: "table_bomb", runs: exhausted},
	{name: "table_fill", runs: exhausted},
	{name: "table_declared", step: "parsing", is: plugins.ErrLimit, want: "table of 4294967295 elements"},
	{name: "elem_beyond", runs: []attempt{{want: plugins.Trap, message: badTable}}},

	// Calls and recursion, with and without loops.
	{name: "recursion", runs: []attempt{{args: []uint64{0}, limits: deep, want: plugins.Trap, message: stackOverflow}}},
	{name: "recursion_indirect", runs: overflows},
	{name: "recursion_tree", runs: exhausted},
	{name: "recursion_wide", wasm: func() []byte { return wide(1000) }, runs: overflows},
	// A tail call with more parameters than there are registers takes stack in wazero.
	{name: "tail_call", runs: append(each(exhausted[0], "self", "pair", "indirect"), each(overflows[0], "growing")...)},
	// 9,999 calls, and a nop.
	{name: "chain", wasm: func() []byte { return chain(10_000, 1) }, runs: []attempt{{want: plugins.OK, fuel: 10_000}}, large: true},
	{name: "chain_twice", wasm: func() []byte { return chain(10_000, 2) }, runs: exhausted, large: true},

	// Initialisation.
	{name: "start_endless", step: "initialising", is: plugins.ErrInit, want: "fuel spent: 20000000 of 20000000"},
	{name: "start_recursive", step: "initialising", is: plugins.ErrInit, want: stackOverflow, init: deep},
	{name: "start_trap", step: "initialising", is: plugins.ErrInit, want: "wasm unreachable"},
	{name: "start_exit", step: "initialising", is: plugins.ErrInit, want: "exited with code 0 before it was ready"},
	{name: "start_bomb", step: "initialising", is: plugins.ErrInit, want: "memory limit of 64 MiB reached"},
	{name: "start_sleep", step: "initialising", is: plugins.ErrInit, want: "wall-clock limit passed"},

	// Control that dodges what counts it.
	{name: "branch_out", runs: []attempt{
		// Two instructions in once, then 20 nops, and get, eqz and br_if, or get and br_table besides.
		{export: "once", args: []uint64{0}, want: plugins.OK, fuel: 25},
		{export: "once", args: []uint64{1}, want: plugins.OK, fuel: 27},
		{export: "once", args: []uint64{7}, want: plugins.OK, fuel: 27},
		{args: []uint64{0}, want: plugins.FuelExhausted},
		{args: []uint64{1}, want: plugins.FuelExhausted},
	}},
	{name: "loops", runs: slices.Concat(
		each(exhausted[0], "empty", "by_if", "by_table", "from_a_block", "from_an_if", "inner_only", "outer_only",
			"with_a_value", "with_a_parameter", "code_behind"),
		[]attempt{
			{export: "behind_a_return", args: []uint64{1}, want: plugins.FuelExhausted},
			{export: "behind_a_return", args: []uint64{0}, want: plugins.OK, fuel: 3},
			{export: "only_unreachable", want: plugins.Trap, message: "wasm unreachable", fuel: 1},
			{export: "behind_unreachable", want: plugins.Trap, message: "wasm unreachable", fuel: 1},
			{export: "only_return", want: plugins.OK, fuel: 1},
		})},
	{name: "br_table_fan", runs: exhausted},
	{name: "labels", wasm: func() []byte { return fan(20_000) }, runs: exhausted, large: true},
	{name: "labels_more", wasm: func() []byte { return fan(20_001) }, step: "parsing", is: plugins.ErrLimit, want: "20001 labels of br_table"},
	{name: "blocks", wasm: func() []byte { return nested(9_999, 0x02) }, runs: []attempt{{want: plugins.OK, fuel: 1}}, large: true},
	{name: "blocks_more", wasm: func() []byte { return nested(10_001, 0x02) }, step: "parsing", is: plugins.ErrLimit, want: "nested more than 10000 deep"},
	{name: "nested_loops", wasm: func() []byte { return nested(256, 0x03) }, runs: []attempt{{want: plugins.FuelExhausted, limits: plugins.Limits{Fuel: 300_000, Wall: time.Minute}}}},
	{name: "nested_loops_all", wasm: func() []byte { return nestedLoops(256) }, runs: exhausted},
	{name: "nested_loops_more", wasm: func() []byte { return nestedLoops(257) }, step: "parsing", is: plugins.ErrLimit, want: "loops nested more than 256 deep"},
	{name: "straight", wasm: func() []byte { return straight(1_000_000) }, runs: exhausted, large: true},
	{name: "straight_more", wasm: func() []byte { return straight(1 << 20) }, step: "parsing", is: plugins.ErrLimit, want: "function of 1048"},
	{name: "float_flood", runs: exhausted},

	// What takes a compiler long.
	{name: "locals", wasm: func() []byte { return endlessWith(50_000) }, runs: exhausted},
	{name: "locals_more", wasm: func() []byte { return endlessWith(50_001) }, step: "parsing", is: plugins.ErrLimit, want: "function with more than 50000 locals"},
	{name: "locals_sum", wasm: func() []byte {
		return oneFunction(2, uleb(0xffffffff), 0x7e, uleb(0xffffffff), 0x7e)
	}, step: "parsing", is: plugins.ErrLimit, want: "function with more than 50000 locals"},
	{name: "joins", wasm: func() []byte { return joins(500, 100) }, runs: exhausted},
	{name: "joins_more", wasm: func() []byte { return joins(10_000, 1000) }, step: "parsing", is: plugins.ErrLimit, want: "basic blocks times locals", large: true},
	{name: "parameters_more", wasm: func() []byte { return wide(1001) }, step: "parsing", is: plugins.ErrLimit, want: "1001 parameters"},

	// Our names, and our function.
	{name: "refuel_import", step: "parsing", is: plugins.ErrReserved, want: `import from "auricle:engine"`},
	{name: "reserved_fuel", step: "parsing", is: plugins.ErrReserved, want: `export "auricle:fuel"`},
	{name: "reserved_start", step: "parsing", is: plugins.ErrReserved, want: `export "auricle:start"`},
	{name: "reserved_global", step: "parsing", is: plugins.ErrReserved, want: `export "auricle:global:0"`},
	{name: "refuel_reach", runs: slices.Concat(
		each(attempt{args: []uint64{40}, want: plugins.OK}, "own", "last", "direct"),
		each(attempt{want: plugins.OK}, "by_reference"),
		[]attempt{
			{export: "indirect", args: []uint64{0}, want: plugins.Trap, message: badIndirect},
			{export: "indirect", args: []uint64{1}, want: plugins.OK},
			{export: "indirect", args: []uint64{2}, want: plugins.OK},
			{export: "indirect", args: []uint64{3}, want: plugins.Trap, message: badTable},
			{export: "indirect", args: []uint64{8}, want: plugins.Trap, message: badTable},
			{export: "indirect", args: []uint64{0xffffffff}, want: plugins.Trap, message: badTable},
		})},
	{name: "refuel_called", wasm: func() []byte { return oneFunction(0, 0x42, 0, 0x10, 1, 0x1a) }, step: "parsing", is: plugins.ErrMalformed, want: "called function is 1, the module has 1 functions"},
	{name: "refuel_tail_called", wasm: func() []byte { return oneFunction(0, 0x42, 0, 0x12, 1) }, step: "parsing", is: plugins.ErrMalformed, want: "called function is 1"},
	{name: "refuel_referred_to", wasm: func() []byte { return oneFunction(0, 0xd2, 1, 0x1a) }, step: "parsing", is: plugins.ErrMalformed, want: "ref.func's function is 1"},
	{name: "refuel_in_table", wasm: func() []byte {
		return wasmOf(section(4, 1, 0x70, 0, 1), section(9, 1, 0, 0x41, 0, 0x0b, 1, 0))
	}, step: "parsing", is: plugins.ErrMalformed, want: "function in an element segment is 0"},
	{name: "refuel_as_start", wasm: func() []byte { return wasmOf(section(8, 0)) }, step: "parsing", is: plugins.ErrMalformed, want: "start function is 0"},
	{name: "refuel_exported", wasm: func() []byte { return wasmOf(section(7, 1, named("f"), 0, 0)) }, step: "parsing", is: plugins.ErrMalformed, want: "exported function is 0"},
	{name: "balance_set", wasm: func() []byte { return oneFunction(0, 0x42, 0, 0x24, 0) }, step: "parsing", is: plugins.ErrMalformed, want: "global index is 0, the module has 0"},
	{name: "balance_exported", wasm: func() []byte { return wasmOf(section(7, 1, named("g"), 3, 0)) }, step: "parsing", is: plugins.ErrMalformed, want: "exported global is 0"},
	{name: "balance_as_local", wasm: func() []byte { return oneFunction(0, 0x42, 0, 0x21, 0) }, step: "parsing", is: plugins.ErrMalformed, want: "local index is 0"},
	{name: "branch_beyond", wasm: func() []byte { return oneFunction(0, 0x0c, 1) }, step: "parsing", is: plugins.ErrMalformed, want: "branch depth is 1"},

	// Names.
	{name: "names", wasm: func() []byte { return manyNames(1000, 900) }, runs: []attempt{{want: plugins.Trap, message: "wasm unreachable"}}, large: true},
	{name: "names_long", wasm: func() []byte { return manyNames(10, 90_000) }, runs: []attempt{{want: plugins.Trap, message: "wasm unreachable"}}},
	{name: "names_missing", wasm: func() []byte { return brokenNames(1 << 28) }, runs: []attempt{{want: plugins.Trap, message: "wasm unreachable"}}},
	{name: "names_many", wasm: func() []byte { return brokenNames(0xffffffff) }, runs: []attempt{{want: plugins.Trap, message: "wasm unreachable"}}},
	{name: "export_long", wasm: func() []byte {
		return wasmOf(section(5, 1, 0, 1), section(7, 1, named(strings.Repeat("x", 100_001)), 2, 0))
	}, step: "parsing", is: plugins.ErrLimit, want: "100001 bytes"},
	{name: "import_long", wasm: func() []byte {
		return wasmOf(section(1, 1, 0x60, 0, 0), section(2, 1, named(strings.Repeat("\x07", 100_000)), named("\n"), 0, 0))
	}, step: "linking", is: plugins.ErrImport, want: "unknown import \"????"},
	{name: "imports_many", wasm: func() []byte {
		return wasmOf(section(1, 1, 0x60, 0, 0), section(2, vector(10_000, named("env"), named("f"), 0, 0)))
	}, step: "linking", is: plugins.ErrImport, want: "unknown import \"env\" \"f\" ()"},
	{name: "custom_sections", wasm: func() []byte {
		return cat(oneFunction(0, nop), vector(100_000, section(0, named("x")))[3:])
	}, runs: []attempt{{want: plugins.OK, fuel: 1}}},

	// Malformed.
	{name: "overlong_index", wasm: func() []byte { return oneFunction(0, 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0) }, step: "parsing", is: plugins.ErrMalformed, want: "too long"},
	{name: "oversized_index", wasm: func() []byte { return oneFunction(0, 0x10, 0x80, 0x80, 0x80, 0x80, 0x10) }, step: "parsing", is: plugins.ErrMalformed, want: "too large"},
	{name: "overlong_constant", wasm: func() []byte {
		return oneFunction(0, 0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a)
	}, step: "parsing", is: plugins.ErrMalformed, want: "too long"},
	{name: "overlong_section", wasm: func() []byte { return wasmOf(cat(5, 0x83, 0x80, 0x80, 0x80, 0x80, 0, 1, 0, 1)) }, step: "parsing", is: plugins.ErrMalformed, want: "too long"},
	// As long as it may be is no fault.
	{name: "long_index", wasm: func() []byte {
		return oneFunction(0, 0x03, 0x40, 0x10, 0x80, 0x80, 0x80, 0x80, 0, 0x0c, 0x80, 0x80, 0x80, 0x80, 0, 0x0b)
	}, runs: overflows},
	{name: "order", wasm: func() []byte { return wasmOf(section(5, 1, 0, 1), section(3, 0)) }, step: "parsing", is: plugins.ErrMalformed, want: "function section twice or out of order"},
	{name: "twice", wasm: func() []byte { return wasmOf(section(5, 1, 0, 1), section(5, 1, 0, 1)) }, step: "parsing", is: plugins.ErrMalformed, want: "memory section twice or out of order"},
	{name: "unknown_section", wasm: func() []byte { return wasmOf(section(42, 1)) }, step: "parsing", is: plugins.ErrMalformed, want: "unknown section id 42"},
	{name: "section_beyond", wasm: func() []byte { return wasmOf(cat(1, uleb(0xffffffff), 1)) }, step: "parsing", is: plugins.ErrMalformed, want: "needs 4294967295 bytes"},
	{name: "types_missing", wasm: func() []byte { return wasmOf(section(1, uleb(0xffffffff))) }, step: "parsing", is: plugins.ErrMalformed, want: "4294967295 types in 0 bytes"},
	{name: "elements_missing", wasm: func() []byte {
		return wasmOf(section(4, 1, 0x70, 0, 1), section(9, 1, 0, 0x41, 0, 0x0b, uleb(1<<31)))
	}, step: "parsing", is: plugins.ErrMalformed, want: "2147483648"},
	{name: "functions_missing", wasm: func() []byte { return wasmOf(section(1, 1, 0x60, 0, 0), section(3, vector(1000, 0))) }, step: "parsing", is: plugins.ErrMalformed, want: "1000 functions declared and 0 defined"},
	{name: "functions_many", wasm: func() []byte {
		return wasmOf(section(1, 1, 0x60, 0, 0), section(3, vector(200_001, 0)))
	}, step: "parsing", is: plugins.ErrLimit, want: "200001 functions"},
	{name: "body_beyond", wasm: func() []byte {
		return wasmOf(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, 1, 100, 0, 0x0b))
	}, step: "parsing", is: plugins.ErrMalformed, want: "function body needs 100 bytes"},
	{name: "body_without_end", wasm: func() []byte {
		return wasmOf(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, 1, 2, 0, nop))
	}, step: "parsing", is: plugins.ErrMalformed, want: "unexpected end"},
	{name: "stack_underflow", wasm: func() []byte { return oneFunction(0, 0x1a) }, step: "compiling", is: plugins.ErrMalformed},
	{name: "threads", step: "parsing", is: plugins.ErrUnsupported, want: "threads"},
	{name: "memory64", step: "parsing", is: plugins.ErrUnsupported, want: "memory64"},
	{name: "exceptions", step: "parsing", is: plugins.ErrUnsupported, want: "exception handling"},

	// What the host does for guests.
	{name: "write_flood", runs: each(exhausted[0], "bytes", "nothing", "everything", "everything_often", "pieces")},
	{name: "random_flood", runs: exhausted},
	{name: "clock_flood", runs: each(exhausted[0], "clock", "yield")},
	{name: "poll_forever", runs: slices.Concat(
		each(attempt{want: plugins.DeadlineExceeded, limits: brief, message: "20ms wall-clock limit passed"}, "hour", "longest", "signed", "until", "naps"),
		each(exhausted[0], "no_time", "many"))},
	{name: "exit_flood", runs: []attempt{
		{export: "zero", want: plugins.OK},
		{export: "most", want: plugins.AppError, message: "exited with code 4294967295"},
	}},
	{name: "host_flood", runs: slices.Concat(
		each(exhausted[0], "nothing", "page"),
		each(attempt{want: plugins.Trap, message: "outside of its memory of 65536 bytes"}, "beyond", "wraps", "all"))},
}

// binary returns the module.
func (h *hostile) binary(t testing.TB) []byte {
	t.Helper()
	if h.wasm != nil {
		return h.wasm()
	}
	return guest(t, filepath.Join("hostile", h.name))
}

// initLimits are those of its initialisation.
func (h *hostile) initLimits() plugins.Limits {
	if h.init == (plugins.Limits{}) {
		return enough
	}
	return h.init
}

// take is the function of the host's that hostile modules call.
func take() plugins.HostModule {
	return plugins.HostModule{Name: "env", Functions: []plugins.HostFunction{{
		Name: "take", Params: []plugins.ValueType{plugins.I32, plugins.I32},
		Func: func(c *plugins.Call, stack []uint64) error {
			_, err := c.Read(uint32(stack[0]), uint32(stack[1]))
			return err
		},
	}}}
}

// neighbour is a well-behaved module's work beside a hostile one.
type neighbour struct {
	stop context.CancelFunc
	done sync.WaitGroup
}

// startNeighbour runs m in turns until end, and has done it once on return.
func startNeighbour(t *testing.T, m *plugins.Module) *neighbour {
	ctx, cancel := context.WithCancel(context.Background())
	n := &neighbour{stop: cancel}
	want := run(t, m, "work", 1000)
	wantOutcome(t, want, plugins.OK)
	n.done.Go(func() { // ends by n.end
		for last := false; !last; {
			last = ctx.Err() != nil
			res, err := m.Run(context.Background(), plugins.Invocation{Export: "work", Args: []uint64{1000}, Limits: ample})
			if err != nil || res.Outcome != plugins.OK || res.Fuel != want.Fuel || !slices.Equal(res.Values, want.Values) {
				t.Errorf("beside it, a module ends %s (%v) with %d units and %v, error %v; want %d and %v",
					res.Outcome, res.Err, res.Fuel, res.Values, err, want.Fuel, want.Values)
				return
			}
		}
	})
	return n
}

// end waits for the neighbour's last turn, which begins after the call.
func (n *neighbour) end() {
	n.stop()
	n.done.Wait()
}

func TestHostileModulesHarmNobody(t *testing.T) {
	for _, h := range hostiles {
		if h.large && raceEnabled {
			continue // loading has no concurrency of its own, and takes ten times longer
		}
		t.Run(h.name, func(t *testing.T) {
			wasm := h.binary(t)
			before := held(t)
			e, err := plugins.New(context.Background(), plugins.Options{HostModules: []plugins.HostModule{take()}})
			if err != nil {
				t.Fatal(err)
			}
			n := startNeighbour(t, load(t, e, "limits"))
			start := time.Now()
			m, err := e.Load(context.Background(), wasm, plugins.LoadOptions{Name: h.name, Init: h.initLimits()})
			if took := time.Since(start); took > time.Second {
				t.Logf("loading took %v", took)
			}
			if h.step != "" {
				h.checkRefusal(t, err)
			} else if err != nil {
				t.Error(err)
			} else {
				for _, a := range h.runs {
					a.check(t, m)
				}
			}
			n.end()
			if err := e.Close(context.Background()); err != nil {
				t.Error(err)
			}
			nothingLeft(t, before)
		})
	}
}

// checkRefusal checks the error of loading h.
func (h *hostile) checkRefusal(t *testing.T, err error) {
	t.Helper()
	var le *plugins.LoadError
	if !errors.As(err, &le) || le.Step != h.step || !errors.Is(err, h.is) || !strings.Contains(err.Error(), h.want) {
		t.Errorf("got %v, want %s: %v: …%s…", err, h.step, h.is, h.want)
		return
	}
	const most = 16<<10 + 400
	if text := err.Error(); len(text) > most || strings.ContainsAny(strings.ReplaceAll(text, "\n", ""), "\x07\x1b") {
		t.Errorf("an error of %d bytes: %.200q…", len(text), text)
	}
}

// check makes the attempt, twice where it has to come out the same.
func (a attempt) check(t *testing.T, m *plugins.Module) {
	t.Helper()
	if a.export == "" {
		a.export = "run"
	}
	if a.limits == (plugins.Limits{}) {
		a.limits = enough
	}
	// Where the stack ends depends on the processor, when time is up on it all.
	times := 2
	if a.message == stackOverflow || a.want == plugins.DeadlineExceeded {
		times = 1
	}
	var first plugins.Result
	for i := range times {
		out := &counter{}
		res := runInvocation(t, m, plugins.Invocation{Export: a.export, Args: a.args, Limits: a.limits, Stderr: out})
		if res.Outcome != a.want || !strings.Contains(fmt.Sprint(res.Err), a.message) {
			t.Errorf("%s%v: got %s (%v), want %s (…%s…)", a.export, a.args, res.Outcome, res.Err, a.want, a.message)
		}
		want := a.fuel
		if a.want == plugins.FuelExhausted {
			want = a.limits.Fuel
		}
		if want != 0 && res.Fuel != want {
			t.Errorf("%s%v: used %d, want %d", a.export, a.args, res.Fuel, want)
		}
		if out.bytes > res.Fuel {
			t.Errorf("%s%v: wrote %d bytes for %d units", a.export, a.args, out.bytes, res.Fuel)
		}
		if res.MemoryBytes > m.MemoryLimit() {
			t.Errorf("%s%v: has %d bytes of memory", a.export, a.args, res.MemoryBytes)
		}
		var re *plugins.RunError
		if errors.As(res.Err, &re) {
			for _, name := range re.Stack {
				if len(name) > 300 || strings.ContainsAny(name, "\n\x1b") || strings.HasPrefix(name, "auricle:") {
					t.Errorf("%s%v: function %.300q in the stack", a.export, a.args, name)
				}
			}
			if len(re.Stack) > 100 || len(re.LastLines) > 20 {
				t.Errorf("%s%v: a stack of %d functions, %d lines", a.export, a.args, len(re.Stack), len(re.LastLines))
			}
		}
		if i == 0 {
			first = res
		} else if res.Fuel != first.Fuel || !slices.Equal(res.Values, first.Values) {
			t.Errorf("%s%v: %d units and %v, %d and %v before", a.export, a.args, res.Fuel, res.Values, first.Fuel, first.Values)
		}
	}
}

// counter counts what is written to it.
type counter struct{ bytes uint64 }

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	c.bytes += uint64(len(b))
	return len(b), nil
}

func TestRefuelCantBeReached(t *testing.T) {
	e := newEngine(t, plugins.Options{HostModules: []plugins.HostModule{take()}})
	m := load(t, e, "hostile/refuel_reach")
	for export, want := range map[string]uint64{"own": 41, "last": 42, "direct": 41} {
		if got := value(t, run(t, m, export, 40)); got != want {
			t.Errorf("%s(40) is %d, want %d: another function was called", export, got, want)
		}
	}
	for i, want := range []uint64{1: 41, 2: 42} {
		if want == 0 {
			continue
		}
		if got := value(t, run(t, m, "indirect", uint64(i))); got != want {
			t.Errorf("indirect(%d) is %d, want %d: another function was called", i, got, want)
		}
	}
	if got := value(t, run(t, m, "by_reference")); got != 41 {
		t.Errorf("by reference: %d, want 41", got)
	}
}

// Every beginning of a module is refused, at the place where it ends or before,
// unless it ends where a section does.
func TestCutModulesAreRefused(t *testing.T) {
	e := newEngine(t, plugins.Options{})
	for _, name := range []string{"tables", "hostile/memory_edge"} {
		whole := guest(t, name)
		ends := sectionEnds(whole)
		for n := range whole {
			_, err := e.Load(context.Background(), whole[:n], plugins.LoadOptions{})
			var le *plugins.LoadError
			switch {
			case slices.Contains(ends, n):
			case !errors.As(err, &le) || le.Step != "parsing":
				t.Errorf("%s: the first %d bytes: %v", name, n, err)
			case le.Offset > int64(n):
				t.Errorf("%s: the first %d bytes are refused at byte %d", name, n, le.Offset)
			}
		}
	}
}

// sectionEnds are the places where sections end, in a module whose sections
// are shorter than 16 KiB.
func sectionEnds(wasm []byte) (ends []int) {
	for at := 8; at < len(wasm); {
		ends = append(ends, at)
		size, n := int(wasm[at+1]&0x7f), 2
		if wasm[at+1] >= 0x80 {
			size, n = size|int(wasm[at+2])<<7, 3
		}
		at += n + size
	}
	return ends
}

func TestEveryHostileModuleOfTestdataIsTried(t *testing.T) {
	files, err := os.ReadDir("testdata/hostile")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, h := range hostiles {
		if tried[h.name] {
			t.Errorf("%s is there twice", h.name)
		}
		tried[h.name] = true
	}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".wasm"); ok && !tried[name] {
			t.Errorf("%s is not in the table", f.Name())
		}
	}
}

// BenchmarkBesideHostile reports by how much a small module's p99 grows while
// a hostile one runs or is loaded again and again, measured in turns beside it
// and beside one that is busy and well-behaved (the median of the turns), and
// how long the hostile one takes to load.
func BenchmarkBesideHostile(b *testing.B) {
	for _, h := range hostiles {
		if h.step != "" && h.step != "initialising" {
			continue // refused before anything of it runs
		}
		b.Run(h.name, func(b *testing.B) {
			wasm := h.binary(b)
			e := newEngine(b, plugins.Options{HostModules: []plugins.HostModule{take()}})
			healthy := load(b, e, "limits")
			start := time.Now()
			m, err := e.Load(context.Background(), wasm, plugins.LoadOptions{Init: h.initLimits()})
			loading := time.Since(start)
			if (err != nil) != (h.step != "") {
				b.Fatal(err)
			}
			harm := func(ctx context.Context) {
				if h.step != "" {
					_, _ = e.Load(ctx, wasm, plugins.LoadOptions{Init: h.initLimits()}) // fails, as above
					return
				}
				for _, a := range h.runs {
					if a.export == "" {
						a.export = "run"
					}
					l := a.limits
					if l == (plugins.Limits{}) {
						l = enough
					}
					_, _ = m.Run(ctx, plugins.Invocation{Export: a.export, Args: a.args, Limits: l}) // harmless, as tested
				}
			}
			// A spinning neighbour that does no harm takes a processor, too; what is
			// compared with is such a one.
			calm := func(ctx context.Context) {
				_, _ = healthy.Run(ctx, plugins.Invocation{Export: "work", Args: []uint64{100_000}, Limits: ample})
			}
			var alone, beside []time.Duration // the p99 of each turn
			for b.Loop() {
				alone = append(alone, percentile(latencies(b, healthy, calm), 99))
				beside = append(beside, percentile(latencies(b, healthy, harm), 99))
			}
			b.ReportMetric(float64(percentile(beside, 50))/float64(percentile(alone, 50)), "x-p99")
			b.ReportMetric(float64(loading.Microseconds())/1000, "ms-load")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// latencies are those of some calls of a healthy module while another does
// something again and again.
func latencies(b *testing.B, m *plugins.Module, other func(context.Context)) []time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { // ends when ctx does
		for ctx.Err() == nil {
			other(ctx)
			runtime.Gosched()
		}
	})
	out := make([]time.Duration, 300)
	for i := range out {
		start := time.Now()
		res, err := m.Run(context.Background(), plugins.Invocation{Export: "work", Args: []uint64{10_000}, Limits: ample})
		out[i] = time.Since(start)
		if err != nil || res.Outcome != plugins.OK {
			b.Fatal(res, err)
		}
	}
	cancel()
	wg.Wait()
	return out
}

func percentile(d []time.Duration, p int) time.Duration {
	slices.Sort(d)
	return d[len(d)*p/100]
}
