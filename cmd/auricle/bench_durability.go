package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/cmd/auricle/durability"
)

// measureDurability runs one of the durability benches in a temporary
// directory and prints what it reports, in either form. What was promised and
// not kept is the error.
func measureDurability[R interface{ Err() error }](cmd *cobra.Command, asJSON bool, measure func(ctx context.Context, o durability.Options) (R, error), print func(io.Writer, R) error) error {
	return inBenchDir(func(exe, dir string) error {
		report, err := measure(cmd.Context(), durability.Options{Command: []string{exe}, Dir: dir, Progress: cmd.ErrOrStderr()})
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			err = print(cmd.OutOrStdout(), report)
		}
		return errors.Join(err, report.Err())
	})
}

func newBenchCrashCommand() *cobra.Command {
	var (
		asJSON bool
		fault  string
		o      durability.CrashOptions
	)
	cmd := &cobra.Command{
		Use:   "crash [flags]",
		Short: "Break a host again and again, and count what was promised and lost",
		Long: `Runs a host as a process of its own while many clients talk to it, breaks it at
random moments and starts it again; then lets the clients finish, and compares
what they were told with what the host has. The clients resume their sessions;
four apps work on each completed conversation.

With -fault kill the process is killed (SIGKILL). With power, the file system
also forgets what was not synced, as in a power cut; it needs Linux, root,
loop devices and mkfs.ext4. With full, the file system of the store is filled to
its last byte each time, and emptied again, before the process is killed; it
needs Linux and root.

It exits with 1 when anything acknowledged was lost, completed twice, or an
effect was seen twice. 20 kills take about half a minute.`,
		Example: `  auricle bench crash
  auricle bench crash -kills 200 -json > crash.json
  auricle bench crash -fault power`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch o.Fault = durability.Fault(fault); o.Fault {
			case durability.FaultKill, durability.FaultPower, durability.FaultFull:
			default:
				return usagef("-fault is %q; it must be kill, power or full", fault)
			}
			if o.Kills < 1 || o.Clients < 1 {
				return usagef("-kills is %d and -clients is %d; both must be at least 1", o.Kills, o.Clients)
			}
			return measureDurability(cmd, asJSON, func(ctx context.Context, in durability.Options) (durability.CrashReport, error) {
				o.Options = in
				return durability.Crash(ctx, o)
			}, printCrash)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	cmd.Flags().IntVar(&o.Kills, "kills", 20, "break the host `N` times")
	cmd.Flags().IntVar(&o.Clients, "clients", 32, "`N` clients that talk meanwhile")
	cmd.Flags().StringVar(&fault, "fault", "kill", "what happens to the host: `kill`, power or full")
	return cmd
}

func printCrash(w io.Writer, r durability.CrashReport) error {
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s; fault: %s, %d times, beside %d clients that talk\n\n",
		r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Fault, r.Kills, r.Clients)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	printPromises(tw, r.Promises)
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nthe host serves %.0f ms after its start (p50; p99 %.0f ms); sessions go on %.0f ms after the fault (p99)\n",
		r.RestartP50Millis, r.RestartP99Millis, r.ResumeP99Millis)
	if r.FullSeconds > 0 {
		fmt.Fprintf(w, "the store could not be written for %.1f s in all\n", r.FullSeconds)
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, p)
	}
	return nil
}

func printPromises(tw io.Writer, p durability.Promises) {
	row := func(what string, total, bad int, how string) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t %s\n", what, total, bad, how)
	}
	row("acknowledged segments", p.AckedSegments, p.LostSegments, "lost")
	row("", p.AckedSegments, p.RepeatedSegments, "in two conversations")
	row("completed conversations", p.Conversations, p.LostConversation, "lost")
	row("", p.Conversations, p.CompletedTwice, "completed twice")
	row("jobs of apps", p.Jobs, p.JobsLost, "lost")
	row("", p.Jobs, p.EffectsTwice, "effects seen twice")
	row("sessions resumed", p.Resumes, p.Expired, "had to begin anew")
}

