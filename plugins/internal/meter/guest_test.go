package meter_test

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

//go:embed testdata/kernel.wasm
var kernelWasm []byte

// buildGuest builds testdata/guest with the plain Go toolchain.
func buildGuest(tb testing.TB) []byte {
	tb.Helper()
	out := filepath.Join(tb.TempDir(), "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "./testdata/guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building the guest: %v\n%s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		tb.Fatal(err)
	}
	return wasm
}

// plainAndMetered makes an instance of the module as it is and a rewritten
// one, both with WASI and initialised.
func plainAndMetered(tb testing.TB, wasm []byte, slice int64) (plain api.Module, m metered) {
	tb.Helper()
	ctx := context.Background()
	instance := func(module *meter.Module, t *tank) api.Module {
		r := newRuntime(tb, compiler())
		wasi_snapshot_preview1.MustInstantiate(ctx, r)
		if t != nil {
			addRefuel(tb, r, t)
		}
		mod, err := r.InstantiateWithConfig(ctx, module.Wasm, wazero.NewModuleConfig().WithStartFunctions())
		if err != nil {
			tb.Fatal(err)
		}
		if err := put(mod, module); err != nil {
			tb.Fatal(err)
		}
		if f := mod.ExportedFunction("_initialize"); f != nil {
			if _, err := f.Call(ctx); err != nil {
				tb.Fatal(err)
			}
		}
		return mod
	}
	rewritten, err := meter.Rewrite(wasm, meter.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	m.tank = endless()
	m.tank.slice = slice
	m.mod = instance(rewritten, m.tank)
	return instance(&meter.Module{Wasm: wasm}, nil), m
}

func TestGoGuestRunsRewritten(t *testing.T) {
	wasm := buildGuest(t)
	plain, small := plainAndMetered(t, wasm, 5_000)
	_, large := plainAndMetered(t, wasm, 10_000_000)
	ctx := context.Background()
	for _, c := range []struct {
		export string
		arg    uint64
	}{{"parse", 20}, {"order", 5000}, {"hash", 3}} {
		want, err := plain.ExportedFunction(c.export).Call(ctx, c.arg)
		if err != nil {
			t.Fatal(err)
		}
		var used [2]int64
		for i, m := range []metered{small, large} {
			before := m.tank.used(m.mod)
			got, err := m.mod.ExportedFunction(c.export).Call(ctx, c.arg)
			if err != nil {
				t.Fatal(err)
			}
			used[i] = m.tank.used(m.mod) - before
			if uint32(got[0]) != uint32(want[0]) {
				t.Errorf("%s(%d) = %d, plain %d", c.export, c.arg, got[0], want[0])
			}
		}
		if used[0] < 10_000 {
			t.Errorf("%s(%d) used only %d", c.export, c.arg, used[0])
		}
		t.Logf("%s(%d) used %d and %d", c.export, c.arg, used[0], used[1])
	}
	small.mod.Close(ctx)
}

func BenchmarkRewrite(b *testing.B) {
	wasm := buildGuest(b)
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	var m *meter.Module
	for b.Loop() {
		var err error
		if m, err = meter.Rewrite(wasm, meter.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(m.Wasm))/float64(len(wasm)), "size-ratio")
}

// BenchmarkOverhead compares metered with plain runs, in turns so that both
// meet the same machine: "ratio" is metered time by plain time, of the best
// runs of each.
func BenchmarkOverhead(b *testing.B) {
	guest := buildGuest(b)
	for _, c := range []struct {
		wasm   []byte
		export string
		arg    uint64
	}{
		{kernelWasm, "fib", 25},
		{kernelWasm, "matmul", 2},
		{kernelWasm, "sieve", 1},
		{kernelWasm, "energy", 100},
		{guest, "parse", 50},
		{guest, "order", 20_000},
		{guest, "hash", 10},
	} {
		b.Run(c.export, func(b *testing.B) {
			plain, m := plainAndMetered(b, c.wasm, 100_000)
			best := map[api.Module]float64{}
			var results [2]uint32
			ctx := context.Background()
			for b.Loop() {
				for i, mod := range []api.Module{plain, m.mod} {
					f := mod.ExportedFunction(c.export)
					start := b.Elapsed()
					got, err := f.Call(ctx, c.arg)
					took := (b.Elapsed() - start).Seconds()
					if err != nil {
						b.Fatal(err)
					}
					if t, ok := best[mod]; !ok || took < t {
						best[mod] = took
					}
					results[i] = uint32(got[0])
				}
				if results[0] != results[1] {
					b.Fatalf("metered %d, plain %d", results[1], results[0])
				}
			}
			b.ReportMetric(best[m.mod]/best[plain], "ratio")
		})
	}
}
