package apps_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

var loopbackHTTP = config.AppHTTP{
	Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	Headers: []config.AppHTTPHeader{{Name: "Authorization", Value: config.NewSecret("Bearer hidden")}},
}

// callsWeb is the manifest of an app that may call a service.
func callsWeb(service *httptest.Server, limits string) string {
	return strings.Replace(strings.Replace(allCaps, `[{"name"`,
		fmt.Sprintf(`[{"name": "http", "reason": "to ask", "hosts": [%q]}, {"name"`, service.URL), 1), `"events"`, limits+`"events"`, 1)
}

// fetches has the app call url and emit the answer's JSON.
func fetches(url, body string) *script {
	method := "GET"
	if body != "" {
		method = "POST"
	}
	req := fmt.Sprintf(`{"op":"http","bytes":%d,"http":{"method":%q,"url":%q}}`, len(body), method, url)
	return new(script).with(opCall, req+body)
}

func TestAppGetsAServicesAnswer(t *testing.T) {
	var got atomic.Value
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		http.Error(w, "sorry", http.StatusInternalServerError)
	}))
	defer service.Close()
	a := openScript(t, callsWeb(service, ""))
	a.CallWeb(loopbackHTTP)
	// The answer has "sorry\n" behind its JSON, so what is emitted is cut there.
	inv := fetches(service.URL+"/x", "").do(opResult, scratch, 4096).run(t, a)
	if inv.Outcome != plugins.OK || got.Load() != "Bearer hidden" {
		t.Fatalf("%s (%s); the service got %v", inv.Outcome, inv.Err, got.Load())
	}
	short, long := fetches(service.URL+"/x", "a").run(t, a), fetches(service.URL+"/x", "a"+strings.Repeat("b", 1000)).run(t, a)
	if per := (long.Fuel - short.Fuel) / 1000; per < 10 || per > 20 || short.Fuel < 100_000 {
		t.Errorf("fuel %d, and %d for 1,000 bytes more", short.Fuel, long.Fuel)
	}
}

func TestRefusalsAreTheAppsToHandle(t *testing.T) {
	service := httptest.NewServer(http.NotFoundHandler())
	defer service.Close()
	for _, row := range []struct {
		name string
		web  *config.AppHTTP
		url  string
		want string
	}{
		{"not in the manifest", &loopbackHTTP, "https://example.com/", event.CodeHostNotGranted},
		{"not public", &config.AppHTTP{}, service.URL, event.CodeAddressRefused},
		{"auricle app run without -http", nil, service.URL, event.CodeNotGranted},
	} {
		a := openScript(t, callsWeb(service, ""))
		if row.web != nil {
			a.CallWeb(*row.web)
		}
		inv := fetches(row.url, "").do(opResult, scratch, 4096).do(opEmitLast, scratch).run(t, a)
		if inv.Outcome != plugins.OK || len(inv.Outputs) != 1 {
			t.Fatalf("%s: %s (%s)", row.name, inv.Outcome, inv.Err)
		}
		var resp event.Response
		if err := json.Unmarshal(inv.Outputs[0].Data, &resp); err != nil || resp.OK || resp.Error == nil || resp.Error.Code != row.want {
			t.Errorf("%s: %s, want %s", row.name, inv.Outputs[0].Data, row.want)
		}
	}
}

// A service that hangs costs an invocation its own limit of time, and each kind
// has its own.
func TestHungServiceEndsWithTheInvocationsTime(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer service.Close()
	a := openScript(t, callsWeb(service, `"limits": {"wall_ms": 50, "conversation_wall_ms": 400},`))
	a.CallWeb(loopbackHTTP)
	lent := 0
	for kind, wall := range map[event.Kind]time.Duration{event.KindTranscript: 50 * time.Millisecond, event.KindConversation: 400 * time.Millisecond} {
		ev := apps.Event{Kind: kind, UID: "u", Session: "s", Conversation: "c", Payload: fetches(service.URL, "").payload(), Lend: func() func() {
			lent++
			return func() { lent-- }
		}}
		inv, err := a.Invoke(t.Context(), ev)
		if err != nil {
			t.Fatal(err)
		}
		if inv.Outcome != plugins.DeadlineExceeded || inv.Wall < wall || lent != 0 {
			t.Errorf("%s: %s after %v, want deadline_exceeded after %v; %d workers lent", kind, inv.Outcome, inv.Wall, wall, lent)
		}
	}
}

