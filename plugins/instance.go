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
	mem     *memory // its image is what the instance goes back to: the module's, or its own
	fuel    api.MutableGlobal
	globals []api.MutableGlobal // the module's own, in the order of meter.Module.Globals
	back    api.Function        // meter.RestoreExport; nil where there is none

	functions map[string]api.Function // by export, with their stacks
	idleSince time.Time
}

// instantiate makes an instance as img says, or, where that is nil, with the
// binary's own segments and globals. No guest code runs.
func (m *Module) instantiate(ctx context.Context, img *image) (_ *instance, err error) {
	in := &instance{mem: newMemory(m.memoryLimit, img, m.engine.pages)}
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
	if m.saves {
		in.back = in.guest.ExportedFunction(meter.RestoreExport)
	}
	if img != nil {
		return in, in.begin()
	}
	if whole, err := in.guest.ExportedFunction(meter.WholeExport).Call(ctx); err != nil || uint32(whole[0]) == 0 {
		return nil, errors.Join(errSkeleton, err)
	}
	for _, d := range m.data {
		to, ok := in.mem.view(d.Offset, uint64(len(d.Bytes)))
		if !ok {
			return nil, fmt.Errorf("data of %d bytes at %d is outside of the memory of %d", len(d.Bytes), d.Offset, in.mem.size())
		}
		copy(to, d.Bytes)
	}
	return in, nil
}

func (in *instance) global(export string) (api.MutableGlobal, error) {
	if g, ok := in.guest.ExportedGlobal(export).(api.MutableGlobal); ok {
		return g, nil
	}
	return nil, fmt.Errorf("mutable global %q missing in the rewritten module", export)
}

// values returns the instance's globals.
func (in *instance) values() []uint64 {
	values := make([]uint64, len(in.globals))
	for i, g := range in.globals {
		values[i] = g.Get()
	}
	return values
}

// begin makes a new instance as its image.
func (in *instance) begin() error {
	if n := len(in.mem.image.memory); n > 0 && !in.mem.begin(in.guest.Memory()) {
		return fmt.Errorf("%s of memory can't be made %s", formatBytes(in.mem.size()), formatBytes(int64(n)))
	}
	in.reset()
	return nil
}

func (in *instance) reset() {
	for i, g := range in.globals {
		g.Set(in.mem.image.globals[i])
	}
}

// adopt makes img what the instance, which is as it says, goes back to.
func (in *instance) adopt(ctx context.Context, img *image) error {
	in.mem.image = img
	in.mem.mapImage()
	if in.back == nil {
		return nil
	}
	_, err := in.guest.ExportedFunction(meter.SaveExport).Call(ctx)
	return err
}

// restore makes the instance as its image, and reports whether it could. If
// not, the instance is of no use any more.
func (in *instance) restore() bool {
	if in.back != nil {
		// Tables that grew stay grown, and dropped segments stay dropped.
		if ok, err := in.back.Call(context.Background()); err != nil || uint32(ok[0]) == 0 {
			return false
		}
	}
	if in.mem.size() > 0 && !in.mem.restore(in.guest.Memory()) { // else there may be no memory at all
		return false
	}
	in.reset()
	return true
}

// bytes is what the instance takes of memory that no other shares, as of its
// last restore or session's run: pages, and its functions' stacks.
func (in *instance) bytes() int64 {
	n := in.mem.private
	for _, f := range in.functions {
		n += int64(stackBytes(f))
	}
	return n
}

// close gives everything back. The instance must not be running.
func (in *instance) close() {
	if in.guest != nil {
		// Closing only drops references and calls mem.Free; there is nothing to fail.
		_ = in.guest.Close(context.Background())
	}
	in.mem.Free() // where wazero never took it over
	if in.mem.image != nil && in.mem.image.owned {
		in.mem.image.close()
	}
}

// make returns a new instance in the image's state. Where that can't be given
// to it, it takes a whole initialisation, for which there is as much time as for
// the invocation itself: initialising must not be a way around the wall-clock
// limit.
func (m *Module) make(ctx context.Context, wall time.Duration) (*instance, error) {
	var in *instance
	var err error
	if m.unmakeable == "" {
		in, err = m.instantiate(ctx, m.image)
	} else {
		l := m.initLimits
		l.Wall = min(l.Wall, wall)
		in, _, err = m.initialised(ctx, l, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("making an instance: %w", err)
	}
	return in, nil
}

// initialised makes an instance, runs the start function and _initialize on
// it, and gives it an image to go back to. The same module gets the same random
// bytes and clock each time, on each machine. A bad end is an error that wraps
// ErrInit.
func (m *Module) initialised(ctx context.Context, l Limits, stderr io.Writer) (_ *instance, _ Result, err error) {
	in, err := m.instantiate(ctx, nil)
	if err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %w", ErrInit, err)
		}
		return nil, Result{}, err
	}
	defer func() {
		if err != nil {
			in.close()
		}
	}()
	r := m.begin(ctx, in, Invocation{Limits: l, Seed: m.sum, Stderr: stderr}, time.Now())
	r.initialising = true
	for _, name := range []string{meter.StartExport, initExport} {
		if f := in.guest.ExportedFunction(name); f != nil && err == nil {
			r.function = f
			_, err = r.enter(f, nil)
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
	if err != nil {
		return nil, res, err
	}
	// A mapped image is of use only to those who find what changed.
	img := newImage(in.mem.bytes, in.values(), r.slept, m.engine.pages == nil)
	switch {
	case m.image == nil:
		m.image = img
	case m.image.same(img):
		img.close()
		img = m.image
	default: // what a host function answered differs
		img.owned = true
	}
	if err := in.adopt(ctx, img); err != nil {
		return nil, res, fmt.Errorf("keeping the state: %w", err)
	}
	return in, res, nil
}
