package plugins_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/auricle-dev/auricle/plugins"
)

// world is what a guest of somebody else's meets in one run: the same on a
// plain runtime and on the engine.
type world struct {
	out    bytes.Buffer // what it wrote and what it called the host with
	input  string
	blocks [][]byte // of Extism's memory, by the upper half of their addresses, from 1
}

// guestMemory is the guest's memory, as a host function reaches it.
type guestMemory interface {
	read(ptr, n uint32) ([]byte, error)
	write(ptr uint32, b []byte) error
}

// hostFunc is a function that guests import, for both runtimes.
type hostFunc func(w *world, m guestMemory, stack []uint64) error

type plainMemory struct{ api.Memory }

func (m plainMemory) read(ptr, n uint32) ([]byte, error) {
	if b, ok := m.Read(ptr, n); ok {
		return b, nil
	}
	return nil, errors.New("outside of the memory")
}

func (m plainMemory) write(ptr uint32, b []byte) error {
	if !m.Write(ptr, b) {
		return errors.New("outside of the memory")
	}
	return nil
}

type engineMemory struct{ *plugins.Call }

func (m engineMemory) read(ptr, n uint32) ([]byte, error) { return m.Read(ptr, n) }
func (m engineMemory) write(ptr uint32, b []byte) error   { return m.Write(ptr, b) }

// print notes that a function was called, and the text at ptr.
func print(name string, ptr, n func(stack []uint64) uint32) hostFunc {
	return func(w *world, m guestMemory, stack []uint64) error {
		b, err := m.read(ptr(stack), n(stack))
		fmt.Fprintf(&w.out, "%s %q\n", name, b)
		return err
	}
}

// parameter is the host function's parameter of that number.
func parameter(i int) func([]uint64) uint32 {
	return func(stack []uint64) uint32 { return uint32(stack[i]) }
}

// note notes that a function was called with some numbers: in params, i is an
// i32 and anything else 64 bits.
func note(name, params string) hostFunc {
	return func(w *world, _ guestMemory, stack []uint64) error {
		fmt.Fprint(&w.out, name)
		for i, p := range params {
			v := stack[i]
			if p == 'i' {
				v = uint64(uint32(v)) // the rest is left over from something else
			}
			fmt.Fprintf(&w.out, " %d", v)
		}
		fmt.Fprintln(&w.out)
		return nil
	}
}

// answer always answers the same.
func answer(v uint64) hostFunc {
	return func(_ *world, _ guestMemory, stack []uint64) error {
		stack[0] = v
		return nil
	}
}

// extism are the functions of Extism's that its guests import: a memory of
// blocks, outside of the guest's, and the input and output of a call.
func extism() map[string]hostFunc {
	const half = 32
	// at is what follows an address in its block.
	at := func(w *world, address uint64, n int) ([]byte, error) {
		i, from := int(address>>half)-1, int(uint32(address))
		if i < 0 || i >= len(w.blocks) || from+n > len(w.blocks[i]) {
			return nil, fmt.Errorf("no %d bytes at %#x", n, address)
		}
		return w.blocks[i][from:], nil
	}
	load := func(n int, from func(w *world, address uint64) ([]byte, error)) hostFunc {
		return func(w *world, _ guestMemory, stack []uint64) error {
			b, err := from(w, stack[0])
			if err != nil || len(b) < n {
				return errors.Join(err, fmt.Errorf("%d bytes of %d", n, len(b)))
			}
			var eight [8]byte
			copy(eight[:], b[:n])
			stack[0] = binary.LittleEndian.Uint64(eight[:])
			return nil
		}
	}
	block := func(n int) func(*world, uint64) ([]byte, error) {
		return func(w *world, address uint64) ([]byte, error) { return at(w, address, n) }
	}
	input := func(w *world, address uint64) ([]byte, error) {
		if address > uint64(len(w.input)) {
			return nil, errors.New("beyond the input")
		}
		return []byte(w.input[address:]), nil
	}
	store := func(n int) hostFunc {
		return func(w *world, _ guestMemory, stack []uint64) error {
			b, err := at(w, stack[0], n)
			if err != nil {
				return err
			}
			var eight [8]byte
			binary.LittleEndian.PutUint64(eight[:], stack[1])
			copy(b, eight[:n])
			return nil
		}
	}
	return map[string]hostFunc{
		"alloc": func(w *world, _ guestMemory, stack []uint64) error {
			w.blocks = append(w.blocks, make([]byte, stack[0]))
			stack[0] = uint64(len(w.blocks)) << half
			return nil
		},
		"free": func(*world, guestMemory, []uint64) error { return nil },
		"length": func(w *world, _ guestMemory, stack []uint64) error {
			b, _ := at(w, stack[0], 0)
			stack[0] = uint64(len(b)) // 0 for what is no block
			return nil
		},
		"load_u8": load(1, block(1)), "load_u64": load(8, block(8)),
		"store_u8": store(1), "store_u64": store(8),
		"input_length": func(w *world, _ guestMemory, stack []uint64) error {
			stack[0] = uint64(len(w.input))
			return nil
		},
		"input_load_u8": load(1, input), "input_load_u64": load(8, input),
		"output_set": func(w *world, _ guestMemory, stack []uint64) error {
			b, err := at(w, stack[0], int(stack[1]))
			if err == nil {
				fmt.Fprintf(&w.out, "output %q\n", b[:stack[1]])
			}
			return err
		},
		"config_get": answer(0), "var_get": answer(0),
		"var_set": note("var_set", ""),
	}
}

