package plugins

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// run is one invocation while it goes on. It is the context that wazero hands
// to host functions: that is how they find it.
//
// Fuel is kept in one place, the guest's fuel global: granted minus its value
// is what has been used, whoever used it. (While guest code runs, the balance is
// in a register, from which it comes back at refuel, host calls and the end.)
type run struct {
	context.Context // the caller's

	module   *Module
	inst     *instance
	function api.Function // the export that is called
	inv      Invocation
	limits   Limits
	call     Call // what host functions get

	granted int64 // fuel handed out so far
	start   time.Time

	// While a module initialises its clock stands still, but for its sleeps.
	initialising bool
	slept        time.Duration // without really waiting

	random *rand.ChaCha8 // made when first asked for
	wrote  lastLines     // to stdout and stderr

	looks uint64 // at the deadline

	ended error // *stop or *abandoned once the invocation is over, before wazero knows
	used  int64 // fuel used when refuel ended the run; -1 if it did not

	gaveWay time.Duration // when other goroutines had their turn last, since start

	before time.Duration // a session's time before the invocation, by the monotonic clock

	hostCtx       context.Context // Call.Context, made when first asked for
	releaseHostCt func()
}

// stop is how the guest's fault, or its wish, ends an invocation.
type stop struct {
	outcome Outcome
	message string
	cause   error // a host function's error
	exit    bool  // by proc_exit
	code    uint32
}

func (s *stop) Error() string { return s.message }

// abandoned is an invocation that could not be judged.
type abandoned struct{ err error }

func (a *abandoned) Error() string { return a.err.Error() }
func (a *abandoned) Unwrap() error { return a.err }

// runOf returns the run whose guest called a host function.
func runOf(ctx context.Context) *run { return ctx.(*run) }

// begin prepares an invocation on inst, whose time began at start.
func (m *Module) begin(ctx context.Context, inst *instance, inv Invocation, start time.Time) *run {
	r := &run{Context: ctx, module: m, inst: inst, inv: inv, limits: inv.Limits, used: -1, start: start}
	r.call.r = r
	inst.mem.refused = 0
	inst.mem.watch()
	r.granted = int64(min(m.engine.o.SliceFuel, r.limits.Fuel))
	inst.fuel.Set(uint64(r.granted))
	return r
}

// invoke runs the invocation.
func (r *run) invoke(results int) (Result, error) {
	r.function = r.inst.function(r.inv.Export)
	values, err := r.enter(r.function, r.inv.Args)
	if err == nil {
		r.inst.keepFunction(r.inv.Export, r.function)
	} else {
		r.inst.functions = nil // they may have been cut off midway
		values = make([]uint64, results)
	}
	return r.finish(values, err)
}

// enter calls a function of the guest's.
func (r *run) enter(f api.Function, args []uint64) ([]uint64, error) {
	running.Add(1)
	defer running.Add(-1)
	return f.Call(r, args...)
}

// refuel is the guest's import. It is called with the fuel that is left of the
// slice, which is below zero, and returns what there is from now on. The guest
// stores that in its global, too.
func refuel(ctx context.Context, stack []uint64) {
	r := runOf(ctx)
	left := int64(stack[0])
	used := r.granted - left
	if err := r.pause(used); err != nil {
		r.used = used
		panic(err)
	}
	next := r.slice(used)
	r.granted += next - left
	stack[0] = uint64(next)
}

// slice is what may be spent until the next pause.
func (r *run) slice(used int64) int64 {
	return min(int64(r.module.engine.o.SliceFuel), int64(r.limits.Fuel)-used)
}

// charge spends fuel on behalf of a host function.
func (r *run) charge(fuel uint64) error {
	if r.ended != nil {
		return r.ended
	}
	left := int64(r.inst.fuel.Get()) - int64(min(fuel, maxFuel))
	if left < 0 {
		used := r.granted - left
		if err := r.pause(used); err != nil {
			r.inst.fuel.Set(uint64(left))
			return err
		}
		next := r.slice(used)
		r.granted += next - left
		left = next
	}
	r.inst.fuel.Set(uint64(left))
	return nil
}

// pause is run between two slices: it ends the invocation if that is due, and
// lets other goroutines run. Guest code can't be preempted elsewhere.
func (r *run) pause(used int64) error {
	if used > int64(r.limits.Fuel) {
		return r.end(&stop{outcome: FuelExhausted, message: r.fuelSpent()})
	}
	if n := stackBytes(r.function); n > maxStack {
		return r.end(&stop{outcome: Trap, message: fmt.Sprintf("wasm stack overflow: calls nested so deep that they take more than %s",
			formatBytes(maxStack))})
	}
	r.giveWay()
	return r.lookAfter(used)
}

