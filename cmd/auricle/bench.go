package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/cmd/auricle/engine"
	"github.com/auricle-dev/auricle/cmd/auricle/seed"
)

func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the host on this machine",
		Long: `Measures the host on this machine. Each figure stands beside what it is to be
compared with, measured in the same run; compare those, not absolute figures of
different runs or machines.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchSeedCommand(), newBenchEngineCommand(), newBenchCrashCommand(), newBenchCompletionsCommand(), newBenchClusterCommand(), newBenchStreamsCommand(), newBenchWebhookCommand(), newBenchStartCommand())
	return cmd
}

func newBenchSeedCommand() *cobra.Command {
	var (
		asJSON bool
		scale  float64
	)
	cmd := &cobra.Command{
		Use:   "seed [flags]",
		Short: "Measure the three findings that Auricle started from, against the old design",
		Long: `Measures the three findings that Auricle started from, each against the design
that it replaces, through a real host and real WebSocket connections:

  audio with no consumer   an hour of 16 kHz audio that no app wants; the old
                           design kept it all in a buffer
  completions              50 conversations completed at once, 7 apps on each,
                           each app busy for 2 to 5 s (times -scale); the old
                           design started a thread for each task
  a hung app               transcripts every 100 ms to 4 apps, one of which never
                           returns; the old design called webhooks in series,
                           with timeouts of 10 s, later 5 s (times -scale)

It takes about three minutes at the default scale.`,
		Example: `  auricle bench seed
  auricle bench seed -json > seed.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !(scale > 0 && scale <= 1) {
				return usagef("-scale is %g; it must be above 0 and at most 1", scale)
			}
			report, err := seed.Run(cmd.Context(), seed.Options{Scale: scale, Progress: cmd.ErrOrStderr()})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return printSeed(cmd.OutOrStdout(), report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	cmd.Flags().Float64Var(&scale, "scale", 1.0/20, "multiply the apps' waits and the old design's timeouts by `N`, above 0 and at most 1")
	return cmd
}

