package host_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// guarded starts a host with a token for each name: of ada and eve with the
// scopes stream, read and tools, of an operator, and of a backend for all users.
func guarded(t *testing.T) (h *host.Host, token map[string]string) {
	t.Helper()
	c, token := configuration(t.TempDir()), map[string]string{}
	for name, as := range map[string]struct {
		uid    string
		scopes []string
	}{
		"ada": {"ada", []string{"stream", "read", "tools"}}, "eve": {"eve", []string{"stream", "read", "tools"}},
		"operator": {"", []string{"operate"}}, "backend": {"", []string{"stream", "read", "tools"}},
	} {
		text, digest := auth.NewStatic()
		token[name] = text
		c.Auth.Static = append(c.Auth.Static, config.AuthToken{Name: name, SHA256: digest, UID: as.uid, Scopes: as.scopes})
	}
	h, _ = startWith(t, host.Options{Config: c, Reload: func() (config.Config, config.Problems) { return c, nil }})
	return h, token
}

// ask makes a request with a token, "" for none, and returns the status and the
// error's code.
func ask(t *testing.T, h *host.Host, method, path, token, body string) (status int, code, answer string) {
	t.Helper()
	at := h.OperatorsAddr()
	for _, clients := range []string{"/v1/conversations", "/v1/tokens", "/v1/mcp", "/.well-known/", "/v1/omi/"} {
		if strings.HasPrefix(path, clients) || strings.Contains(path, "/tools") || strings.HasSuffix(path, "/mcp") {
			at = h.Addr()
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+at.String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var raw json.RawMessage
	var fault struct {
		Error struct{ Code string }
	}
	if json.NewDecoder(resp.Body).Decode(&raw) == nil {
		json.Unmarshal(raw, &fault) // what is no refusal has no code
	}
	if resp.StatusCode == 401 && !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("%s %s: 401 without WWW-Authenticate: Bearer", method, path)
	}
	return resp.StatusCode, fault.Error.Code, string(raw)
}

// dialAs opens a stream with a token.
func dialAs(t *testing.T, h *host.Host, token, query string) (*client, *http.Response) {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.Addr().String()+"/v1/stream"+query, header)
	if err != nil {
		if resp == nil {
			t.Fatalf("connecting: %v", err)
		}
		return nil, resp
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn}, resp
}

// closedWith reads up to the close.
func (c *client) closedWith() int {
	c.conn.SetReadDeadline(time.Now().Add(patience)) // its end fails the test
	c.t.Helper()
	for {
		if _, _, err := c.conn.ReadMessage(); err != nil {
			var ce *websocket.CloseError
			if ce, _ = err.(*websocket.CloseError); ce == nil {
				c.t.Fatalf("waiting for the close: %v", err)
			}
			return ce.Code
		}
	}
}

