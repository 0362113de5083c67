package main

import (
	"context"
	"errors"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/auricle-dev/auricle/plugins"
)

// rival is one way to run a module.
type rival struct {
	name string
	open func(ctx context.Context, wasm []byte, calls []thunk) (module, error)
}

// module is a compiled module.
type module interface {
	// reused returns a function that does the call on one instance, again and
	// again: state is kept.
	reused(ctx context.Context, t thunk) (call, error)
	// fresh does the call on fresh state each time.
	fresh(ctx context.Context, t thunk) (call, error)
	close(ctx context.Context) error
}

// call does one call and returns what the export returned.
type call func() (uint32, error)

// The rivals, by the names that they have in the report.
const (
	auricleName      = "auricle"
	wazeroName       = "wazero"
	cancellationName = "wazero, cancellation"
	extismName       = "extism, timeout"
	wasmtimeName     = "wasmtime"
	wasmtimeFuelName = "wasmtime, fuel"
	epochsName       = "wasmtime, epochs"
	nativeName       = "native Go"
)

// rivals are all of them but native Go. wasmtime is there if this was built
// with cgo.
func rivals() []rival {
	return append([]rival{
		{wazeroName, openWazero(false)},
		{auricleName, openAuricle},
		{cancellationName, openWazero(true)},
		{extismName, openExtism},
	}, wasmtimes()...)
}

// bound is the limit of time that all have which can have one; nothing comes
// near to it.
const bound = time.Hour

type auricleModule struct {
	engine *plugins.Engine
	module *plugins.Module
}

func openAuricle(ctx context.Context, wasm []byte, _ []thunk) (module, error) {
	e, err := plugins.New(ctx, plugins.Options{})
	if err != nil {
		return nil, err
	}
	m, err := e.Load(ctx, wasm, plugins.LoadOptions{})
	if err != nil {
		return nil, errors.Join(err, e.Close(ctx))
	}
	return auricleModule{e, m}, nil
}

func (m auricleModule) call(ctx context.Context, t thunk, run func(context.Context, plugins.Invocation) (plugins.Result, error)) call {
	inv := plugins.Invocation{Export: t.export, Args: []uint64{uint64(t.arg)}, Limits: plugins.Limits{Fuel: 1 << 50, Wall: bound}}
	return func() (uint32, error) {
		res, err := run(ctx, inv)
		if err = errors.Join(err, res.Err); err != nil {
			return 0, err
		}
		return uint32(res.Values[0]), nil
	}
}

func (m auricleModule) reused(ctx context.Context, t thunk) (call, error) {
	s, err := m.module.NewSession() // closed with the engine
	if err != nil {
		return nil, err
	}
	return m.call(ctx, t, s.Run), nil
}

func (m auricleModule) fresh(ctx context.Context, t thunk) (call, error) {
	return m.call(ctx, t, m.module.Run), nil
}

func (m auricleModule) close(ctx context.Context) error { return m.engine.Close(ctx) }

type wazeroModule struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

func openWazero(cancellation bool) func(context.Context, []byte, []thunk) (module, error) {
	return func(ctx context.Context, wasm []byte, _ []thunk) (module, error) {
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(cancellation))
		if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
			return nil, errors.Join(err, r.Close(ctx))
		}
		c, err := r.CompileModule(ctx, wasm)
		if err != nil {
			return nil, errors.Join(err, r.Close(ctx))
		}
		return wazeroModule{r, c}, nil
	}
}

func (m wazeroModule) instantiate(ctx context.Context) (api.Module, error) {
	return m.runtime.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
}

func (m wazeroModule) reused(ctx context.Context, t thunk) (call, error) {
	in, err := m.instantiate(ctx) // closed with the runtime
	if err != nil {
		return nil, err
	}
	f := in.ExportedFunction(t.export)
	return func() (uint32, error) { return first(f.Call(ctx, uint64(t.arg))) }, nil
}

func (m wazeroModule) fresh(ctx context.Context, t thunk) (call, error) {
	return func() (uint32, error) {
		in, err := m.instantiate(ctx)
		if err != nil {
			return 0, err
		}
		v, err := first(in.ExportedFunction(t.export).Call(ctx, uint64(t.arg)))
		return v, errors.Join(err, in.Close(ctx))
	}, nil
}

func (m wazeroModule) close(ctx context.Context) error { return m.runtime.Close(ctx) }

func first(values []uint64, err error) (uint32, error) {
	if err != nil {
		return 0, err
	}
	return uint32(values[0]), nil
}

type extismModule struct{ plugin *extism.CompiledPlugin }

func openExtism(ctx context.Context, wasm []byte, calls []thunk) (module, error) {
	wasm, err := addThunks(wasm, calls)
	if err != nil {
		return nil, err
	}
	p, err := extism.NewCompiledPlugin(ctx, extism.Manifest{
		Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}, Timeout: uint64(bound.Milliseconds()),
	}, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return nil, err
	}
	return extismModule{p}, nil
}

func (m extismModule) reused(ctx context.Context, t thunk) (call, error) {
	in, err := m.plugin.Instance(ctx, extism.PluginInstanceConfig{}) // closed with the plugin
	if err != nil {
		return nil, err
	}
	return func() (uint32, error) {
		v, _, err := in.CallWithContext(ctx, t.name(), nil)
		return v, err
	}, nil
}

func (m extismModule) fresh(ctx context.Context, t thunk) (call, error) {
	return func() (uint32, error) {
		in, err := m.plugin.Instance(ctx, extism.PluginInstanceConfig{})
		if err != nil {
			return 0, err
		}
		v, _, err := in.CallWithContext(ctx, t.name(), nil)
		return v, errors.Join(err, in.Close(ctx))
	}, nil
}

func (m extismModule) close(ctx context.Context) error { return m.plugin.Close(ctx) }
