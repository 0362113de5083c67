package apps_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// app is a configured app with a place for each of its parts, all in lines of
// their own: block 1, module 2, sha256 3, grant 4, settings 5, and settings
// within it from 6, state 10.
func app(t testing.TB, name string, wasm []byte, grant ...event.Capability) config.App {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(line, column int) config.Pos { return config.Pos{File: "config.hcl", Line: line, Column: column} }
	c := config.App{Name: name, Module: path, Grant: grant, Users: []string{"*"}, Pos: config.AppPos{
		Block: at(1, 1), Module: at(2, 12), SHA256: at(3, 12), Grant: at(4, 12), Settings: at(5, 3), State: at(10, 12),
		Setting: map[string]config.Pos{"": at(5, 14), "/words": at(6, 5), "/words/0": at(6, 14), "/words/1": at(6, 20), "/speed": at(7, 5), "/who": at(8, 5), "/who/age": at(9, 7)},
	}}
	for i := range grant {
		c.Pos.Grants = append(c.Pos.Grants, at(4, 13+10*i))
	}
	return c
}

// load loads one app that nothing is wrong with.
func load(t testing.TB, c config.App) *apps.App {
	t.Helper()
	s, problems := apps.Load(t.Context(), theEngine(t), []config.App{c})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.All()[0]
}

// problemsOf loads one app and returns what is wrong, a line each, with the
// module's path as PATH.
func problemsOf(t testing.TB, c config.App) []string {
	t.Helper()
	s, problems := apps.Load(t.Context(), theEngine(t), []config.App{c})
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	var out []string
	for _, p := range problems {
		out = append(out, strings.ReplaceAll(p.String(), c.Module, "PATH"))
	}
	return out
}

const receives = `{"name":"plain","version":"1.0.0","events":{"transcript":{}}}`