// running counts the guests that run now, in all engines of the process.
var running atomic.Int64

// maxAlone is how long a guest runs without giving way though not all of Go's
// processors run guests.
const maxAlone = 2 * time.Millisecond

// giveWay lets other goroutines run, if need be: at each slice where all of Go's
// processors run guests. Where one does not, it takes what is ready, unless it is
// in a system call that the scheduler has not noticed yet. Giving way then wakes
// it up for nothing mostly, and costs some microseconds and this guest's warm
// caches.
func (r *run) giveWay() {
	now := r.elapsed()
	if now-r.gaveWay >= maxAlone || running.Load() >= int64(runtime.GOMAXPROCS(0)) {
		r.gaveWay = now
		runtime.Gosched()
	}
}

// look ends the invocation if its time is up or nobody waits for it any more.
func (r *run) look() error { return r.lookAfter(-1) }

// lookAfter is look, where the guest has used so much fuel; -1 where that is in
// the fuel global.
func (r *run) lookAfter(used int64) error {
	r.looks++
	switch {
	case r.ended != nil:
		return r.ended
	case r.late(used):
		return r.end(&stop{outcome: DeadlineExceeded, message: fmt.Sprintf("%v wall-clock limit passed", r.limits.Wall)})
	case r.Context.Err() != nil:
		return r.end(&abandoned{r.Context.Err()})
	case r.module.stopping.Err() != nil:
		return r.end(&abandoned{ErrClosed})
	}
	return nil
}

// late reports whether the wall-clock limit has passed: by the clock, or on the
// tape that is replayed.
func (r *run) late(used int64) bool {
	t := r.inv.Tape
	replaying := t != nil && t.replaying
	late := !replaying && r.left() <= 0
	if t == nil || !replaying && !late {
		return late
	}
	if used < 0 {
		used = r.granted - int64(r.inst.fuel.Get())
	}
	at := deadline{looks: r.looks, fuel: uint64(used)}
	if replaying {
		return t.lateAt(at)
	}
	t.late(at)
	return true
}

// end records how the invocation ends; the first word counts.
func (r *run) end(err error) error {
	if r.ended == nil {
		r.ended = err
	}
	return r.ended
}

func (r *run) fuelSpent() string {
	return fmt.Sprintf("fuel spent: %d of %d after %v", r.limits.Fuel, r.limits.Fuel, brief(r.elapsed()))
}

// brief rounds a duration to what people read of it.
func brief(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	case d >= 100*time.Microsecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}

func (r *run) elapsed() time.Duration { return time.Since(r.start) + r.slept }

// left is the time until the wall-clock limit.
func (r *run) left() time.Duration { return r.limits.Wall - r.elapsed() }

// hostContext returns the context for host functions that wait.
func (r *run) hostContext() context.Context {
	if r.hostCtx == nil {
		ctx, cancel := r.untilLate()
		unhook := context.AfterFunc(r.module.stopping, cancel)
		r.hostCtx = ctx
		r.releaseHostCt = func() { unhook(); cancel() }
	}
	return r.hostCtx
}

// untilLate is the invocation's context up to its wall-clock limit, which a
// replayed one does not meet by the clock.
func (r *run) untilLate() (context.Context, context.CancelFunc) {
	if t := r.inv.Tape; t != nil && t.replaying {
		return context.WithCancel(r.Context)
	}
	return context.WithTimeout(r.Context, r.left())
}

// sleep waits for d, but not past the invocation's end: then it returns how
// that ended. While initialising, only the guest's clock goes on.
func (r *run) sleep(d time.Duration) error {
	if r.initialising {
		r.slept += max(0, min(d, r.limits.Wall))
		return r.look()
	}
	if t := r.inv.Tape; t != nil && t.replaying {
		t.slept(max(d, 0))
		return r.look()
	}
	if d <= 0 {
		runtime.Gosched()
		return r.look()
	}
	t := time.NewTimer(min(d, r.left()))
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context.Done():
	case <-r.module.stopping.Done():
	}
	return r.look()
}

// The guest's clocks. Monotonic time starts above zero, for some runtimes take
// a zero for an unset clock, and goes on where initialising left it.
const monotonicStart = time.Second

