package host_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// integrated starts a host with two apps that the servers of may call: crm, which
// ada alone has and which may do everything, and shy, which may do nothing.
func integrated(t *testing.T) (h *host.Host, crm, shy string) {
	t.Helper()
	crm, crmDigest := auth.NewStatic()
	shy, shyDigest := auth.NewStatic()
	a, b := echo(), echo()
	a.Name, b.Name, a.Users = "crm", "shy", []string{"ada"}
	a.Integration = config.AppIntegration{Keys: []string{strings.Repeat("0", 64), crmDigest}, Actions: config.Actions}
	b.Integration = config.AppIntegration{Keys: []string{shyDigest}}
	h, _ = start(t, configuration(t.TempDir(), a, b))
	return h, crm, shy
}

// call makes a call of an app's server.
func call(t *testing.T, h *host.Host, method, path, key, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.Addr().String()+"/v2/integrations/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestAnAppsServerBringsAConversation(t *testing.T) {
	h, crm, _ := integrated(t)
	ada := openStream(t, h, "ada", 0)
	resp, body := call(t, h, "POST", "crm/user/conversations?uid=ada", crm, `{"text":"Anna: we ship on Friday.\n\nBert: I test it.","started_at":"2026-01-02T15:04:05","finished_at":"2026-01-02T15:05:05Z","text_source":"message","language":"en","geolocation":{"latitude":1.5,"longitude":2}}`)
	var made struct {
		ID string `json:"conversation_id"`
	}
	if resp.StatusCode != 200 || json.Unmarshal([]byte(body), &made) != nil || made.ID == "" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	seen := map[string]bool{}
	for len(seen) < 2 { // both of ada's apps work on it, and ada hears of it
		o := await[*wire.Output](ada)
		if o.Conversation != made.ID || o.Event != "conversation" {
			t.Fatalf("an output of %s of conversation %s, want of %s", o.Event, o.Conversation, made.ID)
		}
		seen[o.App] = true
	}

	resp, body = call(t, h, "GET", "crm/conversations?uid=ada&limit=5", crm, "")
	var list struct {
		Conversations []struct {
			ID         string `json:"id"`
			StartedAt  string `json:"started_at"`
			FinishedAt string `json:"finished_at"`
			Source     string `json:"source"`
			AppID      string `json:"app_id"`
			Segments   []struct {
				Text       string  `json:"text"`
				Speaker    string  `json:"speaker"`
				Start, End float64 `json:",omitempty"`
			} `json:"transcript_segments"`
		} `json:"conversations"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || resp.StatusCode != 200 || len(list.Conversations) != 1 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	c := list.Conversations[0]
	if c.ID != made.ID || c.StartedAt != "2026-01-02T15:04:05Z" || c.FinishedAt != "2026-01-02T15:05:05Z" || c.Source != "external_integration" || c.AppID != "crm" {
		t.Errorf("got %+v", c)
	}
	if len(c.Segments) != 2 || c.Segments[1].Text != "Bert: I test it." || c.Segments[1].End != 60 || c.Segments[1].Start != c.Segments[0].End || c.Segments[0].Speaker != "SPEAKER_00" {
		t.Errorf("segments %+v", c.Segments)
	}
	for query, want := range map[string]int{
		"&offset=1": 0, "&start_date=2026-01-03": 0, "&end_date=2026-01-02": 1, "&end_date=2026-01-01": 0, "&statuses=in_progress": 0, "&statuses=completed": 1,
	} {
		if _, body := call(t, h, "GET", "crm/conversations?uid=ada"+query, crm, ""); strings.Count(body, made.ID) != want || !json.Valid([]byte(body)) {
			t.Errorf("%s: %s, want %d conversations", query, body, want)
		}
	}
	if _, body := call(t, h, "GET", "crm/conversations?uid=ada&max_transcript_segments=1", crm, ""); strings.Contains(body, "Bert") {
		t.Errorf("more than one segment: %s", body)
	}
}

func TestAnAppsServerNotesMemories(t *testing.T) {
	h, crm, _ := integrated(t)
	for _, body := range []string{
		`{"text":"I have moved to Lyon.","text_source":"email","text_source_spec":"inbox"}`,
		`{"text":"two facts","memories":[{"content":" likes tea "},{"content":"has a dog","tags":["pets"]}]}`,
	} {
		if resp, answer := call(t, h, "POST", "crm/user/memories?uid=ada", crm, body); resp.StatusCode != 200 || strings.TrimSpace(answer) != "{}" {
			t.Fatalf("%s: %d %s", body, resp.StatusCode, answer)
		}
	}
	_, body := call(t, h, "GET", "crm/memories?uid=ada&limit=2", crm, "")
	var list struct {
		Memories []struct {
			ID, Content string
			Tags        []string
			AppID       string `json:"app_id"`
			UID         string
		}
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Memories) != 2 {
		t.Fatalf("%s", body)
	}
	if m := list.Memories; m[0].Content != "has a dog" || len(m[0].Tags) != 1 || m[1].Content != "likes tea" || m[1].AppID != "crm" || m[1].UID != "ada" {
		t.Errorf("got %+v", m)
	}
}

func TestAnAppsServerNotifies(t *testing.T) {
	h, crm, _ := integrated(t)
	ada := openStream(t, h, "ada", 0)
	resp, body := call(t, h, "POST", "crm/notification?uid=ada&message=Time+to+go", crm, "")
	if resp.StatusCode != 200 || body != "{\"status\":\"Ok\",\"streams\":1}\n" || resp.Header.Get("X-RateLimit-Limit") != "10" {
		t.Fatalf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	o := await[*wire.Output](ada)
	if o.App != "crm" || o.Kind != event.OutputNotification || string(o.Data) != `{"text":"Time to go"}` || o.Conversation != ada.ready.Conversation {
		t.Errorf("got %+v", o)
	}
	resp, body = call(t, h, "POST", "crm/notification?uid=ada&message=Time+to+go", crm, "")
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, `"detail"`) {
		t.Errorf("a second at once: %d %s %v", resp.StatusCode, body, resp.Header)
	}
}

func TestAnAppsServerIsRefused(t *testing.T) {
	h, crm, shy := integrated(t)
	for _, c := range []struct {
		why, method, path, key, body string
		status                       int
		says                         string
	}{
		{"no key", "GET", "crm/memories?uid=ada", "", "", 401, "Authorization"},
		{"a wrong key", "GET", "crm/memories?uid=ada", "auricle_x", "", 403, "Invalid API key"},
		{"another app's key", "GET", "crm/memories?uid=ada", shy, "", 403, "Invalid API key"},
		{"no such app", "GET", "nobody/memories?uid=ada", crm, "", 403, "Invalid API key"},
		{"a user who has not the app", "GET", "crm/memories?uid=eve", crm, "", 403, "not enabled"},
		{"an action that is not allowed", "GET", "shy/memories?uid=ada", shy, "", 403, "read_memories"},
		{"no user", "GET", "crm/memories", crm, "", 422, "uid"},
		{"a path that is none", "GET", "crm/user", crm, "", 404, "Not Found"},
		{"escaped slashes", "GET", "crm%2Fmemories?uid=ada", crm, "", 404, "Not Found"},
		{"a method that is none", "DELETE", "crm/memories?uid=ada", crm, "", 405, "Not Allowed"},
		{"a limit of 0", "GET", "crm/memories?uid=ada&limit=0", crm, "", 422, "limit"},
		{"a limit beyond", "GET", "crm/conversations?uid=ada&limit=1001", crm, "", 422, "limit"},
		{"a day that is none", "GET", "crm/conversations?uid=ada&start_date=yesterday", crm, "", 400, "start_date"},
		{"no message", "POST", "crm/notification?uid=ada", crm, "", 422, "message"},
		{"a long message", "POST", "crm/notification?uid=ada&message=" + strings.Repeat("x", 151), crm, "", 422, "message"},
		{"no text", "POST", "crm/user/conversations?uid=ada", crm, `{"text":" \n "}`, 422, "text"},
		{"text of another kind", "POST", "crm/user/conversations?uid=ada", crm, `{"text":7}`, 422, "text"},
		{"an end before the start", "POST", "crm/user/conversations?uid=ada", crm, `{"text":"x","started_at":"2026-01-02T00:00:00Z","finished_at":"2026-01-01T00:00:00Z"}`, 422, "finished_at"},
		{"a time that is none", "POST", "crm/user/conversations?uid=ada", crm, `{"text":"x","started_at":"noon"}`, 422, "noon"},
		{"no object", "POST", "crm/user/conversations?uid=ada", crm, `["text"]`, 422, "object"},
		{"no JSON", "POST", "crm/user/memories?uid=ada", crm, `{"text"`, 422, "JSON"},
		{"too large", "POST", "crm/user/memories?uid=ada", crm, `{"text":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "larger"},
		{"a memory too long", "POST", "crm/user/memories?uid=ada", crm, `{"text":"` + strings.Repeat("x", 17<<10) + `"}`, 422, "bytes"},
		{"an empty memory", "POST", "crm/user/memories?uid=ada", crm, `{"memories":[{"content":""}]}`, 422, "memories"},
	} {
		resp, body := call(t, h, c.method, c.path, c.key, c.body)
		if resp.StatusCode != c.status || !strings.Contains(body, c.says) || !strings.Contains(body, `{"detail":`) {
			t.Errorf("%s: %d %s, want %d with %q", c.why, resp.StatusCode, body, c.status, c.says)
		}
	}
	// Nothing of that has come in.
	if _, body := call(t, h, "GET", "crm/memories?uid=ada", crm, ""); body != "{\"memories\":[]}\n" {
		t.Errorf("memories: %s", body)
	}
	if _, body := call(t, h, "GET", "crm/conversations?uid=ada", crm, ""); body != "{\"conversations\":[]}\n" {
		t.Errorf("conversations: %s", body)
	}
}

func TestAnAppsServerIsHeldToARate(t *testing.T) {
	h, crm, _ := integrated(t)
	for range 1000 { // of which one a second is let through, after a burst
		resp, body := call(t, h, "GET", "crm/memories?uid=ada", crm, "")
		if resp.StatusCode != 429 {
			continue
		}
		if resp.Header.Get("Retry-After") == "" {
			t.Errorf("429 without Retry-After: %s", body)
		}
		return
	}
	t.Error("1000 calls at once were let through")
}
