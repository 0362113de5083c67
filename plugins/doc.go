// Package plugins runs WebAssembly modules that nobody trusts, so that each
// can harm only itself: instructions, time and memory are bounded, and every
// call starts from fresh state. It knows nothing of what the modules are for
// and can be used by any program.
//
//	engine, err := plugins.New(ctx, plugins.Options{HostModules: …})
//	module, err := engine.Load(ctx, wasm, plugins.LoadOptions{Name: "notes"})
//	result, err := module.Run(ctx, plugins.Invocation{Export: "handle", Limits: …})
//
// It imports nothing else of this project.
//
// # Life of a module
//
//  1. Parsing: the binary is read strictly. What is no core module, is
//     malformed, uses a feature that is not offered, takes a reserved name
//     (beginning "auricle:") or declares too much is refused with its offset.
//     While it is read it is rewritten so that it counts its own fuel.
//  2. Linking: each import must be a function of WASI preview 1 or of
//     Options.HostModules, with the same signature. Memories, tables and
//     globals can't be imported.
//  3. Compiling, to machine code: here, or in a process of its own
//     (Options.Compiler). Where Options.CacheDir has the module already, it
//     takes the place of steps 1 and 3.
//  4. Initialising, once, under LoadOptions.Init: data segments, the start
//     function, then the export _initialize if there is one. A command's
//     _start is not called.
//  5. The image is taken: memory and globals, from which every invocation
//     starts.
//  6. Run, any number of times, at once or one after the other; or NewSession
//     and Session.Run, for invocations that keep state between them.
//  7. Close. A failure in any step undoes those before.
//
// Each failure is a *LoadError that names the step.
//
// # Outcomes
//
// Everything that a guest does wrong is in Result; an error of Run says that
// the invocation could not be judged. Outcomes never overlap:
//
//   - OK: the function returned, or the guest called proc_exit(0), within its
//     fuel. The deadline is looked at between slices of fuel and after host
//     calls: a guest that returns before the next look is in time.
//   - AppError: proc_exit with another code, or Fail(AppError, …) in a host
//     function.
//   - Trap: unreachable, bounds, division, stack overflow and so on; a host
//     function's error; a pointer outside of the memory given to one.
//   - FuelExhausted: more than Limits.Fuel was used, even if the function
//     reached its end or trapped. Result.Fuel is then the limit.
//   - DeadlineExceeded: Limits.Wall passed, also inside of a host call.
//   - MemoryExceeded: as Trap, or as AppError by proc_exit, after a growth
//     beyond LoadOptions.MemoryBytes had been refused in the same invocation.
//     A guest that takes the refusal well may still end OK. Growth beyond a
//     module's own declared maximum, or beyond the 4 GiB that there can be, is
//     no refusal of the host's.
//
// A *RunError has a line for people and says where the guest was: its functions
// by the names in its name section, the fuel spent of the limit, and the last
// lines that it wrote.
//
// # Fuel
//
// Fuel measures the instructions executed: the same module with the same input
// and the same answers from the host uses the same fuel, to the unit, on any
// machine, over resets and instances. Most instructions cost 1; structure is
// free; bulk operations cost by what they touch. The balance is checked on each
// cycle: where functions are entered and at the headers of loops.
//
// A host call costs, before it runs: its base price (HostFunction.Fuel, or
// 500; 500 for each function of WASI), and 1 for each byte that it reads or
// writes by Call.Read and Call.Write, that fd_write is given, and that
// random_get fills; 20 for each piece of an fd_write and 100 for each
// subscription of a poll_oneoff. Call.Charge adds to it.
//
// The trap rule. While the guest runs, the balance is in a register, which a
// trap loses. Exact are the ends by unreachable (the panics of C and Rust), by
// bulk operations, by host functions (proc_exit, and so Go's panics, too), and
// by running out. After all other traps (memory out of bounds, integer division,
// conversions of floats, tables, failed indirect calls, the stack's overflow) what
// was used since the last slice began or host function returned is missing: less
// than Options.SliceFuel and a little more, and the same each time with the same
// slices.
//
// # Deadlines
//
// Fuel is handed out in slices of Options.SliceFuel. Between two slices the
// invocation looks at its deadline and contexts, and lets other goroutines
// run where all of Go's processors run guests, or after 2 ms; elsewhere Wasm code
// can't be preempted, which is why slices should be short. A deadline is overshot by what one slice takes, a fraction of a
// millisecond, or by the longest single bulk operation or host call. Host
// functions that wait must heed Call.Context. Result.Wall and Limits.Wall
// count from the call of Run, so making an instance is included.
//
// # Fresh state
//
// After an invocation, however it ended, the instance is put back to its image
// before Run returns, so that nothing of what it heard stays behind, and is kept
// for the next invocation:
//
//   - memory: what the system says was written is copied back (on Linux; all
//     of it elsewhere), growth is taken away;
//   - numeric globals;
//   - tables, v128 and reference globals: by functions that the rewriter added
//     to the module where it can change them.
//
// Where a table has grown or a segment was dropped, which can't be undone, and
// where an invocation could not be judged, the instance is closed instead. What
// WASI gives has no state.
//
// A new instance is made from the image, whose memory it shares until it writes.
// For a module that can change tables, drop segments, or has mutable v128 or
// reference globals, that is not enough: it is initialised anew, within the
// invocation's wall-clock limit; the fuel of that is not counted.
// Module.Reinitialised says why. Such instances are put back as all others are.
//
// Idle instances are kept up to Options.IdleInstances and IdleBytes for each
// module. Options.SpareInstances of them are made ahead, in the background.
// After Options.IdleAfter without use the others are closed, and the spare ones
// give their pages back.
//
// # Sessions
//
// A Session keeps one instance from invocation to invocation: nothing is put
// back, and the monotonic clock goes on. It costs the pages that it wrote
// (Session.Bytes). Unused for Options.IdleAfter it is parked: what differs from
// the image is kept, page by page, and the instance is given back. An invocation
// that does not end by its function's return ends the state, too: the next
// begins afresh, and Session.Restarted says so beforehand.
//
// # What guests see
//
// All functions of WASI preview 1 exist and grant nothing. There are no
// arguments, no environment, no files and no sockets (descriptors 0 to 2 are
// terminals; all others EBADF; paths ENOTCAPABLE). What is written to stdout
// and stderr goes to Invocation.Stderr; stdin is at its end. Pointers outside
// of the memory get EFAULT. Random bytes come from a generator with
// Invocation.Seed. The wall clock is Invocation.Clock, the monotonic clock
// runs from the invocation's start. A sleep waits really, with its goroutine,
// but not past the deadline.
//
// While initialising, random bytes are seeded by the module's own hash, the
// wall clock stands at 2020-01-01T00:00:00Z, and a sleep moves the clocks
// instead of waiting (it counts for Init's wall-clock limit). So the image, and
// what every invocation costs, is the same on every machine. Authors: read
// clocks and randomness in handlers; what you read in initialisation is frozen
// and not secret.
//
// # Recording and replaying
//
// What an invocation does is determined by its module, arguments, limits and
// state, the answers of host functions, and what the clocks and the random seed
// gave. A Tape keeps these answers (host functions give theirs by Call.Answer),
// some three bytes for each reading of a clock, and gives them to another
// invocation, on another machine, which then does the same to the unit of fuel;
// also where it was late. That holds between engines of one version and with
// the same Options.SliceFuel.
//
// # Concurrency
//
// All methods may be called at once. Guests and host functions run on the
// goroutine that called Run or Load, and Close waits for those. An engine has one
// goroutine of its own, which makes spare instances and gives idle memory back. Host functions can't call into guests. A panic in a host
// function is returned as an error of Run and harms no other invocation.
//
// # What is not promised
//
//   - Where a stack overflows depends on the processor: a module that recurses
//     without bound traps everywhere, but not with the same fuel. The stack is
//     on the host's heap and ends at some 16 MiB, looked at between slices.
//   - Compiling in this process can't be interrupted. It is bounded by limits on
//     what a module may declare and on its size. With Options.Compiler it can.
//   - Timing side channels between guests on one machine are not closed.
//   - CacheDir is trusted: it holds machine code. Damage is noticed, malice is
//     not.
//   - On processors for which wazero has no compiler, its interpreter runs the
//     modules: same results and fuel, much slower.
package plugins
