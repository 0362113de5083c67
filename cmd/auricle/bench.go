package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

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
	cmd.AddCommand(newBenchSeedCommand())
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
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(report)
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
