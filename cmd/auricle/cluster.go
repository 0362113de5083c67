package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// clusterAnswer is what GET /v1/cluster answers.
type clusterAnswer struct {
	Shared bool `json:"shared"`
	Hosts  []struct {
		ID          string    `json:"id"`
		Self        bool      `json:"self"`
		Address     string    `json:"address"`
		Version     string    `json:"version"`
		Started     time.Time `json:"started"`
		Leaving     bool      `json:"leaving"`
		Sessions    int       `json:"sessions"`
		Running     int       `json:"running"`
		Jobs        int       `json:"jobs"`
		HeardMillis int64     `json:"heard_ms_ago"`
	} `json:"hosts"`
	Jobs struct {
		Waiting   int   `json:"waiting"`
		Running   int   `json:"running"`
		Dead      int   `json:"dead"`
		LagMillis int64 `json:"lag_ms"`
		Partial   bool  `json:"partial"`
	} `json:"jobs"`
}

func newClusterCommand() *cobra.Command {
	var (
		base   string
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
			c, err := newHostClient(base)
			if err != nil {
				return err
			}
			var a clusterAnswer
			if err := c.get(cmd.Context(), nil, &a, "v1", "cluster"); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), a)
			}
			return printCluster(cmd.OutOrStdout(), a)
		},
	}
	cmd.Flags().StringVar(&base, "url", defaultHostURL, hostURLUsage)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return cmd
}

func printCluster(w io.Writer, a clusterAnswer) error {
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
