package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
)

func newTokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make and check the tokens that clients show to a host",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenNewCommand(), newTokenCheckCommand())
	return cmd
}

func newTokenNewCommand() *cobra.Command {
	var o struct {
		name, uid string
		scopes    []string
	}
	cmd := &cobra.Command{
		Use:   "new [flags]",
		Short: "Make a static token",
		Long: `Makes a static token: prints it on standard output, this once, and on standard
error the block for the configuration, which has its hash only.`,
		Example: `  auricle token new -name backend -scopes stream,read
  auricle token new -name ana -uid ana > ana.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, digest := auth.NewStatic()
			block := tokenBlock(o.name, digest, o.uid, o.scopes)
			// Read by the host's own rules, so that what is printed can be pasted.
			_, problems := config.Load(config.LoadOptions{Path: "token", Source: []byte(block)})
			if problems.HasFault() {
				return usagef("%s: %s", problems[0].What, problems[0].Do)
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), token); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "This is the only time it is shown. Put into the configuration, and reload:\n\n%s", block)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "client", "the token's `NAME`, for logs")
	f.StringVar(&o.uid, "uid", "", "the one `USER` it is for; without it, any")
	f.StringSliceVar(&o.scopes, "scopes", []string{"stream"}, "what it allows, of stream, read, tools and operate: `SCOPES` with commas between them")
	return cmd
}

// tokenBlock writes the block of a static token.
func tokenBlock(name, digest, uid string, scopes []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "auth {\n  token %q {\n    sha256 = %q\n", name, digest)
	if uid != "" {
		fmt.Fprintf(&b, "    uid    = %q\n", uid)
	}
	fmt.Fprintf(&b, "    scopes = [%s]\n  }\n}\n", `"`+strings.Join(scopes, `", "`)+`"`)
	return b.String()
}

// tokenCheckTimeout bounds reading an issuer's keys too.
const tokenCheckTimeout = 10 * time.Second

func newTokenCheckCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check [flags] TOKEN|-",
		Short: "Say what a token would be allowed, or why it is refused",
		Long: `Checks a static token or a JWT by a configuration, as a host would, and says what
it would be allowed, or precisely why it is refused. "-" reads the token from
standard input, so that it stays out of the shell's history.`,
		Example: `  auricle token check - < ana.token`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			token := args[0]
			if token == "-" {
				b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxTokenFile))
				if err != nil {
					return fmt.Errorf("reading the token: %w", err)
				}
				token = string(b)
			}
			return checkToken(cmd.Context(), path, strings.TrimSpace(token), cmd)
		},
	}
	cmd.Flags().StringVar(&path, "config", "config.hcl", configFlagUsage)
	return cmd
}

func checkToken(ctx context.Context, path, token string, cmd *cobra.Command) error {
	ctx, cancel := context.WithTimeout(ctx, tokenCheckTimeout)
	defer cancel()
	c, problems := readConfig(path, nil)
	for _, p := range problems {
		fmt.Fprintln(cmd.ErrOrStderr(), p)
	}
	if problems.HasFault() {
		return &exitError{code: exitFault}
	}
	if !c.Auth.On() {
		return fmt.Errorf("%s has no auth block: a host of it asks nobody for a token", path)
	}
	a, err := auth.New(auth.Options{Config: c.Auth})
	if err != nil {
		return err
	}
	defer a.Close()
	id, err := a.Check(ctx, token)
	var f *auth.Refusal
	if errors.As(err, &f) {
		return fmt.Errorf("refused: %s: %s", f.Code, f.Message)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "accepted: %s\n", id.Name)
	user := id.UID
	if user == "" {
		user = "any"
	}
	scopes := "none"
	for i, s := range id.Scopes {
		if i == 0 {
			scopes = string(s)
			continue
		}
		scopes += ", " + string(s)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "user:     %s\nscopes:   %s\n", user, scopes)
	if !id.Expires.IsZero() {
		fmt.Fprintf(cmd.OutOrStdout(), "until:    %s\n", id.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

const maxTokenFile = 16 << 10

// tokenFlagUsage is the usage of the flag -token.
const tokenFlagUsage = "the `FILE` with the token to show to the host; without it, the variable " + config.TokenVariable

// readToken returns the token that a command shows to a host: the first line of
// a file, or the environment's; "" when there is none. It is never taken from
// the command line, which everyone on the machine can read, nor printed.
func readToken(file string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv(config.TokenVariable)), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("reading the token (-token is a file): %w", errors.Unwrap(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s does not hold one token", file)
	}
	return token, nil
}
