//go:build cgo

package main

import (
	"context"
	"fmt"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

// ample is fuel, and ticks of the epoch, that nothing uses up.
const ample = 1 << 50

func wasmtimes() []rival {
	return []rival{
		{wasmtimeName, openWasmtime(false, false)},
		{wasmtimeFuelName, openWasmtime(true, false)},
		{epochsName, openWasmtime(false, true)},
	}
}

type wasmtimeModule struct {
	engine       *wasmtime.Engine
	module       *wasmtime.Module
	linker       *wasmtime.Linker
	fuel, epochs bool
}

func openWasmtime(fuel, epochs bool) func(context.Context, []byte, []thunk) (module, error) {
	return func(_ context.Context, wasm []byte, _ []thunk) (module, error) {
		config := wasmtime.NewConfig()
		config.SetConsumeFuel(fuel)
		config.SetEpochInterruption(epochs)
		e := wasmtime.NewEngineWithConfig(config)
		m, err := wasmtime.NewModule(e, wasm)
		if err != nil {
			return nil, err
		}
		l := wasmtime.NewLinker(e)
		if err := l.DefineWasi(); err != nil {
			return nil, err
		}
		return wasmtimeModule{e, m, l, fuel, epochs}, nil
	}
}

// instance is a store with one instance.
type instance struct {
	store *wasmtime.Store
	f     *wasmtime.Func
}

func (m wasmtimeModule) instantiate(t thunk) (instance, error) {
	s := wasmtime.NewStore(m.engine)
	s.SetWasi(wasmtime.NewWasiConfig())
	if m.fuel {
		if err := s.SetFuel(ample); err != nil {
			return instance{}, err
		}
	}
	if m.epochs {
		s.SetEpochDeadline(ample)
	}
	in, err := m.linker.Instantiate(s, m.module)
	if err != nil {
		return instance{}, err
	}
	if init := in.GetFunc(s, "_initialize"); init != nil {
		if _, err := init.Call(s); err != nil {
			return instance{}, err
		}
	}
	f := in.GetFunc(s, t.export)
	if f == nil {
		return instance{}, fmt.Errorf("function %q is not exported", t.export)
	}
	return instance{s, f}, nil
}

func (m wasmtimeModule) call(in instance, t thunk) (uint32, error) {
	if m.fuel {
		if err := in.store.SetFuel(ample); err != nil {
			return 0, err
		}
	}
	v, err := in.f.Call(in.store, int32(t.arg))
	if err != nil {
		return 0, err
	}
	sum, ok := v.(int32)
	if !ok {
		return 0, fmt.Errorf("%s returned %T", t.export, v)
	}
	return uint32(sum), nil
}

func (m wasmtimeModule) reused(_ context.Context, t thunk) (call, error) {
	in, err := m.instantiate(t)
	if err != nil {
		return nil, err
	}
	return func() (uint32, error) { return m.call(in, t) }, nil
}

func (m wasmtimeModule) fresh(_ context.Context, t thunk) (call, error) {
	return func() (uint32, error) {
		in, err := m.instantiate(t)
		if err != nil {
			return 0, err
		}
		defer in.store.Close()
		return m.call(in, t)
	}, nil
}

func (m wasmtimeModule) close(context.Context) error {
	m.linker.Close()
	m.module.Close()
	m.engine.Close()
	return nil
}
