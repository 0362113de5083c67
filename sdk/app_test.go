package sdk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/internal/inproc"
)

func onAudio(*sdk.Context, *event.Audio) error               { return nil }
func onTranscript(*sdk.Context, *event.Transcript) error     { return nil }
func onConversation(*sdk.Context, *event.Conversation) error { return nil }

func TestManifestSaysWhatTheAppSays(t *testing.T) {
	for _, c := range []struct {
		name string
		app  sdk.App
		want string
	}{
		{"the least", sdk.App{Name: "a", Version: "1", OnConversation: onConversation},
			`{"name":"a","version":"1","events":{"conversation":{}}}`},
		{"everything", sdk.App{
			Name: "notes.v2_x-y", Version: "1.2.0", Description: "Notes.", Author: "Ann", Homepage: "https://example.org",
			Wants: []sdk.Want{
				sdk.Notify("to tell you"),
				sdk.Optional(sdk.Receive(event.CapAudio, "to listen")),
			},
			Settings:       `{"type":"object"}`,
			AudioEvery:     250 * time.Millisecond,
			AudioLatest:    true,
			State:          event.StateSession,
			Limits:         sdk.Limits{Fuel: 5, Wall: 2 * time.Second, Memory: 1 << 20},
			OnAudio:        onAudio,
			OnTranscript:   onTranscript,
			OnConversation: onConversation,
		}, `{"name":"notes.v2_x-y","version":"1.2.0","description":"Notes.","author":"Ann","homepage":"https://example.org",` +
			`"events":{"audio":{"every_ms":250,"latest":true},"transcript":{},"conversation":{}},` +
			`"capabilities":[{"name":"notify","reason":"to tell you"},{"name":"audio","reason":"to listen","optional":true}],"state":"session",` +
			`"limits":{"fuel":5,"wall_ms":2000,"memory_bytes":1048576},"settings":{"type":"object"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := inproc.Manifest(c.app)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if string(b) != c.want {
				t.Errorf("got %s\nwant %s", b, c.want)
			}
		})
	}
}

// good returns an app that nothing is wrong with, changed by change.
func good(change func(*sdk.App)) sdk.App {
	a := sdk.App{Name: "good", Version: "1.0.0", OnTranscript: onTranscript}
	change(&a)
	return a
}

var badApps = []struct {
	name string
	app  sdk.App
	want []string // in the message
}{
	{"nothing", sdk.App{}, []string{"Name must be", "Version is missing", "no handler: set OnAudio, OnTranscript or OnConversation"}},
	{"capitals", good(func(a *sdk.App) { a.Name = "Good" }), []string{`app "Good": Name must be`}},
	{"a digit first", good(func(a *sdk.App) { a.Name = "2good" }), []string{"beginning with a letter"}},
	{"a long name", good(func(a *sdk.App) { a.Name = strings.Repeat("a", 65) }), []string{"1 to 64"}},
	{"a blank version", good(func(a *sdk.App) { a.Version = " " }), []string{"Version is missing"}},
	{"audio, unheard", good(func(a *sdk.App) { a.AudioEvery = time.Second }), []string{"there is no OnAudio"}},
	{"the latest audio, unheard", good(func(a *sdk.App) { a.AudioLatest = true }), []string{"AudioLatest is set", "no OnAudio"}},
	{"pieces too short", good(func(a *sdk.App) { a.OnAudio, a.AudioEvery = onAudio, 99*time.Millisecond }), []string{"AudioEvery is 99ms", "from 100ms to 10s"}},
	{"pieces too long", good(func(a *sdk.App) { a.OnAudio, a.AudioEvery = onAudio, 10_001*time.Millisecond }), []string{"AudioEvery is 10.001s"}},
	{"pieces of half a ms", good(func(a *sdk.App) { a.OnAudio, a.AudioEvery = onAudio, 100_500*time.Microsecond }), []string{"whole milliseconds"}},
	{"an empty want", good(func(a *sdk.App) { a.Wants = []sdk.Want{{}} }), []string{"Wants[0] is empty"}},
	{"an unknown want", good(func(a *sdk.App) { a.Wants = []sdk.Want{sdk.Receive("video", "to see")} }), []string{`Wants[0]: unknown capability "video"`}},
	{"no reason", good(func(a *sdk.App) { a.Wants = []sdk.Want{sdk.Notify(" ")} }), []string{"needs a reason"}},
	{"wanted twice", good(func(a *sdk.App) { a.Wants = []sdk.Want{sdk.Notify("a"), sdk.Optional(sdk.Notify("b"))} }), []string{`Wants[1]: "notify" is wanted twice`}},
	{"wanted, not handled", good(func(a *sdk.App) { a.Wants = []sdk.Want{sdk.Receive(event.CapAudio, "to listen")} }), []string{"no handler receives it"}},
	{"settings that are no JSON", good(func(a *sdk.App) { a.Settings = "words: []" }), []string{"Settings: not a JSON Schema object"}},
	{"settings of two schemas", good(func(a *sdk.App) { a.Settings = `{"type":"object"} {}` }), []string{"something follows the schema"}},
	{"settings that are a list", good(func(a *sdk.App) { a.Settings = `{"type":"array"}` }), []string{`needs "type": "object"`}},
	{"another state", good(func(a *sdk.App) { a.State = "user" }), []string{`State is "user"; it must be`}},
	{"negative limits", good(func(a *sdk.App) { a.Limits = sdk.Limits{Wall: -1, Memory: -1} }), []string{"Limits.Wall is -1ns", "Limits.Memory is -1 bytes"}},
}

func TestABadAppIsRefusedWithAllThatIsWrong(t *testing.T) {
	for _, bad := range badApps {
		t.Run(bad.name, func(t *testing.T) {
			defer func() {
				text := fmt.Sprint(recover())
				for _, want := range append(bad.want, "sdk.Register: app ") {
					if !strings.Contains(text, want) {
						t.Errorf("got panic %q, want %q in it", text, want)
					}
				}
			}()
			sdk.Register(bad.app)
			t.Error("it was registered")
		})
	}
}

func TestAModuleHoldsOneApp(t *testing.T) {
	sdk.Register(good(func(*sdk.App) {}))
	if a, ok := inproc.Registered().(sdk.App); !ok || a.Name != "good" {
		t.Errorf("got %v registered", a.Name)
	}
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, `app "good" is already registered`) {
			t.Errorf("got panic %q", text)
		}
	}()
	sdk.Register(good(func(a *sdk.App) { a.Name = "second" }))
}

func TestRefusalsAreToldApartByCode(t *testing.T) {
	err := fmt.Errorf("telling: %w", &sdk.Error{Op: "notify", Code: event.CodeRateLimited, Message: "wait"})
	if !errors.Is(err, sdk.ErrRateLimited) {
		t.Error("it is not ErrRateLimited")
	}
	for _, other := range []error{sdk.ErrNotGranted, sdk.ErrBadText, sdk.ErrBadRequest, sdk.ErrUnknownOp, errors.New("wait")} {
		if errors.Is(err, other) {
			t.Errorf("it is %v", other)
		}
	}
	if got, want := err.Error(), "telling: notify: wait (rate_limited)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
