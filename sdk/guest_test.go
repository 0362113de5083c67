package sdk_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// imports returns what the module at path imports from the host, and whether
// it exports what a host calls.
func imports(t *testing.T, path string) []string {
	t.Helper()
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer func() {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	m, err := r.CompileModule(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"_initialize", "auricle_v1_manifest", "auricle_v1_handle"} {
		if m.ExportedFunctions()[name] == nil {
			t.Errorf("%s does not export %s", path, name)
		}
	}
	var names []string
	for _, f := range m.ImportedFunctions() {
		if module, name, _ := f.Import(); module == "auricle_v1" {
			names = append(names, name)
		} else if module != "wasi_snapshot_preview1" {
			t.Errorf("%s imports %s.%s", path, module, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestOnlyAnAppThatNotifiesImportsCall holds the linker, and so Context, to
// leaving out what an app does not use: the host refuses call to an app that
// declares nothing to act by.
func TestOnlyAnAppThatNotifiesImportsCall(t *testing.T) {
	quiet := []string{"emit", "error_write", "event_read", "log", "manifest_write", "settings_read"}
	acting := []string{"call", "emit", "error_write", "event_read", "log", "manifest_write", "result_read", "settings_read"}
	for _, c := range []struct {
		dir  string
		want []string
	}{
		{"../examples/apps/keywords", acting},
		{"../examples/apps/runaway", quiet},
		{"../examples/apps/loudness", slices.DeleteFunc(slices.Clone(quiet), func(s string) bool { return s == "log" })},
		{"../examples/apps/minutes", slices.DeleteFunc(slices.Clone(quiet), func(s string) bool { return s == "log" || s == "settings_read" })},
	} {
		path := apptest.Build(t, c.dir)
		if got := imports(t, path); !slices.Equal(got, c.want) {
			t.Errorf("%s imports %q, want %q", c.dir, got, c.want)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 6<<20 {
			t.Errorf("%s is %d bytes", c.dir, info.Size())
		}
	}
}

// order makes an event that tells the probe what to do.
func order(s string) *event.Transcript {
	return &event.Transcript{Language: "en", Segments: []event.Segment{{ID: "1", Text: s, Start: 1, End: 2.5}}}
}

func TestTheGuestsSideOfTheInterface(t *testing.T) {
	path := apptest.Build(t, "testdata/guests/probe")
	for _, c := range []struct {
		order    string
		settings string
		outcome  apptest.Outcome
		want     string // the outputs, or a part of the error
	}{
		{"echo", "", apptest.OK, `{"session":"s_test","conversation":"c_test","uid":"tester","language":"en","segments":[{"id":"1","text":"echo","is_user":false,"start":1,"end":2.5}]}`},
		{"settings", "", apptest.OK, `{"depth":7,"text":"default"}`},
		{"settings", `{"depth":-3}`, apptest.OK, `{"depth":-3,"text":"default"}`},
		{"settings", `{"text":"` + strings.Repeat("x", 5000) + `"}`, apptest.OK, `{"depth":7,"text":"` + strings.Repeat("x", 5000) + `"}`},
		{"settings", `{"width":1}`, apptest.AppError, `settings: the app has no setting "width"`},
		{"notify the budget is due", "", apptest.OK, `["ok","rate_limited"]`},
		{"notify abc", "", apptest.OK, `["bad_text","bad_text"]`},
		{"notify " + strings.Repeat("x", 151), "", apptest.OK, `["bad_text","bad_text"]`},
		{"error here", "", apptest.AppError, `app "probe": on transcript: this went wrong: here`},
		{"index", "", apptest.AppError, `panic: runtime error: index out of range [1] with length 1; stack: main.onTranscript (main.go:`},
		{"goroutine done", "", apptest.OK, `"done"`},
		{"unmarshalable", "", apptest.AppError, "emit: json: unsupported type: func()"},
		{"what", "", apptest.AppError, "no such order"},
	} {
		t.Run(c.order[:min(len(c.order), 16)], func(t *testing.T) {
			o := apptest.Options{}
			if c.settings != "" {
				o.Settings = c.settings
			}
			res := apptest.RunModule(t, path, o, order(c.order)).Results[0]
			if res.Outcome != c.outcome {
				t.Fatalf("got %s: %s, want %s", res.Outcome, res.Error, c.outcome)
			}
			if c.outcome != apptest.OK {
				if !strings.Contains(res.Error, c.want) || len(res.Outputs) != 0 {
					t.Errorf("got error %q and outputs %s, want %q and none", res.Error, res.Outputs, c.want)
				}
				return
			}
			if len(res.Outputs) != 1 || string(res.Outputs[0]) != c.want {
				t.Errorf("got %s, want %s", res.Outputs, c.want)
			}
		})
	}
	t.Run("fresh state", func(t *testing.T) {
		r := apptest.RunModule(t, path, apptest.Options{}, order("calls"), order("calls"), order("index"), order("calls"))
		for i, res := range r.Results {
			if i != 2 && (len(res.Outputs) != 1 || string(res.Outputs[0]) != "1") {
				t.Errorf("event %d: got %s, want that it was called once", i, res.Outputs)
			}
		}
		if r.Results[0].Fuel != r.Results[1].Fuel {
			t.Errorf("the same event took %d, then %d units of fuel", r.Results[0].Fuel, r.Results[1].Fuel)
		}
	})
	t.Run("log", func(t *testing.T) {
		want := []apptest.LogLine{{Level: "info", Text: "hi"}, {Level: "info", Text: "hi"}, {Level: "debug", Text: "hi"}}
		if got := apptest.RunModule(t, path, apptest.Options{}, order("print hi")).OK(t).Results[0].Log; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestAnEventIsCheap holds the price of a small event to what init has paid
// for already: package json's knowledge of the event types.
func TestAnEventIsCheap(t *testing.T) {
	r := apptest.RunModule(t, apptest.Build(t, "testdata/guests/probe"), apptest.Options{}, order("calls")).OK(t)
	if fuel := r.Results[0].Fuel; fuel > 500_000 {
		t.Errorf("%d units of fuel, want 500,000 at most", fuel)
	}
}
