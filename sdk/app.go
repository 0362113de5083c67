package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// App describes an app: what the manifest says of it, and its handlers. Name,
// Version and at least one handler are required.
type App struct {
	// Name is 1 to 64 lower-case letters, digits, '-', '_' and '.', beginning
	// with a letter.
	Name        string
	Version     string // as you count, for example "1.2.0"
	Description string // one sentence for the operator and the user
	Author      string
	Homepage    string // URL

	// Wants lists the capabilities that the app asks for, each with a reason
	// that the operator and the user read. A handler asks for its own kind of
	// event without being listed; list it with Receive to give a reason or to
	// make it optional.
	Wants []Want

	// Settings is a JSON Schema (2020-12) of type object that the operator's
	// settings are checked against when the host starts. Empty means that the
	// app has no settings.
	Settings string

	// AudioEvery is the length of an audio event's piece: 100 ms to 10 s, in
	// whole milliseconds. Zero means 1 s. The last piece of a conversation may
	// be shorter.
	AudioEvery time.Duration

	// AudioLatest says that audio which has waited while the app was busy is not
	// worth having: the app gets the newest whole piece of a conversation, and
	// what lay before it is dropped, counted and told to the client. For apps
	// that wait for others; it is said by event.Audio.Dropped.
	AudioLatest bool

	// Limits suggests limits for one invocation; the operator's win.
	Limits Limits

	// State says how long package variables, and all else in memory, live.
	// event.StateFresh, the default: nothing that a handler stores is there at
	// the next event. event.StateSession, which the operator must grant: it is
	// there at the next event of the same session, and of no other. A handler
	// that panics, or is stopped by the host, loses it; the next event says so
	// once by its Restarted. A handler that returns an error keeps it.
	State event.State

	// OnAudio is called with each piece of audio.
	OnAudio func(ctx *Context, e *event.Audio) error
	// OnTranscript is called with segments that are new or changed.
	OnTranscript func(ctx *Context, e *event.Transcript) error
	// OnConversation is called with each completed conversation. It may be
	// called again for the same one, when an attempt failed.
	OnConversation func(ctx *Context, e *event.Conversation) error
}

// Limits bound one invocation. A zero leaves that limit at the host's default:
// for audio and transcript events 50 million units of fuel and 250 ms, for
// conversation events 1,000 million and 5 s; 64 MiB of memory.
type Limits struct {
	Fuel uint64        // units: instructions executed, about
	Wall time.Duration // in whole milliseconds
	// ConversationWall bounds conversation events in the place of Wall, in whole
	// milliseconds: time for web services to answer.
	ConversationWall time.Duration
	Memory           int64 // bytes
}

// Want is a capability that an app asks for. Make one with Notify, HTTP or
// Receive.
type Want struct {
	request event.CapabilityRequest
}

// Notify asks to send the user notifications, with Context.Notify.
func Notify(reason string) Want {
	return Want{event.CapabilityRequest{Name: event.CapNotify, Reason: reason}}
}

// HTTP asks to call web services, with Context.Fetch: those at hosts and no
// others. A host is "api.example.com", "*.example.com" for every name below
// example.com, or "api.example.com:8443"; https unless "http://" stands before
// it. The operator may grant fewer of them. "*", alone, leaves it to the
// operator to say which; it is for apps that can't know, such as one that posts
// to an address in its settings.
func HTTP(reason string, hosts ...string) Want {
	return Want{event.CapabilityRequest{Name: event.CapHTTP, Reason: reason, Hosts: hosts}}
}

// Receive gives the reason why the app receives a kind of event that it has a
// handler for: event.CapAudio, event.CapTranscript or event.CapConversation.
func Receive(c event.Capability, reason string) Want {
	return Want{event.CapabilityRequest{Name: c, Reason: reason}}
}

// Optional makes w something that the app works without. An operator who does
// not grant it can still install the app: a handler of an optional kind of
// event is then never called, and Context.Notify fails with ErrNotGranted.
func Optional(w Want) Want {
	w.request.Optional = true
	return w
}

// registered is the app of this module.
var registered *App

// Register makes a the app of this module. Call it once, from an init
// function. It panics when a is not a usable app, naming everything that is
// wrong, so that a bad app fails its first test and is refused at load.
func Register(a App) {
	if registered != nil {
		panic(fmt.Sprintf("sdk.Register: app %q is already registered; a module holds one app", registered.Name))
	}
	if _, err := a.manifest(); err != nil {
		panic("sdk.Register: " + err.Error())
	}
	registered = &a
	a.warm()
}

