package meter_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
	"github.com/auricle-dev/auricle/plugins/internal/wasmtest"
)

// What modules are made from.
var (
	uleb        = wasmtest.Uleb
	cat         = wasmtest.Cat
	name        = wasmtest.Name
	section     = wasmtest.Section
	module      = wasmtest.Module
	codeSection = wasmtest.Code
)

// typeSection has (), (i32) -> (i32) and () -> (i32 i32).
var typeSection = section(1, 3, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 2, 0x7f, 0x7f)

// fn is a module with one function of type (), a memory of a page, a table
// of a funcref and a mutable i32 global.
func fn(body ...any) []byte {
	return module(typeSection, section(3, 1, 0), section(4, 1, 0x70, 0, 1), section(5, 1, 0, 1),
		section(6, 1, 0x7f, 1, 0x41, 0, 0x0b), codeSection(cat(body...)))
}

// refusals are modules that Rewrite must refuse, each with what would go
// wrong if it did not.
var refusals = []struct {
	name string
	wasm []byte
	err  error
	want string // part of the message
}{
	{"empty", nil, meter.ErrNotWasm, "0 bytes"},
	{"short", []byte("\x00asm"), meter.ErrNotWasm, "4 bytes"},
	{"text", []byte("(module (func))"), meter.ErrNotWasm, `begins with "(mod"`},
	{"component", []byte("\x00asm\x0d\x00\x01\x00"), meter.ErrComponent, "version 13, layer 1"},
	{"version", []byte("\x00asm\x02\x00\x00\x00"), meter.ErrNotWasm, "version"},
	{"truncated section", module([]byte{1, 9, 1}), meter.ErrMalformed, "type section needs 9 bytes, 1 are left at byte 10"},
	{"section twice", module(typeSection, typeSection), meter.ErrMalformed, "type section twice"},
	{"section order", module(section(5, 1, 0, 1), section(3, 0)), meter.ErrMalformed, "function section twice or out of order"},
	{"section id", module(section(14)), meter.ErrMalformed, "section id 14"},
	{"section too long", module(section(5, 1, 0, 1, 9)), meter.ErrMalformed, "1 bytes too many in memory section"},
	{"overlong LEB128", module(section(5, 1, 0, 0x81, 0x80, 0x80, 0x80, 0x80, 0)), meter.ErrMalformed, "too long"},
	{"oversized LEB128", module(section(5, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x1f)), meter.ErrMalformed, "too large"},
	{"oversized i32", fn(0, 0x41, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a), meter.ErrMalformed, "too large in i32.const"},
	{"custom section's name", module(section(0, 2, 0xff, 0xfe)), meter.ErrMalformed, "not UTF-8"},
	{"no code", module(typeSection, section(3, 1, 0)), meter.ErrMalformed, "1 functions declared and 0 defined"},
	{"no end", module(typeSection, section(3, 1, 0), section(10, 1, 2, 0, 1)), meter.ErrMalformed, "unexpected end in function body"},
	{"code after the end", fn(0, 0x0b, 1), meter.ErrMalformed, "too many in function body"},
	{"data count", module(section(5, 1, 0, 1), section(12, 2), section(11, 1, 1, 0)), meter.ErrMalformed, "data count is 2"},
	{"export twice", module(section(5, 1, 0, 1), section(7, 2, name("m"), 2, 0, name("m"), 2, 0)), meter.ErrMalformed, `export "m" twice`},

	// A count that the bytes can't hold must not allocate.
	{"types without bytes", module(section(1, uleb(1<<30))), meter.ErrMalformed, "1073741824 types in 0 bytes"},
	{"functions without bytes", module(typeSection, section(3, uleb(1<<30))), meter.ErrMalformed, "functions in 0 bytes"},
	{"data without bytes", module(section(5, 1, 0, 1), section(11, 1, 1, uleb(1<<30))), meter.ErrMalformed, "needs 1073741824 bytes"},
	{"labels without bytes", fn(0, 0x41, 0, 0x0e, uleb(1<<30)), meter.ErrMalformed, "labels of br_table in 1 bytes"},

	{"import of a memory", module(section(2, 1, name("env"), name("memory"), 2, 0, 1)), meter.ErrUnsupported, `import of a memory ("env"."memory")`},
	{"import of a table", module(section(2, 1, name("env"), name("t"), 1, 0x70, 0, 1)), meter.ErrUnsupported, "import of a table"},
	{"import of a global", module(section(2, 1, name("env"), name("g"), 3, 0x7f, 0)), meter.ErrUnsupported, "import of a global"},
	{"import without a module", module(typeSection, section(2, 1, name(""), name("f"), 0, 0)), meter.ErrMalformed, "module without a name"},
	{"shared memory", module(section(5, 1, 3, 1, 1)), meter.ErrUnsupported, "threads"},
	{"atomic instruction", fn(0, 0xfe, 3, 0), meter.ErrUnsupported, "threads"},
	{"memory64", module(section(5, 1, 4, 1)), meter.ErrUnsupported, "memory64"},
	{"two memories", module(section(5, 2, 0, 1, 0, 1)), meter.ErrUnsupported, "multi-memory"},
	{"load from another memory", fn(0, 0x41, 0, 0x28, 0x40, 1, 0, 0x1a), meter.ErrUnsupported, "multi-memory"},
	{"tag", module(section(13, 1, 0, 0)), meter.ErrUnsupported, "exception handling"},
	{"throw", fn(0, 0x08, 0), meter.ErrUnsupported, "exception handling"},
	{"try_table", fn(0, 0x1f, 0x40, 0, 0x0b), meter.ErrUnsupported, "exception handling"},
	{"struct type", module(section(1, 1, 0x5f, 0)), meter.ErrUnsupported, "garbage collection"},
	{"rec group", module(section(1, 1, 0x4e, 1, 0x60, 0, 0)), meter.ErrUnsupported, "garbage collection"},
	{"anyref", module(section(1, 1, 0x60, 1, 0x6e, 0)), meter.ErrUnsupported, "garbage collection"},
	{"ref type", module(section(1, 1, 0x60, 1, 0x64, 0x70, 0)), meter.ErrUnsupported, "typed function references"},
	{"call_ref", fn(0, 0x14, 0), meter.ErrUnsupported, "typed function references"},
	{"table with a value", module(section(4, 1, 0x40, 0, 0x70, 0, 1, 0xd0, 0x70, 0x0b)), meter.ErrUnsupported, "typed function references"},
	{"relaxed SIMD", fn(0, 0xfd, 0x80, 2), meter.ErrUnsupported, "relaxed SIMD"},
	{"vector opcode in three bytes", fn(0, 0xfd, 0xae, 0x81, 0), meter.ErrUnsupported, "in 3 bytes instead of 2"},

	{"import from the engine", module(typeSection, section(2, 1, name(meter.RefuelModule), name(meter.RefuelName), 0, 0)), meter.ErrReserved, `import from "auricle:engine"`},
	{"export of a reserved name", module(section(5, 1, 0, 1), section(7, 1, name(meter.FuelExport), 2, 0)), meter.ErrReserved, `export "auricle:fuel"`},

	// These would be valid by what is injected.
	{"call of refuel", fn(0, 0x42, 0, 0x10, 1, 0x1a), meter.ErrMalformed, "called function is 1, the module has 1 functions"},
	{"return_call of refuel", fn(0, 0x42, 0, 0x12, 1), meter.ErrMalformed, "called function is 1"},
	{"refuel in a table", module(section(4, 1, 0x70, 0, 1), section(9, 1, 0, 0x41, 0, 0x0b, 1, 0)), meter.ErrMalformed, "function in an element segment is 0"},
	{"refuel in an element expression", module(section(4, 1, 0x70, 0, 1), section(9, 1, 4, 0x41, 0, 0x0b, 1, 0xd2, 0, 0x0b)), meter.ErrMalformed, "function index in a constant expression is 0"},
	{"refuel in a global", module(section(6, 1, 0x70, 0, 0xd2, 0, 0x0b)), meter.ErrMalformed, "function index in a constant expression is 0"},
	{"ref.func of refuel", fn(0, 0xd2, 1, 0x1a), meter.ErrMalformed, "ref.func's function is 1"},
	{"export of refuel", module(section(7, 1, name("f"), 0, 0)), meter.ErrMalformed, "exported function is 0"},
	{"refuel as start", module(section(8, 0)), meter.ErrMalformed, "start function is 0"},
	{"global.get of the balance", fn(0, 0x23, 1, 0x1a), meter.ErrMalformed, "global index is 1, the module has 1"},
	{"global.set of the balance", fn(0, 0x42, 0, 0x24, 1), meter.ErrMalformed, "global index is 1"},
	{"export of the balance", module(section(7, 1, name("g"), 3, 0)), meter.ErrMalformed, "exported global is 0"},
	{"balance in an element's offset", module(section(4, 1, 0x70, 0, 1), section(9, 1, 0, 0x23, 0, 0x0b, 0)), meter.ErrMalformed, "global index in a constant expression is 0"},
	{"balance in a data segment's offset", module(section(5, 1, 0, 1), section(11, 1, 0, 0x23, 0, 0x0b, 0)), meter.ErrMalformed, "global index in a constant expression is 0"},
	{"local.get of the balance", fn(0, 0x20, 0, 0x1a), meter.ErrMalformed, "local index is 0, the module has 0"},
	{"local.set of the balance", fn(1, 1, 0x7f, 0x42, 0, 0x21, 1), meter.ErrMalformed, "local index is 1"},
	{"local.tee of the amount", fn(0, 0x41, 0, 0x22, 1, 0x1a), meter.ErrMalformed, "local index is 1"},
	{"branch out of the injected block", fn(0, 0x0c, 1), meter.ErrMalformed, "branch depth is 1"},
	{"br_if out of the injected block", fn(0, 0x41, 0, 0x0d, 1), meter.ErrMalformed, "branch depth is 1"},
	{"br_table out of the injected block", fn(0, 0x41, 0, 0x0e, 1, 0, 1), meter.ErrMalformed, "branch depth is 1"},
	{"injected function type", module(section(2, 1, name("env"), name("f"), 0, 0)), meter.ErrMalformed, "import's type is 0"},
	{"function of an injected type", module(typeSection, section(3, 1, 3), codeSection(cat(0, 0x20, 0))), meter.ErrMalformed, "function's type is 3"},
	{"block of an injected type", fn(0, 0x02, 3, 0x0b), meter.ErrMalformed, "block type is 3, the module has 3 types"},
	{"call_indirect of an injected type", fn(0, 0x42, 0, 0x41, 0, 0x11, 3, 0, 0x1a), meter.ErrMalformed, "type of an indirect call is 3"},
	{"ref.func of what only the injected export declares", module(typeSection, section(3, 1, 0), section(8, 0), codeSection(cat(0, 0xd2, 0, 0x1a))), meter.ErrMalformed, "ref.func of function 0"},
	{"start with a parameter", module(typeSection, section(3, 1, 1), section(8, 0), codeSection(cat(0, 0x20, 0))), meter.ErrMalformed, "has parameters or results"},
	{"else without if", fn(0, 0x05), meter.ErrMalformed, "else without if"},
	{"two elses", fn(0, 0x41, 0, 0x04, 0x40, 0x05, 0x05, 0x0b), meter.ErrMalformed, "else without if"},
	{"memory.init without data count", fn(0, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 8, 0, 0), meter.ErrMalformed, "memory.init without a data count section"},
	{"table.get of no table", fn(0, 0x41, 0, 0x25, 1, 0x1a), meter.ErrMalformed, "table index is 1"},
	{"unknown instruction", fn(0, 0xff), meter.ErrMalformed, "unknown instruction 0xff"},

	{"memory above the limit", module(section(5, 1, 0, 17)), meter.ErrLimit, "memory of 1114112 bytes, the limit is 1048576"},
	{"table above the limit", module(section(4, 1, 0x70, 0, 101)), meter.ErrLimit, "table of 101 elements, the limit is 100"},
	{"memory above 4 GiB", module(section(5, 1, 1, 0, 0x81, 0x80, 4)), meter.ErrMalformed, "more than 65536 pages"},
	{"maximum below minimum", module(section(5, 1, 1, 2, 1)), meter.ErrMalformed, "below its minimum"},
	{"tables", module(section(4, 17, bytes.Repeat([]byte{0x70, 0, 0}, 17))), meter.ErrLimit, "17 tables, the limit is 16"},
	{"parameters", module(section(1, 1, 0x60, uleb(1001), bytes.Repeat([]byte{0x7f}, 1001), 0)), meter.ErrLimit, "1001 parameters"},
	{"locals", fn(1, uleb(50_001), 0x7e), meter.ErrLimit, "more than 50000 locals"},
	{"locals by overflow", fn(3, uleb(0xffffffff), 0x7e, uleb(0xffffffff), 0x7e, 2, 0x7e), meter.ErrLimit, "more than 50000 locals"},
	{"locals of all functions", module(typeSection, section(3, 100, bytes.Repeat([]byte{0}, 100)), codeSection(slicesOf(100, cat(1, uleb(50_000), 0x7e))...)), meter.ErrLimit, "in all functions"},
	{"nesting", fn(0, bytes.Repeat([]byte{2, 0x40}, 10_001), bytes.Repeat([]byte{0x0b}, 10_001)), meter.ErrLimit, "nested more than 10000 deep"},
	{"loops", fn(0, bytes.Repeat([]byte{3, 0x40}, 257), bytes.Repeat([]byte{0x0b}, 257)), meter.ErrLimit, "loops nested more than 256 deep"},
	{"labels", fn(0, 0x41, 0, 0x0e, uleb(20_001), bytes.Repeat([]byte{0}, 20_002)), meter.ErrLimit, "20001 labels of br_table"},
	{"basic blocks times locals", fn(1, uleb(50_000), 0x7e, bytes.Repeat([]byte{0x41, 0, 0x0d, 0}, 100)), meter.ErrLimit, "basic blocks times locals"},
	{"function's size", fn(0, bytes.Repeat([]byte{1}, 1<<20)), meter.ErrLimit, "function of 1048578 bytes"},
}