// printSeed prints the report as the table that the README shows.
func printSeed(w io.Writer, r seed.Report) error {
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s; times scaled by %g\n\n", r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Scale)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, old, host string) { fmt.Fprintf(tw, "%s\t%s\t%s\n", what, old, host) }
	bytes := func(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
	row("", "old design", "auricle")
	row("audio nobody wants, 1 h: buffered", bytes(r.Audio.OldBytes), fmt.Sprintf("%d B", r.Audio.HostBytes))
	row("  heap growth", bytes(r.Audio.OldHeapGrowthBytes), bytes(r.Audio.HostHeapGrowthBytes))
	c := r.Completions
	tasks := c.Conversations * c.Apps
	row(fmt.Sprintf("%d completions x %d apps: running at once, peak", c.Conversations, c.Apps),
		fmt.Sprintf("%d threads", c.OldPeakThreads), fmt.Sprintf("%d of %d workers", c.HostPeakRunning, c.PoolWorkers))
	row("  threads started, peak", fmt.Sprint(c.OldPeakThreads), fmt.Sprint(c.HostPeakThreads))
	row("  memory, peak", bytes(c.OldPeakMemoryBytes), bytes(c.HostPeakMemory))
	row("  time to the last result", fmt.Sprintf("%.2f s", c.OldSeconds), fmt.Sprintf("%.2f s", c.HostSeconds))
	row("  results lost", "", fmt.Sprintf("%d of %d", c.Lost, tasks))
	h := r.HungApp
	ms := func(v float64) string { return fmt.Sprintf("%.1f ms", v) }
	row("one app hangs: healthy results late by, p50", ms(h.OldP50), ms(h.HostBeside50))
	row("  p99", ms(h.OldP99), ms(h.HostBeside99))
	row("  p99 with the shorter timeouts", ms(h.FixedP99), "")
	row("  p99 with no app hung", "", ms(h.HostAlone99))
	row("  p99 beside the hung app, times that without", "", fmt.Sprintf("%.2f", h.Ratio))
	return tw.Flush()
}

func newBenchEngineCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "engine [flags]",
		Short: "Measure what limits and fresh state cost, against plain wazero",
		Long: `Measures the engine that runs the apps' modules, against the same modules in
wazero, the WebAssembly runtime below it, with nothing bounded:

  fuel         two dozen programs in C, Rust and Go, metered, plain, and with
               wazero's own cancellation
  fresh state  a small handler in Go, called on fresh state each time, on kept
               state, and on a new instance each time
  idle         the memory that 1,000 idle instances of a Go guest take
  cold start   a new process until 20 known Go guests are ready
  compiling    what running apps notice of the compiling of an unknown one
  deadlines    by how much a loop without end outstays 20 ms
  stalls       how long the collector and other goroutines wait beside loops

Every program must return the same in all of them. It takes about three minutes,
and needs the go command, to build the guest in Go.`,
		Example: `  auricle bench engine
  auricle bench engine -json > engine.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			report, err := engine.Run(cmd.Context(), engine.Options{
				StartCommand: []string{self, "bench", benchStart}, Compiler: compiler, Progress: cmd.ErrOrStderr(),
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return printEngine(cmd.OutOrStdout(), report)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	return cmd
}

// printEngine prints the report as tables: kernels, then the figures that have
// a target.
func printEngine(w io.Writer, r engine.Report) error {
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s; %s\n\n", r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Machine.CPU)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "kernel\t\twork\tplain\twith fuel\twith wazero's cancellation")
	for _, k := range r.Fuel.Kernels {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%.1f ms\t%.2fx\t%.2fx\n", k.Name, k.Language, k.Kind, k.PlainUS/1e3, k.Ratio, k.CancellationRatio)
	}
	fmt.Fprintf(tw, "geometric mean\t\t\t\t%.2fx\t%.2fx\n", r.Fuel.Geomean, r.Fuel.CancellationGeomean)
	if err := tw.Flush(); err != nil {
		return err
	}

	fmt.Fprintln(w)
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, measured, target string) { fmt.Fprintf(tw, "%s\t%s\t%s\n", what, measured, target) }
	row("", "measured", "target")
	row("fuel, geometric mean", fmt.Sprintf("%.3fx", r.Fuel.Geomean), "1.10x or less")
	row("  worst kernel", fmt.Sprintf("%.2fx", r.Fuel.Worst), "1.30x or less")
	f := r.Fresh.FreshFigures
	row("fresh state: reset, p50", fmt.Sprintf("%.1f us", f.ResetP50US), "20 us or less")
	row("  call with reset, p50", fmt.Sprintf("%.1f us", f.CallP50US), "")
	row("  times a warm call of the engine's", fmt.Sprintf("%.2fx", f.CallRatioToWarm), "2.5x or less")
	row("  a warm call in plain wazero, p50", fmt.Sprintf("%.1f us", f.PlainWarmP50US), "")
	row("  faster than a new instance in plain wazero", fmt.Sprintf("%.0fx", f.TimesFasterNewInstance), "40x or more")
	kb := r.Fresh.Kilobyte
	row("  with 1 KB of transcript: call with reset, p50", fmt.Sprintf("%.1f us", kb.CallP50US), "")
	row("    times a warm call of the engine's", fmt.Sprintf("%.2fx", kb.CallRatioToWarm), "")
	row("    faster than a new instance in plain wazero", fmt.Sprintf("%.0fx", kb.TimesFasterNewInstance), "")
	row(fmt.Sprintf("%d idle instances", r.Idle.Instances), fmt.Sprintf("%.1f MB", float64(r.Idle.Bytes)/1e6), "400 MB or less for 1000")
	row(fmt.Sprintf("process start to %d apps ready", r.Cold.Apps), fmt.Sprintf("%.2f s", r.Cold.Seconds), "1 s or less for 20")
	row("compiling an unknown app: running apps' p99, times that without", fmt.Sprintf("%.2fx", r.Compiling.Ratio), "1.2x or less")
	row("deadline overshot by, p99", fmt.Sprintf("%.0f us", r.Deadline.OvershootP99US), "1000 us or less")
	g := r.GCPause
	row("a plain loop of 400 ms: longest collection", fmt.Sprintf("%.1f ms", g.UnmeteredMS), "")
	row("  longest stall of another goroutine", fmt.Sprintf("%.1f ms", g.UnmeteredStallMS), "")
	row(fmt.Sprintf("%d metered loops at once: longest collection", g.Spinning), fmt.Sprintf("%.1f ms", g.MeteredMS), "")
	row("  longest stall of another goroutine", fmt.Sprintf("%.1f ms", g.StallMS), "20 ms or less")
	return tw.Flush()
}

// benchStart is the hidden command that is started to measure a cold start.
const benchStart = "start"

func newBenchStartCommand() *cobra.Command {
	return &cobra.Command{
		Use:     benchStart + " DIR",
		Short:   "Load a directory's modules, for the cold start of \"bench engine\"",
		Hidden:  true,
		Example: "  auricle bench start /tmp/modules",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return engine.Start(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
}

// inBenchDir runs a bench that starts processes of its own: exe is this command,
// dir a directory for what they leave, which goes when the bench ends.
func inBenchDir(bench func(exe, dir string) error) (err error) {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "auricle-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return bench(exe, dir)
}
