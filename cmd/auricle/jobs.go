package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
)

func newJobsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List, show, retry and drop what apps have still to do",
		Long: `Lists, shows, retries and drops jobs of a running host. A job is an app's work on
a completed conversation that could not be done at once: it waits for its next
attempt, is running, or is a dead letter, which had all its attempts in vain.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newJobsListCommand(), newJobsShowCommand(), newJobsRetryCommand(), newJobsDropCommand())
	return cmd
}

// jobsOptions are the flags of auricle jobs and its subcommands.
type jobsOptions struct {
	host   hostFlags
	json   bool
	all    bool
	limit  int
	filter jobsFilter
}

// jobsFilter says which jobs are meant, as the host reads it.
type jobsFilter struct {
	App          string `json:"app,omitempty"`
	Conversation string `json:"conversation,omitempty"`
	Reason       string `json:"reason,omitempty"`
	State        string `json:"state,omitempty"`
	All          bool   `json:"all,omitempty"`
}

func (o *jobsOptions) addFlags(cmd *cobra.Command) {
	o.host.add(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
}

func (o *jobsOptions) addFilter(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.filter.App, "app", "", "only jobs of the `APP`")
	f.StringVar(&o.filter.Conversation, "conversation", "", "only jobs of the conversation with this `ID`")
	f.StringVar(&o.filter.Reason, "reason", "", "only jobs with this `REASON`, such as trap or breaker_open")
	f.StringVar(&o.filter.State, "state", "", "only jobs in this `STATE`: waiting, running or dead")
}

// maxJobsListed is the most that -limit may be.
const maxJobsListed = 1_000_000

func newJobsListCommand() *cobra.Command {
	var o jobsOptions
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List jobs, newest conversation first",
		Long: `Lists the jobs of a running host, newest conversation first: what waits for its
next attempt, what is running, and the dead letters.`,
		Example: `  auricle jobs list
  auricle jobs list -state dead -app minutes
  auricle jobs list -reason trap -json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.limit < 1 || o.limit > maxJobsListed {
				return usagef("-limit %d is not a number from 1 to %d", o.limit, maxJobsListed)
			}
			c, err := o.host.client()
			if err != nil {
				return err
			}
			page, err := listJobs(cmd.Context(), c, o.filter, o.limit)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), page)
			}
			return printJobs(cmd.OutOrStdout(), page)
		},
	}
	o.addFlags(cmd)
	o.addFilter(cmd)
	cmd.Flags().IntVar(&o.limit, "limit", 100, "at most `N` jobs")
	return cmd
}

// listJobs reads as many pages as it takes.
func listJobs(ctx context.Context, c *hostClient, f jobsFilter, limit int) (jobs.Page, error) {
	values := url.Values{}
	for name, value := range map[string]string{"app": f.App, "conversation": f.Conversation, "reason": f.Reason, "state": f.State} {
		if value != "" {
			values.Set(name, value)
		}
	}
	all := jobs.Page{Jobs: []store.Job{}}
	for {
		values.Set("limit", strconv.Itoa(min(limit-len(all.Jobs), jobs.MaxPage)))
		var page jobs.Page
		if err := c.get(ctx, values, &page, "v1", "jobs"); err != nil {
			return all, err
		}
		all.Jobs = append(all.Jobs, page.Jobs...)
		all.Next, all.Partial = page.Next, page.Partial
		if all.Next == "" || len(all.Jobs) >= limit || len(page.Jobs) == 0 {
			return all, nil
		}
		values.Set("cursor", page.Next)
	}
}

func newJobsShowCommand() *cobra.Command {
	var o jobsOptions
	cmd := &cobra.Command{
		Use:   "show [flags] APP CONVERSATION",
		Short: "Show a job and its last attempt",
		Long: `Shows an app's job for a conversation: what state it is in, and how its last
attempt ended, with fuel, stack and log.`,
		Example: `  auricle jobs show minutes c_01kdn8e8xg3m0v2cx9xq0zk5fy`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.host.client()
			if err != nil {
				return err
			}
			var job store.Job
			if err := c.get(cmd.Context(), nil, &job, "v1", "jobs", args[0], args[1]); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), job)
			}
			return printJob(cmd.OutOrStdout(), &job)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func newJobsRetryCommand() *cobra.Command {
	return newJobsChangeCommand("retry", "retried", "Have dead letters and waiting jobs run at once",
		`Has dead letters and waiting jobs run as soon as may be, with all their attempts
before them and by the module that is installed now: after a new version of an
app, for example. Jobs that are running are left alone.`,
		`  auricle jobs retry -app minutes
  auricle jobs retry -state dead -reason trap
  auricle jobs retry -all`)
}

func newJobsDropCommand() *cobra.Command {
	return newJobsChangeCommand("drop", "dropped", "Give jobs up",
		`Gives dead letters and waiting jobs up: that work is never done then. Jobs that
are running are left alone, and so are the conversations.`,
		`  auricle jobs drop -app minutes -conversation c_01kdn8e8xg3m0v2cx9xq0zk5fy
  auricle jobs drop -state dead
  auricle jobs drop -all`)
}

// newJobsChangeCommand makes a command that changes the jobs that are meant;
// done is what has then been done to them.
func newJobsChangeCommand(name, done, short, long, example string) *cobra.Command {
	var o jobsOptions
	cmd := &cobra.Command{
		Use:     name + " [flags]",
		Short:   short,
		Long:    long,
		Example: example,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch some := o.filter != (jobsFilter{}); {
			case some && o.all:
				return usagef("-all is given with a filter; leave one of them out")
			case !some && !o.all:
				return usagef("which jobs? give -app, -conversation, -reason or -state, or -all")
			}
			c, err := o.host.client()
			if err != nil {
				return err
			}
			body := o.filter
			body.All = o.all
			var answer map[string]int
			if err := c.post(cmd.Context(), body, &answer, "v1", "jobs", name); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			return printChanged(cmd.OutOrStdout(), done, answer[done])
		},
	}
	o.addFlags(cmd)
	o.addFilter(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "all jobs")
	return cmd
}

func printChanged(w io.Writer, done string, n int) error {
	_, err := fmt.Fprintf(w, "%s %s\n", done, counted(n, "job"))
	return err
}
