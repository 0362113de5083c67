package main

import (
	"testing"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
)

// TestRivalsAgree has every rival run a few kernels once, on one instance and
// on fresh state, and native Go run those that it has.
func TestRivalsAgree(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kernels.Kept() {
		if f := natives[k.Name]; f != nil {
			if got := f(k.Arg); got != k.Sum {
				t.Errorf("%s returns %#x natively, want %#x", k.Name, got, k.Sum)
			}
		}
		if seen[k.Language] {
			continue
		}
		seen[k.Language] = true
		g, err := openGuest(t.Context(), k.Wasm, []thunk{{k.Export, k.Arg}})
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct {
			name string
			call wayOf
		}{{"reused", module.reused}, {"fresh", module.fresh}} {
			calls, err := g.calls(t.Context(), way.call, thunk{k.Export, k.Arg})
			if err != nil {
				t.Fatalf("%s, %s: %v", k.Name, way.name, err)
			}
			if err := inTurns(t.Context(), calls, k.Sum, 2, 1); err != nil {
				t.Errorf("%s, %s: %v", k.Name, way.name, err)
			}
		}
		if err := g.close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestThunksOfUnknownExports is what addThunks says of modules that it can't
// add to.
func TestThunksOfUnknownExports(t *testing.T) {
	k := kernels.Kept()[0]
	if _, err := addThunks(k.Wasm, []thunk{{"nothing", 1}}); err == nil {
		t.Error("a thunk of an export that is not there was added")
	}
	if _, err := addThunks(k.Wasm[:20], []thunk{{k.Export, 1}}); err == nil {
		t.Error("a thunk was added to half a module")
	}
}
