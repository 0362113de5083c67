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

	// It may call its hosts and no others, and has the time that they have.
	var hosts []string
	for _, h := range a.HTTP.Hosts {
		hosts = append(hosts, h.String())
	}
	if want := []string{"journal.example.com", "journal.example.com:8443", "audio.example.com"}; !slices.Equal(hosts, want) {
		t.Errorf("hosts %v, want %v", hosts, want)
	}
	if l := a.Limits; l.Wall != 3500*time.Millisecond || l.ConversationWall != 61*time.Second || a.HTTP.Timeout != time.Minute {
		t.Errorf("limits %+v, a call %v", l, a.HTTP.Timeout)
	}

	b := c.Apps[1]
	if want := []event.Capability{event.CapTranscript, event.CapHTTP, event.CapNotify}; !slices.Equal(b.Grant, want) {
		t.Errorf("granted %v, want %v", b.Grant, want)
	}
	if b.Webhook.Transcript.Timeout != 5*time.Second || b.Webhook.AudioEvery != 4*time.Second || b.Webhook.Conversation.Timeout != 10*time.Second {
		t.Errorf("defaults %+v", b.Webhook)
	}
}

// Without encryption a webhook is called only inside: at an address that the app
// may reach, or a name that means nothing outside.
func TestWebhookWithoutEncryptionIsInside(t *testing.T) {
	for _, c := range []struct {
		host string
		good bool
	}{
		{"10.1.2.3:8000", true},
		{"[fd00::1]", true},
		{"[::ffff:10.1.2.3]", true}, // 10.1.2.3 in other clothes
		{"hooks", true},             // as containers are called
		{"localhost:3000", true},
		{"hooks.internal", true},
		{"HOOKS.LOCAL", true},
		{"192.168.1.1", false}, // not among the networks
		{"8.8.8.8", false},
		{"hooks.example.com", false},
		{"internal.example.com", false},
		{"hooks.notinternal", false},
	} {
		_, ps := load("app \"a\" {\n  webhook { conversation = \"http://" + c.host + "/hook\" }\n  http { private = [\"10.0.0.0/8\", \"fd00::/8\"] }\n}\n")
		if ps.HasFault() == c.good {
			t.Errorf("%s: problems %v, want it good: %v", c.host, ps, c.good)
		}
	}
	if _, ps := load("app \"a\" {\n  webhook { conversation = \"http://localhost/hook\" }\n}\n"); !ps.HasFault() {
		t.Error("http://localhost is taken though nothing inside is granted")
	}
}
