package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// instance is one running copy of a module. One run uses it at a time.
type instance struct {
	guest   api.Module
	mem     *memory
	fuel    api.MutableGlobal
	globals []api.MutableGlobal // the module's own, in the order of meter.Module.Globals
}

// image is what an initialised instance's state is, all of it: modules whose
// state is more than this are not restored but initialised anew.
type image struct {
	memory  []byte
	globals []uint64
	slept   time.Duration // by the guest's clock, while it initialised
}

// instantiate makes an instance with the binary's own segments and globals.
// No guest code runs.
func (m *Module) instantiate(ctx context.Context) (_ *instance, err error) {
	in := &instance{mem: newMemory(m.memoryLimit)}
	defer func() {
		if err != nil {
			in.close()
		}
	}()
	in.guest, err = m.engine.runtime.InstantiateModule(
		experimental.WithMemoryAllocator(ctx, in.mem), m.compiled,
		wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	if in.fuel, err = in.global(meter.FuelExport); err != nil {
		return nil, err
	}
	for _, g := range m.globals {
		global, err := in.global(g.Export)
		if err != nil {
			return nil, err
		}
		in.globals = append(in.globals, global)
	}
	return in, nil
}

func (in *instance) global(export string) (api.MutableGlobal, error) {
	if g, ok := in.guest.ExportedGlobal(export).(api.MutableGlobal); ok {
		return g, nil
	}
	return nil, fmt.Errorf("mutable global %q missing in the rewritten module", export)
}

// save takes an image of the instance.
func (in *instance) save() image {
	img := image{memory: append([]byte(nil), in.mem.bytes...)}
	for _, g := range in.globals {
		img.globals = append(img.globals, g.Get())
	}
	return img
}

// restore makes the instance as the image. After an error it is of no use.
func (in *instance) restore(img image) error {
	if in.mem.size() > 0 || len(img.memory) > 0 { // else there may be no memory at all
		if !in.mem.restore(in.guest.Memory(), img.memory) {
			return fmt.Errorf("%s of memory can't be made %s", formatBytes(in.mem.size()), formatBytes(int64(len(img.memory))))
		}
	}
	for i, g := range in.globals {
		g.Set(img.globals[i])
	}
	return nil
}

// close gives everything back. The instance must not be running.
func (in *instance) close() {
	if in.guest != nil {
		// Closing only drops references and calls mem.Free; there is nothing to fail.
		_ = in.guest.Close(context.Background())
	}
	in.mem.Free() // where wazero never took it over
}

// acquire returns an instance in the image's state, and must be followed by
// yield. Where that can't be restored, it takes a whole initialisation, for
// which there is as much time as for the invocation itself: initialising must
// not be a way around the wall-clock limit.
func (m *Module) acquire(ctx context.Context, wall time.Duration) (*instance, error) {
	m.mu.Lock()
	if n := len(m.idle); n > 0 {
		in := m.idle[n-1]
		m.idle = m.idle[:n-1]
		m.mu.Unlock()
		return in, nil
	}
	m.mu.Unlock()

	in, err := m.instantiate(ctx)
	if err != nil {
		return nil, fmt.Errorf("making an instance: %w", err)
	}
	if m.unrestorable == "" {
		err = in.restore(m.image)
	} else {
		l := m.initLimits
		l.Wall = min(l.Wall, wall)
		_, _, err = m.initialise(ctx, in, l, nil)
	}
	if err != nil {
		in.close()
		return nil, fmt.Errorf("making an instance: %w", err)
	}
	return in, nil
}

// maxRestoredGrowth is by how much an instance may have grown to be kept: what
// it grew by has to be cleared, and stays in memory while it is idle.
const maxRestoredGrowth = 8 << 20

// yield takes an instance back after a run. If its state is fit for it, the
// instance is restored at once, so that nothing of what it heard stays behind,
// and kept while there is room; otherwise it is closed.
func (m *Module) yield(in *instance, fit bool) {
	fit = fit && m.unrestorable == "" && in.mem.size()-int64(len(m.image.memory)) <= maxRestoredGrowth
	if fit && m.room() && in.restore(m.image) == nil {
		m.mu.Lock()
		if len(m.idle) < m.engine.o.IdleInstances {
			m.idle = append(m.idle, in)
			in = nil
		}
		m.mu.Unlock()
	}
	if in != nil {
		in.close()
	}
}

// room reports whether one more idle instance may be kept, as of now.
func (m *Module) room() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.idle) < m.engine.o.IdleInstances
}

// initialise runs the start function and _initialize on a new instance, and
// returns how long it slept by its own clock. The same module gets the same
// random bytes and clock each time, on each machine. A bad end is an error that
// wraps ErrInit.
func (m *Module) initialise(ctx context.Context, in *instance, l Limits, stderr io.Writer) (Result, time.Duration, error) {
	r := m.begin(ctx, in, Invocation{Limits: l, Seed: m.sum, Stderr: stderr}, time.Now())
	r.initialising = true
	var err error
	for _, name := range []string{meter.StartExport, initExport} {
		if f := in.guest.ExportedFunction(name); f != nil && err == nil {
			_, err = f.Call(r)
		}
	}
	var s *stop
	if errors.As(err, &s) && s.outcome == OK {
		err = &stop{outcome: AppError, message: "exited with code 0 before it was ready"}
	}
	res, err := r.finish(nil, err)
	if err == nil && res.Err != nil {
		err = fmt.Errorf("%w: %w", ErrInit, res.Err)
	}
	return res, r.slept, err
}
