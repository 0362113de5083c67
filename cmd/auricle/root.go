package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes of every subcommand. They are promised in the help.
const (
	exitOK      = 0
	exitFault   = 1 // something went wrong, and standard error says what; or a replay went otherwise than recorded
	exitUsage   = 2 // the command line was wrong
	exitOutcome = 3 // app run: an invocation ended otherwise than ok
)

// commands makes the subcommands, in the order in which the help lists them.
var commands = []func() *cobra.Command{
	newServeCommand,
	newCheckCommand,
	newReloadCommand,
	newStreamCommand,
	newAppCommand,
	newJobsCommand,
	newUsersCommand,
	newClusterCommand,
	newReplaysCommand,
	newBenchCommand,
	newDemoCommand,
	newVersionCommand,
}

const rootLong = `Auricle listens along. Clients stream live audio and transcripts to it over
WebSocket; it keeps each conversation, and runs apps on it: WebAssembly modules
that get only what you grant them, each under limits of instructions, time and
memory, so that a bad one harms only itself.`

const rootExample = `  auricle serve -config config.hcl
        run the host
  auricle stream -speed 4 examples/conversations/budget-meeting
        play a recorded conversation to it, four times as fast
  auricle app build examples/apps/keywords
  auricle app run -conversation examples/conversations/budget-meeting build/apps/keywords.wasm
        build an app and try it, with no host at all`

const rootExit = `  0  all went well
  1  something went wrong, and the message says what; "app run -replay": it did
     not go as recorded
  2  the command line was wrong
  3  "app run": an invocation ended otherwise than ok`

// newRootCommand builds the whole tree of commands.
func newRootCommand() *cobra.Command {
	cobra.EnableCommandSorting = false // the help lists them as they were added
	root := &cobra.Command{
		Use:           "auricle",
		Short:         "Runs sandboxed apps on live conversations.",
		Long:          rootLong,
		Example:       rootExample,
		Version:       version().Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetVersionTemplate("auricle {{.Version}}\n")
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		// A help that can't be written has nobody to tell.
		_, _ = io.WriteString(cmd.OutOrStdout(), helpText(cmd))
	})
	for _, c := range commands {
		root.AddCommand(c())
	}
	eachCommand(root, func(c *cobra.Command) {
		if c.HasSubCommands() {
			c.Args, c.SuggestionsMinimumDistance = commandOnly, 2
		}
	})
	return root
}

// run is the command: it reads args (without the program's name), runs what
// they ask for, and returns the exit code. An error is one line on stderr; a
// mistake in args gets a second, that says where help is.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(longFlags(root, args))

	// An error before any command ran is one in the command line.
	ran := false
	root.PersistentPreRun = func(*cobra.Command, []string) { ran = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}

	code, usage := exitFault, !ran
	var exit *exitError
	if errors.As(err, &exit) {
		code, usage = exit.code, exit.code == exitUsage
		if exit.err == nil {
			return code
		}
	}
	path := cmd.CommandPath()
	if usage {
		code = exitUsage
		fmt.Fprintf(stderr, "%s: %s\n", path, usageText(err))
		fmt.Fprintf(stderr, "Run \"%s -help\" to see how it is used.\n", path)
		return code
	}
	fmt.Fprintf(stderr, "%s: %v\n", path, err)
	return code
}

// exitError carries the exit code that a command wants. When err is nil,
// everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usagef makes an error of the command line: exit code 2 and a hint at the help.
func usagef(format string, a ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, a...)}
}

// commandOnly are the Args of a command that only has subcommands: what was
// given instead of one is a mistake, and the nearest is suggested.
func commandOnly(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := ""
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		near = "; did you mean " + strings.Join(names, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q%s", args[0], near)
}

// usageText says in one line what is wrong with a command line, in the words
// of our help: flags have one dash.
func usageText(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	s = strings.ReplaceAll(s, "\"--", "\"-")
	return strings.ReplaceAll(s, " --", " -")
}

// longFlags lets long flags be written with one dash, as Go's own tools take
// them: -json for --json, -speed=4 for --speed=4. (Single letters, such as -h,
// stay as they are.) The value of a flag is left alone, and so is all after a
// bare "--".
func longFlags(root *cobra.Command, args []string) []string {
	wantsValue := map[string]bool{}
	eachCommand(root, func(c *cobra.Command) {
		for _, fs := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			fs.VisitAll(func(f *pflag.Flag) { wantsValue[f.Name] = f.NoOptDefVal == "" })
		}
	})

	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...)
		}
		if isLongFlag(arg) && !strings.HasPrefix(arg, "--") {
			arg = "-" + arg
		}
		out = append(out, arg)
		name, isFlag := strings.CutPrefix(arg, "--")
		if isFlag && !strings.Contains(name, "=") && wantsValue[name] && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out
}

// isLongFlag reports whether arg is a flag of more than one letter, with one
// dash or two. A negative number is not one.
func isLongFlag(arg string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	if len(name) == len(arg) {
		return false
	}
	name, _, _ = strings.Cut(name, "=")
	if len(name) < 2 {
		return false
	}
	c := name[0]
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// eachCommand calls f with c and every command below it.
func eachCommand(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, f)
	}
}

// printJSON writes v for programs, and so that people can read it too.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
