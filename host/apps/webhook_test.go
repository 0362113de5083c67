package apps_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/bridge"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// A module that asks for any host is granted those that the operator names, and
// is refused where none is named.
func TestAnyHostIsTheOperatorsToName(t *testing.T) {
	wasm := guestFile(t, "script", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"http","reason":"to post","hosts":["*"]}]}`)
	c := app(t, "hooks", wasm, event.CapTranscript, event.CapHTTP)
	got := strings.Join(problemsOf(t, c), "\n")
	if want := `app "hooks": it asks to call the web hosts that you name, and none is named; write http { hosts = ["api.example.com"] }`; !strings.Contains(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
	named, ps := config.Load(config.LoadOptions{Path: "config.hcl", Source: []byte(`app "hooks" {
  module = "x.wasm"
  http { hosts = ["a.example.com"] }
}`)})
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	c.HTTP = named.Apps[0].HTTP
	if a := load(t, c); !a.Holds(event.CapHTTP) {
		t.Error("it does not hold http")
	}
}

// A host that was built without the bridge says so where the webhook stands.
func TestAWebhookNeedsTheBridge(t *testing.T) {
	c, ps := config.Load(config.LoadOptions{Path: "config.hcl", Source: []byte(`app "journal" {
  webhook { conversation = "https://journal.example.com/memory" }
}`)})
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	if err := bridge.Module(new(bytes.Buffer)); !errors.Is(err, bridge.ErrNotBuilt) {
		t.Skip("the bridge is built in")
	}
	_, problems := apps.Load(t.Context(), theEngine(t), c.Apps)
	if want := `config.hcl:2:28: app "journal": this auricle was built without the webhook bridge; build it with make, or take a release`; problems.String() != want {
		t.Errorf("problems %q, want %q", problems, want)
	}
}
