package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/api"
)

func newClusterCommand() *cobra.Command {
	var (
		host   hostFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "cluster [flags]",
		Short: "Show the hosts that share a store, their sessions and jobs",
		Long: `Asks a running host which hosts share its store, as it sees them: their
addresses, sessions, running invocations and jobs, and when they were last heard
of; and how many jobs wait, and for how long the oldest of those that are due
has been. A host that keeps its store to itself shows itself alone.`,
		Example: `  auricle cluster
  auricle cluster -url http://127.0.0.1:8000 -json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := host.client()
			if err != nil {
				return err
			}
			var a api.Cluster
			if err := c.get(cmd.Context(), nil, &a, "v1", "cluster"); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), a)
			}
			return printCluster(cmd.OutOrStdout(), a)
		},
	}
	host.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func printCluster(w io.Writer, a api.Cluster) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "host\taddress\tversion\tup\tsessions\trunning\tjobs\theard\t")
	for _, h := range a.Hosts {
		heard, note := fmt.Sprintf("%.1f s ago", float64(h.HeardMillis)/1000), ""
		if h.Self {
			heard = "itself"
		}
		if h.Leaving {
			note = "leaving"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", h.ID, h.Address, h.Version,
			time.Since(h.Started).Round(time.Second), h.Sessions, h.Running, h.Jobs, heard, note)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	j := a.Jobs
	fmt.Fprintf(w, "\njobs: %d waiting, %d running, %d dead letters; the oldest that is due has been for %.1f s\n",
		j.Waiting, j.Running, j.Dead, float64(j.LagMillis)/1000)
	if j.Partial {
		fmt.Fprintln(w, "there are more jobs than this host has in memory")
	}
	if !a.Shared {
		fmt.Fprintln(w, "this host keeps its store to itself")
	}
	return nil
}
