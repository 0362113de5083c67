package main

import (
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/api"
)

func newUsersMemoriesCommand() *cobra.Command {
	var o usersOptions
	var remove bool
	cmd := &cobra.Command{
		Use:   "memories [flags] UID",
		Short: "List what apps' own servers have noted about a user, or delete it",
		Long: `Lists what the servers of apps have noted about a user by /v2/integrations/,
newest first, and by -delete deletes all of it. Nothing else does.`,
		Example: `  auricle users memories ana
  auricle users memories -delete ana`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.host.client()
			if err != nil {
				return err
			}
			method := http.MethodGet
			if remove {
				method = http.MethodDelete
			}
			var m api.UserMemories
			if err := c.do(cmd.Context(), method, c.base.JoinPath(escaped([]string{"v1", "users", args[0], "memories"})...), nil, &m); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), m)
			}
			return printUserMemories(cmd.OutOrStdout(), m)
		},
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&remove, "delete", false, "delete all of them")
	return cmd
}

// printUserMemories prints what is noted about a user for people.
func printUserMemories(w io.Writer, m api.UserMemories) error {
	if len(m.Memories) == 0 {
		_, err := fmt.Fprintf(w, "nothing is noted about user %s\n", printable(m.UID))
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "noted\tapp\tmemory")
	for _, memory := range m.Memories {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", memory.CreatedAt.Format("2006-01-02 15:04"), printable(memory.App), printable(memory.Content))
	}
	return tw.Flush()
}
