package plugins

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

const (
	pageBytes  = 64 << 10
	initExport = "_initialize"
)

// Import names a function that a module imports.
type Import struct{ Module, Name string }

// Module is a loaded module: compiled, initialised, ready to run. It belongs
// to its engine. All methods are safe for concurrent use.
type Module struct {
	engine *Engine
	name   string
	size   int64
	sum    [sha256.Size]byte

	imports  []Import
	exports  map[string]signature // functions
	foreign  map[string]Import    // exported functions that are imports again
	globals  []meter.Global
	data     []meter.Data // what its instances begin with, where they are initialised
	saves    bool         // state that the host can't reach: meter.SaveExport
	compiled wazero.CompiledModule
	cached   bool // it was found in the cache

	memoryLimit int64
	initLimits  Limits
	unmakeable  string // why new instances are initialised anew; "" if they need not be
	image       *image
	init        Result

	gate      *gate           // users: runs and loading
	stopping  context.Context // ends when Close has lost its patience
	interrupt context.CancelFunc

	mu        sync.Mutex  // guards what follows; never held across a call of the runtime
	idle      []*instance // each in the image's state, in the order of their last use
	idleBytes int64       // of them all
	sessions  map[*Session]struct{}
}

// Name returns LoadOptions.Name.
func (m *Module) Name() string { return m.name }

// Size returns the bytes of the binary that was loaded.
func (m *Module) Size() int64 { return m.size }

// SHA256 returns the hash of the binary that was loaded.
func (m *Module) SHA256() [sha256.Size]byte { return m.sum }

// Imports returns the functions that the module imports, in its own order.
func (m *Module) Imports() []Import { return slices.Clone(m.imports) }

// MemoryBytes returns the memory of an instance when an invocation begins.
func (m *Module) MemoryBytes() int64 { return m.init.MemoryBytes }

// MemoryLimit returns the memory that an instance can grow to.
func (m *Module) MemoryLimit() int64 { return m.memoryLimit }

// Cached reports whether the module's compiled code was found in
// Options.CacheDir rather than made by Load.
func (m *Module) Cached() bool { return m.cached }

// Init returns what initialising took. Its outcome is OK.
func (m *Module) Init() Result { return m.init }

// Reinitialised says, in words, why each new instance of the module is
// initialised anew, which is much slower than making one from the image; empty
// when it need not be.
func (m *Module) Reinitialised() string { return m.unmakeable }

// Usage is what a module's instances take, besides what they share.
type Usage struct {
	Idle      int   // instances waiting for work
	IdleBytes int64 // pages that these have written
	Sessions  int   // open ones
	Parked    int   // of them, put away
	// SessionBytes is the sum of Session.Bytes.
	SessionBytes int64
}

// Usage returns what the module's instances take now.
func (m *Module) Usage() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := Usage{Idle: len(m.idle), IdleBytes: m.idleBytes, Sessions: len(m.sessions)}
	for s := range m.sessions {
		u.SessionBytes += s.Bytes()
		if s.Parked() {
			u.Parked++
		}
	}
	return u
}

// CheckExport reports, as an error naming both signatures, that the module
// lacks a function of that name and type.
func (m *Module) CheckExport(name string, params, results []ValueType) error {
	want := signature{params, results}
	have, err := m.export(name)
	if err != nil {
		return fmt.Errorf("%w (wanted with type %s)", err, want)
	}
	if !have.equal(want) {
		return fmt.Errorf("module %q: export %q has type %s, wanted %s", m.name, clean(name), have, want)
	}
	return nil
}

// export returns the type of an exported function that can be run.
func (m *Module) export(name string) (signature, error) {
	s, ok := m.exports[name]
	if !ok {
		return s, fmt.Errorf("module %q: function %q is not exported", m.name, clean(name))
	}
	if i, ok := m.foreign[name]; ok {
		return s, fmt.Errorf("module %q: export %q is only the import %q %q again", m.name, clean(name), clean(i.Module), clean(i.Name))
	}
	return s, nil
}

// Run calls an export on fresh state: memory, globals and tables are as
// initialising left them, whatever ran before. It returns an error only when
// the invocation could not be judged: ctx ended (ctx.Err()), the engine or
// module was closed (ErrClosed), no instance could be made, inv does not fit
// the module (no such export, wrong number of arguments), or a host function
// panicked. Everything that the guest did wrong is in Result.
//
// With an error, Result holds what was used until then and no outcome. The
// wall-clock limit counts from the call.
func (m *Module) Run(ctx context.Context, inv Invocation) (Result, error) {
	start := time.Now()
	results, err := m.admit(ctx, &inv)
	if err != nil {
		return Result{}, err
	}
	defer m.gate.leave()
	in, late, err := m.acquire(ctx, &inv)
	if in == nil {
		return m.unmade(late, err, start)
	}
	r := m.begin(ctx, in, inv, start)
	res, err := r.invoke(results)
	end := time.Now()
	m.yield(in, err == nil)
	res.Restore = time.Since(end)
	return res, err
}

// admit checks that inv fits the module, fills in its limits' defaults, and
// returns the number of its results. Without an error it has entered the gate.
func (m *Module) admit(ctx context.Context, inv *Invocation) (results int, err error) {
	if !m.gate.enter() {
		return 0, ErrClosed
	}
	defer func() {
		if err != nil {
			m.gate.leave()
		}
	}()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	sig, err := m.export(inv.Export)
	switch {
	case err != nil:
		return 0, err
	case !sig.numeric():
		return 0, fmt.Errorf("module %q: export %q has type %s; only numbers can be passed", m.name, clean(inv.Export), sig)
	case len(inv.Args) != len(sig.params):
		return 0, fmt.Errorf("module %q: export %q takes %d arguments, got %d", m.name, clean(inv.Export), len(sig.params), len(inv.Args))
	}
	inv.Limits = inv.Limits.withDefaults(defaultFuel, defaultWall)
	return len(sig.results), nil
}

// unmade is what becomes of an invocation for which there is no instance.
func (m *Module) unmade(late *RunError, err error, start time.Time) (Result, error) {
	if late != nil {
		return Result{Outcome: DeadlineExceeded, Err: late, Wall: time.Since(start)}, nil
	}
	return Result{Wall: time.Since(start)}, fmt.Errorf("module %q: %w", m.name, err)
}

// Close takes no new invocations and waits for those that run, up to ctx's
// end; then it ends them with ErrClosed at their next look at the deadline and
// returns ctx.Err(). What the module holds is released when the last has
// returned. Closing again waits again.
func (m *Module) Close(ctx context.Context) error {
	m.gate.close()
	err := m.gate.wait(ctx)
	if err != nil {
		m.interrupt()
	}
	return err
}

// release frees what the module holds, when its last run is over.
func (m *Module) release() {
	m.mu.Lock()
	idle, sessions := m.idle, m.sessions
	m.idle, m.idleBytes, m.sessions = nil, 0, nil
	m.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
	for s := range sessions {
		s.turn <- struct{}{} // nobody has it for long: no run is left
		s.drop()
		<-s.turn
	}
	if m.image != nil {
		m.image.close()
	}
	// Closing compiled code only drops a reference to it.
	_ = m.compiled.Close(context.Background())
	m.interrupt()
	m.engine.forget(m)
	m.engine.gate.leave()
}
