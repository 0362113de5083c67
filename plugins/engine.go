package plugins

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// What Options that are zero mean.
const (
	defaultModuleBytes   = 32 << 20
	defaultSliceFuel     = 200_000
	defaultIdleInstances = 4
	defaultIdleBytes     = 64 << 20
	defaultSpares        = 1
	defaultIdleAfter     = time.Minute
)

// Options configure an Engine. The zero value is usable.
type Options struct {
	// CacheDir keeps compiled code across processes, by the content's hash; it is
	// made if it does not exist. Whoever can write to it decides what runs in
	// this process. Empty keeps compiled code in memory only.
	CacheDir string
	// Compiler is a command that calls CompileProcess with its arguments, and
	// nothing else. If there is one, modules that CacheDir does not have are
	// compiled by it in a process of its own: running modules don't notice its
	// garbage (nor much of its work, with LoadOptions.Background), a compiler that crashes or takes all memory harms itself only,
	// and the end of Load's context ends it. It needs a CacheDir. Without one,
	// compiling is part of this process.
	Compiler []string
	// HostModules are what guests may import, besides WASI preview 1.
	HostModules []HostModule
	// MaxModuleBytes bounds a module's binary. 0 means 32 MiB.
	MaxModuleBytes int64
	// SliceFuel is what an invocation may spend between two looks at its
	// deadline. Less is more punctual and slower; it changes no result and no
	// count. 0 means 200,000, about 0.1 ms.
	SliceFuel uint64
	// IdleInstances is how many idle instances are kept for each module. 0 means
	// 4; negative keeps none.
	IdleInstances int
	// IdleBytes bounds what the idle instances of a module hold of memory that
	// they don't share: the pages that they wrote. An instance beyond it is
	// closed. 0 means 64 MiB.
	IdleBytes int64
	// SpareInstances is how many idle instances each module always has ready, if
	// need be by making them ahead; at most IdleInstances. 0 means 1; negative
	// makes none.
	SpareInstances int
	// IdleAfter is when what nobody uses gives its memory back: idle instances
	// are closed but for the spare ones, sessions are parked. 0 means 1 minute;
	// negative means never.
	IdleAfter time.Duration
}

// check returns everything that is wrong with the options.
func (o Options) check() error {
	var errs []error
	if o.MaxModuleBytes < 0 {
		errs = append(errs, fmt.Errorf("MaxModuleBytes is %d; it can't be negative", o.MaxModuleBytes))
	}
	if o.IdleBytes < 0 {
		errs = append(errs, fmt.Errorf("IdleBytes is %d; it can't be negative (IdleInstances can: it keeps none)", o.IdleBytes))
	}
	if len(o.Compiler) > 0 && o.CacheDir == "" {
		errs = append(errs, errors.New("a Compiler without a CacheDir has nowhere to put what it compiles"))
	}
	seen := map[string]bool{}
	for _, m := range o.HostModules {
		if seen[m.Name] {
			errs = append(errs, fmt.Errorf("host module %q given twice", m.Name))
		}
		seen[m.Name] = true
		errs = append(errs, m.check())
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.MaxModuleBytes == 0 {
		o.MaxModuleBytes = defaultModuleBytes
	}
	if o.SliceFuel == 0 {
		o.SliceFuel = defaultSliceFuel
	}
	o.SliceFuel = min(o.SliceFuel, maxFuel)
	if o.IdleInstances == 0 {
		o.IdleInstances = defaultIdleInstances
	}
	if o.IdleBytes == 0 {
		o.IdleBytes = defaultIdleBytes
	}
	if o.SpareInstances == 0 {
		o.SpareInstances = defaultSpares
	}
	o.SpareInstances = min(o.SpareInstances, o.IdleInstances)
	if o.IdleAfter == 0 {
		o.IdleAfter = defaultIdleAfter
	}
	return o
}

// Engine loads modules and runs them. It owns every Module that it loaded.
// All methods are safe for concurrent use.
type Engine struct {
	o       Options // with defaults filled in
	runtime wazero.Runtime
	cache   *cache               // nil without CacheDir
	imports map[Import]signature // all that guests may import
	pages   *pages               // nil where the system has no such list
	keeper  *keeper

	gate *gate // users: modules, and loads on their way

	mu        sync.Mutex // guards what follows; never held across a call of the runtime
	closed    bool
	modules   map[*Module]struct{}
	compiling map[[sha256.Size]byte]chan struct{} // by the binary's hash; closed when done
}

// New makes an engine. It returns everything that is wrong with o in one
// error, or why CacheDir can't be used.
func New(ctx context.Context, o Options) (_ *Engine, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	e := &Engine{o: o.withDefaults(), imports: map[Import]signature{}, modules: map[*Module]struct{}{}, compiling: map[[sha256.Size]byte]chan struct{}{}}
	config := runtimeConfig()
	if o.CacheDir != "" {
		if e.cache, err = openCache(ctx, o.CacheDir, o.Compiler); err != nil {
			return nil, fmt.Errorf("opening the cache of compiled code: %w", err)
		}
		config = config.WithCompilationCache(e.cache.wazero)
	}
	e.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	e.pages = openPages()
	e.keeper = e.keep()
	e.gate = newGate(e.release)
	defer func() {
		if err != nil {
			e.keeper.close()
			e.gate.close()
		}
	}()

	_, err = e.runtime.NewHostModuleBuilder(meter.RefuelModule).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(refuel), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).
		Export(meter.RefuelName).Instantiate(ctx)
	if err != nil {
		return nil, fmt.Errorf("making the refuel function: %w", err)
	}
	for _, m := range append([]HostModule{wasi()}, o.HostModules...) {
		if err := m.instantiate(ctx, e.runtime); err != nil {
			return nil, err
		}
		for _, f := range m.Functions {
			e.imports[Import{m.Name, f.Name}] = signature{f.Params, f.Results}
		}
	}
	return e, nil
}

// Close takes no new work and waits for the invocations that run, up to ctx's
// end; then it ends them, each with ErrClosed at its next look at the
// deadline, and returns ctx.Err(). All modules are closed with the engine, and
// everything is released when the last invocation has returned. After Close,
// Load and Run return ErrClosed.
func (e *Engine) Close(ctx context.Context) error {
	e.keeper.close()
	e.gate.close()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	modules := e.all()
	for _, m := range modules {
		m.gate.close()
	}
	err := e.gate.wait(ctx)
	if err != nil {
		for _, m := range modules {
			m.interrupt()
		}
	}
	return err
}

// release frees what the engine holds, when the last module is gone.
func (e *Engine) release() {
	// Neither can fail: nothing of ours runs or is open any more.
	ctx := context.Background()
	_ = e.runtime.Close(ctx)
	if e.cache != nil {
		_ = e.cache.close(ctx)
	}
	if e.pages != nil {
		_ = e.pages.close()
	}
}

// all returns the modules there are.
func (e *Engine) all() []*Module {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Keys(e.modules))
}

// adopt makes m the engine's to close. It reports false if the engine was
// closed before.
func (e *Engine) adopt(m *Module) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.modules[m] = struct{}{}
	return true
}

func (e *Engine) forget(m *Module) {
	e.mu.Lock()
	delete(e.modules, m)
	e.mu.Unlock()
}

// maxFuel bounds every amount of fuel, so that sums of two can't overflow.
const maxFuel = math.MaxInt64 / 4