// initTime is the wall clock's time when initialising begins.
var initTime = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)

// realtime is the guest's wall clock, in nanoseconds since 1970.
func (r *run) realtime() int64 {
	switch {
	case r.initialising:
		return initTime.Add(r.slept).UnixNano()
	case r.inv.Clock != nil:
		return r.inv.Clock().UnixNano()
	}
	return time.Now().UnixNano()
}

// monotonic is the guest's monotonic clock, in nanoseconds.
func (r *run) monotonic() int64 {
	if r.initialising {
		return int64(monotonicStart + r.slept)
	}
	return int64(monotonicStart + r.inst.mem.image.slept + r.before + r.elapsed())
}

// fill fills b with the invocation's random bytes.
func (r *run) fill(b []byte) error {
	if r.random == nil {
		seed, err := r.seed()
		if err != nil {
			return r.end(&abandoned{fmt.Errorf("reading a random seed: %w", err)})
		}
		r.random = rand.NewChaCha8(seed)
	}
	_, err := r.random.Read(b) // never fails
	return err
}

// seed returns the seed of the invocation's random bytes.
func (r *run) seed() ([32]byte, error) {
	live := func() (seed [32]byte, err error) {
		if r.inv.Seed == seed {
			_, err = crand.Read(seed[:])
			return seed, err
		}
		return r.inv.Seed, nil
	}
	if t := r.inv.Tape; t != nil {
		return t.seed(live)
	}
	return live()
}

// hostError turns what a host function failed with into the invocation's end.
func (r *run) hostError(function string, err error) error {
	if r.ended != nil {
		return r.ended
	}
	var p *hostPanic
	if errors.As(err, &p) {
		return r.end(&abandoned{fmt.Errorf("host function %s: %w", function, p)})
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		if ended := r.look(); ended != nil {
			return ended
		}
	}
	outcome := Trap
	var f *failure
	if errors.As(err, &f) {
		outcome = f.outcome
	}
	message := fmt.Sprintf("%s: %v", function, err)
	if outcome == AppError {
		message = err.Error() // the app's own words
	}
	return r.end(&stop{outcome: outcome, message: message, cause: err})
}

// exit ends the invocation as proc_exit asks.
func (r *run) exit(code uint32) error {
	s := &stop{outcome: OK, exit: true, code: code}
	if code != 0 {
		s.outcome, s.message = AppError, fmt.Sprintf("exited with code %d", code)
	}
	return r.end(s)
}

// spent is the fuel used, at the end of the run.
func (r *run) spent() uint64 {
	used := r.granted - int64(r.inst.fuel.Get())
	if r.used >= 0 {
		used = r.used
	}
	return uint64(min(max(used, 0), math.MaxInt64))
}

// finish judges a run from what wazero's call gave.
func (r *run) finish(values []uint64, err error) (Result, error) {
	if r.releaseHostCt != nil {
		r.releaseHostCt()
	}
	res := Result{Wall: r.elapsed(), Fuel: r.spent(), MemoryBytes: r.inst.mem.size()}
	var gone *abandoned
	if errors.As(err, &gone) {
		res.Fuel = min(res.Fuel, r.limits.Fuel)
		return res, gone.err
	}
	bad, fault := r.judge(err)
	if fault != nil {
		return res, fault
	}
	switch {
	case res.Fuel > r.limits.Fuel, bad != nil && bad.Outcome == FuelExhausted:
		res.Fuel = r.limits.Fuel
		exhausted := &RunError{Outcome: FuelExhausted, Message: r.fuelSpent()}
		if bad != nil {
			exhausted.Stack = bad.Stack
		}
		bad = exhausted
	case bad == nil:
		res.Outcome, res.Values = OK, values
		return res, nil
	case r.inst.mem.refused > 0 && (bad.Outcome == Trap || bad.ExitCode != 0):
		bad.Message = fmt.Sprintf("memory limit of %s reached (growth to %s refused): %s",
			formatBytes(r.inst.mem.limit), formatBytes(r.inst.mem.refused), bad.Message)
		bad.Outcome = MemoryExceeded
	}
	bad.Fuel, bad.FuelLimit, bad.LastLines = res.Fuel, r.limits.Fuel, r.wrote.lines()
	res.Outcome, res.Err = bad.Outcome, bad
	return res, nil
}

// returned reports whether the invocation ended by its function's return.
func (r *run) returned(o Outcome) bool { return o == OK && r.ended == nil }
