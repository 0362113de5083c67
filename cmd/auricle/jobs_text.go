package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
)

// printJobs prints a list of jobs for people.
func printJobs(w io.Writer, page jobs.Page) error {
	if len(page.Jobs) > 0 {
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "conversation\tapp\tstate\treason\tattempts\tsince\tnext")
		for _, j := range page.Jobs {
			next := ""
			if !j.Next.IsZero() {
				next = clockTime(j.Next)
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", printable(j.Conversation), printable(j.App),
				printable(string(j.State)), printable(j.Reason), j.Attempts, clockTime(j.Since), next)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	out := errWriter{w: w}
	switch {
	case len(page.Jobs) == 0:
		out.printf("no jobs\n")
	case page.Next != "":
		out.printf("%s, and more; raise -limit to see them\n", counted(len(page.Jobs), "job"))
	default:
		out.printf("%s\n", counted(len(page.Jobs), "job"))
	}
	if page.Partial {
		out.printf("the store has more jobs than the host keeps in memory; these are not listed\n")
	}
	return out.err
}

// clockTime writes a moment in UTC, as logs do.
func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// printJob prints one job and its last attempt for people.
func printJob(w io.Writer, j *store.Job) error {
	out := errWriter{w: w}
	row := func(name, format string, a ...any) {
		out.printf("%-13s %s\n", name, fmt.Sprintf(format, a...))
	}
	row("app", "%s", printable(j.App))
	row("conversation", "%s", printable(j.Conversation))
	row("user", "%s", printable(j.UID))
	row("session", "%s", printable(j.Session))
	state := printable(string(j.State))
	switch j.State {
	case store.JobWaiting:
		state += " until " + clockTime(j.Next)
	case store.JobRunning:
		if j.Host != "" {
			state += " on host " + printable(j.Host)
		}
	}
	row("state", "%s", state)
	row("reason", "%s", printable(j.Reason))
	row("since", "%s", clockTime(j.Since))
	row("attempts", "%d", j.Attempts)
	a := j.Last
	if a == nil {
		return out.err
	}
	out.printf("\nlast attempt\n")
	row("  invocation", "%s", printable(a.Invocation))
	row("  at", "%s", clockTime(a.At))
	if a.Module != "" {
		row("  module", "version %s, SHA-256 %s", printable(a.Version), printable(a.Module))
	}
	row("  outcome", "%s", printable(a.Outcome))
	row("  cost", "%s fuel (%s), %s", grouped(a.Fuel), percent(a.Fuel, a.FuelLimit), wallText(time.Duration(a.WallMicros)*time.Microsecond))
	if a.Error != "" {
		row("  error", "%s", indented(printableLines(a.Error), 14))
	}
	for i, f := range a.Stack {
		name := ""
		if i == 0 {
			name = "  stack"
		}
		row(name, "at %s", printable(f))
	}
	for i, l := range a.Log {
		name := ""
		if i == 0 {
			name = "  log"
		}
		row(name, "%s: %s", printable(l.Level), printable(l.Text))
	}
	if a.LogCut > 0 {
		row("", "%s more were cut", counted(a.LogCut, "byte"))
	}
	if a.Replay != "" {
		row("  replay", "%s", printable(a.Replay))
	}
	return out.err
}
