package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/stream"
)

const configFlagUsage = "the configuration `FILE`"

func newServeCommand() *cobra.Command {
	var (
		path     string
		takeOver bool
		salvage  bool
		chaos    chaosFlag
		seed     uint64
	)
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Run the host",
		Long: `Runs the host until SIGTERM or SIGINT. It then stops accepting, tells clients,
hands over what is open to the host that comes next, and finishes what runs,
within the time that "drain" sets, and exits 0. A second signal ends it at once.

SIGHUP, as POST /v1/reload, has it read the configuration again, from the same
file, variables and flags: apps are added, changed and removed with no stream
noticing. A configuration with faults changes nothing, and the log says why.

With -take-over it first loads its apps, then takes the listening sockets of the
host that runs in the same data_dir, which drains and exits, and goes on where
that one stopped: an upgrade refuses no connection. Where no host runs, it
starts like any other.

With -chaos it mistreats clients, for those who write one: it breaks streams,
closes them, delays what it says and refuses handshakes, each as likely as the
flag says; see docs/clients.md. It refuses to do so where other machines can
connect.

Values come from the defaults, then the configuration file, then environment
variables (AURICLE_LISTEN for "listen", AURICLE_POOL_WORKERS for "workers" in
"pool"), then these flags.`,
		Example: `  auricle serve -config config.hcl
  auricle serve -config config.hcl -listen 127.0.0.1:8000 -log-level debug
  auricle serve -config config.hcl -take-over
  auricle serve -chaos=drop=5%,delay=200ms,close=4001:2%,refuse=503:10% -chaos-seed 1`,
		Args: func(cmd *cobra.Command, args []string) error {
			// A flag that may stand alone leaves what follows it to the arguments.
			if len(args) == 1 && chaos.alone {
				return chaos.Set(args[0])
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c := chaos.Chaos; c != nil {
				if c.Seed = seed; seed == 0 {
					c.Seed = rand.Uint64()
				}
			}
			c, err := loadConfig(path, cmd.Flags(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), host.Options{
				Config: c, Logger: newLogger(c, cmd.ErrOrStderr()), Version: version().Version, Compiler: compiler, TakeOver: takeOver, Salvage: salvage, Chaos: chaos.Chaos,
				Reload: func() (config.Config, config.Problems) { return readConfig(path, cmd.Flags()) },
			})
		},
	}
	cmd.Flags().StringVar(&path, "config", "config.hcl", configFlagUsage)
	cmd.Flags().BoolVar(&salvage, "salvage", false, "open a damaged store with what can still be read of it, keeping copies of what is damaged")
	cmd.Flags().BoolVar(&takeOver, "take-over", false, "take the turn of the host that runs in the same data_dir, refusing no connection")
	cmd.Flags().Var(&chaos, "chaos", "mistreat clients by `FAULTS`: drop=P%, delay=DURATION, close=CODE:P%, close=any:P%, refuse=STATUS:P%, joined by commas; alone, what a client has to bear")
	cmd.Flags().Lookup("chaos").NoOptDefVal = "default"
	cmd.Flags().Uint64Var(&seed, "chaos-seed", 0, "the `NUMBER` by which -chaos can be repeated; 0 takes one and logs it")
	config.AddFlags(cmd.Flags())
	return cmd
}

// chaosFlag is a stream.Chaos that may be given without a value.
type chaosFlag struct {
	*stream.Chaos
	alone bool
}

func (f *chaosFlag) Set(text string) (err error) {
	f.Chaos, err = stream.ParseChaos(text)
	f.alone = text == "default"
	return err
}

func (f *chaosFlag) String() string {
	if f.Chaos == nil {
		return ""
	}
	return f.Chaos.String()
}

func (f *chaosFlag) Type() string { return "FAULTS" }

// loadConfig reads the configuration and prints what is wrong with it. The
// error, when it can't be used, was said already.
func loadConfig(path string, flags *pflag.FlagSet, stderr io.Writer) (config.Config, error) {
	c, problems := readConfig(path, flags)
	for _, p := range problems {
		fmt.Fprintln(stderr, p)
	}
	if problems.HasFault() {
		return c, &exitError{code: exitFault}
	}
	return c, nil
}

// readConfig reads the configuration from where every command has it from.
func readConfig(path string, flags *pflag.FlagSet) (config.Config, config.Problems) {
	return config.Load(config.LoadOptions{Path: path, Environ: os.Environ(), Flags: flags})
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
func serve(ctx context.Context, o host.Options) error {
	c, log := o.Config, o.Logger
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// One that waits stands for all that come meanwhile: they ask for the same.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	running, ended := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { boundGarbage(running) })
	defer background.Wait()
	defer ended()

	h, err := host.New(ctx, o)
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
	defer reloadOn(ctx, hangup, h)()
	select {
	case <-h.Taken():
		stop()
	case err = <-served:
		stop()
		served <- err // it failed by itself: there is nothing more to wait for
		err = nil
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

// reloadOn has h reload when a signal comes, until ctx ends or the function
// that it returns is called, which waits for a reload that runs.
func reloadOn(ctx context.Context, hangup <-chan os.Signal, h *host.Host) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // ends with ctx; stop waits for it
		defer close(done)
		for {
			select {
			case <-hangup:
				_, _ = h.Reload(ctx) // the log says what came of it
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}
