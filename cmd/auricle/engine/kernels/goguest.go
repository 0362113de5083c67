package kernels

import (
	"bytes"
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

//go:embed golang/golang.go golang/guest/main.go
var goSource embed.FS

// The exports of the Go guest that do what a small app does with an event, as
// often as their argument says: decode a transcript, search it by a regular
// expression, encode what was found.
const (
	Event  = "event"  // one segment of a transcript, 0.1 KB
	Handle = "handle" // ten segments, 1 KB
)

// goKernels are those of the guest in Go.
var goKernels = []Kernel{
	{Name: "json_regexp", Kind: "JSON, regular expression", Export: Handle, Arg: 20, Sum: 0x8b3e4c15},
	{Name: "go_sort", Kind: "standard sort of integers", Export: "sort", Arg: 30_000, Sum: 0xb207901b},
	{Name: "sha256", Kind: "hash", Export: "sha256", Arg: 10, Sum: 0x4b56738e},
	{Name: "maps", Kind: "maps, strings, garbage", Export: "maps", Arg: 250, Sum: 0x815f9385},
	{Name: "channels", Kind: "goroutines", Export: "channels", Arg: 3000, Sum: 0xbe407c15},
}

// OfGo returns the kernels of the Go guest, whose module is given.
func OfGo(wasm []byte) []Kernel {
	ks := append([]Kernel(nil), goKernels...)
	for i := range ks {
		ks[i].Language, ks[i].Wasm = "Go", wasm
	}
	return ks
}

// BuildGo builds the guest in Go, about 4 MB, with the go command. It takes a
// second, or half a minute where Go's standard library has not been compiled
// for wasip1 before.
func BuildGo(ctx context.Context) ([]byte, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, fmt.Errorf("the guest in Go is built with the Go toolchain, and there is no go command on the PATH; install it from https://go.dev/dl: %w", err)
	}
	dir, err := os.MkdirTemp("", "auricle-goguest-")
	if err != nil {
		return nil, err
	}
	wasm, err := buildGo(ctx, dir)
	if err != nil {
		err = fmt.Errorf("building the guest in Go: %w", err)
	}
	return wasm, errors.Join(err, os.RemoveAll(dir))
}

// buildGo lays the source out in dir as it lies in this module, so that its
// imports hold, and builds it there: the command may be far from any source.
func buildGo(ctx context.Context, dir string) ([]byte, error) {
	const here = "cmd/auricle/engine/kernels"
	source := filepath.Join(dir, filepath.FromSlash(here))
	if err := os.MkdirAll(source, 0o755); err != nil {
		return nil, err
	}
	if err := os.CopyFS(source, goSource); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module github.com/auricle-dev/auricle\n\ngo 1.26\n"), 0o644); err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildmode=c-shared",
		"-ldflags", "-X main.variant="+mark(0), "-o", out, "./"+here+"/golang/guest")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=mod")
	cmd.WaitDelay = 5 * time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(ctx.Err(), fmt.Errorf("go build: %w\n%s", err, strings.TrimSpace(string(said))))
	}
	return os.ReadFile(out)
}

// Variant returns the guest in Go as another one: the same code with another
// constant, so that no cache takes them for the same. n is 0 to 9999.
func Variant(wasm []byte, n int) []byte {
	return bytes.Replace(wasm, []byte(mark(0)), []byte(mark(n)), 1)
}

// mark is the constant that tells variants apart.
func mark(n int) string { return fmt.Sprintf("auricle-kernels-variant-%04d", n) }