// manifest returns what a says of itself. The error joins everything that is
// wrong with it, one a line.
func (a *App) manifest() (event.Manifest, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("app %q: "+format, append([]any{a.Name}, args...)...))
	}
	m := event.Manifest{
		Name: a.Name, Version: a.Version, Description: a.Description,
		Author: a.Author, Homepage: a.Homepage, State: a.State,
	}
	if !validName(a.Name) {
		bad(`Name must be 1 to 64 of a-z, 0-9, '-', '_' and '.', beginning with a letter, for example "meeting-notes"`)
	}
	if strings.TrimSpace(a.Version) == "" {
		bad(`Version is missing, for example "1.0.0"`)
	}
	a.events(&m, bad)
	a.capabilities(&m, bad)
	a.limits(&m, bad)
	switch a.State {
	case "", event.StateFresh, event.StateSession:
	default:
		bad("State is %q; it must be event.StateFresh or event.StateSession", a.State)
	}
	if a.Settings != "" {
		if err := checkSchema(a.Settings); err != nil {
			bad("Settings: %w", err)
		}
		m.Settings = json.RawMessage(a.Settings)
	}
	return m, errors.Join(errs...)
}

func (a *App) events(m *event.Manifest, bad func(string, ...any)) {
	if a.OnAudio == nil && a.OnTranscript == nil && a.OnConversation == nil {
		bad("no handler: set OnAudio, OnTranscript or OnConversation")
	}
	if a.OnTranscript != nil {
		m.Events.Transcript = &struct{}{}
	}
	if a.OnConversation != nil {
		m.Events.Conversation = &struct{}{}
	}
	const (
		least = event.MinAudioMillis * time.Millisecond
		most  = event.MaxAudioMillis * time.Millisecond
	)
	switch {
	case a.OnAudio == nil && a.AudioEvery != 0:
		bad("AudioEvery is set, but there is no OnAudio")
	case a.OnAudio == nil && a.AudioLatest:
		bad("AudioLatest is set, but there is no OnAudio")
	case a.AudioEvery != 0 && (a.AudioEvery < least || a.AudioEvery > most || a.AudioEvery%time.Millisecond != 0):
		bad("AudioEvery is %v; it must be whole milliseconds from %v to %v, or 0 for 1s", a.AudioEvery, least, most)
	}
	if a.OnAudio != nil {
		m.Events.Audio = &event.AudioEvents{EveryMillis: int(a.AudioEvery / time.Millisecond), Latest: a.AudioLatest}
	}
}

func (a *App) capabilities(m *event.Manifest, bad func(string, ...any)) {
	seen := map[event.Capability]bool{}
	for i, w := range a.Wants {
		r := w.request
		switch {
		case r.Name == "":
			bad("Wants[%d] is empty; make it with sdk.Notify, sdk.HTTP or sdk.Receive", i)
		case !r.Name.Receives() && !r.Name.Acts():
			bad("Wants[%d]: unknown capability %q", i, r.Name)
		case seen[r.Name]:
			bad("Wants[%d]: %q is wanted twice", i, r.Name)
		case strings.TrimSpace(r.Reason) == "":
			bad("Wants[%d]: %q needs a reason; the operator and the user read it", i, r.Name)
		case r.Name.Receives() && !a.handles(r.Name):
			bad("Wants[%d]: %q is wanted, but no handler receives it", i, r.Name)
		case r.Name == event.CapHTTP && len(r.Hosts) == 0:
			bad("Wants[%d]: %q names no host; write sdk.HTTP(reason, \"api.example.com\")", i, r.Name)
		}
		seen[r.Name] = true
		m.Capabilities = append(m.Capabilities, r)
	}
}

func (a *App) limits(m *event.Manifest, bad func(string, ...any)) {
	l := a.Limits
	if l == (Limits{}) {
		return
	}
	if l.Wall < 0 || l.Wall%time.Millisecond != 0 {
		bad("Limits.Wall is %v; it must be whole milliseconds, or 0 for the host's default", l.Wall)
	}
	if l.ConversationWall < 0 || l.ConversationWall%time.Millisecond != 0 {
		bad("Limits.ConversationWall is %v; it must be whole milliseconds, or 0 for the host's default", l.ConversationWall)
	}
	if l.Memory < 0 {
		bad("Limits.Memory is %d bytes; it can't be negative", l.Memory)
	}
	m.Limits = &event.Limits{Fuel: l.Fuel, WallMillis: int64(l.Wall / time.Millisecond), MemoryBytes: l.Memory, ConversationWallMillis: int64(l.ConversationWall / time.Millisecond)}
}

// handles reports whether a has a handler for events of capability c.
func (a *App) handles(c event.Capability) bool {
	switch c {
	case event.CapAudio:
		return a.OnAudio != nil
	case event.CapTranscript:
		return a.OnTranscript != nil
	case event.CapConversation:
		return a.OnConversation != nil
	}
	return false
}

// checkSchema reports why s can't be a schema of a block of settings. What
// the keywords mean is for the host to check.
func checkSchema(s string) error {
	dec := json.NewDecoder(strings.NewReader(s))
	var schema struct {
		Type       json.RawMessage            `json:"type"`
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if err := dec.Decode(&schema); err != nil {
		return fmt.Errorf("not a JSON Schema object: %w", err)
	}
	if dec.More() {
		return fmt.Errorf("something follows the schema at byte %d", dec.InputOffset())
	}
	if !bytes.Equal(schema.Type, []byte(`"object"`)) {
		return errors.New(`the schema needs "type": "object", for settings are a block of names and values`)
	}
	return nil
}

func validName(s string) bool {
	if len(s) == 0 || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
