package apps_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// openCounter returns an app that counts its events in its memory, and asks
// for state "session".
func openCounter(t *testing.T) *apps.App {
	t.Helper()
	a, err := apps.Open(t.Context(), theEngine(t), "", guestFile(t, "counter", ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return a
}

// say has the app handle a transcript of one word.
func say(t *testing.T, a *apps.App, s *apps.SessionState, word string) apps.Invocation {
	t.Helper()
	payload, err := json.Marshal(event.Transcript{Session: "s", UID: "u", Segments: []event.Segment{{ID: "1", Text: word}}})
	if err != nil {
		t.Fatal(err)
	}
	return handle(t, a, s, event.KindTranscript, payload)
}

func handle(t *testing.T, a *apps.App, s *apps.SessionState, k event.Kind, payload []byte) apps.Invocation {
	t.Helper()
	inv, err := a.Invoke(t.Context(), apps.Event{Kind: k, UID: "u", Session: "s", Conversation: "c", Payload: payload, State: s})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// counted returns what the counter made of an event: "2" for its second since
// its memory was new, "1 restarted" for the first after a loss that it was
// told of, or the outcome.
func counted(t *testing.T, inv apps.Invocation) string {
	t.Helper()
	if inv.Outcome != plugins.OK {
		return string(inv.Outcome)
	}
	var out []json.RawMessage
	if err := json.Unmarshal(inv.Outputs[0].Data, &out); err != nil || len(out) != 2 {
		t.Fatalf("%s: %v", inv.Outputs[0].Data, err)
	}
	told := string(out[1]) == "1"
	if inv.Kind != event.KindAudio {
		var e struct{ Restarted bool }
		if err := json.Unmarshal(out[1], &e); err != nil {
			t.Fatal(err)
		}
		told = e.Restarted
	}
	if told != inv.Restarted {
		t.Errorf("the event says restarted %v, its invocation %v", told, inv.Restarted)
	}
	if told {
		return string(out[0]) + " restarted"
	}
	return string(out[0])
}

func TestStateIsKeptForItsSessionOnly(t *testing.T) {
	a := openCounter(t)
	var one, other apps.SessionState
	for i, c := range []struct {
		state *apps.SessionState
		want  string
	}{
		{&one, "1"}, {&one, "2"}, {&other, "1"}, {&one, "3"}, {&other, "2"},
		{nil, "1"}, {nil, "1"}, // fresh for who brings none
		{&one, "4"},
	} {
		if got := counted(t, say(t, a, c.state, "hello")); got != c.want {
			t.Errorf("event %d: got %s, want %s", i, got, c.want)
		}
	}
	if u := a.Module.Usage(); u.Sessions != 2 || u.SessionBytes <= 0 {
		t.Errorf("usage %+v, want 2 sessions with bytes", u)
	}
	one.Close()
	one.Close()
	other.Close()
	if u := a.Module.Usage(); u.Sessions != 0 || u.SessionBytes != 0 {
		t.Errorf("usage %+v after the sessions' end", u)
	}
	if _, err := a.Invoke(t.Context(), apps.Event{Kind: event.KindTranscript, Payload: []byte("{}"), State: &one}); err == nil {
		t.Error("a closed state was taken")
	}
}

func TestQuietSessionComesBackFromWhereItWasPut(t *testing.T) {
	a := openCounter(t)
	states := make([]apps.SessionState, 3)
	for i := range states {
		for range i + 1 {
			say(t, a, &states[i], "hello")
		}
	}
	theEngine(t).Trim(0)
	if u := a.Module.Usage(); u.Parked != 3 {
		t.Fatalf("usage %+v, want 3 parked sessions", u)
	}
	for i := range states {
		if got, want := counted(t, say(t, a, &states[i], "hello")), fmt.Sprint(i+2); got != want {
			t.Errorf("session %d: got %s, want %s", i, got, want)
		}
		states[i].Close()
	}
}

func TestAppIsToldOnceThatItsStateIsLost(t *testing.T) {
	wasm := guestFile(t, "counter", "")
	for _, c := range []struct {
		word string
		want plugins.Outcome
	}{
		{"trap", plugins.Trap},
		{"spin", plugins.FuelExhausted},
		{"exit", plugins.AppError},
		{"grow", plugins.MemoryExceeded},
	} {
		t.Run(c.word, func(t *testing.T) {
			conf := app(t, "counter", wasm, event.CapAudio, event.CapTranscript, event.CapConversation)
			conf.State = event.StateSession
			conf.Limits.Fuel = 1_000_000
			conf.Limits.MemoryBytes = 4 << 20
			a := load(t, conf)
			var s apps.SessionState
			defer s.Close()
			var got []string
			for _, word := range []string{"one", "two", c.word, "three", "four", c.word, c.word, "five", "six"} {
				got = append(got, counted(t, say(t, a, &s, word)))
			}
			bad := string(c.want)
			want := []string{"1", "2", bad, "1 restarted", "2", bad, bad, "1 restarted", "2"}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// An error that the app answers undoes what it asked for, but not what it
// remembers.
func TestStateOutlivesAnAppsOwnError(t *testing.T) {
	a := openCounter(t)
	var s apps.SessionState
	defer s.Close()
	for i, c := range []struct{ word, want string }{{"one", "1"}, {"fail", "app_error"}, {"two", "3"}} {
		if got := counted(t, say(t, a, &s, c.word)); got != c.want {
			t.Errorf("event %d: got %s, want %s", i, got, c.want)
		}
	}
}

func TestEveryKindOfEventTellsOfLostState(t *testing.T) {
	a := openCounter(t)
	audio, err := (&event.Audio{Rate: 8000, Channels: 1, Session: "s", Conversation: "c", UID: "u", PCM: make([]byte, 20)}).AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	conversation, err := json.Marshal(event.Conversation{ID: "c", Segments: []event.Segment{{ID: "1", Text: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind    event.Kind
		payload []byte
	}{
		{event.KindAudio, audio},
		{event.KindTranscript, []byte(`{"session":"s","segments":[]}`)},
		{event.KindConversation, conversation},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			s := apps.SessionState{Lost: true} // an earlier host's
			defer s.Close()
			for i, want := range []string{"1 restarted", "2"} {
				if got := counted(t, handle(t, a, &s, c.kind, c.payload)); got != want {
					t.Errorf("event %d: got %s, want %s", i, got, want)
				}
			}
		})
	}
	var s apps.SessionState
	defer s.Close()
	if got := counted(t, handle(t, a, &s, event.KindAudio, audio)); got != "1" {
		t.Errorf("without a loss: got %s, want 1", got)
	}
}

func TestStateIsKeptOnlyIfAskedForAndGranted(t *testing.T) {
	for _, c := range []struct {
		name         string
		guest        string
		granted      event.State
		want         event.State
		problem, fix string
	}{
		{"both", "counter", event.StateSession, event.StateSession, "", ""},
		{"asked for only", "counter", event.StateFresh, event.StateFresh,
			`config.hcl:10:12: app "notes": it needs state "session"`, `write state = "session", or remove the app`},
		{"granted only", "plain", event.StateSession, event.StateFresh,
			`config.hcl:10:12: warning: app "notes": state "session" is granted, but its manifest never asks for it`, "remove state"},
		{"neither", "plain", event.StateFresh, event.StateFresh, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			manifest, grant := receives, []event.Capability{event.CapTranscript}
			if c.guest == "counter" {
				manifest, grant = "", []event.Capability{event.CapAudio, event.CapTranscript, event.CapConversation}
			}
			conf := app(t, "notes", guestFile(t, c.guest, manifest), grant...)
			conf.State = c.granted
			set, problems := apps.Load(t.Context(), theEngine(t), []config.App{conf})
			defer set.Close(context.Background())
			if c.problem == "" && len(problems) > 0 || !strings.Contains(problems.String(), c.problem) || !strings.Contains(problems.String(), c.fix) {
				t.Errorf("problems %v, want %s … %s", problems, c.problem, c.fix)
			}
			if got := set.All()[0].State(); got != c.want {
				t.Errorf("state %s, want %s", got, c.want)
			}
		})
	}
}
