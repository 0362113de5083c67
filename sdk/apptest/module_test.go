package apptest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

const loudness = "../../examples/apps/loudness"

func TestAModuleIsRunUnderTheHostsLimits(t *testing.T) {
	path := apptest.Build(t, loudness)
	if filepath.Base(path) != "loudness.wasm" {
		t.Errorf("got module %s", path)
	}
	r := apptest.RunModule(t, path, apptest.Options{Settings: `{"threshold_dbfs": -50}`},
		&event.Audio{Rate: 8000, PCM: apptest.Sine(8000, 440, 1, time.Second)},
		&event.Audio{Rate: 8000, Start: 8000, PCM: make([]byte, 3)[:2]},
	).OK(t)
	res := r.Results[0]
	if res.Event != "audio" || res.Fuel == 0 || res.FuelLimit != 50_000_000 || res.Wall <= 0 || res.MemoryBytes < 1<<20 || len(res.Outputs) != 1 {
		t.Errorf("got %+v", res)
	}
}

func TestWhatTheCommandRefusesFailsTheTest(t *testing.T) {
	path := apptest.Build(t, loudness)
	junk := filepath.Join(t.TempDir(), "junk.wasm")
	if err := os.WriteFile(junk, []byte("no module"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "main.go"), []byte("package main\nfunc main() { oops }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		name string
		run  func(t testing.TB)
		want string
	}{
		{"not a module", func(t testing.TB) { apptest.RunModule(t, junk, apptest.Options{}, &event.Audio{}) }, "junk.wasm"},
		{"settings against the schema", func(t testing.TB) {
			apptest.RunModule(t, path, apptest.Options{Settings: `{"threshold_dbfs": 10}`}, &event.Audio{})
		}, "threshold_dbfs"},
		{"an event that it does not handle", func(t testing.TB) {
			apptest.RunModule(t, path, apptest.Options{}, &event.Transcript{})
		}, "does not handle transcript"},
		{"an app that does not build", func(t testing.TB) { apptest.Build(t, broken) }, "building the app"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			if got := failure(t, bad.run); !strings.Contains(got, bad.want) {
				t.Errorf("got %q, want %q in it", got, bad.want)
			}
		})
	}
}

func TestAuricleMustNameTheCommand(t *testing.T) {
	t.Setenv("AURICLE", filepath.Join(t.TempDir(), "none"))
	got := failure(t, func(t testing.TB) { apptest.RunModule(t, "x.wasm", apptest.Options{}, &event.Audio{}) })
	if !strings.Contains(got, "the environment variable AURICLE should name the auricle command") {
		t.Errorf("got %q", got)
	}
}
