// Command bench runs the same guests through Auricle's engine and what a user
// might take instead: plain wazero, wazero with its own cancellation, Extism's
// go-sdk, wasmtime, and native Go. README.md says how to read what it prints.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/engine"
	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels/golang"
)

func main() {
	asJSON := flag.Bool("json", false, "print the figures as JSON")
	runs := flag.Int("runs", 15, "run each kernel `N` times in each rival, and take the best")
	calls := flag.Int("calls", 200, "call the handler `N` times in each rival, and take the median")
	flag.Parse()
	if *runs < 1 || *calls < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench: -runs and -calls must be above 0, and there are no arguments")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *runs, *calls, *asJSON, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, runs, calls int, asJSON bool, stdout, stderr io.Writer) error {
	r, err := measure(ctx, runs, calls, stderr)
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	return r.print(stdout)
}

// report is what was measured. Rivals are told by their names; one that was
// not measured is not there.
type report struct {
	Machine engine.Machine `json:"machine"`
	Kernels []kernelReport `json:"kernels"`
	// The handler in Go, one segment of a transcript, median microseconds for a call.
	FreshUS  map[string]float64 `json:"fresh_us"`
	ReusedUS map[string]float64 `json:"reused_us"`
	// How many times faster Auricle does it.
	TimesFaster timesFaster `json:"times_faster"`
}

type timesFaster struct {
	FreshThanExtism    float64 `json:"fresh_than_extism"`
	ReusedThanExtism   float64 `json:"reused_than_extism"`
	FreshThanWasmtime  float64 `json:"fresh_than_wasmtime_fuel,omitempty"`
	FreshThanNewWazero float64 `json:"fresh_than_wazero_new_instance"`
}

// kernelReport is one kernel, best of all runs.
type kernelReport struct {
	Name           string             `json:"name"`
	Language       string             `json:"language"`
	PlainUS        float64            `json:"plain_us"`                  // in plain wazero
	Ratio          map[string]float64 `json:"ratio"`                     // to that
	WasmtimeFuel   float64            `json:"wasmtime_fuel,omitempty"`   // to plain wasmtime
	WasmtimeEpochs float64            `json:"wasmtime_epochs,omitempty"` // to plain wasmtime
}

func measure(ctx context.Context, runs, calls int, progress io.Writer) (r report, err error) {
	if len(wasmtimes()) == 0 {
		fmt.Fprintln(progress, "this was built without cgo: wasmtime is left out")
	}
	fmt.Fprintln(progress, "building the guest in Go")
	wasm, err := kernels.BuildGo(ctx)
	if err != nil {
		return r, err
	}
	r.Machine = engine.ThisMachine()
	handler := thunk{kernels.Event, 1}
	sum := golang.Event(handler.arg)

	for _, k := range kernels.Kept() {
		fmt.Fprintln(progress, k.Name)
		g, err := openGuest(ctx, k.Wasm, []thunk{{k.Export, k.Arg}})
		if err != nil {
			return r, fmt.Errorf("%s: %w", k.Name, err)
		}
		kr, err := g.kernel(ctx, k, runs)
		if err = errors.Join(err, g.close(ctx)); err != nil {
			return r, fmt.Errorf("%s: %w", k.Name, err)
		}
		r.Kernels = append(r.Kernels, kr)
	}

	thunks := []thunk{handler}
	for _, k := range kernels.OfGo(wasm) {
		thunks = append(thunks, thunk{k.Export, k.Arg})
	}
	fmt.Fprintln(progress, "compiling the guest in Go")
	g, err := openGuest(ctx, wasm, thunks)
	if err != nil {
		return r, fmt.Errorf("the guest in Go: %w", err)
	}
	defer func() { err = errors.Join(err, g.close(ctx)) }()
	for _, k := range kernels.OfGo(wasm) {
		fmt.Fprintln(progress, k.Name)
		kr, err := g.kernel(ctx, k, runs)
		if err != nil {
			return r, fmt.Errorf("%s: %w", k.Name, err)
		}
		r.Kernels = append(r.Kernels, kr)
	}
	fmt.Fprintln(progress, "the handler on fresh state, and on one instance")
	if r.FreshUS, err = g.handler(ctx, module.fresh, handler, sum, calls); err != nil {
		return r, fmt.Errorf("fresh state: %w", err)
	}
	if r.ReusedUS, err = g.handler(ctx, module.reused, handler, sum, calls); err != nil {
		return r, fmt.Errorf("one instance: %w", err)
	}
	r.TimesFaster = timesFaster{
		FreshThanExtism:    r.FreshUS[extismName] / r.FreshUS[auricleName],
		ReusedThanExtism:   r.ReusedUS[extismName] / r.ReusedUS[auricleName],
		FreshThanWasmtime:  r.FreshUS[wasmtimeFuelName] / r.FreshUS[auricleName],
		FreshThanNewWazero: r.FreshUS[wazeroName] / r.FreshUS[auricleName],
	}
	return r, nil
}

// guest is one module, compiled by each rival.
type guest struct {
	rivals  []rival
	modules []module
}

