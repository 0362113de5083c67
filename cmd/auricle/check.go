package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
)

func newCheckCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check [flags]",
		Short: "Check a configuration and its apps, and report all that is wrong",
		Long: `Checks a configuration file and the module of every app in it, as "serve" would,
and reports everything that is wrong, each as

  config.hcl:14:3: what is wrong; what to do

It opens no port and no store. Exit code 0 when the host would start (warnings
are printed all the same), 1 when it would not.`,
		Example: `  auricle check -config config.hcl`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, problems := readConfig(path, cmd.Flags())
			// Modules compiled by a host of this data directory need not be
			// compiled again; a check makes no directory of its own.
			cache := filepath.Join(c.DataDir, "cache")
			if info, err := os.Stat(cache); err != nil || !info.IsDir() {
				cache = ""
			}
			found, err := host.Check(cmd.Context(), c, cache)
			if err != nil {
				return err
			}
			problems = append(problems, found...)
			problems.Sort()
			for _, p := range problems {
				fmt.Fprintln(cmd.ErrOrStderr(), p)
			}
			if problems.HasFault() {
				return &exitError{code: exitFault}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: good; %s\n", path, counted(len(c.Apps), "app"))
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "config", "config.hcl", configFlagUsage)
	config.AddFlags(cmd.Flags())
	return cmd
}
