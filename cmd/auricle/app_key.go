package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
)

func newAppKeyCommand() *cobra.Command {
	var actions []string
	cmd := &cobra.Command{
		Use:   "key [flags] APP",
		Short: "Make a key with which an app's own server may call this host",
		Long: `Makes a key for the calls of an app's own server to /v2/integrations/APP/…: prints
it on standard output, this once, and on standard error the block for the app's
configuration, which has its hash only.`,
		Example: `  auricle app key crm
  auricle app key -actions notify,read_conversations crm > crm.key`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, digest := auth.NewStatic()
			block := fmt.Sprintf("  integration {\n    keys    = [%q]\n    actions = [%s]\n  }\n", digest, `"`+strings.Join(actions, `", "`)+`"`)
			// Read by the host's own rules, so that what is printed can be pasted.
			_, problems := config.Load(config.LoadOptions{Path: "app", Source: fmt.Appendf(nil, "app %q {\n  module = \"x.wasm\"\n%s}\n", args[0], block)})
			if problems.HasFault() {
				return usagef("%s: %s", problems[0].What, problems[0].Do)
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), key); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "This is the only time it is shown. Put into the block app %q, and reload:\n\n%s", args[0], block)
			return err
		},
	}
	cmd.Flags().StringSliceVar(&actions, "actions", config.Actions, "what it may do, of "+strings.Join(config.Actions, ", ")+": `ACTIONS` with commas between them")
	return cmd
}
