package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/config"
)

func TestSecretsAreShownNowhere(t *testing.T) {
	c, ps := load(`app "a" {
  module = "a.wasm"
  http {
    header "Authorization" { value = env("KEY") }
    sign { secret = env("SIGN") }
  }
}
`, "KEY=Bearer hunter2", "SIGN=hunter2hunter2hunter2")
	if len(ps) > 0 {
		t.Fatal(ps)
	}
	h := c.Apps[0].HTTP
	if got := h.Headers[0].Value.Reveal(); got != "Bearer hunter2" {
		t.Fatalf("the secret is %q", got)
	}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "secret", h.Sign.Secret)
	said := []string{string(j), log.String()}
	for _, v := range []any{c, &c, h.Sign.Secret, &h.Sign.Secret, struct{ inner config.App }{c.Apps[0]}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			said = append(said, fmt.Sprintf(verb, v))
		}
	}
	for _, shown := range said {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("the secret is shown: %s", shown)
		}
	}
}

// A secret that is no good is reported without its text.
func TestFaultsOfSecretsDoNotTellThem(t *testing.T) {
	for _, secret := range []string{"hunter2\n", " hunter2", "hunter2\x00", "hunter2" + strings.Repeat("x", 5000)} {
		for _, block := range []string{`header "A" { value = env("KEY") }`, `sign { secret = env("KEY") }`, fmt.Sprintf(`header "A" { value = %q }`, strings.ReplaceAll(secret, "\x00", "\n"))} {
			_, ps := load("app \"a\" {\n  module = \"a.wasm\"\n  http {\n"+block+"\n}\n}\n", "KEY="+secret)
			if !ps.HasFault() || strings.Contains(ps.String(), "hunter2") {
				t.Errorf("%q in %s: %v", secret[:7], block, ps)
			}
		}
	}
}

func TestReservedHeaders(t *testing.T) {
	for name, want := range map[string]bool{"Host": true, "Proxy-Authorization": true, "Auricle-Signature": true, "Authorization": false, "X-Key": false} {
		if got := config.ReservedHeader(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
