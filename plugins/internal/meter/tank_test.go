package meter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

var errNoFuel = errors.New("no fuel left")

// tank is the host's side of metering: it hands out fuel in slices up to a limit.
type tank struct {
	slice, limit int64
	granted      int64
	refuels      int
	atEnd        int64 // what was used when the limit was met
}

func (t *tank) refuel(balance int64) int64 {
	t.refuels++
	for balance < 0 {
		grant := min(t.slice, t.limit-t.granted)
		if grant <= 0 {
			t.atEnd = t.granted - balance
			panic(errNoFuel)
		}
		t.granted += grant
		balance += grant
	}
	return balance
}

// used is what mod has taken from the tank and not left in its global.
func (t *tank) used(mod api.Module) int64 {
	return t.granted - int64(mod.ExportedGlobal(meter.FuelExport).Get())
}

// addRefuel makes the module that rewritten modules import refuel from.
func addRefuel(tb testing.TB, r wazero.Runtime, t *tank) {
	tb.Helper()
	i64 := []api.ValueType{api.ValueTypeI64}
	_, err := r.NewHostModuleBuilder(meter.RefuelModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
			stack[0] = uint64(t.refuel(int64(stack[0])))
		}), i64, i64).Export(meter.RefuelName).Instantiate(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
}

// put writes the module's data into a new instance's memory.
func put(mod api.Module, m *meter.Module) error {
	for _, d := range m.Data {
		if !mod.Memory().Write(d.Offset, d.Bytes) {
			return fmt.Errorf("data of %d bytes at %d is outside of the memory", len(d.Bytes), d.Offset)
		}
	}
	return nil
}

// endless is a tank for tests that are not about fuel.
func endless() *tank { return &tank{slice: 100_000, limit: math.MaxInt64} }

func compiler() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigCompiler().WithCoreFeatures(meter.Features)
}

func interpreter() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(meter.Features)
}

// newRuntime returns a runtime that is closed with the test.
func newRuntime(tb testing.TB, config wazero.RuntimeConfig) wazero.Runtime {
	tb.Helper()
	r := wazero.NewRuntimeWithConfig(context.Background(), config)
	tb.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// wide allows what the specification's tests declare.
var wide = meter.Options{MaxMemoryBytes: 4 << 30, MaxTableElements: 1 << 27}
