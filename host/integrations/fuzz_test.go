package integrations_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/integrations"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// noted keeps what a call has brought.
type noted struct {
	conversations []event.Conversation
	memories      []store.Memory
}

func (n *noted) Import(_ context.Context, c event.Conversation) (string, error) {
	n.conversations = append(n.conversations, c)
	return "c_1", nil
}

func (n *noted) Notify(string, event.Output) int { return 0 }

func (n *noted) Conversations(context.Context, string, int, string) (store.Page, error) {
	return store.Page{}, nil
}

func (n *noted) AddMemories(_ context.Context, _ string, ms []store.Memory) error {
	n.memories = append(n.memories, ms...)
	return nil
}

func (n *noted) Memories(context.Context, string) ([]store.Memory, error) { return n.memories, nil }

func words(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// FuzzCall: a body or a query of an app's server is answered with JSON, and what
// it brings is kept whole, within the bounds of what may be kept, or not at all.
func FuzzCall(f *testing.F) {
	for _, body := range []string{
		`{"text":"a\n\nb","started_at":"2026-01-02T15:04:05","finished_at":null,"language":"en"}`, `{"memories":[{"content":"x","tags":["y"]}]}`,
		`{"text":"x","finished_at":"1970-01-01"}`, `[]`, `{"text":{}}`, "{\"text\":\"\xff\"}", `{"text":"` + strings.Repeat("é", 20_000) + `"}`, `{"memories":[null]}`,
	} {
		f.Add([]byte(body), "uid=ada")
	}
	f.Add([]byte(nil), "uid=ada&limit=7&offset=-1&start_date=2026-01-02&message=hello")
	ctx := context.Background()
	engine, err := plugins.New(ctx, plugins.Options{HostModules: []plugins.HostModule{apps.HostModule()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { engine.Close(ctx) }) // the process ends
	key, digest := auth.NewStatic()
	set, problems := apps.Load(ctx, engine, []config.App{{
		Name: "crm", Module: "../api/testdata/greeter.wasm", Users: []string{"*"}, Grant: []event.Capability{event.CapTranscript, event.CapConversation},
		Integration: config.AppIntegration{Keys: []string{digest}, Actions: config.Actions},
	}})
	if problems.HasFault() {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, body []byte, query string) {
		var n noted
		h := integrations.New(integrations.Options{Store: &n, Sessions: &n, Apps: set, Has: func(string, string) bool { return true }})
		for _, c := range [][2]string{{"POST", "user/conversations"}, {"POST", "user/memories"}, {"GET", "conversations"}, {"GET", "memories"}, {"POST", "notification"}} {
			r := httptest.NewRequest(c[0], integrations.Path+"crm/"+c[1], strings.NewReader(string(body)))
			r.URL = &url.URL{Path: r.URL.Path, RawQuery: query}
			r.Header.Set("Authorization", "Bearer "+key)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if !json.Valid(w.Body.Bytes()) || w.Code >= 500 || w.Code != http.StatusOK && !strings.Contains(w.Body.String(), `"detail"`) {
				t.Fatalf("%v: %d %s", c, w.Code, w.Body)
			}
		}
		for _, c := range n.conversations {
			var sent struct{ Text string }
			if err := json.Unmarshal(body, &sent); err != nil {
				t.Fatalf("kept what can't be read: %v", err)
			}
			all, at := "", 0.0
			for _, s := range c.Segments {
				if len(s.Text) == 0 || len(s.Text) > 16<<10 || s.Start < at || s.End < s.Start {
					t.Fatalf("segment %+v after %v", s, at)
				}
				all, at = all+s.Text, s.Start
			}
			if words(all) != words(sent.Text) {
				t.Errorf("kept %q of %q", all, sent.Text)
			}
		}
		for _, m := range n.memories {
			if m.Content == "" || len(m.Content) > store.MaxMemoryBytes || m.App != "crm" {
				t.Errorf("kept %+v", m)
			}
		}
	})
}