func openGuest(ctx context.Context, wasm []byte, calls []thunk) (*guest, error) {
	g := &guest{rivals: rivals()}
	for _, r := range g.rivals {
		m, err := r.open(ctx, wasm, calls)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", r.name, err), g.close(ctx))
		}
		g.modules = append(g.modules, m)
	}
	return g, nil
}

func (g *guest) close(ctx context.Context) error {
	var errs []error
	for _, m := range g.modules {
		errs = append(errs, m.close(context.WithoutCancel(ctx)))
	}
	return errors.Join(errs...)
}

// wayOf is module.reused or module.fresh.
type wayOf = func(module, context.Context, thunk) (call, error)

// timing is a call, and how long it took.
type timing struct {
	name string
	call call
	took []time.Duration
}

// inTurns does all calls one after the other, each burst times at once, until
// there are n of each.
func inTurns(ctx context.Context, calls []*timing, sum uint32, n, burst int) error {
	for range (n + burst - 1) / burst {
		for _, c := range calls {
			for range burst {
				if err := ctx.Err(); err != nil {
					return err
				}
				start := time.Now()
				got, err := c.call()
				c.took = append(c.took, time.Since(start))
				if err == nil && got != sum {
					err = fmt.Errorf("returned %#x instead of %#x", got, sum)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
		}
	}
	return nil
}

func (g *guest) kernel(ctx context.Context, k kernels.Kernel, runs int) (r kernelReport, err error) {
	r = kernelReport{Name: k.Name, Language: k.Language, Ratio: map[string]float64{}}
	calls, err := g.calls(ctx, module.reused, thunk{k.Export, k.Arg})
	if err != nil {
		return r, err
	}
	if f := natives[k.Name]; f != nil {
		calls = append(calls, &timing{name: nativeName, call: func() (uint32, error) { return f(k.Arg), nil }})
	}
	if err := inTurns(ctx, calls, k.Sum, runs, 1); err != nil {
		return r, err
	}
	best := map[string]float64{}
	for _, c := range calls {
		best[c.name] = microseconds(slices.Min(c.took))
	}
	r.PlainUS = best[wazeroName]
	for name, us := range best {
		if name != wazeroName {
			r.Ratio[name] = us / r.PlainUS
		}
	}
	if plain, ok := best[wasmtimeName]; ok {
		r.WasmtimeFuel = best[wasmtimeFuelName] / plain
		r.WasmtimeEpochs = best[epochsName] / plain
	}
	return r, nil
}

// calls makes the call of each rival, in the way given.
func (g *guest) calls(ctx context.Context, way wayOf, t thunk) ([]*timing, error) {
	var calls []*timing
	for i, r := range g.rivals {
		c, err := way(g.modules[i], ctx, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		calls = append(calls, &timing{name: r.name, call: c})
	}
	return calls, nil
}

// handler returns the median of each rival's calls, in microseconds.
func (g *guest) handler(ctx context.Context, way wayOf, t thunk, sum uint32, n int) (map[string]float64, error) {
	calls, err := g.calls(ctx, way, t)
	if err != nil {
		return nil, err
	}
	// A call of some microseconds must not find the processor's caches as the
	// milliseconds of the others left them.
	const burst = 20
	if err := inTurns(ctx, calls, sum, n, burst); err != nil {
		return nil, err
	}
	median := map[string]float64{}
	for _, c := range calls {
		slices.Sort(c.took)
		median[c.name] = microseconds(c.took[len(c.took)/2])
	}
	return median, nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// print prints the report as tables.
func (r report) print(w io.Writer) error {
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s; %s\n\n", r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Machine.CPU)
	columns := []string{auricleName, cancellationName, extismName, wasmtimeName, wasmtimeFuelName, epochsName, nativeName}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "kernel\t\t%s", wazeroName)
	for _, c := range columns {
		fmt.Fprintf(tw, "\t%s", c)
	}
	fmt.Fprintln(tw, "\twasmtime's fuel\tepochs")
	for _, k := range r.Kernels {
		fmt.Fprintf(tw, "%s\t%s\t%.1f ms", k.Name, k.Language, k.PlainUS/1e3)
		for _, c := range columns {
			fmt.Fprintf(tw, "\t%s", times(k.Ratio[c]))
		}
		fmt.Fprintf(tw, "\t%s\t%s\n", times(k.WasmtimeFuel), times(k.WasmtimeEpochs))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "handler in Go, p50\ton fresh state\ton one instance")
	for _, name := range append([]string{wazeroName}, columns...) {
		if fresh, ok := r.FreshUS[name]; ok {
			fmt.Fprintf(tw, "%s\t%.0f us\t%.0f us\n", name, fresh, r.ReusedUS[name])
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	f := r.TimesFaster
	fmt.Fprintf(w, "\nauricle on fresh state: %.0fx faster than extism (target 30x)", f.FreshThanExtism)
	if f.FreshThanWasmtime > 0 {
		fmt.Fprintf(w, ", %.1fx than wasmtime with fuel (7x)", f.FreshThanWasmtime)
	}
	_, err := fmt.Fprintf(w, ", %.0fx than a new instance in plain wazero\non one instance: %.1fx faster than extism (2x)\n",
		f.FreshThanNewWazero, f.ReusedThanExtism)
	return err
}

// times writes a ratio; nothing for one that was not measured.
func times(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2fx", ratio)
}