// ended is what a run shows, but for its fuel.
type ended struct {
	outcome plugins.Outcome
	values  []uint64
	written string
}

var (
	theSeed = [32]byte{1, 2, 3}
	theTime = time.Date(2024, time.March, 1, 12, 0, 0, 0, time.UTC)
)

// importsOf returns the functions that a module imports, except WASI's, by
// module.
func importsOf(c wazero.CompiledModule) map[string][]api.FunctionDefinition {
	out := map[string][]api.FunctionDefinition{}
	for _, f := range c.ImportedFunctions() {
		module, _, _ := f.Import()
		if module != wasi_snapshot_preview1.ModuleName {
			out[module] = append(out[module], f)
		}
	}
	return out
}

// hosting returns the function for an import: one that fails, if there is none.
func hosting(host map[string]hostFunc, name string) hostFunc {
	if f, ok := host[name]; ok {
		return f
	}
	return func(*world, guestMemory, []uint64) error { return fmt.Errorf("%s is not there", name) }
}

// random is a source of random bytes that can be exchanged.
type random struct{ io.Reader }

// plainRun runs an export on a runtime that knows nothing of ours, after what
// the engine calls initialising.
func plainRun(t *testing.T, wasm []byte, host map[string]hostFunc, input, export string, args []uint64, seed [32]byte) (ended, map[string][]api.FunctionDefinition) {
	t.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesTailCall|experimental.CoreFeaturesExtendedConst))
	defer func() {
		if err := rt.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	c, err := rt.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{input: input}
	imports := importsOf(c)
	for module, functions := range imports {
		b := rt.NewHostModuleBuilder(module)
		for _, f := range functions {
			_, name, _ := f.Import()
			call := hosting(host, name)
			b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
				if err := call(w, plainMemory{m.Memory()}, stack); err != nil {
					panic(err)
				}
			}), f.ParamTypes(), f.ResultTypes()).Export(name)
		}
		if _, err := b.Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	source, now := &random{rand.NewChaCha8(seed)}, time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)
	m, err := rt.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").
		WithStdout(&w.out).WithStderr(&w.out).WithRandSource(source).
		WithWalltime(func() (int64, int32) { return now.Unix(), int32(now.Nanosecond()) }, 1).
		WithNanotime(func() int64 { return int64(time.Second) }, 1))
	if err != nil {
		t.Fatal(err)
	}
	*w = world{input: input}
	source.Reader, now = rand.NewChaCha8(theSeed), theTime
	values, err := m.ExportedFunction(export).Call(ctx, args...)
	e := ended{values: values, outcome: plugins.OK}
	var exit *sys.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == 0:
	case errors.As(err, &exit):
		e.outcome = plugins.AppError
	case err != nil:
		e.outcome = plugins.Trap
		t.Logf("plain: %v", err)
	}
	e.written = w.out.String()
	return e, imports
}

// engineRun runs an export on the engine, and returns its fuel, too.
func engineRun(t *testing.T, m *plugins.Module, input, export string, args []uint64) (ended, uint64) {
	t.Helper()
	w := &world{input: input}
	res := runInvocation(t, m, plugins.Invocation{
		Export: export, Args: args, State: w, Stderr: &w.out, Seed: theSeed, Clock: func() time.Time { return theTime },
		Limits: plugins.Limits{Fuel: 1 << 40, Wall: 5 * time.Minute},
	})
	if res.Err != nil {
		t.Logf("engine: %v", res.Err)
	}
	if res.Outcome != plugins.OK || len(res.Values) == 0 {
		res.Values = nil
	}
	return ended{outcome: res.Outcome, values: res.Values, written: w.out.String()}, res.Fuel
}

// hostModules are the engine's, of the functions that a module imports.
func hostModules(host map[string]hostFunc, imports map[string][]api.FunctionDefinition) (out []plugins.HostModule) {
	types := func(ts []api.ValueType) (out []plugins.ValueType) {
		for _, t := range ts {
			out = append(out, plugins.ValueType(t))
		}
		return out
	}
	for module, functions := range imports {
		m := plugins.HostModule{Name: module}
		for _, f := range functions {
			_, name, _ := f.Import()
			if slices.ContainsFunc(m.Functions, func(f plugins.HostFunction) bool { return f.Name == name }) {
				continue // imported twice
			}
			call := hosting(host, name)
			m.Functions = append(m.Functions, plugins.HostFunction{
				Name: name, Params: types(f.ParamTypes()), Results: types(f.ResultTypes()),
				Func: func(c *plugins.Call, stack []uint64) error {
					w, ok := c.State().(*world)
					if !ok {
						w = &world{} // while initialising
					}
					return call(w, engineMemory{c}, stack)
				},
			})
		}
		out = append(out, m)
	}
	return out
}
