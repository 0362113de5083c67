package main

import (
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/api"
)

func newUsersStorageCommand() *cobra.Command {
	var o usersOptions
	cmd := &cobra.Command{
		Use:   "storage [flags] UID APP",
		Short: "List what an app has stored for a user",
		Long: `Lists the keys under which an app has stored values for a user, and how large
those are. The values are not shown. The app need not be installed any more:
what it stored stays until it is deleted.`,
		Example: `  auricle users storage ana loudness`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.host.client()
			if err != nil {
				return err
			}
			var s api.UserStorage
			if err := c.get(cmd.Context(), nil, &s, "v1", "users", args[0], "apps", args[1], "storage"); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), s)
			}
			return printUserStorage(cmd.OutOrStdout(), s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func newUsersForgetCommand() *cobra.Command {
	var o usersOptions
	cmd := &cobra.Command{
		Use:   "forget [flags] UID APP",
		Short: "Delete what an app has stored for a user",
		Long: `Deletes all that an app has stored for a user. The app may store anew; switch it
off for the user first, with "auricle users off", if it is not to.`,
		Example: `  auricle users forget ana loudness`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.host.client()
			if err != nil {
				return err
			}
			var s api.UserStorage
			path := []string{"v1", "users", args[0], "apps", args[1], "storage"}
			if err := c.do(cmd.Context(), http.MethodDelete, c.base.JoinPath(escaped(path)...), nil, &s); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), s)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "app %s has nothing stored for user %s\n", printable(s.App), printable(s.UID))
			return err
		},
	}
	o.addFlags(cmd)
	return cmd
}

// printUserStorage prints what an app has stored for people.
func printUserStorage(w io.Writer, s api.UserStorage) error {
	if len(s.Keys) == 0 {
		_, err := fmt.Fprintf(w, "app %s has nothing stored for user %s\n", printable(s.App), printable(s.UID))
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "key\tbytes")
	for _, k := range s.Keys {
		fmt.Fprintf(tw, "%s\t%d\n", printable(k.Key), k.Bytes)
	}
	fmt.Fprintf(tw, "%d keys\t%d\n", len(s.Keys), s.Bytes)
	return tw.Flush()
}
