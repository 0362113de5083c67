package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/api"
)

func newUsersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "List a user's apps, switch them on and off, and see to what they store",
		Long: `Lists the apps that a user of a running host has, and switches them on and off
for that user. Without such a choice the configuration decides, by the users of
an app. A choice is kept until another is made, and is in force at once, also in
the user's open sessions and at other hosts that share the store.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUsersAppsCommand(),
		newUsersSwitchCommand("on", "Switch an app on for a user",
			`Switches an app on for a user, whatever the configuration says. An app that gets
audio gets it from then on.`),
		newUsersSwitchCommand("off", "Switch an app off for a user",
			`Switches an app off for a user, whatever the configuration says. What is running
ends; what waits is dropped, and the client told. Work of the app on the user's
completed conversations that is still to be done becomes a dead letter
(switched_off) when its turn comes.`),
		newUsersSwitchCommand("reset", "Let the configuration decide again about an app for a user",
			`Takes back what was chosen about an app for a user: the configuration decides
again. The app need not be installed any more.`),
		newUsersStorageCommand(), newUsersForgetCommand(), newUsersMemoriesCommand())
	return cmd
}

// usersOptions are the flags of the subcommands of auricle users.
type usersOptions struct {
	host hostFlags
	json bool
}

func (o *usersOptions) addFlags(cmd *cobra.Command) {
	o.host.add(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
}

func (o *usersOptions) print(w io.Writer, u api.UserApps) error {
	if o.json {
		return printJSON(w, u)
	}
	return printUserApps(w, u)
}

func newUsersAppsCommand() *cobra.Command {
	var o usersOptions
	cmd := &cobra.Command{
		Use:     "apps [flags] UID",
		Short:   "List the apps, and which of them a user has",
		Long:    `Lists every installed app, whether a user has it, and whether that is by the configuration or by choice.`,
		Example: `  auricle users apps ana`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.host.client()
			if err != nil {
				return err
			}
			var u api.UserApps
			if err := c.get(cmd.Context(), nil, &u, "v1", "users", args[0], "apps"); err != nil {
				return err
			}
			return o.print(cmd.OutOrStdout(), u)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// newUsersSwitchCommand makes a command that chooses about an app for a user.
func newUsersSwitchCommand(name, short, long string) *cobra.Command {
	var o usersOptions
	cmd := &cobra.Command{
		Use:     name + " [flags] UID APP",
		Short:   short,
		Long:    long,
		Example: "  auricle users " + name + " ana loudness",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.host.client()
			if err != nil {
				return err
			}
			u, err := c.switchApp(cmd.Context(), name, args[0], args[1])
			if err != nil {
				return err
			}
			return o.print(cmd.OutOrStdout(), u)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// switchApp has a user have an app ("on"), not have it ("off"), or as the
// configuration says ("reset").
func (c *hostClient) switchApp(ctx context.Context, to, uid, app string) (u api.UserApps, err error) {
	method, body := http.MethodPut, []byte(nil)
	switch to {
	case "off":
		method = http.MethodDelete
	case "reset":
		body = []byte(`{"state":"default"}`)
	}
	err = c.do(ctx, method, c.base.JoinPath(escaped([]string{"v1", "users", uid, "apps", app})...), body, &u)
	return u, err
}

// printUserApps prints a user's apps for people.
func printUserApps(w io.Writer, u api.UserApps) error {
	if len(u.Apps)+len(u.Absent) == 0 {
		_, err := fmt.Fprintln(w, "no apps are installed")
		return err
	}
	state := func(on bool) string {
		if on {
			return "on"
		}
		return "off"
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "app\tversion\tstate\tby\tdefault")
	for _, a := range u.Apps {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", printable(a.Name), printable(a.Version), state(a.On), printable(a.Why), state(a.Default))
	}
	for _, a := range u.Absent {
		fmt.Fprintf(tw, "%s\tnot installed\t%s\tuser\t\n", printable(a.Name), state(a.On))
	}
	return tw.Flush()
}
