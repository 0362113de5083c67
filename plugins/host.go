package plugins

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// What host calls cost, in fuel. A unit is about a nanosecond.
const (
	defaultCallFuel = 500 // a host call, whatever it does
	byteFuel        = 1   // each byte that a host call reads from or writes to the guest
)

// HostModule is a set of functions that guests may import.
type HostModule struct {
	Name      string
	Functions []HostFunction
}

// HostFunction is one function that guests may import.
type HostFunction struct {
	Name            string
	Params, Results []ValueType
	Fuel            uint64 // base price of a call; 0 means 500

	// Func gets the parameters in stack and leaves the results there. Before it
	// runs, the base price has been charged. An error ends the invocation: with
	// the outcome given to Fail; with what Call.Charge, Read or Write said, if
	// it is theirs; with DeadlineExceeded if it is the context's; otherwise with
	// Trap. Func must not call into a guest, nor keep call or what Call.Read
	// returned, and must heed Call.Context if it can take long. It runs on the
	// goroutine that called Run, also while a module initialises (State is then
	// nil), and for many invocations at once.
	Func func(call *Call, stack []uint64) error
}

// Call is a host function's view of the invocation that called it. It is
// valid until Func returns, on Func's goroutine.
type Call struct{ r *run }

// Context is the invocation's: it ends at the wall-clock limit, when Run's
// context does, or when Close loses its patience.
func (c *Call) Context() context.Context { return c.r.hostContext() }

// State is Invocation.State; nil while a module initialises.
func (c *Call) State() any { return c.r.inv.State }

// Charge spends fuel for work that the guest asked for, before it is done. It
// also looks at the deadline now and then, so a function that works in pieces
// and charges for each can't outstay it. An error means that the invocation
// is over and must be returned.
func (c *Call) Charge(fuel uint64) error { return c.r.charge(fuel) }

// Read returns n bytes of guest memory at ptr and charges one unit for each.
// The slice is a view, not a copy: it must not be kept after Func returns, for
// the memory may be unmapped then. Bytes outside of the memory are an error
// which ends the invocation as Trap and says pointer, length and memory size.
func (c *Call) Read(ptr, n uint32) ([]byte, error) {
	b, ok := c.r.inst.mem.view(ptr, uint64(n))
	if !ok {
		return nil, c.outside("reads", ptr, uint64(n))
	}
	if err := c.Charge(uint64(n) * byteFuel); err != nil {
		return nil, err
	}
	return b, nil
}

// Write copies b to guest memory at ptr and charges one unit for each byte.
// It fails as Read does.
func (c *Call) Write(ptr uint32, b []byte) error {
	to, ok := c.r.inst.mem.view(ptr, uint64(len(b)))
	if !ok {
		return c.outside("writes", ptr, uint64(len(b)))
	}
	if err := c.Charge(uint64(len(b)) * byteFuel); err != nil {
		return err
	}
	copy(to, b)
	return nil
}

// Answer returns what a host function tells the guest where neither the module
// nor its input determines it: what live gives. With Invocation.Tape it is
// recorded there under name, or live is not called and what was recorded is
// returned. An error is not recorded, except for that of Call.Context's end at
// the wall-clock limit. The answer must not be changed. It charges nothing.
func (c *Call) Answer(name string, live func() ([]byte, error)) ([]byte, error) {
	if t := c.r.inv.Tape; t != nil {
		return t.answer(name, live)
	}
	return live()
}

func (c *Call) outside(does string, ptr uint32, n uint64) error {
	return Fail(Trap, fmt.Errorf("%s %d bytes at %d, outside of its memory of %d bytes", does, n, ptr, c.r.inst.mem.size()))
}

// Fail makes err end the invocation with the given outcome, which is AppError,
// Trap or DeadlineExceeded; any other counts as Trap. Fail(o, nil) is nil.
func Fail(o Outcome, err error) error {
	if err == nil {
		return nil
	}
	if o != AppError && o != DeadlineExceeded {
		o = Trap
	}
	return &failure{outcome: o, err: err}
}

// failure is an error with an outcome.
type failure struct {
	outcome Outcome
	err     error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// hostPanic is a panic in a host function: the host's fault, not the guest's.
type hostPanic struct {
	value any
	stack []byte
}

func (p *hostPanic) Error() string {
	return fmt.Sprintf("panic: %v\n%s", p.value, p.stack)
}

// goFunc wraps f for wazero: it charges, calls, and turns errors into the
// panic that is wazero's way of ending a call.
func (f HostFunction) goFunc(module string) api.GoFunc {
	price := f.Fuel
	if price == 0 {
		price = defaultCallFuel
	}
	name := module + "." + f.Name
	return func(ctx context.Context, stack []uint64) {
		r := runOf(ctx)
		err := r.charge(price)
		if err == nil {
			if err = f.protected(&r.call, stack); err == nil {
				err = r.ended // the function may have ignored what Charge said
			}
			if err == nil {
				err = r.look() // it may have taken long
			}
		}
		if err != nil {
			panic(r.hostError(name, err))
		}
	}
}

// protected calls Func and returns its panic as an error.
func (f HostFunction) protected(c *Call, stack []uint64) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &hostPanic{value: v, stack: debug.Stack()}
		}
	}()
	return f.Func(c, stack)
}

// check returns everything that is wrong with the module's description.
func (m HostModule) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case m.Name == "":
		bad("host module without a name")
	case strings.HasPrefix(m.Name, meter.Reserved):
		bad("host module %q: names beginning with %q are the engine's", m.Name, meter.Reserved)
	case m.Name == wasiModule:
		bad("host module %q: WASI preview 1 is the engine's", m.Name)
	}
	seen := map[string]bool{}
	for _, f := range m.Functions {
		if f.Name == "" {
			bad("host module %q: function without a name", m.Name)
		}
		if seen[f.Name] {
			bad("host module %q: function %q given twice", m.Name, f.Name)
		}
		seen[f.Name] = true
		if f.Func == nil {
			bad("host module %q: function %q has no Func", m.Name, f.Name)
		}
		if s := (signature{f.Params, f.Results}); !s.numeric() {
			bad("host module %q: function %q has type %s; only i32, i64, f32 and f64 can be passed", m.Name, f.Name, s)
		}
	}
	return errors.Join(errs...)
}

// instantiate makes the module importable.
func (m HostModule) instantiate(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(m.Name)
	for _, f := range m.Functions {
		b = b.NewFunctionBuilder().
			WithGoFunction(f.goFunc(m.Name), apiTypes(f.Params), apiTypes(f.Results)).
			WithName(f.Name).
			Export(f.Name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("making host module %q: %w", m.Name, err)
	}
	return nil
}
