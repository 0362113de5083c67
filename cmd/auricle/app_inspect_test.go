package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Whatever a stranger's manifest says, the block to paste is what it looks
// like: one app block, with the grant that was shown.
func TestAppBlockIsGoodConfiguration(t *testing.T) {
	wants := []event.CapabilityRequest{
		{Name: event.CapTranscript, Reason: "to read"},
		{Name: event.CapNotify, Reason: "plain\", \"audio\"]\n}\nlisten = \"0.0.0.0:1\" # ${path.module} %{if}", Optional: true},
	}
	in := inspection{Module: `build/a "b" ${c}.wasm`, Inspection: apps.Inspection{
		Wants:  wants,
		SHA256: "0000000000000000000000000000000000000000000000000000000000000000",
		Manifest: event.Manifest{
			Name:     "evil",
			Settings: json.RawMessage(`{"properties":{"a\n} x":{"type":["string","null"],"description":"d\n}"}},"required":["a\n} x"]}`),
		},
	}}
	path := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(path, []byte(appBlock(&in)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems := config.Load(config.LoadOptions{Path: path})
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, appBlock(&in))
	}
	if len(c.Apps) != 1 || c.Listen != config.Default().Listen {
		t.Fatalf("got %d apps, listening on %s\n%s", len(c.Apps), c.Listen, appBlock(&in))
	}
	a := c.Apps[0]
	if a.Name != "evil" || filepath.Base(a.Module) != `a "b" ${c}.wasm` || !slices.Equal(a.Grant, []event.Capability{event.CapTranscript, event.CapNotify}) {
		t.Errorf("got %+v\n%s", a, appBlock(&in))
	}
}
