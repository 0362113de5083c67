package apps

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/host/reach"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The bounds of a manifest.
const (
	maxManifestBytes    = 256 << 10
	maxVersionBytes     = 64
	maxDescriptionBytes = 2 << 10
	maxAuthorBytes      = 200
	maxHomepageBytes    = 2 << 10
	maxReasonBytes      = 500

	// An author may suggest limits up to these; only the operator may go beyond.
	maxSuggestedFuel       = 1_000_000_000
	maxSuggestedWallMillis = 5000
	// A completed conversation may wait for web services.
	maxSuggestedConversationWallMillis = 30_000
	minSuggestedMemory                 = 64 << 10
	maxSuggestedMemory                 = 256 << 20
)

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,63}$`)

// DecodeManifest reads a manifest as a module wrote it and checks it. The
// error holds everything that is wrong with it, joined.
func DecodeManifest(b []byte) (event.Manifest, error) {
	if len(b) > maxManifestBytes {
		return event.Manifest{}, fmt.Errorf("%d bytes, at most %d are taken", len(b), maxManifestBytes)
	}
	var m event.Manifest
	if err := decodeStrict(b, &m); err != nil {
		return event.Manifest{}, err
	}
	if err := checkManifest(&m); err != nil {
		return event.Manifest{}, err
	}
	return m, nil
}

func checkManifest(m *event.Manifest) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	text := func(field, s string, most int) {
		switch {
		case len(s) > most:
			bad("%s has %d bytes, at most %d are taken", field, len(s), most)
		case strings.ContainsFunc(s, func(r rune) bool { return unprintable(r) && r != '\n' && r != '\t' }):
			bad("%s has control characters", field)
		}
	}
	if !namePattern.MatchString(m.Name) {
		bad("name %q must be 1 to 64 lower-case letters, digits, '-', '_' and '.', beginning with a letter", printable(clip(m.Name, 80)))
	}
	if strings.TrimSpace(m.Version) == "" {
		bad("version is missing")
	}
	text("version", m.Version, maxVersionBytes)
	text("description", m.Description, maxDescriptionBytes)
	text("author", m.Author, maxAuthorBytes)
	text("homepage", m.Homepage, maxHomepageBytes)
	if m.Homepage != "" {
		if u, err := url.Parse(m.Homepage); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			bad("homepage must be an http or https address")
		}
	}
	kinds := m.Events.Kinds()
	if len(kinds) == 0 {
		bad("events names none of audio, transcript and conversation: the app would never be called")
	}
	if a := m.Events.Audio; a != nil && a.EveryMillis != 0 && (a.EveryMillis < event.MinAudioMillis || a.EveryMillis > event.MaxAudioMillis) {
		bad("events.audio.every_ms is %d, it must be %d to %d", a.EveryMillis, event.MinAudioMillis, event.MaxAudioMillis)
	}
	seen := map[event.Capability]bool{}
	for i, c := range m.Capabilities {
		at := fmt.Sprintf("capabilities[%d]", i)
		switch {
		case !slices.Contains(event.Capabilities, c.Name):
			bad("%s: unknown capability %q (known: %s)", at, printable(clip(string(c.Name), 80)), known())
		case seen[c.Name]:
			bad("%s: %s is there twice", at, c.Name)
		case c.Name.Receives() && !slices.ContainsFunc(kinds, func(k event.Kind) bool { return k.String() == string(c.Name) }):
			bad("%s: asks for %s, but events does not name it", at, c.Name)
		}
		seen[c.Name] = true
		if utf8.RuneCountInString(strings.TrimSpace(c.Reason)) == 0 {
			bad("%s: reason is missing; say in words for the operator why it is needed", at)
		}
		text(at+": reason", c.Reason, maxReasonBytes)
		checkHosts(at, c, bad)
	}
	switch m.State {
	case "", event.StateFresh, event.StateSession:
	default:
		bad("state %q is unknown (known: %s, %s)", printable(clip(string(m.State), 80)), event.StateFresh, event.StateSession)
	}
	if l := m.Limits; l != nil {
		if l.Fuel > maxSuggestedFuel {
			bad("limits.fuel is %d, an app may suggest at most %d", l.Fuel, maxSuggestedFuel)
		}
		if l.WallMillis < 0 || l.WallMillis > maxSuggestedWallMillis {
			bad("limits.wall_ms is %d, an app may suggest 0 to %d", l.WallMillis, maxSuggestedWallMillis)
		}
		if l.ConversationWallMillis < 0 || l.ConversationWallMillis > maxSuggestedConversationWallMillis {
			bad("limits.conversation_wall_ms is %d, an app may suggest 0 to %d", l.ConversationWallMillis, maxSuggestedConversationWallMillis)
		}
		if l.MemoryBytes != 0 && (l.MemoryBytes < minSuggestedMemory || l.MemoryBytes > maxSuggestedMemory) {
			bad("limits.memory_bytes is %d, an app may suggest %d to %d", l.MemoryBytes, minSuggestedMemory, maxSuggestedMemory)
		}
	}
	if m.Settings != nil {
		if _, err := compileSchema(m.Settings); err != nil {
			bad("settings is no JSON Schema: %w", err)
		}
	}
	return errors.Join(errs...)
}

// checkHosts checks the hosts that a capability names, which http does.
func checkHosts(at string, c event.CapabilityRequest, bad func(string, ...any)) {
	switch {
	case c.Name != event.CapHTTP && len(c.Hosts) > 0:
		bad("%s: hosts belong to http, not to %s", at, printable(clip(string(c.Name), 80)))
		return
	case c.Name == event.CapHTTP && len(c.Hosts) == 0:
		bad("%s: hosts is missing; name the hosts that the app calls", at)
	case slices.Contains(c.Hosts, reach.Everywhere) && len(c.Hosts) > 1:
		bad("%s: hosts has %q, which is every host, and others", at, reach.Everywhere)
	case len(c.Hosts) > reach.MaxHosts:
		bad("%s: %d hosts, at most %d are taken", at, len(c.Hosts), reach.MaxHosts)
		return
	}
	seen := map[reach.Host]bool{}
	for i, name := range c.Hosts {
		h, err := reach.ParseWanted(name)
		switch {
		case err != nil:
			bad("%s: hosts[%d]: %w", at, i, err)
		case seen[h]:
			bad("%s: hosts[%d]: %s is there twice", at, i, h)
		}
		seen[h] = true
	}
}

// known lists the capabilities for people.
func known() string {
	var names []string
	for _, c := range event.Capabilities {
		names = append(names, string(c))
	}
	return strings.Join(names, ", ")
}
