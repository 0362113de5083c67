package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/cmd/auricle/streams"
)

func newBenchStreamsCommand() *cobra.Command {
	var (
		asJSON bool
		o      streams.Options
	)
	cmd := &cobra.Command{
		Use:   "streams [flags]",
		Short: "Measure live streams: how many, at what cost each, and beside others that misbehave",
		Long: `Measures live streams that send 100 ms frames of 16 kHz audio in real time, to a
host that is a process of its own, from another process:

  no_audio_app  streams whose audio no app wants, beside the same streams to a
                server that reads and discards, the floor
  transcripts   the same, with a transcript every 2 s each
  audio_app     with an app in Go that is called every second for each
  churn         clients that connect, start, send a little and leave
  long          an hour of talk of each stream, sent as fast as the host takes it
  disturbed     how late acknowledgements come beside a hung app, slow and dead
                readers, and clients that all connect again at once

What the host uses is what the system says of its process. The clients share the
machine: where they could not keep up, the report says so. It needs Linux, and
a descriptor for each stream. All of it takes about a quarter of an hour.`,
		Example: `  auricle bench streams
  auricle bench streams -n 500 -only no_audio_app,churn
  auricle bench streams -json > streams.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Streams < 2 || o.Rounds < 1 || o.Window <= 0 || o.Settle <= 0 {
				return usagef("-n is %d, -rounds is %d, -window is %v and -settle is %v; they must be at least 2, at least 1, and above 0", o.Streams, o.Rounds, o.Window, o.Settle)
			}
			for _, name := range o.Only {
				if !slices.Contains(streams.Scenarios, name) {
					return usagef("-only names %q; there are %s", name, strings.Join(streams.Scenarios, ", "))
				}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return inBenchDir(func(exe, dir string) error {
				o.Dir, o.Command, o.Progress = dir, []string{exe, benchPartCommand}, cmd.ErrOrStderr()
				report, err := streams.Run(ctx, o)
				if ctx.Err() != nil {
					return errors.New("interrupted; nothing is reported")
				}
				// What was measured before a fault is worth to be seen.
				if asJSON {
					return errors.Join(err, printJSON(cmd.OutOrStdout(), report))
				}
				return errors.Join(err, printStreams(cmd.OutOrStdout(), report))
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	cmd.Flags().IntVarP(&o.Streams, "streams", "n", 8000, "`N` live streams; the other scenarios shrink with it")
	cmd.Flags().StringSliceVar(&o.Only, "only", nil, "measure these `SCENARIOS` only, with commas between")
	cmd.Flags().IntVar(&o.Rounds, "rounds", 2, "measure `N` times in turns what is compared")
	cmd.Flags().DurationVar(&o.Window, "window", 10*time.Second, "measure for so long each time")
	cmd.Flags().DurationVar(&o.Settle, "settle", 150*time.Second, "wait so long at most until the host has given back what it held")
	cmd.Flags().StringVar(&o.App, "app", "", "the module `FILE` that takes audio (default: one is built)")
	return cmd
}

// printStreams prints the figures beside what they are to be.
func printStreams(w io.Writer, r streams.Report) error {
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s; %d streams\n\n", r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Streams)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\tmeasured\ttarget\t")
	for _, f := range r.Figures() {
		met := ""
		switch {
		case f.Target == "":
		case f.Met:
			met = "met"
		default:
			met = "not met"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", f.What, f.Measured, f.Target, met)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, p)
	}
	return nil
}
