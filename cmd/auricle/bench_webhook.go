package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/cmd/auricle/webhooks"
)

func newBenchWebhookCommand() *cobra.Command {
	var (
		asJSON bool
		only   []string
		o      webhooks.Options
	)
	cmd := &cobra.Command{
		Use:   "webhook [flags]",
		Short: "Measure webhook apps called the old way, behind the bridge, and as Wasm, with one that hangs",
		Long: `Measures the same four apps in three forms, while streams send a segment each
second and complete a conversation at the end:

  threads  webhooks, called as the old design did: a thread for each app and
           event, waited for before the stream's next event
  bridge   the same webhooks, called by a host's webhook bridge
  wasm     Wasm modules in a host, made of the same source

Each form is measured with all apps healthy, and with the fourth hung: as a
webhook it never answers, as a module it never returns. What is compared is the
time from when a client sends a segment until it has a healthy app's result, and
the threads, memory and CPU of the process that calls the apps.

The webhooks' server is a process of this machine, with no network between unless
-away stands for one. The cases take turns, each in a fresh process. It needs Linux, and the go command, in
Auricle's source tree, to build the module. All of it takes some ten minutes.`,
		Example: `  auricle bench webhook
  auricle bench webhook -n 100 -rounds 2 -only threads,wasm
  auricle bench webhook -json > webhook.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Streams < 1 || o.Rounds < 1 || o.Every < 10*time.Millisecond || o.Talk < o.Every || o.Away < 0 {
				return usagef("-n is %d, -rounds is %d, -every is %v, -talk is %v and -away is %v; they must be at least 1, at least 1, at least 10ms, at least -every, and not below 0", o.Streams, o.Rounds, o.Every, o.Talk, o.Away)
			}
			for _, name := range only {
				f := webhooks.Form(name)
				if !slices.Contains(webhooks.Forms, f) {
					return usagef("-only names %q; there are %q", name, webhooks.Forms)
				}
				o.Only = append(o.Only, f)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return inBenchDir(func(exe, dir string) error {
				o.Dir, o.Command, o.Progress = dir, []string{exe, benchPartCommand}, cmd.ErrOrStderr()
				report, err := webhooks.Run(ctx, o)
				if ctx.Err() != nil {
					return errors.New("interrupted; nothing is reported")
				}
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), report)
				}
				return printWebhook(cmd.OutOrStdout(), report)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the figures as JSON")
	cmd.Flags().IntVarP(&o.Streams, "streams", "n", 20, "`N` live streams")
	cmd.Flags().DurationVar(&o.Talk, "talk", 15*time.Second, "each stream talks for so long")
	cmd.Flags().DurationVar(&o.Every, "every", time.Second, "the time between two segments of a stream")
	cmd.Flags().IntVar(&o.Rounds, "rounds", 5, "measure each case `N` times, in turns")
	cmd.Flags().StringSliceVar(&only, "only", nil, "measure these `FORMS` only, with commas between")
	cmd.Flags().DurationVar(&o.Away, "away", 0, "the webhooks answer so much later, as if on another machine")
	cmd.Flags().StringVar(&o.App, "app", "", "the module `FILE` that is the Wasm apps (default: it is built)")
	return cmd
}

// printWebhook prints the cases side by side, and then what has a target.
func printWebhook(w io.Writer, r webhooks.Report) error {
	fmt.Fprintf(w, "%d CPUs, %s/%s, %s; %d streams, %d segments each, one every %d ms; %d rounds\n\n", r.Machine.CPUs, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Streams, r.Segments, r.EveryMillis, r.Rounds)
	var cases []webhooks.Case
	head := ""
	for _, f := range webhooks.Forms {
		if fs := r.Forms[f]; fs != nil {
			cases = append(cases, fs.Healthy, fs.Hung)
			head += fmt.Sprintf("\t%s\tone hung", f)
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, head)
	row := func(what string, of func(webhooks.Case) string) {
		fmt.Fprint(tw, what)
		for _, c := range cases {
			fmt.Fprint(tw, "\t", of(c))
		}
		fmt.Fprintln(tw)
	}
	ms := func(v float64) string { return fmt.Sprintf("%.2f ms", v) }
	row("a healthy app's result after, p50", func(c webhooks.Case) string { return ms(c.DelayP50) })
	row("  p99", func(c webhooks.Case) string { return ms(c.DelayP99) })
	row("  p99, least and most of the rounds", func(c webhooks.Case) string {
		return fmt.Sprintf("%.1f to %.1f", slices.Min(c.RoundP99), slices.Max(c.RoundP99))
	})
	row("  missing at the end", func(c webhooks.Case) string { return fmt.Sprintf("%d of %d", c.Missing, c.Events) })
	row("  dropped, as the host said", func(c webhooks.Case) string { return fmt.Sprint(c.Dropped) })
	row("  for a conversation, p50", func(c webhooks.Case) string { return ms(c.CompletionP50) })
	row("  for a conversation, missing", func(c webhooks.Case) string { return fmt.Sprint(c.CompletionsMissing) })
	row("dropped for the fourth app", func(c webhooks.Case) string { return fmt.Sprint(c.DroppedHung) })
	row("threads, peak", func(c webhooks.Case) string { return fmt.Sprint(c.Threads) })
	row("memory, peak", func(c webhooks.Case) string { return fmt.Sprintf("%.1f MB", float64(c.RSS)/1e6) })
	row("CPU", func(c webhooks.Case) string { return fmt.Sprintf("%.2f s", c.CPUSeconds) })
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, p)
	}
	targets := r.Targets()
	if len(targets) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\tmeasured\ttarget\t")
	for _, t := range targets {
		met := "met"
		if !t.Met {
			met = "not met"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", t.What, t.Measured, t.Target, met)
	}
	return tw.Flush()
}