func TestLoadReportsBadModules(t *testing.T) {
	good := guestFile(t, "plain", receives)
	for _, c := range []struct {
		name string
		wasm []byte
		want []string // the beginning of each problem, and after " … " what must follow
	}{
		{"not Wasm", []byte("#!/bin/sh\n"), []string{`config.hcl:2:12: app "notes": its module can't be loaded: parsing … ; name a .wasm file`}},
		{"empty", nil, []string{`config.hcl:2:12: app "notes": its module can't be loaded: parsing … ; name a .wasm file`}},
		{"truncated", good[:len(good)/2], []string{`config.hcl:2:12: app "notes": its module can't be loaded: parsing at byte … the file is damaged or was cut short`}},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), []string{`config.hcl:2:12: app "notes": its module can't be loaded: parsing … build a core module`}},
		{"imports", guestFile(t, "import_unknown", ""), []string{
			`config.hcl:2:12: app "notes": its module has an unknown import "env" "open" … a module may import only auricle_v1 and wasi_snapshot_preview1`,
			`config.hcl:2:12: app "notes": its module has an unknown import "auricle_v1" "teleport" … (auricle_v1 has event_read, settings_read, result_read, manifest_write, error_write, log, emit, call)`,
			`config.hcl:2:12: app "notes": its module has an import "auricle_v1" "emit" has type … the host's is (i32, i32) -> i32`,
		}},
		{"no exports", guestFile(t, "export_missing", ""), []string{
			`config.hcl:2:12: app "notes": function "auricle_v1_manifest" is not exported … SDK`,
			`config.hcl:2:12: app "notes": function "auricle_v1_handle" is not exported … SDK`,
		}},
		{"wrong exports", guestFile(t, "export_wrong", ""), []string{
			`config.hcl:2:12: app "notes": export "auricle_v1_manifest" has type (i32) … SDK`,
			`config.hcl:2:12: app "notes": export "auricle_v1_handle" has type (i32) -> i64, wanted (i32, i32) -> i32 … SDK`,
		}},
		{"no memory", guestFile(t, "memory_none", ""), []string{`config.hcl:2:12: app "notes": it has no memory … export a memory`}},
		{"traps in initialisation", guestFile(t, "init_traps", ""), []string{`config.hcl:2:12: app "notes": its module can't be loaded: initialising … unreachable … author`}},
		{"logs in initialisation", guestFile(t, "init_logs", ""), []string{`config.hcl:2:12: app "notes": its module can't be loaded: initialising … auricle_v1.log was called while initialising … author`}},
		{"no manifest", guestFile(t, "manifest_none", ""), []string{`config.hcl:2:12: app "notes": auricle_v1_manifest wrote no manifest … author`}},
		{"two manifests", guestFile(t, "manifest_twice", ""), []string{`config.hcl:2:12: app "notes": asking for its manifest ended with app_error … a second time`}},
		{"emits in manifest", guestFile(t, "manifest_emits", ""), []string{`config.hcl:2:12: app "notes": asking for its manifest ended with app_error … auricle_v1.emit was called within auricle_v1_manifest; it belongs within auricle_v1_handle`}},
		{"manifest from outside", guestFile(t, "manifest_outside", ""), []string{`config.hcl:2:12: app "notes": asking for its manifest ended with trap … outside of its memory`}},
		{"large manifest", guestFile(t, "manifest_large", ""), []string{`config.hcl:2:12: app "notes": asking for its manifest ended with app_error … 262145 bytes, at most 262144`}},
		{"endless manifest", guestFile(t, "manifest_spins", ""), []string{`config.hcl:2:12: app "notes": asking for its manifest ended with … author`}},
		{"manifest that fails", guestFile(t, "manifest_fails", ""), []string{`config.hcl:2:12: app "notes": asking for its manifest ended with trap … it says: no\ncoin! … author`}},
		{"bad manifest", guestFile(t, "plain", `{"name":"Plain","version":"","events":{}}`), []string{
			`config.hcl:2:12: app "notes": its manifest: name "Plain" must be … author`,
			`config.hcl:2:12: app "notes": its manifest: version is missing … author`,
			`config.hcl:2:12: app "notes": its manifest: events names none … author`,
		}},
		{"keeps state", guestFile(t, "plain", strings.Replace(receives, `"events"`, `"state":"session","events"`, 1)), []string{
			`config.hcl:10:12: app "notes": it needs state "session", its memory kept for a user's session, which is not granted; write state = "session", or remove the app`,
		}},
		{"imports call without asking", guestFile(t, "script", `{"name":"script","version":"1","events":{"transcript":{}}}`), []string{
			`config.hcl:2:12: app "notes": its module has an import "auricle_v1" "call", which needs notify … grant = ["transcript", "notify"]`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := problemsOf(t, app(t, "notes", c.wasm, event.CapTranscript))
			if len(got) != len(c.want) {
				t.Fatalf("problems:\n%s\nwant %d", strings.Join(got, "\n"), len(c.want))
			}
			for i, want := range c.want {
				if rest := got[i]; !inTurn(rest, strings.Split(want, " … ")) {
					t.Errorf("problem %q\n   want %q", rest, want)
				}
			}
		})
	}
}

// inTurn reports whether s begins with the first part and has the others
// behind it, in turn.
func inTurn(s string, parts []string) bool {
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	for _, p := range parts {
		_, rest, ok := strings.Cut(s, p)
		if !ok {
			return false
		}
		s = rest
	}
	return true
}

func TestLoadReportsBadFiles(t *testing.T) {
	c := app(t, "notes", guestFile(t, "plain", receives), event.CapTranscript)
	missing, folder, pinned, upper := c, c, c, c
	missing.Module = filepath.Join(t.TempDir(), "none.wasm")
	folder.Module = t.TempDir()
	pinned.SHA256 = strings.Repeat("0", 64)
	sum := fmt.Sprintf("%x", sha256.Sum256(guestFile(t, "plain", receives)))
	upper.SHA256 = sum
	large := c
	large.Module = filepath.Join(t.TempDir(), "large.wasm")
	f, err := os.Create(large.Module)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(32<<20 + 1); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		app  config.App
		want []string
	}{
		{"missing", missing, []string{`config.hcl:2:12: app "notes": module PATH can't be read: no such file or directory; build the module, or correct the path`}},
		{"folder", folder, []string{`config.hcl:2:12: app "notes": module PATH can't be read: it is not a file; check the path, and that the file can be read`}},
		{"large", large, []string{`config.hcl:2:12: app "notes": module PATH can't be read: it has more than 32 MiB; check the path, and that the file can be read`}},
		{"wrong sha256", pinned, []string{`config.hcl:3:12: app "notes": module PATH has sha256 ` + sum + `, not the one pinned; find out why it changed; if it is the module you want, write sha256 = "` + sum + `"`}},
		{"right sha256", upper, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := problemsOf(t, c.app); !slices.Equal(got, c.want) {
				t.Errorf("problems %q\n    want %q", got, c.want)
			}
		})
	}
}

