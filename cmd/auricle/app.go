package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
)

func newAppCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "app",
		Short: "Build, run and inspect apps, with no host",
		Long: `Builds, runs and inspects apps, with no host: what an app's author needs. The
module runs in the same engine and under the same limits as in a host.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAppBuildCommand(), newAppRunCommand(), newAppInspectCommand(), newAppKeyCommand())
	return cmd
}

// withEngine runs f with the module at path and an engine of its own.
func withEngine(ctx context.Context, path string, f func(e *plugins.Engine, name string, wasm []byte) error) (err error) {
	wasm, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	engine, err := plugins.New(ctx, plugins.Options{
		CacheDir:    compiledDir(),
		HostModules: []plugins.HostModule{apps.HostModule()},
	})
	if err != nil {
		return fmt.Errorf("starting the engine: %w", err)
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	return f(engine, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), wasm)
}

// inspectApp loads the module at path and has it say what it is.
func inspectApp(ctx context.Context, path string) (in apps.Inspection, err error) {
	err = withEngine(ctx, path, func(e *plugins.Engine, name string, wasm []byte) (err error) {
		in, err = apps.Inspect(ctx, e, name, wasm)
		return err
	})
	return in, err
}

// compiledKept is how long compiled code is kept. It is made again in a
// second or two, and an author's next build needs new code anyway.
const compiledKept = 7 * 24 * time.Hour

// compiledDir returns the directory where compiled modules are kept from one
// run of `auricle app` to the next, "" when there is no place for it: a cache
// is no reason to fail. What is older than compiledKept is removed.
func compiledDir() string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(base, "auricle", "compiled")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ""
	}
	oldest := time.Now().Add(-compiledKept)
	// An entry that can't be looked at or removed is left for next time.
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil && info.ModTime().Before(oldest) {
			_ = os.Remove(path)
		}
		return nil
	})
	return dir
}
