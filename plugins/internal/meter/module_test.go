package meter_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

func TestWhatIsKnownOfAModule(t *testing.T) {
	wasm := module(
		section(1, 3, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7e, 0x60, 0, 2, 0x7f, 0x7b),
		section(2, 1, name("env"), name("f"), 0, 1),
		section(3, 1, 0),
		section(5, 1, 1, 2, 0xff, 1),
		section(6, 3, 0x7f, 1, 0x41, 0, 0x0b, 0x7f, 0, 0x41, 0, 0x0b, 0x7c, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b),
		section(7, 4, name("f"), 0, 0, name("g"), 0, 1, name("m"), 2, 0, name("x"), 3, 1),
		section(8, 1),
		codeSection([]byte{0}))
	m, err := meter.Rewrite(wasm, meter.Options{MaxMemoryBytes: 10<<16 + 1})
	if err != nil {
		t.Fatal(err)
	}
	imported := meter.Signature{Params: []meter.ValueType{meter.I32}, Results: []meter.ValueType{meter.I64}}
	want := &meter.Module{
		Wasm:      m.Wasm,
		Skeleton:  m.Skeleton,
		Imports:   []meter.Import{{Module: "env", Name: "f", Type: imported}},
		Exports:   []meter.Export{{Name: "f", Type: imported}, {Name: "g"}, {Name: "m", Kind: 2}, {Name: "x", Kind: 3}},
		Globals:   []meter.Global{{Export: "auricle:global:0", Type: meter.I32}, {Export: "auricle:global:2", Type: meter.F64}},
		HasStart:  true,
		HasMemory: true,
		MinMemory: 2 << 16,
		MaxMemory: 10 << 16,
	}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	r := newRuntime(t, compiler())
	c, err := r.CompileModule(context.Background(), m.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	if max, ok := c.ExportedMemories()["m"].Max(); !ok || max != 10 {
		t.Errorf("memory of up to %d pages, want 10", max)
	}
	if _, ok := c.ExportedFunctions()[meter.StartExport]; !ok {
		t.Errorf("no export %q", meter.StartExport)
	}
}

func TestUnmakeable(t *testing.T) {
	table := section(4, 1, 0x70, 0, 1)
	with := func(body ...any) []byte {
		return module(typeSection, section(3, 1, 0), table, section(5, 1, 0, 1),
			section(9, 1, 1, 0, 1, 0), section(12, 1), codeSection(cat(body...)), section(11, 1, 1, 0))
	}
	operands := []byte{0x41, 0, 0x41, 0, 0x41, 0}
	for _, c := range []struct {
		name string
		wasm []byte
		want string
	}{
		{"a function", fn(0), ""},
		{"passive segments alone", with(0), ""},
		{"memory.init", with(0, operands, 0xfc, 8, 0, 0), ""},
		{"table.get", with(0, 0x41, 0, 0x25, 0, 0x1a), ""},
		{"table.set", with(0, 0x41, 0, 0xd0, 0x70, 0x26, 0), "the module has table.set"},
		{"table.grow", with(0, 0xd0, 0x70, 0x41, 0, 0xfc, 15, 0, 0x1a), "the module has table.grow"},
		{"table.fill", with(0, 0x41, 0, 0xd0, 0x70, 0x41, 0, 0xfc, 17, 0), "the module has table.fill"},
		{"table.copy", with(0, operands, 0xfc, 14, 0, 0), "the module has table.copy"},
		{"table.init and elem.drop", with(0, operands, 0xfc, 12, 0, 0, 0xfc, 13, 0), "the module has elem.drop, table.init"},
		{"data.drop", with(0, 0xfc, 9, 0), "the module has data.drop"},
		{"v128 global", module(section(6, 1, 0x7b, 1, 0xfd, 12, make([]byte, 16), 0x0b)), "the module has a mutable v128 global (0)"},
		{"reference global", module(section(6, 1, 0x6f, 1, 0xd0, 0x6f, 0x0b)), "the module has a mutable externref global (0)"},
		{"constant reference global", module(section(6, 1, 0x70, 0, 0xd0, 0x70, 0x0b)), ""},
	} {
		m, err := meter.Rewrite(c.wasm, meter.Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.Unmakeable != c.want {
			t.Errorf("%s: %q, want %q", c.name, m.Unmakeable, c.want)
		}
		if m.Saves != (c.want != "") {
			t.Errorf("%s: saves %v", c.name, m.Saves)
		}
		if _, err := newRuntime(t, interpreter()).CompileModule(context.Background(), m.Wasm); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Stack traces name the functions as the original's name section does.
func TestNamesFollowTheirFunctions(t *testing.T) {
	names := section(0, name("name"),
		0, uleb(4), name("mod"),
		1, 20, 3, 0, name("host"), 1, name("outer"), 2, name("trap"),
		2, 1, 0)
	wasm := module(
		section(1, 2, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f),
		section(2, 1, name("env"), name("host"), 0, 1),
		section(3, 2, 0, 0),
		section(7, 1, name("run"), 0, 1),
		codeSection(cat(0, 0x10, 2), cat(0, 0x00)),
		names)
	m := start(t, compiler(), wasm, meter.Options{}, endless())
	_, err := m.call("run", 0)
	if err == nil {
		t.Fatal("no trap")
	}
	for _, want := range []string{".trap(i64) i64", ".outer(i64) i64"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in the stack trace: %v", want, err)
		}
	}
}

// What can't be reached through a table is the refuel import: the module's
// own functions are in it, at their places.
func TestIndirectCallsReachTheModulesFunctions(t *testing.T) {
	m := start(t, compiler(), fuelWasm, meter.Options{}, endless())
	f := m.mod.ExportedFunction("call_indirect")
	for index, want := range []uint64{5, 6} {
		got, err := f.Call(context.Background(), uint64(index))
		if err != nil || got[0] != want {
			t.Errorf("call_indirect(%d): %v, %v; want %d", index, got, err, want)
		}
	}
	if _, err := f.Call(context.Background(), 2); err == nil {
		t.Error("call_indirect(2): no trap")
	}
}

// The start function does not run by itself.
func TestStartFunctionWaits(t *testing.T) {
	wasm := module(typeSection, section(3, 1, 0), section(6, 1, 0x7f, 1, 0x41, 0, 0x0b),
		section(7, 1, name("g"), 3, 0), section(8, 0), codeSection(cat(0, 0x41, 7, 0x24, 0)))
	m := start(t, compiler(), wasm, meter.Options{}, endless())
	if v := m.mod.ExportedGlobal("g").Get(); v != 0 {
		t.Errorf("global is %d before the start function ran", v)
	}
	used, err := m.call(meter.StartExport, 0)
	if v := m.mod.ExportedGlobal(meter.GlobalPrefix + "0").Get(); err != nil || v != 7 || used != 2 {
		t.Errorf("after the start function: global %d, used %d, %v; want 7, 2", v, used, err)
	}
}

// Memory does not grow above the limit, whatever maximum the module declares.
func TestMemoryStaysBelowTheLimit(t *testing.T) {
	for _, limits := range [][]byte{{0, 1}, {1, 1, 0xff, 0xff, 3}} {
		wasm := module(section(1, 1, 0x60, 1, 0x7f, 1, 0x7f), section(3, 1, 0), section(5, 1, limits),
			section(7, 1, name("grow"), 0, 0), codeSection(cat(0, 0x20, 0, 0x40, 0)))
		m := start(t, compiler(), wasm, meter.Options{MaxMemoryBytes: 3 << 16}, endless())
		for _, c := range []struct {
			by   uint64
			want uint32
		}{{1, 1}, {1, 2}, {1, 0xffffffff}} {
			got, err := m.mod.ExportedFunction("grow").Call(context.Background(), c.by)
			if err != nil || uint32(got[0]) != c.want {
				t.Errorf("memory.grow(%d): %d, %v; want %d", c.by, int32(got[0]), err, int32(c.want))
			}
		}
	}
}

// Imports are called by reference, by tail calls and by the host like the
// module's own functions, at the price of their calls.
func TestImportsEverywhere(t *testing.T) {
	wasm := module(
		section(1, 1, 0x60, 1, 0x7f, 1, 0x7f),
		section(2, 1, name("env"), name("host"), 0, 0),
		section(3, 3, 0, 0, 0),
		section(4, 1, 0x70, 0, 2),
		section(7, 4, name("host"), 0, 0, name("indirect"), 0, 1, name("tail"), 0, 2, name("by_reference"), 0, 3),
		section(9, 1, 0, 0x41, 0, 0x0b, 1, 0),
		codeSection(
			cat(0, 0x20, 0, 0x41, 0, 0x11, 0, 0),
			cat(0, 0x20, 0, 0x12, 0),
			cat(0, 0x41, 1, 0xd2, 0, 0x26, 0, 0x20, 0, 0x41, 1, 0x11, 0, 0)))
	m := start(t, compiler(), wasm, meter.Options{}, endless())
	for _, c := range []struct {
		export string
		fuel   int64
	}{{"host", 0}, {"indirect", 3}, {"tail", 2}, {"by_reference", 5 + 20}} {
		before := m.tank.used(m.mod)
		got, err := m.mod.ExportedFunction(c.export).Call(context.Background(), 7)
		if err != nil || uint32(got[0]) != 7 {
			t.Errorf("%s(7): %v, %v; want 7", c.export, got, err)
		}
		if used := m.tank.used(m.mod) - before; used != c.fuel {
			t.Errorf("%s(7) used %d, want %d", c.export, used, c.fuel)
		}
	}
}
