package plugins

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tetratelabs/wazero"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// errSkeleton is that a module came without its functions' code: somebody took
// that away between the look at its checksum and its use.
var errSkeleton = errors.New("the code is missing")

func runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().
		WithCoreFeatures(meter.Features).
		WithDebugInfoEnabled(false) // rewriting moves the code, so DWARF no longer fits
}

// turn waits until nobody else in this process compiles the module with that
// hash, which would then be done twice. done must follow.
func (e *Engine) turn(ctx context.Context, sum [sha256.Size]byte) (done func(), err error) {
	for {
		e.mu.Lock()
		other, busy := e.compiling[sum]
		if !busy {
			own := make(chan struct{})
			e.compiling[sum] = own
			e.mu.Unlock()
			return func() {
				e.mu.Lock()
				delete(e.compiling, sum)
				e.mu.Unlock()
				close(own)
			}, nil
		}
		e.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// find returns what the cache has of a module, compiled; nil if it has nothing.
func (e *Engine) find(ctx context.Context, sum [sha256.Size]byte) (*meter.Module, wazero.CompiledModule) {
	if e.cache == nil {
		return nil, nil
	}
	known := e.cache.find(e.cache.key(sum))
	if known == nil {
		return nil, nil
	}
	compiled, err := compile(ctx, e.runtime, known.Module.Wasm)
	if err != nil {
		return nil, nil // it is made again, or the same error met there
	}
	return &known.Module, compiled
}

// make compiles a rewritten module, and keeps it in the cache if there is one.
func (e *Engine) make(ctx context.Context, sum [sha256.Size]byte, m *meter.Module, low bool) (wazero.CompiledModule, error) {
	if e.cache == nil {
		return compile(ctx, e.runtime, m.Wasm)
	}
	made, err := e.cache.make(ctx, e.cache.key(sum), m, low)
	if err == nil {
		return compile(ctx, e.runtime, made.Module.Wasm)
	}
	if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) && ctx.Err() == nil {
		err = fmt.Errorf("keeping compiled code in %q: %w; free space there, or name another directory", e.cache.dir, err)
	}
	return nil, err
}

// compile compiles a rewritten module, or finds it in r's cache. wazero's
// validation is the second opinion on the binary after the rewriter's.
func compile(ctx context.Context, r wazero.Runtime, wasm []byte) (_ wazero.CompiledModule, err error) {
	defer func() {
		// The compiler is given what a stranger wrote: should that make it panic,
		// the module is refused and the host goes on. (This is why a module is
		// compiled by one goroutine: wazero's further ones can't be watched.)
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: the compiler can't cope with it: %v", ErrUnsupported, v)
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := r.CompileModule(ctx, wasm)
	if err == nil {
		return c, nil
	}
	var file *fs.PathError
	if errors.As(err, &file) || strings.HasPrefix(err.Error(), "compilationcache:") {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %s", ErrMalformed, clean(err.Error()))
}