func TestLoadChecksTheGrant(t *testing.T) {
	manifest := `{"name":"script","version":"1","events":{"audio":{},"transcript":{}},"capabilities":[
		{"name":"notify","reason":"to tell you\nat once"},
		{"name":"audio","reason":"nicer with sound","optional":true}]}`
	wasm := guestFile(t, "script", manifest)
	for _, c := range []struct {
		name  string
		grant []event.Capability
		holds []event.Capability
		want  []string
	}{
		{"all", []event.Capability{"notify", "transcript", "audio"}, []event.Capability{"audio", "transcript", "notify"}, nil},
		{"without the optional one", []event.Capability{"notify", "transcript"}, []event.Capability{"transcript", "notify"}, nil},
		{"without what it needs", []event.Capability{"audio"}, nil, []string{
			`config.hcl:4:12: app "notes": it needs transcript, which is not granted; its reason: "handles transcript events"; write grant = ["audio", "transcript", "notify"], or remove the app`,
			`config.hcl:4:12: app "notes": it needs notify, which is not granted; its reason: "to tell you\\nat once"; write grant = ["audio", "transcript", "notify"], or remove the app`,
		}},
		{"more than it asks for", []event.Capability{"notify", "transcript", "conversation"}, nil, []string{
			`config.hcl:4:33: warning: app "notes": conversation is granted, but its manifest never asks for it; remove it from grant`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := problemsOf(t, app(t, "notes", wasm, c.grant...)); !slices.Equal(got, c.want) {
				t.Errorf("problems %q\n    want %q", got, c.want)
			}
			if c.holds == nil {
				return
			}
			a := load(t, app(t, "notes", wasm, c.grant...))
			if got := a.Capabilities(); !slices.Equal(got, c.holds) {
				t.Errorf("holds %v, want %v", got, c.holds)
			}
			if a.Holds(event.CapAudio) != slices.Contains(c.holds, event.CapAudio) {
				t.Errorf("holds audio: %v", a.Holds(event.CapAudio))
			}
		})
	}
}

