package meter_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// TestVersion holds that Version changes with what Rewrite makes: what was kept
// of modules before would be taken for the new otherwise.
func TestVersion(t *testing.T) {
	const version, want = 3, "e0a10eb840cc54d7d96a1c4da082657486b4ff750a15d83bec5dc563190d0902"
	files, err := filepath.Glob("../../testdata/*.wasm")
	if err != nil || len(files) == 0 {
		t.Fatal("no modules: ", err)
	}
	h := sha256.New()
	for _, file := range append(files, "testdata/kernel.wasm", "testdata/fuel.wasm") {
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := meter.Rewrite(wasm, meter.Options{}); err == nil {
			h.Write(m.Wasm)
			h.Write(m.Skeleton)
		} else {
			fmt.Fprintln(h, file, "refused")
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); meter.Version != version || got != want {
		t.Errorf("Rewrite makes something else than version %d did: count meter.Version up, and set version and want here to it and %s", version, got)
	}
}
