package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
)

// Cold is how long a new process takes until all its modules are ready, when
// an earlier one has compiled them.
type Cold struct {
	Apps    int     `json:"apps"`
	Seconds float64 `json:"seconds"` // from the process's start, median
}

const (
	cacheDir    = "compiled" // below the directory that Start is given
	moduleFiles = "*.wasm"
	readyLine   = "ready"
)

func measureCold(ctx context.Context, guest []byte, apps, starts int, command []string) (c Cold, err error) {
	if len(command) == 0 {
		return c, errors.New("there is no command to start a process with")
	}
	dir, err := os.MkdirTemp("", "auricle-bench-")
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for i := range apps {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("app%04d.wasm", i)), kernels.Variant(guest, i), 0o644); err != nil {
			return c, err
		}
	}
	if err := Start(ctx, dir, io.Discard); err != nil { // compiles
		return c, err
	}
	var took []time.Duration
	for range starts {
		d, err := startProcess(ctx, append(command[:len(command):len(command)], dir))
		if err != nil {
			return c, err
		}
		took = append(took, d)
	}
	return Cold{Apps: apps, Seconds: percentile(50, took).Seconds()}, nil
}

// startProcess returns how long it took until the new process said that it is
// ready.
func startProcess(ctx context.Context, command []string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	ready := lines.Scan() && lines.Text() == readyLine
	took := time.Since(start)
	_, err = io.Copy(io.Discard, out)
	if err = errors.Join(err, cmd.Wait()); err == nil && !ready {
		err = fmt.Errorf("it did not say %q", readyLine)
	}
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w\n%s", command[0], err, said.String())
	}
	return took, nil
}

// Start is what the new process of a cold start does: it loads each module of
// a directory onto a new engine, as a host does, says so on w, and sees that
// each works.
func Start(ctx context.Context, dir string, w io.Writer) (err error) {
	files, err := filepath.Glob(filepath.Join(dir, moduleFiles))
	if err != nil {
		return err
	}
	e, err := plugins.New(ctx, plugins.Options{CacheDir: filepath.Join(dir, cacheDir)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()

	modules, errs := make([]*plugins.Module, len(files)), make([]error, len(files))
	var loads sync.WaitGroup
	turn := make(chan *bytes.Buffer, apps.LoadersAtOnce)
	for range cap(turn) {
		turn <- new(bytes.Buffer)
	}
	for i, file := range files {
		loads.Go(func() {
			wasm := <-turn
			defer func() { turn <- wasm }()
			err := apps.ReadModule(wasm, file)
			if err == nil {
				modules[i], err = e.Load(ctx, wasm.Bytes(), plugins.LoadOptions{Name: filepath.Base(file)})
			}
			errs[i] = err
		})
	}
	loads.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, readyLine); err != nil {
		return err
	}
	for i, m := range modules {
		res, err := m.Run(ctx, plugins.Invocation{Export: "variant", Limits: ample})
		if err := ended(res, err, uint32(i)); err != nil {
			return fmt.Errorf("%s: %w", m.Name(), err)
		}
	}
	return nil
}
