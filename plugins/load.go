package plugins

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

const (
	defaultMemoryBytes = 64 << 20
	maxMemoryBytes     = 4 << 30   // what 32-bit pointers reach
	maxTableElements   = 256 << 10 // of each table
	maxImportErrors    = 16        // reported for one module
)

// LoadOptions say how a module is loaded. The zero value is usable.
type LoadOptions struct {
	// Name is for errors.
	Name string
	// MemoryBytes is the limit of an instance's memory; 0 means 64 MiB. More than
	// 4 GiB is 4 GiB.
	MemoryBytes int64
	// Init bounds initialising: start function and _initialize together. Zero
	// means 1,000 million and 5 s.
	Init Limits
	// Background says that modules are running that compiling must not hold up:
	// a process that Options.Compiler starts gets a low priority, a tenth of what
	// one of the host's threads gets or all that is idle. (On Linux.)
	Background bool
	// InitStderr gets what the guest writes to stdout and stderr while
	// initialising; nil discards it. The end of it is in a *LoadError too.
	InitStderr io.Writer
}

// Load reads a module, checks and meters it, compiles it (or finds it in the
// cache), initialises it once and takes the image that every invocation starts
// from. Errors are *LoadError; ctx's end and the engine's closing are wrapped
// in one too. Compiling takes time in proportion to the size, about a second for
// 4 MB on first sight, and ends with ctx only in a process of its own
// (Options.Compiler). wasm is not kept.
func (e *Engine) Load(ctx context.Context, wasm []byte, o LoadOptions) (*Module, error) {
	l := &loading{engine: e, o: o}
	for {
		if !e.gate.enter() {
			return nil, l.failed("parsing", -1, ErrClosed)
		}
		m, err := l.load(ctx, wasm)
		if err == nil {
			return m, nil
		}
		if l.anew || !errors.Is(err, errSkeleton) {
			return nil, err
		}
		l.anew = true
	}
}

// loading is one Load on its way.
type loading struct {
	engine *Engine
	o      LoadOptions
	anew   bool // whatever the cache has
}

func (l *loading) failed(step string, offset int64, err error) error {
	return &LoadError{Module: l.o.Name, Step: step, Offset: offset, Err: err}
}

// load makes the module. It hands its place in the engine's gate on to the
// module, or leaves.
func (l *loading) load(ctx context.Context, wasm []byte) (_ *Module, err error) {
	m, err := l.compile(ctx, wasm)
	if err != nil {
		l.engine.gate.leave()
		return nil, err
	}
	// From here on closing m is what undoes everything.
	m.stopping, m.interrupt = context.WithCancel(context.Background())
	m.gate = newGate(m.release)
	m.gate.enter()
	defer func() {
		if err != nil {
			m.gate.close()
		}
		m.gate.leave()
	}()
	if !l.engine.adopt(m) {
		return nil, l.failed("initialising", -1, ErrClosed)
	}
	if err := l.initialise(ctx, m); err != nil {
		return nil, err
	}
	return m, nil
}