func newBenchCompletionsCommand() *cobra.Command {
	var (
		asJSON bool
		o      durability.CompletionsOptions
	)
	cmd := &cobra.Command{
		Use:   "completions [flags]",
		Short: "Measure durable completions: how many a second, how soon, and at what cost",
		Long: `Measures what it takes to complete conversations durably, with four apps on each:

  the durable part   what a completion writes, through the store, beside bare
                     JetStream publishes of the conversation and the apps'
                     answers, each synced by itself; and from 10 and from 10,000
                     stored conversations on
  full rate          clients that complete one conversation after the other, each
                     the next when every app's answer to the last is stored and
                     received
  half that rate     how soon completed follows finish

The clients run on the same machine. It takes about two minutes.`,
		Example: `  auricle bench completions
  auricle bench completions -json > completions.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Clients < 1 || o.Seconds < 1 {
				return usagef("-clients is %d and -seconds is %d; both must be at least 1", o.Clients, o.Seconds)
			}
			return measureDurability(cmd, asJSON, func(ctx context.Context, in durability.Options) (durability.CompletionsReport, error) {
				o.Options = in
				return durability.Completions(ctx, o)
			}, printCompletions)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	cmd.Flags().IntVar(&o.Clients, "clients", 64, "`N` clients that complete conversations at once")
	cmd.Flags().IntVar(&o.Seconds, "seconds", 10, "measure each rate for `N` seconds")
	return cmd
}

func printCompletions(w io.Writer, r durability.CompletionsReport) error {
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s; conversations of %d segments, %d B, %d apps on each\n\n",
		r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Segments, r.Bytes, r.Apps)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "through a host\ta second\tfinish to completed, p50\tp99\tto the last answer, p50\tp99\thost's CPU each")
	for _, l := range []struct {
		name string
		durability.Load
	}{{"full rate", r.Full}, {"half of it", r.Half}} {
		fmt.Fprintf(tw, "%s\t%.0f\t%.1f ms\t%.1f ms\t%.1f ms\t%.1f ms\t%.2f ms\n", l.name, l.PerSecond, l.P50Millis, l.P99Millis, l.Effects50, l.Effects99, l.CPUMillis)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	d := r.Durable
	fmt.Fprintf(w, "the clients took %.2f CPUs beside the full rate\n\n", r.CPUs)
	fmt.Fprintf(tw, "the durable part\ta second\tCPU each\n")
	fmt.Fprintf(tw, "of a completion\t%.0f\t%.0f µs\n", d.PerSecond, d.CPUMicros)
	fmt.Fprintf(tw, "bare publishes, each synced\t%.0f\t%.0f µs\n", d.BarePerSecond, d.BareMicros)
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%.2f times the CPU of the bare publishes; from 10,000 stored conversations on, %.2f times that from 10 on\n", d.Ratio, d.Growth)
	return err
}

func newBenchClusterCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "cluster [flags]",
		Short: "Kill one of three hosts that share a NATS cluster, and count what became of its work",
		Long: `Runs three NATS servers and three hosts on this machine, has clients talk to
them, and kills one of the hosts. Its clients resume on the others; what clients
that do not come back had said is completed by the others. Then it compares what
clients were told with what the hosts have.

It exits with 1 when anything acknowledged was lost, completed twice, or an
effect was seen twice. It takes about a minute and a half.`,
		Example: `  auricle bench cluster
  auricle bench cluster -json > cluster.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return measureDurability(cmd, asJSON, func(ctx context.Context, in durability.Options) (durability.ClusterReport, error) {
				return durability.Cluster(ctx, durability.ClusterOptions{Options: in})
			}, printBenchCluster)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	return cmd
}

func printBenchCluster(w io.Writer, r durability.ClusterReport) error {
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s; %d hosts on %d NATS servers, one host killed beside %d clients that talk\n\n",
		r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Hosts, r.NATSServers, r.Clients)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	printPromises(tw, r.Promises)
	fmt.Fprintf(tw, "conversations left behind\t%d\t%d\t not completed by the others\n", r.SilentSessions, r.SilentSessions-r.SilentCompleted)
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nsessions go on %.0f ms after the kill (p50; p99 %.0f ms); what was left behind is completed after %.1f s\n",
		r.ResumeP50Millis, r.ResumeP99Millis, r.TakeOverSeconds)
	for _, p := range r.Problems {
		fmt.Fprintln(w, p)
	}
	return nil
}