func slicesOf(n int, b []byte) [][]byte {
	s := make([][]byte, n)
	for i := range s {
		s[i] = b
	}
	return s
}

func TestRefusals(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			_, err := meter.Rewrite(c.wasm, meter.Options{MaxMemoryBytes: 1 << 20, MaxTableElements: 100})
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %v with %q", err, c.err, c.want)
			}
			var at *meter.Error
			if !errors.As(err, &at) || at.Offset < 0 || at.Offset > int64(len(c.wasm)) {
				t.Errorf("%v: offset outside the %d bytes", err, len(c.wasm))
			}
		})
	}
}

// Each prefix of a module is refused without a panic, or is a module itself.
func TestTruncatedModules(t *testing.T) {
	for n := range fuelWasm {
		m, err := meter.Rewrite(fuelWasm[:n], meter.Options{})
		if err == nil {
			if _, err := newRuntime(t, interpreter()).CompileModule(context.Background(), m.Wasm); err != nil {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
}

func TestAcceptedModules(t *testing.T) {
	names := section(0, name("name"), 0, uleb(4), name("mod"), 1, 8, 2, 0, name("a"), 1, name("b"))
	for _, c := range []struct {
		name string
		wasm []byte
	}{
		{"nothing", module()},
		{"empty sections", module(section(1, 0), section(2, 0), section(3, 0), section(4, 0), section(5, 0), section(6, 0), section(7, 0), section(9, 0), section(12, 0), section(10, 0), section(11, 0))},
		{"passive data", module(section(5, 1, 0, 1), section(12, 1), section(11, 1, 1, 2, "hi"))},
		{"names", module(typeSection, section(3, 2, 0, 0), codeSection([]byte{0}, []byte{0}), names)},
		{"broken names", module(typeSection, section(3, 1, 0), codeSection([]byte{0}), names)},
		{"two name sections", module(names, names)},
		{"multi-value function", module(typeSection, section(3, 1, 2), codeSection(cat(0, 0x41, 1, 0x41, 2, 0x0f)))},
		{"unreachable code", fn(0, 0x00, 0x10, 0, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0, 0x41, 1, 0x40, 0, 0x1a, 0x03, 0x40, 0x0c, 0, 0x0b)},
		{"code after a return", fn(0, 0x0f, 0x02, 0x40, 0x0c, 1, 0x0b, 0x0f)},
		{"deep nesting", fn(0, bytes.Repeat([]byte{2, 0x40}, 1000), bytes.Repeat([]byte{0x0b}, 1000))},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := meter.Rewrite(c.wasm, meter.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r := newRuntime(t, compiler())
			addRefuel(t, r, endless())
			if _, err := r.InstantiateWithConfig(context.Background(), m.Wasm, wazero.NewModuleConfig()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
