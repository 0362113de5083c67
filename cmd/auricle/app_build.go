package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const appBuildLong = `Builds the app in DIR with the plain Go toolchain, and checks that the module
loads and says what it is. DIR holds a main package that registers an app:

  func init() { sdk.Register(sdk.App{Name: "hello", …}) }
  func main() {}

It is the same as the following, with a check afterwards:

  GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -o FILE DIR`

func newAppBuildCommand() *cobra.Command {
	var out string
	var noCheck bool
	cmd := &cobra.Command{
		Use:   "build [flags] DIR",
		Short: "Build an app in Go to a module",
		Long:  appBuildLong,
		Example: `  auricle app build examples/apps/keywords
  auricle app build -o keywords.wasm .`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runAppBuild(cmd.Context(), args[0], out, !noCheck, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write the module to `FILE` (default build/apps/NAME.wasm, NAME being DIR's)")
	cmd.Flags().BoolVar(&noCheck, "no-check", false, "do not load the module to check it")
	return cmd
}

// runAppBuild builds the package in dir to the file out. The file appears only
// when all went well.
func runAppBuild(ctx context.Context, dir, out string, check bool, stdout io.Writer) (err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if info, err := os.Stat(dir); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%s is not a directory; name the directory of the app's main package", dir)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("building needs the Go toolchain, and there is no go command on the PATH; install it from https://go.dev/dl: %w", err)
	}
	name, err := goTool(ctx, abs, "list", "-f", "{{.Name}}", ".")
	if err != nil {
		return fmt.Errorf("looking at %s: %w", dir, err)
	}
	if name != "main" {
		return fmt.Errorf("%s holds package %s, not main; an app is a main package that calls sdk.Register in an init function", dir, name)
	}

	if out == "" {
		out = filepath.Join("build", "apps", filepath.Base(abs)+".wasm")
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(out), ".building-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	built, err := filepath.Abs(filepath.Join(tmp, filepath.Base(out)))
	if err != nil {
		return err
	}
	// No -ldflags "-s -w": it makes a 3 MB module 2 % smaller, and takes the
	// function names out of the stack that a trap shows.
	if _, err := goTool(ctx, abs, "build", "-buildmode=c-shared", "-trimpath", "-o", built, "."); err != nil {
		return fmt.Errorf("building %s: %w", dir, err)
	}
	what := filepath.Base(abs)
	if check {
		in, err := inspectApp(ctx, built)
		if err != nil {
			return fmt.Errorf("%s builds, but the module is no app; does an init function call sdk.Register?\n%w", dir, err)
		}
		what = printable(in.Manifest.Name + " " + in.Manifest.Version)
	}
	info, err := os.Stat(built)
	if err != nil {
		return err
	}
	if err := os.Rename(built, out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %s, %s\n", out, what, megabytes(info.Size()))
	return err
}

// goTool runs the go command in dir for the platform that modules are, and
// returns what it printed. The error holds what it complained about.
func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if said := strings.TrimSpace(stderr.String()); said != "" {
			return "", fmt.Errorf("go %s:\n%s", args[0], said)
		}
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return strings.TrimSpace(stdout.String()), nil
}