// Every route is asked without credentials, by another user, and with a scope
// that is not its own. One that is added to api.Routes without a row here fails.
func TestAnotherUserReachesNothingByAnyRoute(t *testing.T) {
	h, token := guarded(t)
	ada, _ := dialAs(t, h, token["ada"], "")
	ada.send(map[string]any{"type": "start"}) // the credentials say who
	ada.ready = await[*wire.Ready](ada)
	ada.say(1, "secret")
	ada.send(map[string]any{"type": "end"})
	for {
		if c := await[*wire.Conversation](ada); c.State == wire.StateCompleted {
			break
		}
	}
	id := ada.ready.Conversation

	type row struct {
		path, body string // that would reach ada's
		eve        int    // the status for eve
		code       string
	}
	rows := map[string]row{
		"GET /healthz":                      {"/healthz", "", 200, ""},
		"GET /readyz":                       {"/readyz", "", 200, ""},
		"GET /metrics":                      {"/metrics", "", 403, auth.CodeScope},
		"GET /v1/conversations":             {"/v1/conversations?uid=ada", "", 403, auth.CodeUser},
		"GET /v1/conversations/{id}":        {"/v1/conversations/" + id, "", 404, "not_found"},
		"POST /v1/tokens":                   {"/v1/tokens", `{"uid":"ada"}`, 403, auth.CodeUser},
		"GET /v1/apps":                      {"/v1/apps", "", 403, auth.CodeScope},
		"GET /v1/jobs":                      {"/v1/jobs", "", 403, auth.CodeScope},
		"GET /v1/jobs/{app}/{conversation}": {"/v1/jobs/a/" + id, "", 403, auth.CodeScope},
		"POST /v1/jobs/retry":               {"/v1/jobs/retry", `{"all":true}`, 403, auth.CodeScope},
		"POST /v1/jobs/drop":                {"/v1/jobs/drop", `{"all":true}`, 403, auth.CodeScope},
		"GET /v1/replays":                   {"/v1/replays", "", 403, auth.CodeScope},
		"GET /v1/replays/{invocation}":      {"/v1/replays/i", "", 403, auth.CodeScope},
		"GET /v1/cluster":                   {"/v1/cluster", "", 403, auth.CodeScope},
		"POST /v1/reload":                   {"/v1/reload", "", 403, auth.CodeScope},
		"GET /debug/pprof/":                 {"/debug/pprof/", "", 403, auth.CodeScope},
		"GET /debug/pprof/{profile}":        {"/debug/pprof/heap", "", 403, auth.CodeScope},
		// An escaped slash is part of the uid, and no way around the table.
		"GET /v1/users/{uid}/apps":          {"/v1/users/a%2Fb/apps", "", 403, auth.CodeScope},
		"PUT /v1/users/{uid}/apps/{app}":    {"/v1/users/a%2Fb/apps/echo", "", 403, auth.CodeScope},
		"DELETE /v1/users/{uid}/apps/{app}": {"/v1/users/ada/apps/echo", "", 403, auth.CodeScope},

		"GET /v1/users/{uid}/memories":              {"/v1/users/ada/memories", "", 403, auth.CodeScope},
		"DELETE /v1/users/{uid}/memories":           {"/v1/users/ada/memories", "", 403, auth.CodeScope},
		"GET /v1/users/{uid}/apps/{app}/storage":    {"/v1/users/ada/apps/echo/storage", "", 403, auth.CodeScope},
		"DELETE /v1/users/{uid}/apps/{app}/storage": {"/v1/users/a%2Fb/apps/echo/storage", "", 403, auth.CodeScope},
		"GET /v1/users/{uid}/tools":                 {"/v1/users/ada/tools", "", 403, auth.CodeUser},
		"POST /v1/users/{uid}/tools/{app}/{tool}":   {"/v1/users/ada/tools/a/b", "{}", 403, auth.CodeUser},
		"POST /v1/users/{uid}/mcp":                  {"/v1/users/ada/mcp", "{}", 403, auth.CodeUser},
		"POST /v1/mcp":                              {"/v1/mcp", "{}", 400, ""},                   // her own
		"GET /.well-known/omi-tools.json":           {"/.well-known/omi-tools.json", "", 200, ""}, // likewise
		"GET /v1/omi/tools/{app}":                   {"/v1/omi/tools/a", "", 404, "unknown_tool"}, // likewise
		"POST /v1/omi/tools/{app}/{tool}":           {"/v1/omi/tools/a/b", `{"uid":"ada"}`, 403, auth.CodeUser},
	}
	for _, r := range api.Routes() {
		name := r.Method + " " + r.Path
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s has no row here", name)
			continue
		}
		delete(rows, name)
		if status, code, answer := ask(t, h, r.Method, row.path, token["eve"], row.body); status != row.eve || code != row.code || strings.Contains(answer, "secret") {
			t.Errorf("%s by eve: %d %s, want %d %s\n%s", name, status, code, row.eve, row.code, answer)
		}
		if r.Scope == "" {
			continue
		}
		if status, code, _ := ask(t, h, r.Method, row.path, "", row.body); status != 401 || code != auth.CodeMissing {
			t.Errorf("%s without credentials: %d %s", name, status, code)
		}
		if status, code, _ := ask(t, h, r.Method, row.path, "auricle_wrong", row.body); status != 401 || code != auth.CodeUnknown {
			t.Errorf("%s with a wrong token: %d %s", name, status, code)
		}
		if r.Scope != auth.Operate {
			if status, code, _ := ask(t, h, r.Method, row.path, token["operator"], row.body); status != 403 || code != auth.CodeScope {
				t.Errorf("%s by an operator: %d %s", name, status, code)
			}
		} else if status, _, _ := ask(t, h, r.Method, row.path, token["operator"], row.body); status == 401 || status == 403 {
			t.Errorf("%s by an operator: %d", name, status)
		}
	}
	for name := range rows {
		t.Errorf("%s is no route any more", name)
	}
	// What eve is told of ada's conversation is what she is told of none.
	if s, c, _ := ask(t, h, "GET", "/v1/conversations/01ARZ3NDEKTSV4RRFFQ69G5FAV", token["eve"], ""); s != 404 || c != "not_found" {
		t.Errorf("a conversation of nobody: %d %s", s, c)
	}
	for who, want := range map[string]int{"ada": 200, "backend": 200} {
		if s, _, answer := ask(t, h, "GET", "/v1/conversations/"+id, token[who], ""); s != want || !strings.Contains(answer, "secret") {
			t.Errorf("%s: %d %s", who, s, answer)
		}
	}
	if _, _, answer := ask(t, h, "GET", "/v1/conversations", token["ada"], ""); !strings.Contains(answer, id) {
		t.Errorf("ada's own list: %s", answer)
	}
}

