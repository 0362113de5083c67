package apps_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

func names(as []*apps.App) string {
	var out []string
	for _, a := range as {
		out = append(out, a.Name)
	}
	return strings.Join(out, " ")
}

// told says what a Change does: "kept a; added b c; changed; removed".
func told(c *apps.Change) string {
	return strings.Join([]string{
		"kept " + strings.Join(c.Kept, " "), "added " + strings.Join(c.Added, " "),
		"changed " + strings.Join(c.Changed, " "), "removed " + strings.Join(c.Removed, " "),
	}, "; ")
}

// loadSet loads apps that nothing is wrong with.
func loadSet(t *testing.T, cs ...config.App) *apps.Set {
	t.Helper()
	s, problems := apps.Load(t.Context(), theEngine(t), cs)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestPlanKeepsWhatHasNotChanged(t *testing.T) {
	wasm := guestFile(t, "plain", receives)
	newer := guestFile(t, "plain", strings.Replace(receives, "1.0.0", "1.0.1", 1))
	one, two := app(t, "one", wasm, event.CapTranscript), app(t, "two", wasm, event.CapTranscript)
	rewrite := func(path string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		next func(one, two config.App) []config.App
		want string
	}{
		{"nothing", func(one, two config.App) []config.App { return []config.App{one, two} }, "kept one two; added ; changed ; removed "},
		{"another order", func(one, two config.App) []config.App { return []config.App{two, one} }, "kept two one; added ; changed ; removed "},
		{"another place in the file", func(one, two config.App) []config.App {
			one.Pos = config.AppPos{Block: config.Pos{File: "config.hcl", Line: 70}}
			return []config.App{one, two}
		}, "kept one two; added ; changed ; removed "},
		{"the same module elsewhere", func(one, two config.App) []config.App {
			one.Module = two.Module
			return []config.App{one, two}
		}, "kept one two; added ; changed ; removed "},
		{"other users", func(one, two config.App) []config.App {
			one.Users = []string{"ada"}
			return []config.App{one, two}
		}, "kept two; added ; changed one; removed "},
		{"another limit", func(one, two config.App) []config.App {
			two.Limits.Fuel = 5_000_000
			return []config.App{one, two}
		}, "kept one; added ; changed two; removed "},
		{"another name", func(one, two config.App) []config.App {
			two.Name = "three"
			return []config.App{one, two}
		}, "kept one; added three; changed ; removed two"},
		{"another module at the same path", func(one, two config.App) []config.App {
			rewrite(one.Module, newer)
			return []config.App{one, two}
		}, "kept two; added ; changed one; removed "},
		{"none", func(one, two config.App) []config.App { return nil }, "kept ; added ; changed ; removed one two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rewrite(one.Module, wasm)
			s := loadSet(t, one, two)
			before := s.All()
			change, problems := s.Plan(t.Context(), theEngine(t), c.next(one, two))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if got := told(change); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if !slices.Equal(s.All(), before) {
				t.Errorf("%s before Apply, want no change", names(s.All()))
			}
			change.Apply()
			after := s.All()
			for _, a := range before {
				if kept := slices.Contains(after, a); kept != slices.Contains(change.Kept, a.Name) {
					t.Errorf("app %s: the same one is %v", a.Name, kept)
				} else if !kept {
					if err := a.Close(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
			for _, a := range after {
				if _, err := a.Invoke(t.Context(), apps.Event{Kind: event.KindTranscript, UID: "u", Payload: []byte("{}")}); err != nil {
					t.Errorf("app %s: %v", a.Name, err)
				}
			}
		})
	}
}

func TestPlanWithAFaultChangesNothing(t *testing.T) {
	wasm := guestFile(t, "plain", receives)
	one := app(t, "one", wasm, event.CapTranscript)
	s := loadSet(t, one)
	before := s.All()
	good, bad, moved := app(t, "good", wasm, event.CapTranscript), app(t, "bad", wasm), one
	bad.Module = filepath.Join(t.TempDir(), "none.wasm")
	moved.SHA256 = strings.Repeat("0", 64)
	for _, c := range []struct {
		name string
		next []config.App
		want string
	}{
		{"module that is missing", []config.App{one, good, bad}, `config.hcl:2:12: app "bad": module ` + bad.Module + ` can't be read`},
		{"module that is not the one pinned", []config.App{moved, good}, `config.hcl:3:12: app "one": module ` + one.Module + ` has sha256`},
	} {
		t.Run(c.name, func(t *testing.T) {
			change, problems := s.Plan(t.Context(), theEngine(t), c.next)
			if change != nil || len(problems) != 1 || !strings.HasPrefix(problems.String(), c.want) {
				t.Fatalf("change %v, problems:\n%s\nwant none, and one that begins %s", change, problems, c.want)
			}
			if !slices.Equal(s.All(), before) {
				t.Errorf("apps %s, want no change", names(s.All()))
			}
			if _, err := before[0].Invoke(t.Context(), apps.Event{Kind: event.KindTranscript, Payload: []byte("{}")}); err != nil {
				t.Errorf("what ran does not any more: %v", err)
			}
		})
	}
}

func TestNewVersionNotifiesNoSooner(t *testing.T) {
	manifest := `{"name":"script","version":"1","events":{"transcript":{}},"capabilities":[{"name":"notify","reason":"to tell"}]}`
	c := app(t, "nag", guestFile(t, "script", manifest), event.CapTranscript, event.CapNotify)
	s := loadSet(t, c)
	old := s.All()[0]
	notify := func(a *apps.App) int {
		t.Helper()
		return len(new(script).with(opCall, `{"op":"notify","text":"Time to go"}`).run(t, a).Outputs)
	}
	if notify(old) != 1 || notify(old) != 0 {
		t.Fatal("want one notification in 30 s")
	}
	c.Limits.Fuel = 40_000_000
	change, problems := s.Plan(t.Context(), theEngine(t), []config.App{c})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	change.Apply()
	if err := old.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if notify(s.All()[0]) != 0 {
		t.Error("the new version notified again at once")
	}
}

// What a session keeps is the old module's: the new one begins anew and is
// told, whether the old one is closed by then or not.
func TestSessionsStateEndsWithItsModule(t *testing.T) {
	old, next := openCounter(t), openCounter(t)
	var begun, fresh apps.SessionState
	if got := counted(t, say(t, old, &begun, "hello")) + counted(t, say(t, old, &begun, "hello")); got != "12" {
		t.Fatalf("got %s", got)
	}
	if err := old.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := begun.Renew()
	t.Cleanup(after.Close)
	for _, want := range []string{"1 restarted", "2"} {
		if got := counted(t, say(t, next, &after, "hello")); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	never := fresh.Renew()
	t.Cleanup(never.Close)
	if got := counted(t, say(t, next, &never, "hello")); got != "1" {
		t.Errorf("a session that kept nothing: got %s, want 1", got)
	}
	if _, err := old.Invoke(t.Context(), apps.Event{Kind: event.KindTranscript, Payload: []byte("{}"), State: &begun}); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
