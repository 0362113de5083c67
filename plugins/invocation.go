package plugins

import (
	"io"
	"time"
)

// What Limits that are zero mean.
const (
	defaultFuel     = 50_000_000
	defaultWall     = 250 * time.Millisecond
	defaultInitFuel = 1_000_000_000
	defaultInitWall = 5 * time.Second
)

// Limits bound one invocation.
type Limits struct {
	Fuel uint64        // 0 means 50 million
	Wall time.Duration // 0 or less means 250 ms
}

func (l Limits) withDefaults(fuel uint64, wall time.Duration) Limits {
	if l.Fuel == 0 {
		l.Fuel = fuel
	}
	l.Fuel = min(l.Fuel, maxFuel)
	if l.Wall <= 0 {
		l.Wall = wall
	}
	return l
}

// Outcome says how an invocation ended. Outcomes never overlap.
type Outcome string

// The outcomes that the engine gives.
const (
	OK               Outcome = "ok"
	AppError         Outcome = "app_error" // the guest exited non-zero, or a host function failed it with Fail(AppError, …)
	Trap             Outcome = "trap"
	FuelExhausted    Outcome = "fuel_exhausted"
	DeadlineExceeded Outcome = "deadline_exceeded"
	MemoryExceeded   Outcome = "memory_exceeded" // growth was refused, and the guest trapped or exited non-zero after it
)

// Invocation is one call of one exported function.
type Invocation struct {
	Export string
	Args   []uint64 // one for each parameter, encoded as wazero's api package does
	Limits Limits
	State  any              // for host functions, by Call.State
	Stderr io.Writer        // what the guest writes to stdout and stderr, unbuffered; nil discards
	Clock  func() time.Time // the guest's wall clock; nil means time.Now
	Seed   [32]byte         // of the guest's random bytes; zero means a random seed
	Tape   *Tape            // records the answers that the guest gets, or replays them; nil does neither
}

// Result says how an invocation ended and what it took.
type Result struct {
	Outcome     Outcome
	Values      []uint64 // the function's results when OK; zeroes if the guest ended itself by proc_exit(0)
	Err         error    // nil exactly when Outcome is OK, else a *RunError
	Fuel        uint64   // used, exact (see the trap rule in the package doc); the limit when FuelExhausted
	Wall        time.Duration
	MemoryBytes int64 // the instance's memory at the end
	// Restore is what it took to put the instance back to its image, or to close
	// it, after Wall. 0 in a session.
	Restore time.Duration
}