func TestLoadChecksSettingsAgainstTheManifest(t *testing.T) {
	schema := `{"type":"object","additionalProperties":false,"required":["words"],"properties":{
		"words":{"type":"array","minItems":1,"items":{"type":"string","minLength":2}},
		"speed":{"enum":["slow","fast"]},
		"who":{"type":"object","properties":{"age":{"anyOf":[{"type":"integer"},{"type":"null"}]}}},
		"limit":{"type":"integer","default":7}}}`
	manifest := strings.Replace(receives, `"events"`, `"settings":`+schema+`,"events"`, 1)
	const do = "; see the app's manifest: auricle app inspect PATH"
	for _, c := range []struct {
		name     string
		manifest string
		settings string
		want     []string
	}{
		{"good", manifest, `{"words":["budget"],"speed":"slow","who":{"age":3}}`, nil},
		{"none, though one is needed", manifest, ``, []string{`config.hcl:5:14: app "notes": settings.words is missing` + do}},
		{"all kinds of wrong", manifest, `{"words":["x",3],"speed":"mid","who":{"age":"old"},"colour/a":1}`, []string{
			`config.hcl:5:14: app "notes": settings.colour/a is no setting of this app` + do,
			`config.hcl:6:14: app "notes": settings.words[0]: minLength: got 1, want 2` + do,
			`config.hcl:6:20: app "notes": settings.words[1] is a number, must be a string` + do,
			`config.hcl:7:5: app "notes": settings.speed: value must be one of 'slow', 'fast'` + do,
			`config.hcl:9:7: app "notes": settings.who.age fits none of the forms that are allowed: settings.who.age is a string, must be an integer, or settings.who.age is a string, must be null` + do,
		}},
		{"not to be had", receives, `{"words":["x"]}`, []string{`config.hcl:5:3: app "notes": it takes no settings; remove settings`}},
		{"empty where there are none", receives, `{}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := app(t, "notes", guestFile(t, "plain", c.manifest), event.CapTranscript)
			if c.settings != "" {
				a.Settings = json.RawMessage(c.settings)
			}
			if got := problemsOf(t, a); !slices.Equal(got, c.want) {
				t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestSetKeepsTheConfigurationsOrderAndItsUsers(t *testing.T) {
	var cs []config.App
	for i, users := range [][]string{{"*"}, {"ann", "bob"}, {"bob"}, nil} {
		c := app(t, fmt.Sprint("app", i), guestFile(t, "plain", receives), event.CapTranscript)
		c.Users = users
		cs = append(cs, c)
	}
	broken := app(t, "broken", nil)
	s, problems := apps.Load(t.Context(), theEngine(t), append(cs[:2:2], append([]config.App{broken}, cs[2:]...)...))
	defer s.Close(t.Context())
	if len(problems) != 1 {
		t.Errorf("problems %v, want the broken one's", problems)
	}
	names := func(as []*apps.App) (out []string) {
		for _, a := range as {
			out = append(out, a.Name)
		}
		return out
	}
	for uid, want := range map[string][]string{"ann": {"app0", "app1"}, "bob": {"app0", "app1", "app2"}, "eve": {"app0"}} {
		if got := names(s.ForUser(uid)); !reflect.DeepEqual(got, want) {
			t.Errorf("apps of %s: %v, want %v", uid, got, want)
		}
	}
	if got := names(s.All()); !reflect.DeepEqual(got, []string{"app0", "app1", "app2", "app3"}) {
		t.Errorf("all: %v", got)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, problems := apps.Load(ctx, theEngine(t), []config.App{app(t, "notes", guestFile(t, "plain", receives), event.CapTranscript)})
	defer s.Close(t.Context())
	if len(s.All()) != 0 || !strings.Contains(problems.String(), "context canceled") {
		t.Errorf("%d apps, problems %v", len(s.All()), problems)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, guest, manifest, settings, want string }{
		{"module", "manifest_none", "", "", "wrote no manifest"},
		{"settings", "plain", receives, `{"a":1}`, "it takes no settings"},
	} {
		if _, err := apps.Open(t.Context(), theEngine(t), "notes", guestFile(t, c.guest, c.manifest), json.RawMessage(c.settings)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want …%s…", c.name, err, c.want)
		}
	}
}

func TestInspectTellsWithoutSettingsOrGrant(t *testing.T) {
	wasm := guestFile(t, "script", strings.Replace(allCaps, `"events"`, `"settings":{"required":["words"]},"state":"session","events"`, 1))
	i, err := apps.Inspect(t.Context(), theEngine(t), "x.wasm", wasm)
	if err != nil {
		t.Fatal(err)
	}
	if i.Manifest.Name != "script" || i.Grant != `grant = ["audio", "transcript", "conversation", "notify"]` || len(i.Wants) != 4 || i.Wants[3].Reason != "to tell you" ||
		i.SizeBytes != int64(len(wasm)) || i.SHA256 != fmt.Sprintf("%x", sha256.Sum256(wasm)) || len(i.Imports) != 10 || i.Imports[0] != "auricle_v1.event_read" ||
		i.MemoryBytes != memoryEnd || i.MemoryLimitBytes != 64<<20 {
		t.Errorf("%+v", i)
	}
	if _, err := apps.Inspect(t.Context(), theEngine(t), "x.wasm", []byte("nothing")); err == nil {
		t.Error("no error of what is no module")
	}
}

func TestAudioRateIsTheManifests(t *testing.T) {
	for events, want := range map[string]int{`{"audio":{}}`: 0, `{"audio":{"rate":24000}}`: 24_000, `{"transcript":{}}`: 0} {
		a, err := apps.Open(t.Context(), theEngine(t), "a", guestFile(t, "plain", `{"name":"plain","version":"1","events":`+events+`}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		if got := a.AudioRate(); got != want {
			t.Errorf("%s: %d, want %d", events, got, want)
		}
	}
}

func TestAudioPieceIsTheManifests(t *testing.T) {
	for events, want := range map[string]time.Duration{`{"audio":{}}`: time.Second, `{"audio":{"every_ms":250}}`: 250 * time.Millisecond} {
		a, err := apps.Open(t.Context(), theEngine(t), "a", guestFile(t, "plain", `{"name":"plain","version":"1","events":`+events+`}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		if got := a.AudioPiece(); got != want {
			t.Errorf("%s: %v, want %v", events, got, want)
		}
	}
}