// Every message of a client, with another user's credentials: start is refused,
// and nothing else is heard before it.
func TestAnotherUserReachesNothingByAnyMessage(t *testing.T) {
	h, token := guarded(t)
	ada, _ := dialAs(t, h, token["ada"], "")
	ada.send(map[string]any{"type": "start", "uid": "ada"})
	ada.ready = await[*wire.Ready](ada)
	for _, row := range []struct {
		name string
		send map[string]any
		want int
	}{
		{"start as ada", map[string]any{"type": "start", "uid": "ada"}, 4501},
		{"start as ada in her session", map[string]any{"type": "start", "uid": "ada", "session": ada.ready.Session}, 4501},
		{"start as herself in ada's session", map[string]any{"type": "start", "session": ada.ready.Session}, 4505},
		{"transcript", map[string]any{"type": "transcript", "seq": 1, "segments": []any{}}, 4500},
		{"finish", map[string]any{"type": "finish"}, 4500},
		{"end", map[string]any{"type": "end"}, 4500},
		{"keepalive", map[string]any{"type": "keepalive"}, 4500},
	} {
		eve, _ := dialAs(t, h, token["eve"], "")
		eve.send(row.send)
		if got := eve.closedWith(); got != row.want {
			t.Errorf("%s: closed with %d, want %d", row.name, got, row.want)
		}
	}
	for who, want := range map[string]int{"": 401, "operator": 403} {
		if c, resp := dialAs(t, h, token[who], ""); c != nil || resp.StatusCode != want {
			t.Errorf("a stream by %q: %v, want %d before the upgrade", who, resp.Status, want)
		}
	}
}

func TestABrowserStreamsWithATokenOnce(t *testing.T) {
	h, token := guarded(t)
	status, _, answer := ask(t, h, "POST", "/v1/tokens", token["backend"], `{"uid":"ada","ttl_seconds":30}`)
	var issued struct{ Token, UID string }
	if err := json.Unmarshal([]byte(answer), &issued); err != nil || status != 200 || issued.UID != "ada" {
		t.Fatalf("got %d %s, %v", status, answer, err)
	}
	browser, _ := dialAs(t, h, "", "?token="+issued.Token)
	browser.send(map[string]any{"type": "start"})
	await[*wire.Ready](browser)
	if c, resp := dialAs(t, h, "", "?token="+issued.Token); c != nil || resp.StatusCode != 401 {
		t.Errorf("a second time: %v, want 401", resp.Status)
	}
	if status, code, _ := ask(t, h, "GET", "/v1/conversations?token="+issued.Token, "", ""); status != 401 || code != auth.CodeMissing {
		t.Errorf("on another route: %d %s", status, code)
	}
	if status, code, _ := ask(t, h, "POST", "/v1/tokens", token["backend"], `{}`); status != 400 || code != "bad_uid" {
		t.Errorf("for nobody: %d %s", status, code)
	}
}

func TestAReloadTakesATokenOutAtOnceAndNeverOpensTheDoor(t *testing.T) {
	c := configuration(t.TempDir())
	first, digest := auth.NewStatic()
	second, other := auth.NewStatic()
	c.Auth.Static = []config.AuthToken{{Name: "a", SHA256: digest, Scopes: []string{"operate"}}}
	next := c
	next.Auth.Static = []config.AuthToken{{Name: "a", SHA256: other, Scopes: []string{"operate"}}}
	h, _ := startWith(t, host.Options{Config: c, Reload: func() (config.Config, config.Problems) { return next, nil }})
	if s, _, answer := ask(t, h, "POST", "/v1/reload", first, ""); s != 200 || !strings.Contains(answer, `"applied":["auth"]`) {
		t.Fatalf("got %d %s", s, answer)
	}
	for token, want := range map[string]int{first: 401, second: 200} {
		if s, _, _ := ask(t, h, "GET", "/v1/apps", token, ""); s != want {
			t.Errorf("got %d, want %d", s, want)
		}
	}
	next.Auth.Static = nil
	if s, code, _ := ask(t, h, "POST", "/v1/reload", second, ""); s != 503 || code != "not_reloaded" {
		t.Errorf("without an auth block: %d %s", s, code)
	}
	if s, _, _ := ask(t, h, "GET", "/v1/apps", "", ""); s != 401 {
		t.Errorf("the door is open: %d", s)
	}
}
