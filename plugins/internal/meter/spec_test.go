package meter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
	"github.com/auricle-dev/auricle/plugins/internal/wasmtest"
)

// stackOf is the value as wazero takes it; ok is false for values that can only
// be compared with another run, such as "some NaN".
func stackOf(t *testing.T, v wasmtest.Value) (s []uint64, ok bool) {
	lanes, width := []any{v.Value}, 64
	if v.Type == "v128" {
		lanes = v.Value.([]any)
		width = 128 / len(lanes)
	}
	var bits uint64
	for i, lane := range lanes {
		text, isText := lane.(string)
		if !isText || strings.HasPrefix(text, "nan:") {
			return nil, false
		}
		if text == "null" {
			return []uint64{0}, true
		}
		u, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			u = uint64(n)
		}
		if width < 64 {
			u &= 1<<width - 1
		}
		if bits |= u << (i * width % 64); (i+1)*width%64 == 0 {
			s, bits = append(s, bits), 0
		}
	}
	if v.Type == "externref" {
		s[0]++ // wazero takes 0 for null
	}
	return s, true
}

// specSide is one of the two runs of a test: plain or metered.
type specSide struct {
	r       wazero.Runtime
	modules map[string]api.Module
	last    api.Module // nil when it was skipped
}

// instantiate runs the module's start function too.
func (s *specSide) instantiate(ctx context.Context, m *meter.Module, as string) (api.Module, error) {
	mod, err := s.r.InstantiateWithConfig(ctx, m.Wasm, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
	if err != nil {
		return nil, err
	}
	if err = put(mod, m); err == nil && m.HasStart {
		_, err = mod.ExportedFunction(meter.StartExport).Call(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, mod.Close(ctx))
	}
	return mod, nil
}

// target is the module that a command acts on.
func (s *specSide) target(c wasmtest.Command) api.Module {
	if c.Action.Module != "" {
		return s.modules[c.Action.Module]
	}
	return s.last
}

// outcome is what a call did, so far as both sides must agree on it.
func (s *specSide) outcome(ctx context.Context, c wasmtest.Command) (results []uint64, trap string, err error) {
	m := s.target(c)
	if c.Action.Type == "get" {
		return []uint64{m.ExportedGlobal(c.Action.Field).Get()}, "", nil
	}
	var args []uint64
	for _, a := range c.Action.Args {
		v, _ := stackOf(nil, a)
		args = append(args, v...)
	}
	f := m.ExportedFunction(c.Action.Field)
	if f == nil {
		return nil, "", fmt.Errorf("no function %q", c.Action.Field)
	}
	results, err = f.Call(ctx, args...)
	if err != nil {
		return nil, strings.SplitN(err.Error(), "\n", 2)[0], nil
	}
	// Of an i32 or f32 only the low half counts. References to functions are
	// addresses: only whether they are null can be compared.
	i := 0
	for _, t := range f.Definition().ResultTypes() {
		switch {
		case t == api.ValueTypeI32 || t == api.ValueTypeF32:
			results[i] = uint64(uint32(results[i]))
		case t == 0x70 && results[i] != 0:
			results[i] = 1
		case t == 0x7b:
			i++
		}
		i++
	}
	return results, "", nil
}

// specCounts says how much of the suite said something about the rewriter.
type specCounts struct{ modules, skipped, returns, traps, refused, rest int }

// TestSpecification runs the WebAssembly specification's tests side by side
// on the plain and on the rewritten modules.
func TestSpecification(t *testing.T) {
	dir, err := wasmtest.SpecificationDir()
	if err != nil {
		t.Fatal(err)
	}
	tests, err := wasmtest.SpecificationTests(dir)
	if err != nil {
		t.Fatal(err)
	}
	var total specCounts
	for _, test := range tests {
		t.Run(test.Name, func(t *testing.T) { runSpecTest(t, dir, test, &total) })
	}
	t.Logf("%d modules run rewritten, %d skipped as they import or need what is refused; %d returns, %d traps and %d refusals compared, %d commands skipped",
		total.modules, total.skipped, total.returns, total.traps, total.refused, total.rest)
	if total.modules < 1400 || total.returns < 45_000 || total.refused < 2000 {
		t.Errorf("too few compared: %+v", total)
	}
}

func runSpecTest(t *testing.T, dir string, test wasmtest.SpecificationTest, n *specCounts) {
	ctx := context.Background()
	commands, err := test.Commands()
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	plain, metered := &specSide{modules: map[string]api.Module{}}, &specSide{modules: map[string]api.Module{}}
	for _, s := range []*specSide{plain, metered} {
		s.r = newRuntime(t, compiler())
		if _, err := s.r.InstantiateWithConfig(ctx, host, wazero.NewModuleConfig()); err != nil {
			t.Fatal(err)
		}
	}
	addRefuel(t, metered.r, endless())

	skipped := false // a module that may have changed what comes after it
	for i, c := range commands {
		at := test.At(c)
		if c.IsText() {
			continue
		}
		binary, err := test.Binary(c)
		if err != nil {
			t.Fatal(err)
		}
		switch c.Type {
		case "module":
			as := ""
			if i+1 < len(commands) && commands[i+1].Type == "register" {
				as = commands[i+1].As
			}
			// What is skipped is skipped on both sides, so that what it does to
			// the modules that it imports from is missing from both.
			plain.last, metered.last = nil, nil
			delete(plain.modules, c.Name)
			delete(metered.modules, c.Name)
			m, err := meter.Rewrite(binary, wide)
			if errors.Is(err, meter.ErrUnsupported) {
				n.skipped++
				skipped = true
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			metered.last, err = metered.instantiate(ctx, m, as)
			if err != nil && strings.Contains(err.Error(), "not instantiated") {
				n.skipped++ // it imports from a skipped one
				skipped = true
				continue
			}
			if err != nil {
				t.Fatalf("%s: metered: %v", at, err)
			}
			if plain.last, err = plain.instantiate(ctx, &meter.Module{Wasm: binary}, as); err != nil {
				t.Fatalf("%s: plain: %v", at, err)
			}
			if c.Name != "" {
				plain.modules[c.Name], metered.modules[c.Name] = plain.last, metered.last
			}
			n.modules++
		case "assert_invalid", "assert_malformed":
			_, plainErr := plain.r.CompileModule(ctx, binary)
			m, err := meter.Rewrite(binary, wide)
			if err == nil {
				_, err = metered.r.CompileModule(ctx, m.Wasm)
			}
			if plainErr != nil && err == nil {
				t.Errorf("%s: invalid, and accepted when rewritten; plain: %v", at, plainErr)
			}
			n.refused++
		case "assert_trap", "assert_uninstantiable", "assert_unlinkable":
			if binary != nil {
				m, err := meter.Rewrite(binary, wide)
				if err == nil {
					_, err = metered.instantiate(ctx, m, "")
				}
				if errors.Is(err, meter.ErrUnsupported) {
					skipped = true
					continue
				}
				if _, plainErr := plain.instantiate(ctx, &meter.Module{Wasm: binary}, ""); (err == nil) != (plainErr == nil) {
					t.Errorf("%s: %v, plain: %v", at, err, plainErr)
				}
				n.refused++
				continue
			}
			fallthrough
		case "assert_return", "action", "assert_exhaustion":
			if metered.target(c) == nil {
				n.rest++
				continue
			}
			want, wantTrap, err := plain.outcome(ctx, c)
			if err != nil {
				t.Fatalf("%s: plain: %v", at, err)
			}
			got, gotTrap, err := metered.outcome(ctx, c)
			if err != nil {
				t.Fatalf("%s: metered: %v", at, err)
			}
			if gotTrap != wantTrap {
				t.Errorf("%s: trap %q, plain %q", at, gotTrap, wantTrap)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: got %#x, plain %#x", at, got, want)
			}
			if c.Type == "assert_return" || c.Type == "action" {
				n.returns++
				if !skipped {
					checkExpected(t, at, c.Expected, got)
				}
			} else {
				n.traps++
				if gotTrap == "" {
					t.Errorf("%s: no trap", at)
				}
			}
		case "register":
		default:
			t.Fatalf("%s: unknown command", at)
		}
		if i+1 == len(commands) || commands[i+1].Type == "module" || commands[i+1].Type == "assert_exhaustion" {
			compareMemories(t, at, plain.last, metered.last)
		}
	}
}

func checkExpected(t *testing.T, at string, expected []wasmtest.Value, got []uint64) {
	t.Helper()
	i := 0
	for _, e := range expected {
		want, ok := stackOf(t, e)
		size := 1
		if e.Type == "v128" {
			size = 2
		}
		if i+size > len(got) {
			t.Errorf("%s: %d results are too few", at, len(got))
			return
		}
		if ok && e.Type != "funcref" && fmt.Sprint(got[i:i+size]) != fmt.Sprint(want) {
			t.Errorf("%s: got %#x, specified %#x", at, got[i:i+size], want)
		}
		i += size
	}
}

// hasMemory reports whether m has a memory: where there is none, Memory
// returns a nil pointer in an interface.
func hasMemory(m api.Module) bool {
	return m != nil && !reflect.ValueOf(m.Memory()).IsNil()
}

// compareMemories compares memories of up to 1 MiB, byte for byte.
func compareMemories(t *testing.T, at string, plain, metered api.Module) {
	t.Helper()
	if !hasMemory(plain) || !hasMemory(metered) {
		return
	}
	want, got := plain.Memory().Size(), metered.Memory().Size()
	if got != want {
		t.Errorf("%s: memory of %d bytes, plain %d", at, got, want)
		return
	}
	if want > 1<<20 {
		return
	}
	a, _ := plain.Memory().Read(0, want)
	b, _ := metered.Memory().Read(0, got)
	if !bytes.Equal(a, b) {
		t.Errorf("%s: memories differ", at)
	}
}
