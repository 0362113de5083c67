package plugins

import (
	"errors"
	"fmt"
	"strings"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// The causes of a refusal to load. Every *LoadError wraps one of them, unless
// loading was cut short by its context or by the engine's closing.
var (
	ErrNotWasm     = meter.ErrNotWasm     // the bytes are no WebAssembly at all
	ErrComponent   = meter.ErrComponent   // a component-model binary; core modules are what runs here
	ErrMalformed   = meter.ErrMalformed   // truncated, inconsistent or invalid
	ErrUnsupported = meter.ErrUnsupported // a proposal that the engine does not offer
	ErrReserved    = meter.ErrReserved    // a name that belongs to the engine
	ErrLimit       = meter.ErrLimit       // larger than allowed: bytes, memory, tables
	ErrImport      = errors.New("import that can't be satisfied")
	ErrInit        = errors.New("initialisation did not end well")
)

// ErrClosed is returned once the engine or the module has been closed.
var ErrClosed = errors.New("engine or module is closed")

// LoadError says why a module was refused.
type LoadError struct {
	Module string // LoadOptions.Name
	Step   string // "parsing", "linking", "compiling" or "initialising"
	Offset int64  // byte offset in the binary; -1 when it has none
	Err    error  // wraps one of the Err… variables
}

// Error names the module, the step, the place and the cause.
func (e *LoadError) Error() string {
	var b strings.Builder
	if e.Module != "" {
		fmt.Fprintf(&b, "module %q: ", e.Module)
	}
	b.WriteString(e.Step)
	if e.Offset >= 0 {
		fmt.Fprintf(&b, " at byte %d", e.Offset)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap returns the cause.
func (e *LoadError) Unwrap() error { return e.Err }

// ImportError names one import that neither WASI preview 1 nor the engine's
// host modules can satisfy. It wraps ErrImport.
type ImportError struct {
	Import
	Known  bool   // the name exists, with another signature
	Wanted string // the module's signature, as "(i32, i32) -> i32"
	Have   string // the host's signature, when Known
}

// Error says what the module wants and, for a known name, what there is.
func (e *ImportError) Error() string {
	if e.Known {
		return fmt.Sprintf("import %q %q has type %s, the host's is %s", clean(e.Module), clean(e.Name), e.Wanted, e.Have)
	}
	return fmt.Sprintf("unknown import %q %q %s", clean(e.Module), clean(e.Name), e.Wanted)
}

// Unwrap returns ErrImport.
func (e *ImportError) Unwrap() error { return ErrImport }

// RunError says how an invocation ended badly, and where in the guest. It is
// what Result.Err holds.
type RunError struct {
	Outcome Outcome
	Message string // one line, for people

	// Stack is the guest's functions, innermost first, by the names in its name
	// section: of a trap, where it happened; of an invocation that was ended,
	// where the guest was then. Names are the guest's, cleaned of control
	// characters. Empty where it is not known, as of a guest that ran out of fuel
	// with its last instructions.
	Stack []string
	// Fuel is what the invocation used of FuelLimit: Result.Fuel and Limits.Fuel.
	Fuel, FuelLimit uint64
	// LastLines are the last lines that the guest wrote to stdout and stderr in
	// this invocation, oldest first, cleaned of control characters: at most 20,
	// of the last 2 KiB. A line whose beginning is lost starts with "…".
	LastLines []string

	ExitCode uint32 // what the guest gave to proc_exit, when it did
	Err      error  // what a host function failed with, else nil
}

// Error returns the message, one line; Report has the rest.
func (e *RunError) Error() string { return e.Message }

// Unwrap returns the host function's error, if one ended the invocation.
func (e *RunError) Unwrap() error { return e.Err }

// Report returns all that a guest's author may want to know, on several lines:
// the message, the fuel, the stack, and the last lines that the guest wrote.
func (e *RunError) Report() string {
	var b strings.Builder
	b.WriteString(e.Message)
	fmt.Fprintf(&b, "\nfuel: %d of %d", e.Fuel, e.FuelLimit)
	for _, f := range e.Stack {
		b.WriteString("\n    at " + f)
	}
	if len(e.LastLines) > 0 {
		b.WriteString("\nlast lines written:")
	}
	for _, l := range e.LastLines {
		b.WriteString("\n    " + l)
	}
	return b.String()
}

// maxName is how much of a name that a guest chose is repeated in errors.
const maxName = 200

// clean makes a name that a guest chose fit for one line of a log.
func clean(s string) string { return cleanTo(s, maxName) }

// cleanTo makes a string that a guest chose fit for one line of a log, of at
// most n bytes and an ellipsis.
func cleanTo(s string, n int) string {
	long := len(s) > n
	if long {
		s = s[:n]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r >= 0x7f && r <= 0x9f, r == 0xfffd,
			r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // line ends, and what turns the writing's direction
			return '?'
		}
		return r
	}, s)
	if long {
		s += "…"
	}
	return s
}

// formatBytes writes a size as people read it: "64 KiB", "32 MiB".
func formatBytes(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
