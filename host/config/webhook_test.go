package config_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// A webhook is granted what it has a URL for, and what it needs to be posted to
// and to answer; nothing else.
func TestWebhookFollowsFromItsBlock(t *testing.T) {
	c, ps := config.Load(config.LoadOptions{Path: "testdata/good/webhook.hcl"})
	if len(ps) > 0 || len(c.Apps) != 2 {
		t.Fatalf("%d apps, problems: %v", len(c.Apps), ps)
	}
	a := c.Apps[0]
	want := &config.Webhook{
		Conversation: config.Hook{URL: "https://journal.example.com/memory?key=k%20", Timeout: time.Minute},
		Transcript:   config.Hook{URL: "https://journal.example.com:8443/live", Timeout: 2500 * time.Millisecond},
		Audio:        config.Hook{URL: "https://audio.example.com", Timeout: 100 * time.Millisecond},
		AudioEvery:   10 * time.Second,
	}
	if !reflect.DeepEqual(a.Webhook, want) || a.Module != "" || a.State != event.StateFresh || !slices.Equal(a.Users, []string{"ana"}) || a.Limits.MemoryBytes != 32<<20 {
		t.Errorf("got %+v of %+v", a.Webhook, a)
	}
	if want := []event.Capability{event.CapConversation, event.CapTranscript, event.CapAudio, event.CapHTTP, event.CapNotify}; !slices.Equal(a.Grant, want) {
		t.Errorf("granted %v, want %v", a.Grant, want)
	}
	settings := `{"app":"journal","audio":{"timeout_ms":100,"url":"https://audio.example.com"},` +
		`"conversation":{"timeout_ms":60000,"url":"https://journal.example.com/memory?key=k%20"},` +
		`"transcript":{"timeout_ms":2500,"url":"https://journal.example.com:8443/live"}}`
	if string(a.Settings) != settings {
		t.Errorf("settings %s\nwant     %s", a.Settings, settings)
	}
	if got := a.Webhook.Conversation.Place(); got != "https://journal.example.com/memory" {
		t.Errorf("shown as %s; its query may hold a secret", got)
	}

	b := c.Apps[1]
	if want := []event.Capability{event.CapTranscript, event.CapHTTP, event.CapNotify}; !slices.Equal(b.Grant, want) {
		t.Errorf("granted %v, want %v", b.Grant, want)
	}
	if b.Webhook.Transcript.Timeout != 5*time.Second || b.Webhook.AudioEvery != 4*time.Second || b.Webhook.Conversation.Timeout != 10*time.Second {
		t.Errorf("defaults %+v", b.Webhook)
	}
}
