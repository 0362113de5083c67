package engine

import (
	"context"
	"errors"
	"os"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/auricle-dev/auricle/plugins"
)

// lab is where modules are loaded to be measured. It keeps compiled code, so
// that each module is compiled once for each way to run it.
type lab struct {
	dir   string                  // for the engine
	cache wazero.CompilationCache // for plain wazero
}

func newLab() (*lab, error) {
	dir, err := os.MkdirTemp("", "auricle-bench-")
	if err != nil {
		return nil, err
	}
	return &lab{dir: dir, cache: wazero.NewCompilationCache()}, nil
}

func (l *lab) close(ctx context.Context) error {
	return errors.Join(l.cache.Close(context.WithoutCancel(ctx)), os.RemoveAll(l.dir))
}

// metered loads a module on an engine of its own. The function that it returns
// closes both.
func (l *lab) metered(ctx context.Context, wasm []byte, o plugins.Options) (*plugins.Module, func() error, error) {
	o.CacheDir = l.dir
	e, err := plugins.New(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	closeEngine := func() error { return e.Close(context.WithoutCancel(ctx)) }
	m, err := e.Load(ctx, wasm, plugins.LoadOptions{})
	if err != nil {
		return nil, nil, errors.Join(err, closeEngine())
	}
	return m, closeEngine, nil
}

// plain is a module in plain wazero: what the engine is compared with.
type plain struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

// plain compiles a module for plain wazero. With cancellation, its calls end
// when their contexts do, which is the only limit of time that wazero has.
func (l *lab) plain(ctx context.Context, wasm []byte, cancellation bool) (_ *plain, err error) {
	config := wazero.NewRuntimeConfig().WithCompilationCache(l.cache).WithCloseOnContextDone(cancellation)
	p := &plain{runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(ctx))
		}
	}()
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		return nil, err
	}
	p.compiled, err = p.runtime.CompileModule(ctx, wasm)
	return p, err
}

// instantiate makes an instance, and initialises it if there is something to.
func (p *plain) instantiate(ctx context.Context) (api.Module, error) {
	return p.runtime.InstantiateModule(ctx, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
}

// close releases the module and all of its instances.
func (p *plain) close(ctx context.Context) error { return p.runtime.Close(context.WithoutCancel(ctx)) }
