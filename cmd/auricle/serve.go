package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
)

const configFlagUsage = "the configuration `FILE`"

func newServeCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Run the host",
		Long: `Runs the host until SIGTERM or SIGINT. It then stops accepting, tells clients,
completes the open conversations and finishes what runs, within the time that
"drain" sets, and exits 0. A second signal ends it at once.

Values come from the defaults, then the configuration file, then environment
variables (AURICLE_LISTEN for "listen", AURICLE_POOL_WORKERS for "workers" in
"pool"), then these flags.`,
		Example: `  auricle serve -config config.hcl
  auricle serve -config config.hcl -listen 127.0.0.1:8000 -log-level debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(path, cmd.Flags(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, newLogger(c, cmd.ErrOrStderr()))
		},
	}
	cmd.Flags().StringVar(&path, "config", "config.hcl", configFlagUsage)
	config.AddFlags(cmd.Flags())
	return cmd
}

// loadConfig reads the configuration and prints what is wrong with it. The
// error, when it can't be used, was said already.
func loadConfig(path string, flags *pflag.FlagSet, stderr io.Writer) (config.Config, error) {
	c, problems := config.Load(config.LoadOptions{Path: path, Environ: os.Environ(), Flags: flags})
	for _, p := range problems {
		fmt.Fprintln(stderr, p)
	}
	if problems.HasFault() {
		return c, &exitError{code: exitFault}
	}
	return c, nil
}

// newLogger returns the logger that the configuration asks for.
func newLogger(c config.Config, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:       "auricle",
		Level:      hclog.LevelFromString(c.LogLevel),
		Output:     w,
		JSONFormat: c.LogJSON,
	})
}

// serve runs a host until ctx ends, a signal comes, or it fails.
func serve(ctx context.Context, c config.Config, log hclog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	h, err := host.New(ctx, host.Options{Config: c, Logger: log, Version: version().Version, Compiler: compiler})
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			fmt.Fprintln(log.StandardWriter(&hclog.StandardLoggerOptions{}), p)
		}
		return &exitError{code: exitFault}
	case err != nil:
		return err
	}

	served := make(chan error, 1)
	go func() { served <- h.Serve() }() // ends with Shutdown; waited for below
	select {
	case err = <-served:
		stop()
		served <- nil // it failed by itself: there is nothing more to wait for
	case <-ctx.Done():
		stop() // from here on, a signal has its usual effect
		log.Info("shutting down; a second signal ends at once", "within", c.Drain)
	}

	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Drain)
	defer cancel()
	closing := h.Shutdown(drain)
	if errors.Is(closing, context.DeadlineExceeded) {
		// What a bounded shutdown cuts short is said, and no fault.
		log.Warn("drain was too short for everything", "drain", c.Drain, "error", closing)
		closing = nil
	}
	return errors.Join(err, closing, <-served)
}
