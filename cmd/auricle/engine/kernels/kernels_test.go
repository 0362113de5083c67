package kernels_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
)

// TestKernelsComputeWhatTheySay runs each on plain wazero, twice: a kernel
// must not depend on what ran before.
func TestKernelsComputeWhatTheySay(t *testing.T) {
	wasm, err := kernels.BuildGo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ks := append(kernels.Kept(), kernels.OfGo(wasm)...)
	ctx := context.Background()
	rt := wazero.NewRuntime(ctx)
	t.Cleanup(func() { rt.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	compiled := map[*byte]wazero.CompiledModule{}
	names := map[string]bool{}
	for _, k := range ks {
		if names[k.Name] {
			t.Errorf("two kernels are called %q", k.Name)
		}
		names[k.Name] = true
		t.Run(k.Name, func(t *testing.T) {
			c := compiled[&k.Wasm[0]]
			if c == nil {
				if c, err = rt.CompileModule(ctx, k.Wasm); err != nil {
					t.Fatal(err)
				}
				compiled[&k.Wasm[0]] = c
			}
			m, err := rt.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close(ctx)
			for range 2 {
				res, err := m.ExportedFunction(k.Export).Call(ctx, uint64(k.Arg))
				if err != nil {
					t.Fatal(err)
				}
				if got := uint32(res[0]); got != k.Sum {
					t.Errorf("%s(%d) = %#x, want %#x", k.Export, k.Arg, got, k.Sum)
				}
			}
		})
	}
}

// TestVariantsDiffer has two variants of the Go guest say which they are.
func TestVariantsDiffer(t *testing.T) {
	wasm, err := kernels.BuildGo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	// Not compiled: only a few instructions of it are run.
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { rt.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	for _, n := range []int{0, 17} {
		m, err := rt.InstantiateWithConfig(ctx, kernels.Variant(wasm, n), wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := m.ExportedFunction("variant").Call(ctx)
		if err != nil || res[0] != uint64(n) {
			t.Errorf("variant %d says %v, %v", n, res, err)
		}
	}
}
