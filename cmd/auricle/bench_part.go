package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
	"github.com/auricle-dev/auricle/cmd/auricle/streams"
	"github.com/auricle-dev/auricle/cmd/auricle/webhooks"
)

// benchPartCommand makes the process a part of "auricle bench streams" or "bench
// webhook". It is not for people, so it is no subcommand.
const benchPartCommand = "bench-part"

// benchPart is the part of a bench that args name. A part ends when its standard
// input does.
func benchPart(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if len(args) > 0 && args[0] != child.PartHost {
		signal.Ignore(os.Interrupt) // a terminal sends it to all: the bench's own process sees to the parts
	}
	var err error
	switch {
	case slices.Equal(args, []string{streams.PartFloor}):
		err = streams.Floor(stdin, stdout)
	case slices.Equal(args, []string{streams.PartLoad}):
		err = streams.Generate(ctx, stdin, stdout)
	case len(args) == 2 && args[0] == webhooks.PartServer:
		err = webhooks.Serve(stdin, stdout, args[1])
	case len(args) > 1 && args[0] == webhooks.PartThreads:
		err = webhooks.Threads(stdin, stdout, args[1:])
	case len(args) == 2 && args[0] == child.PartHost:
		go func() { // ends with standard input, at the latest with the process
			defer cancel()
			_, _ = io.Copy(io.Discard, stdin) // that it ends is all that matters
		}()
		defer streams.ProfileOnSignal(args[1])()
		return run(ctx, []string{"serve", "-config", args[1]}, nil, stdout, stderr)
	default:
		err = fmt.Errorf("there is no part %q", args)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFault
	}
	return exitOK
}
