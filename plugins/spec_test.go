package plugins_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/plugins/internal/meter"
	"github.com/auricle-dev/auricle/plugins/internal/wasmtest"
)

// bits is the value as Run takes it; exact is false for "some NaN".
func bits(v wasmtest.Value) (b uint64, numeric, exact bool) {
	if v.Type != "i32" && v.Type != "i64" && v.Type != "f32" && v.Type != "f64" {
		return 0, false, false
	}
	text, _ := v.Value.(string) // none where a trap is expected
	if strings.HasPrefix(text, "nan:") {
		return 0, true, false
	}
	b, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		n, _ := strconv.ParseInt(text, 10, 64)
		b = uint64(n)
	}
	if v.Type == "i32" || v.Type == "f32" {
		b = uint64(uint32(b))
	}
	return b, true, true
}

// specModule is a loaded module and its session. A trap ends the session's
// state, and the specification's instances go on: what was run well before is
// run again then.
type specModule struct {
	*plugins.Session
	done []plugins.Invocation
	left bool // something could not be run that may have changed its state
}

func (s *specModule) run(inv plugins.Invocation) (plugins.Result, error) {
	if s.Restarted() {
		for _, again := range s.done {
			if res, err := s.Session.Run(context.Background(), again); err != nil || res.Outcome != plugins.OK {
				return res, errors.Join(errors.New("what went well before does not again"), err)
			}
		}
	}
	res, err := s.Session.Run(context.Background(), inv)
	if err == nil && res.Outcome == plugins.OK {
		s.done = append(s.done, inv)
	}
	return res, err
}

type specCounts struct{ modules, returns, traps, refused, left int }

// TestSpecification runs the WebAssembly specification's tests, which ship in
// wazero's module, through the engine. What can't be passed through Run, and what
// is refused, is compared by the rewriter's own tests.
func TestSpecification(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine alone, and a thousand modules to compile: without the race detector only")
	}
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
		t.Run(test.Name, func(t *testing.T) { runSpecTest(t, test, &total) })
	}
	t.Logf("%d modules run through the engine; %d returns and %d traps as specified, %d modules refused; %d commands left to the rewriter's tests",
		total.modules, total.returns, total.traps, total.refused, total.left)
	if total.modules < 1000 || total.returns < 15_000 || total.traps < 1000 || total.refused < 1000 {
		t.Errorf("too few compared: %+v", total)
	}
}

// spectest is the host module that the tests import, so far as it has functions.
func spectest() plugins.HostModule {
	m := plugins.HostModule{Name: "spectest"}
	for name, params := range map[string][]plugins.ValueType{
		"print": nil, "print_i32": {plugins.I32}, "print_i64": {plugins.I64}, "print_f32": {plugins.F32}, "print_f64": {plugins.F64},
		"print_i32_f32": {plugins.I32, plugins.F32}, "print_f64_f64": {plugins.F64, plugins.F64},
	} {
		m.Functions = append(m.Functions, plugins.HostFunction{Name: name, Params: params,
			Func: func(*plugins.Call, []uint64) error { return nil }})
	}
	return m
}

func runSpecTest(t *testing.T, test wasmtest.SpecificationTest, n *specCounts) {
	commands, err := test.Commands()
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, plugins.Options{HostModules: []plugins.HostModule{spectest()}, SpareInstances: -1})
	plain := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfig().WithCoreFeatures(meter.Features))
	t.Cleanup(func() {
		if err := plain.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	modules := map[string]*specModule{} // "" is the last
	for _, c := range commands {
		at := test.At(c)
		binary, err := test.Binary(c)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Type == "register" || c.IsText():
		case c.Type == "module":
			delete(modules, "")
			delete(modules, c.Name)
			m, err := e.Load(context.Background(), binary, plugins.LoadOptions{Name: c.Filename, MemoryBytes: 4 << 30})
			if errors.Is(err, plugins.ErrImport) || errors.Is(err, plugins.ErrUnsupported) || errors.Is(err, plugins.ErrLimit) {
				// Imports of other modules, or of their memories and tables, which it
				// may change; tables beyond the limit.
				n.left++
				for _, m := range modules {
					m.left = true
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", at, err)
				continue
			}
			s, err := m.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			modules[""] = &specModule{Session: s}
			if c.Name != "" {
				modules[c.Name] = modules[""]
			}
			n.modules++
		case binary != nil: // assert_invalid, assert_malformed, assert_unlinkable, assert_uninstantiable
			_, plainErr := plain.InstantiateWithConfig(context.Background(), binary, wazero.NewModuleConfig().WithName(""))
			if plainErr == nil {
				n.left++ // wazero is less strict here than it is specified
				continue
			}
			_, err := e.Load(context.Background(), binary, plugins.LoadOptions{})
			if err == nil {
				t.Errorf("%s: it is taken; plain: %v", at, plainErr)
			}
			for _, m := range modules {
				m.left = m.left || c.Type == "assert_uninstantiable" && errors.Is(err, plugins.ErrUnsupported) // it gets halfway
			}
			n.refused++
		default:
			runSpecAction(t, at, modules[c.Action.Module], c, n)
		}
	}
}

// hasReferences reports whether references are passed, which may stay.
func hasReferences(c wasmtest.Command) bool {
	for _, v := range append(c.Action.Args, c.Expected...) {
		if v.Type == "funcref" || v.Type == "externref" {
			return true
		}
	}
	return false
}

func runSpecAction(t *testing.T, at string, m *specModule, c wasmtest.Command, n *specCounts) {
	inv := plugins.Invocation{Export: c.Action.Field, Limits: plugins.Limits{Fuel: 1e12, Wall: time.Minute}}
	if m == nil || m.left {
		n.left++
		return
	}
	passed := c.Action.Type == "invoke"
	for _, a := range c.Action.Args {
		b, numeric, exact := bits(a)
		passed = passed && numeric && exact
		inv.Args = append(inv.Args, b)
	}
	for _, e := range c.Expected {
		_, numeric, _ := bits(e)
		passed = passed && numeric
	}
	if !passed {
		n.left++
		m.left = c.Action.Type == "invoke" && hasReferences(c)
		return
	}
	res, err := m.run(inv)
	switch {
	case err != nil && strings.Contains(err.Error(), "only numbers can be passed"):
		n.left++
	case err != nil:
		t.Errorf("%s: %v", at, err)
	case c.Type == "assert_trap" || c.Type == "assert_exhaustion":
		n.traps++
		if res.Outcome != plugins.Trap {
			t.Errorf("%s: %s, want a trap: %s", at, res.Outcome, c.Text)
		}
	case res.Outcome != plugins.OK:
		t.Errorf("%s: %s: %v", at, res.Outcome, res.Err)
	default:
		n.returns++
		for i, e := range c.Expected {
			want, _, exact := bits(e)
			got := res.Values[i]
			if e.Type == "i32" || e.Type == "f32" {
				got = uint64(uint32(got))
			}
			if exact && got != want {
				t.Errorf("%s: result %d is %#x, specified %#x", at, i, got, want)
			}
		}
	}
}