// A replay gives the recorded answer and calls nobody; the recording has
// neither the operator's key nor anything that the service was not told by the
// app.
func TestReplayOfAFetchCallsNobody(t *testing.T) {
	var calls atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer service.Close()
	wasm := guestFile(t, "script", callsWeb(service, ""))
	path := filepath.Join(t.TempDir(), "script.wasm")
	if err := os.WriteFile(path, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.App{Name: "notes", Module: path, Users: []string{"*"}, Grant: []event.Capability{"audio", "transcript", "conversation", "notify", "http"}, HTTP: loopbackHTTP}
	set, problems := apps.Load(t.Context(), theEngine(t), []config.App{c})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer set.Close(context.Background())
	kept := &shelf{}
	set.KeepRecordings(kept)
	inv := fetches(service.URL, "").do(opResult, scratch, 4096).do(opEmitLast, scratch).run(t, set.All()[0])
	if inv.Outcome != plugins.OK || calls.Load() != 1 {
		t.Fatalf("%s (%s), %d calls", inv.Outcome, inv.Err, calls.Load())
	}
	file, err := kept.recordings[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(file), "hidden") {
		t.Error("the recording has the operator's key")
	}
	service.Close()
	again, err := apps.Replay(t.Context(), theEngine(t), wasm, kept.last(t))
	if err != nil {
		t.Fatal(err)
	}
	if again.Invocation.Outcome != plugins.OK || again.Invocation.Fuel != inv.Fuel || calls.Load() != 1 ||
		string(again.Invocation.Outputs[0].Data) != string(inv.Outputs[0].Data) {
		t.Errorf("replayed: %+v", again)
	}
}

// What a file's block says stays in force while it is moved about, and a changed
// one is another app.
func TestWebGrantIsPartOfTheApp(t *testing.T) {
	service := httptest.NewServer(http.NotFoundHandler())
	defer service.Close()
	path := filepath.Join(t.TempDir(), "script.wasm")
	if err := os.WriteFile(path, guestFile(t, "script", callsWeb(service, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(before, key, hosts string) config.App {
		src := before + `app "a" {
  module = "` + path + `"
  grant  = ["audio", "transcript", "conversation", "notify", "http"]
  http {
    hosts = [` + hosts + `]
    header "X-Key" { value = env("KEY") }
  }
}
`
		c, ps := config.Load(config.LoadOptions{Path: "c.hcl", Source: []byte(src), Environ: []string{"KEY=" + key}})
		if len(ps) > 0 {
			t.Fatal(ps)
		}
		return c.Apps[0]
	}
	host := fmt.Sprintf("%q", service.URL)
	set, problems := apps.Load(t.Context(), theEngine(t), []config.App{load("", "one", host)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer set.Close(context.Background())
	for _, row := range []struct {
		name string
		app  config.App
		kept bool
	}{
		{"moved", load("\n\n", "one", host), true},
		{"another key", load("", "two", host), false},
	} {
		change, problems := set.Plan(t.Context(), theEngine(t), []config.App{row.app})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if kept := len(change.Kept) == 1; kept != row.kept {
			t.Errorf("%s: kept %v, want %v", row.name, kept, row.kept)
		}
		change.Discard()
	}
	_, problems = apps.Load(t.Context(), theEngine(t), []config.App{load("", "one", host+`, "elsewhere.example.com"`)})
	const want = "c.hcl:5:38: warning: app \"a\": http.hosts: elsewhere.example.com is granted, but not covered by what its manifest names"
	if len(problems) != 1 || problems.HasFault() || !strings.HasPrefix(problems.String(), want[:8]) || !strings.Contains(problems.String(), want[strings.Index(want, "warning"):]) {
		t.Errorf("problems %v", problems)
	}
	without := load("", "one", host)
	without.Grant = without.Grant[:4]
	_, problems = apps.Load(t.Context(), theEngine(t), []config.App{without})
	if !problems.HasFault() || !strings.Contains(problems.String(), "it needs http") || !strings.Contains(problems.String(), "its http block has no effect") {
		t.Errorf("problems %v", problems)
	}
}

func TestLimitsOfKinds(t *testing.T) {
	for _, row := range []struct {
		name            string
		suggests        string
		operator        config.AppLimits
		live, completed time.Duration
	}{
		{"defaults", ``, config.AppLimits{}, 250 * time.Millisecond, 5 * time.Second},
		{"one for all, as before", ``, config.AppLimits{Wall: time.Second}, time.Second, time.Second},
		{"both", ``, config.AppLimits{Wall: time.Second, ConversationWall: time.Minute}, time.Second, time.Minute},
		{"only the conversation's", ``, config.AppLimits{ConversationWall: time.Minute}, 250 * time.Millisecond, time.Minute},
		{"the author's", `"limits":{"wall_ms":100,"conversation_wall_ms":20000},`, config.AppLimits{}, 100 * time.Millisecond, 20 * time.Second},
		{"the author's one for all", `"limits":{"wall_ms":100},`, config.AppLimits{}, 100 * time.Millisecond, 100 * time.Millisecond},
		{"the operator's one over the author's", `"limits":{"conversation_wall_ms":20000},`, config.AppLimits{Wall: time.Second}, time.Second, time.Second},
	} {
		m, err := apps.DecodeManifest([]byte(`{"name":"a","version":"1",` + row.suggests + `"events":{"conversation":{}}}`))
		if err != nil {
			t.Fatal(err)
		}
		a := apps.Limited(m, row.operator)
		if got := a.Limits(event.KindTranscript).Wall; got != row.live {
			t.Errorf("%s: live %v, want %v", row.name, got, row.live)
		}
		for _, k := range []event.Kind{event.KindConversation, event.KindTool} {
			if got := a.Limits(k).Wall; got != row.completed {
				t.Errorf("%s: %s %v, want %v", row.name, k, got, row.completed)
			}
		}
	}
}
