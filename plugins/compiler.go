package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// Exit codes of a process that compiles.
const (
	exitCompiled  = 0
	exitUnable    = 1 // files could not be read or written
	exitMalformed = 3 // 2 is Go's, after a panic
)

// compilerInput is the file in a compiling process's directory that it reads.
const compilerInput = "module.wasm"

// CompileProcess is all that a process does which an engine starts with
// Options.Compiler: it compiles the module in the directory that args ends with,
// on half of the processors, and returns the process's exit code. What went wrong is
// written to stderr.
func CompileProcess(ctx context.Context, args []string, stderr io.Writer) (exitCode int) {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "no directory given: this is started by Auricle's engine")
		return exitUnable
	}
	dir := args[len(args)-1]
	wasm, err := os.ReadFile(filepath.Join(dir, compilerInput))
	if err == nil {
		// Whatever this does to the process, the host goes on.
		_, err = compileInto(experimental.WithCompilationWorkers(ctx, max(1, runtime.NumCPU()/2)), dir, wasm)
	}
	switch {
	case err == nil:
		return exitCompiled
	case errors.Is(err, ErrMalformed):
		fmt.Fprintln(stderr, strings.TrimPrefix(err.Error(), ErrMalformed.Error()+": "))
		return exitMalformed
	}
	fmt.Fprintln(stderr, err)
	return exitUnable
}

// compileInto compiles a module and returns the file with its code, in dir.
func compileInto(ctx context.Context, dir string, wasm []byte) (string, error) {
	dir = filepath.Join(dir, "code")
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return "", err
	}
	r := wazero.NewRuntimeWithConfig(ctx, runtimeConfig().WithCompilationCache(cache))
	_, err = compile(ctx, r, wasm)
	if err = errors.Join(err, r.Close(ctx), cache.Close(ctx)); err != nil {
		return "", err
	}
	return codeIn(dir)
}

// codeIn returns the only file with code that wazero has put below dir.
func codeIn(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err == nil && (len(files) != 1 || strings.HasSuffix(files[0], ".tmp")) {
		err = fmt.Errorf("wazero kept %q of one module", files)
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}

// compileApart compiles a module in a process of its own, started by command at a
// low priority or the host's own, and returns the file with its code, in dir.
func compileApart(ctx context.Context, command []string, dir string, wasm []byte, low bool) (string, error) {
	if err := os.WriteFile(filepath.Join(dir, compilerInput), wasm, 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], dir)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	start := cmd.Start
	if low {
		start = func() error { return startLow(cmd) }
	}
	if err := start(); err != nil {
		return "", fmt.Errorf("starting the compiler %s: %w", command[0], err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err == nil {
		return codeIn(filepath.Join(dir, "code"))
	}
	text := clean(strings.TrimSpace(said.String()[max(0, said.Len()-maxTail):]))
	switch cmd.ProcessState.ExitCode() {
	case exitMalformed:
		return "", fmt.Errorf("%w: %s", ErrMalformed, text)
	case exitUnable:
		return "", fmt.Errorf("the compiler %s: %s", command[0], text)
	}
	return "", fmt.Errorf("%w: the compiler can't cope with it: %v: %s", ErrUnsupported, err, text)
}