// compile takes the module through parsing, linking and compiling.
func (l *loading) compile(ctx context.Context, wasm []byte) (*Module, error) {
	e := l.engine
	m := &Module{
		engine:      e,
		sessions:    map[*Session]struct{}{},
		name:        l.o.Name,
		size:        int64(len(wasm)),
		memoryLimit: l.o.MemoryBytes,
		initLimits:  l.o.Init.withDefaults(defaultInitFuel, defaultInitWall),
	}
	if m.memoryLimit <= 0 {
		m.memoryLimit = defaultMemoryBytes
	}
	m.memoryLimit = min(m.memoryLimit, maxMemoryBytes) / pageBytes * pageBytes
	if m.size > e.o.MaxModuleBytes {
		return nil, l.failed("parsing", -1, fmt.Errorf("%w: %d bytes, at most %d are taken", ErrLimit, m.size, e.o.MaxModuleBytes))
	}
	m.sum = sha256.Sum256(wasm)

	done, err := e.turn(ctx, m.sum)
	if err != nil {
		return nil, l.failed("compiling", -1, err)
	}
	defer done()
	var meta *meter.Module
	if !l.anew {
		meta, m.compiled = e.find(ctx, m.sum)
	}
	if m.cached = meta != nil; !m.cached {
		// The memory's own maximum is left as it is: the limit is enforced, and a
		// refusal noticed, where memory is allocated.
		meta, err = meter.Rewrite(wasm, meter.Options{MaxMemoryBytes: maxMemoryBytes, MaxTableElements: maxTableElements})
		if err != nil {
			offset := int64(-1)
			var at *meter.Error
			if errors.As(err, &at) {
				offset = at.Offset
				// The offset has a field of its own.
				err = fmt.Errorf("%w: %s", at.Err, clean(at.What))
			}
			return nil, l.failed("parsing", offset, err)
		}
	}
	if meta.MinMemory > m.memoryLimit {
		m.discard(ctx)
		return nil, l.failed("parsing", -1, fmt.Errorf("%w: the module's memory begins with %s, the limit is %s",
			ErrLimit, formatBytes(meta.MinMemory), formatBytes(m.memoryLimit)))
	}
	m.globals, m.data, m.saves, m.unmakeable = meta.Globals, meta.Data, meta.Saves, meta.Unmakeable
	if err := m.link(meta); err != nil {
		m.discard(ctx)
		return nil, l.failed("linking", -1, err)
	}
	if !m.cached {
		if m.compiled, err = e.make(ctx, m.sum, meta, l.o.Background); err != nil {
			return nil, l.failed("compiling", -1, err)
		}
	}
	m.foreign = map[string]Import{}
	for name, f := range m.compiled.ExportedFunctions() {
		if module, imported, ok := f.Import(); ok {
			m.foreign[name] = Import{module, imported}
		}
	}
	if sig, ok := m.exports[initExport]; ok {
		if _, err := m.export(initExport); err != nil || !sig.equal(signature{}) {
			m.discard(ctx)
			return nil, l.failed("linking", -1, fmt.Errorf("%w: export %q must be a function of the module's own with type (), not %s", ErrInit, initExport, sig))
		}
	}
	return m, nil
}

// discard lets the code go of a module that can't be used after all.
func (m *Module) discard(ctx context.Context) {
	if m.compiled != nil {
		_ = m.compiled.Close(ctx) // only drops a reference
	}
}

// link notes what the module imports and exports, and checks that its imports
// can be satisfied.
func (m *Module) link(meta *meter.Module) error {
	var errs []error
	for _, i := range meta.Imports {
		name := Import{i.Module, i.Name}
		m.imports = append(m.imports, name)
		want := signatureOf(i.Type)
		have, known := m.engine.imports[name]
		switch {
		case known && have.equal(want):
		case len(errs) < maxImportErrors:
			bad := &ImportError{Import: name, Known: known, Wanted: want.String()}
			if known {
				bad.Have = have.String()
			}
			errs = append(errs, bad)
		}
	}
	m.exports = map[string]signature{}
	for _, x := range meta.Exports {
		if x.Kind == 0 {
			m.exports[x.Name] = signatureOf(x.Type)
		}
	}
	return errors.Join(errs...)
}

// initialise runs the module's own initialisation and takes the image.
func (l *loading) initialise(ctx context.Context, m *Module) error {
	said := &tail{to: l.o.InitStderr}
	in, res, err := m.initialised(ctx, m.initLimits, said)
	if err != nil {
		if text := said.String(); text != "" {
			err = fmt.Errorf("%w; it wrote: %s", err, text)
		}
		return l.failed("initialising", -1, err)
	}
	m.init, m.data = res, nil // further instances begin with the image, or with the binary's own data
	m.yield(in, true)
	return nil
}

// maxTail is how much of what a guest wrote is repeated in a LoadError.
const maxTail = 2 << 10

// tail passes on what is written and keeps the end of it.
type tail struct {
	to  io.Writer // nil discards
	end []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.end = append(t.end, b[max(0, len(b)-maxTail):]...)
	t.end = t.end[max(0, len(t.end)-maxTail):]
	if t.to == nil {
		return len(b), nil
	}
	return t.to.Write(b)
}

// String returns the end of what was written, on one line.
func (t *tail) String() string {
	var lines []string
	for line := range strings.Lines(string(t.end)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, clean(line))
		}
	}
	return strings.Join(lines, " | ")
}
