package streams

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:generate sh -c "for f in guests/*.wat; do wat2wasm $f -o ${f%.wat}.wasm; done"

//go:embed guests/hung.wasm guests/audio/main.go
var guests embed.FS

// guest puts a module that is kept built where hosts can read it.
func (b *bench) guest(name string) (path string, err error) {
	module, err := guests.ReadFile("guests/" + name)
	if err != nil {
		return "", err
	}
	path = filepath.Join(b.dir, name)
	return path, os.WriteFile(path, module, 0o600)
}

// audioGuest returns the file of an app in Go that takes audio every second:
// the one that Options.App names, or one of some MB that it builds with the go
// command. That takes a second, or half a minute where Go's standard library has
// not been compiled for wasip1 before.
func (b *bench) audioGuest(ctx context.Context) (string, error) {
	if b.o.App != "" {
		return filepath.Abs(b.o.App)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("the app is built with the Go toolchain, and there is no go command on the PATH; install it from https://go.dev/dl, or name a module by -app: %w", err)
	}
	source, err := guests.ReadFile("guests/audio/main.go")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.dir, "app")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "main.go"), source, 0o600),
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module level\n\ngo 1.26\n"), 0o600),
	); err != nil {
		return "", err
	}
	out := filepath.Join(b.dir, "level.wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildmode=c-shared", "-o", out, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=mod")
	cmd.WaitDelay = 5 * time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(ctx.Err(), fmt.Errorf("building the app: %w\n%s", err, strings.TrimSpace(string(said))))
	}
	return out, nil
}
