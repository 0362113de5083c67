// Package engine measures what package plugins promises, on the machine it
// runs on: what fuel, deadlines and fresh state cost, against the same modules
// in plain wazero in the same run.
//
// Two figures that are compared were measured in turns. Results are compared,
// too: a kernel that returns something else than it must is an error.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/plugins"
)

// Options say how much to measure. Zero fields have the default given.
type Options struct {
	Runs         int // of each kernel in each variant, 15
	FreshCalls   int // of the handler in each way, 1000; a 20th of them with a new instance
	Idle         int // instances, 1000
	Apps         int // modules at a cold start, 20
	Starts       int // cold starts, 5
	Rounds       int // of compiling a module beside a running one, 10
	DeadlineRuns int // 200
	Spinning     int // invocations at once, beside which stalls are looked for, 32

	// StartCommand is what a new process is started with for the cold start: a
	// program and arguments that call Start with the one argument that is
	// added, a directory.
	StartCommand []string
	// Compiler is plugins.Options.Compiler, for the compiling beside a running
	// module. Nil compiles in this process.
	Compiler []string

	Progress io.Writer // what is being measured, a line each; nil discards
}

func (o Options) withDefaults() Options {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&o.Runs, 15}, {&o.FreshCalls, 1000}, {&o.Idle, 1000}, {&o.Apps, 20}, {&o.Starts, 5}, {&o.Rounds, 10}, {&o.DeadlineRuns, 200}, {&o.Spinning, 32},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return o
}

// Report is what was measured. Its JSON form is that of `auricle bench engine -json`.
type Report struct {
	Machine   Machine   `json:"machine"`
	Fuel      Fuel      `json:"fuel"`
	Fresh     Fresh     `json:"fresh"`
	Idle      Idle      `json:"idle"`
	Cold      Cold      `json:"cold"`
	Compiling Compiling `json:"compiling"`
	Deadline  Deadline  `json:"deadline"`
	GCPause   GCPause   `json:"gc_pause"`
}

// Machine is what the measuring ran on.
type Machine struct {
	CPUs int    `json:"cpus"`
	CPU  string `json:"cpu"` // as the system calls it, where it does
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
}

// ThisMachine describes the machine that it is called on.
func ThisMachine() Machine {
	return Machine{CPUs: runtime.NumCPU(), CPU: cpuModel(), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
}

// cpuModel returns the processor's name from /proc/cpuinfo (proc(5)), or "".
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Run measures everything, one after the other: about three minutes with the
// defaults. It needs the go command, for the guest in Go.
func Run(ctx context.Context, o Options) (r Report, err error) {
	o = o.withDefaults()
	r.Machine = ThisMachine()
	step := func(format string, args ...any) { fmt.Fprintf(o.Progress, format+"\n", args...) }

	l, err := newLab()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	step("building the guest in Go")
	guest, err := kernels.BuildGo(ctx)
	if err != nil {
		return r, err
	}
	all := append(kernels.Kept(), kernels.OfGo(guest)...)
	step("fuel: %d kernels, %d runs of each, metered, plain and with wazero's cancellation", len(all), o.Runs)
	if r.Fuel, err = l.measureFuel(ctx, all, o.Runs); err != nil {
		return r, fmt.Errorf("fuel: %w", err)
	}
	step("fresh state: %d calls of a small handler in Go", o.FreshCalls)
	if r.Fresh, err = l.measureFresh(ctx, guest, o.FreshCalls); err != nil {
		return r, fmt.Errorf("fresh state: %w", err)
	}
	step("idle: %d instances of the guest in Go", o.Idle)
	if r.Idle, err = l.measureIdle(ctx, guest, o.Idle); err != nil {
		return r, fmt.Errorf("idle: %w", err)
	}
	step("cold start: compiling %d guests in Go, then %d starts with all of them", o.Apps, o.Starts)
	if r.Cold, err = measureCold(ctx, guest, o.Apps, o.Starts, o.StartCommand); err != nil {
		return r, fmt.Errorf("cold start: %w", err)
	}
	step("compiling: %d guests in Go, one after the other, beside a running one", o.Rounds)
	if r.Compiling, err = measureCompiling(ctx, guest, o.Rounds, o.Compiler); err != nil {
		return r, fmt.Errorf("compiling: %w", err)
	}
	step("deadlines: %d loops without end, %v each", o.DeadlineRuns, deadlineWall)
	if r.Deadline, err = l.measureDeadline(ctx, o.DeadlineRuns); err != nil {
		return r, fmt.Errorf("deadlines: %w", err)
	}
	step("stalls: the collector and a ticking goroutine beside loops, plain and metered")
	if r.GCPause, err = l.measureStalls(ctx, o.Spinning); err != nil {
		return r, fmt.Errorf("stalls: %w", err)
	}
	return r, nil
}

// ample are limits that nothing measured comes near to.
var ample = plugins.Limits{Fuel: 1 << 50, Wall: time.Hour}

// ended returns an error unless the invocation returned sum.
func ended(res plugins.Result, err error, sum uint32) error {
	switch {
	case err != nil:
		return err
	case res.Err != nil:
		return fmt.Errorf("ended with %s: %w", res.Outcome, res.Err)
	}
	return equal(res.Values, sum)
}

// equal returns an error unless a function returned sum, and only that.
func equal(values []uint64, sum uint32) error {
	if len(values) != 1 || uint32(values[0]) != sum {
		return fmt.Errorf("returned %#x instead of %#x", values, sum)
	}
	return nil
}

// percentile returns the value that p of 100 values are not above.
func percentile(p int, ds []time.Duration) time.Duration {
	ds = slices.Sorted(slices.Values(ds))
	return ds[max(0, (len(ds)*p+99)/100-1)]
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
