package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host"
)

// reloadTimeout is longer than a host takes at most.
const reloadTimeout = 6 * time.Minute

func newReloadCommand() *cobra.Command {
	var at hostFlags
	cmd := &cobra.Command{
		Use:   "reload [flags]",
		Short: "Have a running host read its configuration again",
		Long: `Has a host read its configuration again, as SIGHUP does, and
prints what became of its apps: kept, added, changed or removed. Streams go on.

A configuration with faults changes nothing. They are printed, each as

  config.hcl:14:3: what is wrong; what to do

with exit code 1. What takes hold at the host's next start only is named.`,
		Example: `  auricle reload
  auricle reload -url 127.0.0.1:8000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runReload(cmd.Context(), at, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	at.add(cmd.Flags())
	return cmd
}

// runReload asks a host to reload and prints what it answers.
func runReload(ctx context.Context, at hostFlags, stdout, stderr io.Writer) error {
	client, err := at.client()
	if err != nil {
		return err
	}
	client.timeout = reloadTimeout
	var report host.ReloadReport
	err = client.post(ctx, struct{}{}, &report, "v1", "reload")
	var refused *refusedError
	if errors.As(err, &refused) {
		for _, p := range refused.Problems {
			fmt.Fprintln(stderr, printable(p))
		}
	}
	if err != nil {
		return err
	}
	printReload(report, stdout, stderr)
	return nil
}

func printReload(r host.ReloadReport, stdout, stderr io.Writer) {
	for _, w := range r.Warnings {
		fmt.Fprintln(stderr, printable(w))
	}
	for _, of := range []struct {
		became string
		names  []string
	}{
		{"kept", r.Kept}, {"added", r.Added}, {"changed", r.Changed}, {"removed", r.Removed}, {"applied", r.Applied},
	} {
		for _, name := range of.names {
			fmt.Fprintf(stdout, "%-8s %s\n", of.became, name)
		}
	}
	for _, k := range r.Restart {
		fmt.Fprintf(stdout, "%-8s %s, at the next start (%s)\n", "restart", k.Key, k.At)
	}
}
