package main

import (
	"context"
	"io"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/replays"
)

func newReplaysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replays",
		Short: "List and fetch a host's recordings of invocations",
		Long: `Lists and fetches the recordings that a running host keeps: of every invocation
that failed, and of a share of the others if its configuration says so.
"auricle app run -replay" runs one again. A recording holds what a person said.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newReplaysListCommand(), newReplaysGetCommand())
	return cmd
}

func newReplaysListCommand() *cobra.Command {
	var at hostFlags
	var app string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List recordings, newest first",
		Example: `  auricle replays list
  auricle replays list -app keywords -limit 100 -json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			host, err := at.client()
			if err != nil {
				return err
			}
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if app != "" {
				query.Set("app", app)
			}
			return listReplays(cmd.Context(), host, query, asJSON, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	at.add(f)
	f.StringVar(&app, "app", "", "only those of the app of this `NAME`")
	f.IntVar(&limit, "limit", 20, "at most `N`, 1 to 100")
	f.BoolVar(&asJSON, "json", false, "print JSON, as the host answers it")
	return cmd
}

func listReplays(ctx context.Context, host *hostClient, query url.Values, asJSON bool, stdout io.Writer) error {
	var list struct {
		Replays []replays.Entry `json:"replays"`
	}
	if err := host.get(ctx, query, &list, "v1", "replays"); err != nil {
		return err
	}
	if asJSON {
		return printJSON(stdout, list)
	}
	out := errWriter{w: stdout}
	for _, e := range list.Replays {
		out.printf("%s  %s  %-12s  %-18s  %9s  %s %s\n", printable(e.Invocation), e.At.Local().Format("2006-01-02 15:04:05"),
			printable(e.Kind), printable(string(e.Outcome)), megabytes(e.Bytes), printable(e.App), printable(e.Version))
	}
	return out.err
}

func newReplaysGetCommand() *cobra.Command {
	var at hostFlags
	var to string
	cmd := &cobra.Command{
		Use:   "get [flags] INVOCATION",
		Short: "Fetch one recording",
		Long: `Fetches the recording of an invocation and writes it to standard output, or to
a file that only you can read.`,
		Example: `  auricle replays get -o failure.json i_01k8…
  auricle replays get i_01k8… | auricle app run -replay - keywords.wasm`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := at.client()
			if err != nil {
				return err
			}
			var file []byte
			if err := host.get(cmd.Context(), nil, &file, "v1", "replays", args[0]); err != nil {
				return err
			}
			if to == "" {
				_, err = cmd.OutOrStdout().Write(file)
				return err
			}
			return os.WriteFile(to, file, 0o600)
		},
	}
	f := cmd.Flags()
	at.add(f)
	f.StringVarP(&to, "output", "o", "", "the `FILE` to write to")
	return cmd
}
