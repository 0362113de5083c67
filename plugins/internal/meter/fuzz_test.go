package meter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
	"github.com/auricle-dev/auricle/plugins/internal/wasmtest"
)

// withoutCustomSections drops custom sections, which the rewriter drops as
// well while wazero refuses a module for a broken one. Nil if the sections
// can't be told apart.
func withoutCustomSections(wasm []byte) []byte {
	if len(wasm) < 8 {
		return nil
	}
	out, rest := wasm[:8:8], wasm[8:]
	for len(rest) > 0 {
		size, n := 0, 1
		for shift := 0; ; shift += 7 {
			if n >= len(rest) || shift > 28 {
				return nil
			}
			size |= int(rest[n]&0x7f) << shift
			if n++; rest[n-1] < 0x80 {
				break
			}
		}
		if n+size > len(rest) {
			return nil
		}
		if rest[0] != 0 {
			out = append(out, rest[:n+size]...)
		}
		rest = rest[n+size:]
	}
	return out
}

// FuzzRewrite holds that the rewriter reads anything without a panic, that no
// module is made valid by being rewritten, and that none is made invalid. (That
// it accepts what is valid is TestSpecification's: wazero itself allocates
// whatever a malformed module asks for, so it can't be asked about those.)
func FuzzRewrite(f *testing.F) {
	dir, err := wasmtest.SpecificationDir()
	if err != nil {
		f.Fatal(err)
	}
	for _, pattern := range []string{"v2/testdata/*.0.wasm", "v2/testdata/binary*.wasm", "tail-call/testdata/*.wasm", "extended-const/testdata/*.wasm"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if len(b) < 20_000 {
				f.Add(b)
			}
		}
	}
	f.Add(fuelWasm)
	f.Add(kernelWasm)
	for _, c := range refusals {
		if len(c.wasm) < 1000 {
			f.Add(c.wasm)
		}
	}
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if len(wasm) > 1<<16 {
			return
		}
		m, err := meter.Rewrite(wasm, meter.Options{})
		if err != nil {
			var cause *meter.Error
			if !errors.As(err, &cause) || cause.Err == nil || cause.Offset < 0 || cause.Offset > int64(len(wasm)) {
				t.Fatalf("not a good *Error: %#v", err)
			}
			return
		}
		plain := withoutCustomSections(wasm)
		if plain == nil {
			t.Fatal("accepted what can't be cut into sections")
		}
		r := newRuntime(t, interpreter())
		_, plainErr := r.CompileModule(ctx, plain)
		_, err = r.CompileModule(ctx, m.Wasm)
		switch {
		case plainErr != nil && err == nil:
			t.Fatalf("valid only when rewritten: %v", plainErr)
		case plainErr == nil && err != nil:
			t.Fatalf("invalid only when rewritten: %v", err)
		}
	})
}
