package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tetratelabs/wazero"
)

// compile compiles a rewritten module, or finds it in the cache. wazero's
// validation is the second opinion on the binary after the rewriter's.
func (e *Engine) compile(ctx context.Context, wasm []byte) (_ wazero.CompiledModule, err error) {
	defer func() {
		// The compiler is given what a stranger wrote: should that make it panic,
		// the module is refused and the host goes on.
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: the compiler can't cope with it: %v", ErrUnsupported, v)
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := e.runtime.CompileModule(ctx, wasm)
	if err == nil {
		return c, nil
	}
	var file *fs.PathError
	if errors.As(err, &file) || strings.HasPrefix(err.Error(), "compilationcache:") {
		return nil, fmt.Errorf("using the cache of compiled code in %q: %w; free space there, or delete what it holds", e.o.CacheDir, err)
	}
	return nil, fmt.Errorf("%w: %s", ErrMalformed, clean(err.Error()))
}
