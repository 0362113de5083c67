package plugins_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/auricle-dev/auricle/plugins"
)

// ticks is what the guest's import was called with in one run.
type ticks struct{ numbers []uint32 }

func (c *ticks) tick(stack []uint64) {
	n := uint32(stack[0])
	if c != nil && len(c.numbers) < 1000 {
		c.numbers = append(c.numbers, n)
	}
	stack[0] = uint64(n*31 + 7)
}

// equivalence runs generated modules on a plain runtime and on engines of
// several kinds. It is made once, for many modules.
type equivalence struct {
	plain   wazero.Runtime
	ticks   *ticks // of the run that goes on
	engines []*plugins.Engine
}

// theEquivalence is closed with the process: fuzzing has no end of its own.
var theEquivalence = sync.OnceValues(func() (*equivalence, error) {
	ctx := context.Background()
	q := &equivalence{plain: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesTailCall|experimental.CoreFeaturesExtendedConst))}
	i32 := []api.ValueType{api.ValueTypeI32}
	_, err := q.plain.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) { q.ticks.tick(stack) }), i32, i32).
		Export("tick").Instantiate(ctx)
	if err != nil {
		return nil, err
	}
	host := plugins.HostModule{Name: "env", Functions: []plugins.HostFunction{{
		Name: "tick", Params: []plugins.ValueType{plugins.I32}, Results: []plugins.ValueType{plugins.I32},
		Func: func(c *plugins.Call, stack []uint64) error {
			ticks, _ := c.State().(*ticks) // nil while initialising
			ticks.tick(stack)
			return nil
		},
	}}}
	for _, o := range []plugins.Options{{}, {}, {SliceFuel: 23, IdleInstances: -1}} {
		o.HostModules = []plugins.HostModule{host}
		e, err := plugins.New(ctx, o)
		if err != nil {
			return nil, err
		}
		q.engines = append(q.engines, e)
	}
	return q, nil
})

// shows is what a run shows, without its fuel.
type shows struct {
	trap    string // "" if it ended well
	values  []uint64
	numbers []uint32
}

func (s shows) String() string {
	return fmt.Sprintf("trap %q, results and memory %x, calls of the host %d", s.trap, s.values, s.numbers)
}

func (s shows) equal(o shows) bool {
	return s.trap == o.trap && slices.Equal(s.values, o.values) && slices.Equal(s.numbers, o.numbers)
}

// runPlain runs a module's "drive". A start function that traps is what it
// shows, too.
func (q *equivalence) runPlain(t *testing.T, wasm []byte) (s shows, started bool) {
	t.Helper()
	ctx := context.Background()
	c, err := q.plain.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatalf("the generator made an invalid module: %v\n%x", err, wasm)
	}
	defer c.Close(ctx)
	q.ticks = &ticks{}
	trap := func(err error) string {
		_, text, ok := strings.Cut(err.Error(), "wasm error: ")
		if !ok {
			t.Fatalf("plain: %v\n%x", err, wasm)
		}
		text, _, _ = strings.Cut(text, "\n")
		return text
	}
	m, err := q.plain.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return shows{trap: trap(err)}, false
	}
	defer m.Close(ctx)
	q.ticks = &ticks{}
	values, err := m.ExportedFunction("drive").Call(ctx)
	if err != nil {
		return shows{trap: trap(err), numbers: q.ticks.numbers}, true
	}
	return shows{values: values, numbers: q.ticks.numbers}, true
}

// check holds that a module made from choices, called with numbers, shows on
// every engine what it shows without one, and takes the same fuel each time.
func (q *equivalence) check(t *testing.T, choices []byte, a uint32, b uint64) (trap string, fuel uint64) {
	t.Helper()
	wasm := drive(t, generate(choices), func(d *driver) {
		d.call("look") // at what the last run left behind, if it left anything
		d.i32(int32(a))
		d.i64(int64(b))
		d.call("run")
		for _, g := range []string{"left", "i32", "i64"} {
			d.global(g)
		}
		d.call("look")
		d.end(i32Type, i32Type, i32Type, i32Type, i64Type, i32Type)
	})
	want, started := q.runPlain(t, wasm)
	ctx := context.Background()
	limits := plugins.Limits{Fuel: 1 << 40, Wall: time.Minute}
	for i, e := range q.engines {
		m, err := e.Load(ctx, wasm, plugins.LoadOptions{Init: limits})
		if !started {
			var re *plugins.RunError
			if !errors.As(err, &re) || re.Outcome != plugins.Trap || re.Message != "wasm "+want.trap {
				t.Fatalf("engine %d: loading ends with %v, plain %s\n%x", i, err, want, wasm)
			}
			continue
		}
		if err != nil {
			t.Fatalf("engine %d: %v\n%x", i, err, wasm)
		}
		for j := range 2 {
			ticks := &ticks{}
			res, err := m.Run(ctx, plugins.Invocation{Export: "drive", Limits: limits, State: ticks})
			if err != nil {
				t.Fatalf("engine %d: %v\n%x", i, err, wasm)
			}
			got := shows{numbers: ticks.numbers}
			if res.Err != nil {
				got.trap = strings.TrimPrefix(res.Err.Error(), "wasm ")
			} else {
				got.values = res.Values
			}
			if !got.equal(want) || (res.Outcome == plugins.OK) != (want.trap == "") {
				t.Fatalf("engine %d, run %d: %s, %s\nplain: %s\n%x", i, j, res.Outcome, got, want, wasm)
			}
			if fuel == 0 {
				fuel = res.Fuel
			}
			// What a trap leaves uncounted depends on the slices, which are the
			// last engine's own.
			if res.Fuel != fuel && (res.Outcome == plugins.OK || i < 2) {
				t.Fatalf("engine %d, run %d: %d units, %d before (%s)\n%x", i, j, res.Fuel, fuel, got, wasm)
			}
		}
		if err := m.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return want.trap, fuel
}

// seed is a module's choices and the numbers it is called with.
func seed(i byte) (choices []byte, a uint32, b uint64) {
	r := rand.NewChaCha8([32]byte{i})
	choices = make([]byte, 300+10*int(i))
	_, _ = r.Read(choices) // never fails
	v := r.Uint64()
	return choices, uint32(v), binary.LittleEndian.Uint64(choices)
}

// TestGeneratedModulesAreEquivalent also holds that the generator is worth
// its while.
func TestGeneratedModulesAreEquivalent(t *testing.T) {
	q, err := theEquivalence()
	if err != nil {
		t.Fatal(err)
	}
	n := 150
	if raceEnabled || testing.Short() {
		n = 30
	}
	traps, long := map[string]int{}, 0
	for i := range n {
		choices, a, b := seed(byte(i))
		trap, fuel := q.check(t, choices, a, b)
		traps[trap]++
		if fuel > 1000 {
			long++
		}
	}
	t.Logf("%d of %d run for long; they end: %v", long, n, traps)
	if traps[""] < n/5 || traps[""] > n*9/10 || long < n/5 || len(traps) < 3 {
		t.Errorf("of %d modules %d run for long, and they end %v: the generator is lopsided", n, long, traps)
	}
}

func FuzzEngine(f *testing.F) {
	q, err := theEquivalence()
	if err != nil {
		f.Fatal(err)
	}
	for i := range byte(10) {
		choices, a, b := seed(i)
		f.Add(choices, a, b)
	}
	f.Fuzz(func(t *testing.T, choices []byte, a uint32, b uint64) {
		if len(choices) < 5000 {
			q.check(t, choices, a, b)
		}
	})
}
