package host_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// withTools is a host with the app odd-tools, which everybody but bob has, and
// tokens by name.
func withTools(t *testing.T) (h *host.Host, token map[string]string) {
	t.Helper()
	app := config.App{
		Name: "odd-tools", Module: apptest.Build(t, "testdata/guests/tools"), Users: []string{"ada", "eve"},
		Grant: []event.Capability{event.CapTools, event.CapNotify}, Limits: config.AppLimits{Fuel: 20_000_000},
	}
	c := configuration(t.TempDir(), app)
	token = map[string]string{}
	for name, as := range map[string]config.AuthToken{
		"ada": {UID: "ada", Scopes: []string{"tools"}}, "eve": {UID: "eve", Scopes: []string{"tools"}}, "bob": {UID: "bob", Scopes: []string{"tools"}},
		"backend": {Scopes: []string{"tools"}}, "reader": {UID: "ada", Scopes: []string{"stream", "read"}}, "operator": {Scopes: []string{"operate"}},
	} {
		var digest string
		token[name], digest = auth.NewStatic()
		c.Auth.Static = append(c.Auth.Static, config.AuthToken{Name: name, SHA256: digest, UID: as.UID, Scopes: as.Scopes})
	}
	h, _ = start(t, c)
	return h, token
}

// send makes a request of a client's.
func send(t *testing.T, h *host.Host, method, path, token, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+h.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b)), resp.Header
}

// bearing is an HTTP client that shows a token.
type bearing string

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// connect connects the SDK's own MCP client.
func connect(t *testing.T, h *host.Host, path, token string) (*mcp.ClientSession, error) {
	t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := c.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: "http://" + h.Addr().String() + path, HTTPClient: &http.Client{Transport: bearing(token)}, MaxRetries: -1,
	}, nil)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func TestTools(t *testing.T) {
	h, token := withTools(t)
	const base = "/v1/users/ada/tools/odd-tools/"

	t.Run("HTTP", func(t *testing.T) {
		for _, c := range []struct {
			reason, method, path, as, body string
			status                         int
			want                           string // part of the answer
		}{
			{"a call", "POST", base + "echo", "ada", `{"text":"milk"}`, 200, `{"result":{"arguments":{"text":"milk"},"calls":1,"uid":"ada"}}`},
			{"state is fresh", "POST", base + "echo", "ada", `{"text":"milk"}`, 200, `"calls":1`},
			{"a backend calls for any user", "POST", base + "echo", "backend", `{"text":"milk"}`, 200, `"uid":"ada"`},
			{"no arguments", "POST", base + "text", "ada", ``, 200, `{"result":"plain words"}`},
			{"null is a result", "POST", base + "nothing", "ada", `{}`, 200, `{"result":null}`},
			{"no notifications", "POST", base + "notify", "ada", `{}`, 200, `{"result":"true"}`},
			{"what the app says", "POST", base + "fail", "ada", `{}`, 200, `"code":"app_error","message":"there is no such note; list them first"`},
			{"a panic's text is the operator's", "POST", base + "panic", "ada", `{}`, 200, `finds out why by invocation i_`},
			{"out of fuel", "POST", base + "spin", "ada", `{}`, 200, `"code":"fuel_exhausted"`},
			{"two results", "POST", base + "twice", "ada", `{}`, 200, `"code":"app_error"`},
			{"arguments", "POST", base + "echo", "ada", `{"text":1,"more":2}`, 400, `"violations":[{"at":"/more","message":"arguments.more is no argument of this tool"},{"at":"/text"`},
			{"no JSON", "POST", base + "echo", "ada", `{`, 400, `"code":"bad_arguments"`},
			{"twice", "POST", base + "echo", "ada", `{"text":"aa","text":"bb"}`, 400, `is there twice`},
			{"unknown tool", "POST", base + "lose", "ada", `{}`, 404, `"code":"unknown_tool"`},
			{"unknown app", "POST", "/v1/users/ada/tools/none/echo", "ada", `{}`, 404, `"code":"unknown_tool"`},
			{"an app that the user has not", "POST", "/v1/users/bob/tools/odd-tools/text", "bob", `{}`, 404, `"code":"unknown_tool"`},
			{"another user", "POST", base + "text", "eve", `{}`, 403, `"code":"wrong_user"`},
			{"another scope", "POST", base + "text", "reader", `{}`, 403, `"code":"insufficient_scope"`},
			{"nobody", "POST", base + "text", "", `{}`, 401, `"code":"no_credentials"`},
			{"large", "POST", base + "echo", "ada", strings.Repeat(" ", 200<<10), 413, `"code":"too_large"`},
			{"method", "GET", base + "text", "ada", ``, 405, `"code":"method_not_allowed"`},
			{"the list", "GET", "/v1/users/ada/tools", "ada", ``, 200, `{"tools":[{"app":"odd-tools","name":"echo","description":"Answers what it was called with.","parameters":{`},
			{"the list of who has none", "GET", "/v1/users/bob/tools", "bob", ``, 200, `{"tools":[]}`},
			{"another's list", "GET", "/v1/users/ada/tools", "eve", ``, 403, `"code":"wrong_user"`},
		} {
			status, body, _ := send(t, h, c.method, c.path, token[c.as], c.body)
			if status != c.status || !strings.Contains(body, c.want) || strings.Contains(body, "secret") {
				t.Errorf("%s: got %d %s, want %d …%s…", c.reason, status, body, c.status, c.want)
			}
		}
	})

	t.Run("MCP", func(t *testing.T) {
		for _, path := range []string{"/v1/mcp", "/v1/users/ada/mcp"} {
			s, err := connect(t, h, path, token["ada"])
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			list, err := s.ListTools(t.Context(), nil)
			if err != nil || len(list.Tools) != 8 {
				t.Fatalf("%s: %d tools, error %v", path, len(list.Tools), err)
			}
			if list.GetCacheScope() == "public" {
				t.Error("one user's tools may be given to others")
			}
			if i := slices.IndexFunc(list.Tools, func(t *mcp.Tool) bool { return t.Name == "odd-tools-echo" }); i < 0 {
				t.Errorf("no odd-tools-echo in %+v", list.Tools)
			} else if schema, _ := json.Marshal(list.Tools[i].InputSchema); !strings.Contains(string(schema), `"minLength":2`) {
				t.Errorf("its schema is %s", schema)
			}
			for _, c := range []struct {
				tool, arguments string
				isError         bool
				want            string
			}{
				{"echo", `{"text":"milk"}`, false, `{"arguments":{"text":"milk"},"calls":1,"uid":"ada"}`},
				{"text", `{}`, false, "plain words"},
				{"echo", `{"text":1}`, true, "arguments.text is a number, must be a string"},
				{"fail", `{}`, true, "there is no such note"},
				{"panic", `{}`, true, "finds out why by invocation"},
			} {
				r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "odd-tools-" + c.tool, Arguments: json.RawMessage(c.arguments)})
				if err != nil || len(r.Content) != 1 {
					t.Fatalf("%s: %+v, error %v", c.tool, r, err)
				}
				text := r.Content[0].(*mcp.TextContent).Text
				if r.IsError != c.isError || !strings.Contains(text, c.want) || strings.Contains(text, "secret") {
					t.Errorf("%s %s: got %q, is error: %v", c.tool, c.arguments, text, r.IsError)
				}
				if c.tool == "echo" && !c.isError && r.StructuredContent == nil {
					t.Error("an object is no structured content")
				}
			}
			_, err = s.CallTool(t.Context(), &mcp.CallToolParams{Name: "odd-tools-lose"})
			var fault *jsonrpc.Error
			if !errors.As(err, &fault) || fault.Code != jsonrpc.CodeInvalidParams {
				t.Errorf("an unknown tool: %v, want a protocol error", err)
			}
		}
		if s, err := connect(t, h, "/v1/mcp", token["bob"]); err != nil {
			t.Error(err)
		} else if list, err := s.ListTools(t.Context(), nil); err != nil || len(list.Tools) != 0 {
			t.Errorf("bob, who has not the app: %+v, error %v", list, err)
		}
		for _, c := range []struct{ path, as string }{
			{"/v1/users/ada/mcp", "eve"}, {"/v1/mcp", "reader"}, {"/v1/mcp", "backend"}, {"/v1/mcp", "operator"},
		} {
			if _, err := connect(t, h, c.path, token[c.as]); err == nil {
				t.Errorf("%s: %s was let in", c.path, c.as)
			}
		}
	})

	t.Run("MCP garbage", func(t *testing.T) {
		for _, c := range []struct {
			reason, body string
			header       []string
			status       int
		}{
			{"no JSON", `{`, nil, 400},
			{"nothing", ``, nil, 400},
			{"no JSON-RPC", `{"hello":1}`, nil, 400},
			{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"tools/steal"}`, nil, 400},
			{"no name", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`, nil, 200},
			{"params that are a list", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}`, nil, 200},
			{"deep", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"odd-tools-echo","arguments":` + strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500) + `}}`, nil, 200},
			{"large", strings.Repeat(" ", 300<<10), nil, 413},
			{"a page of another origin", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, []string{"Origin", "https://evil.example"}, 403},
			{"a protocol of never", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, []string{"Mcp-Protocol-Version", "1999-01-01"}, 400},
		} {
			header := append([]string{"Accept", "application/json, text/event-stream"}, c.header...)
			status, body, _ := send(t, h, "POST", "/v1/mcp", token["ada"], c.body, header...)
			if status != c.status || status == 200 && !strings.Contains(body, `rror`) {
				t.Errorf("%s: got %d %.200s, want %d", c.reason, status, body, c.status)
			}
		}
		if status, _, _ := send(t, h, "GET", "/v1/mcp", token["ada"], ""); status != 405 {
			t.Errorf("GET, which would open a stream: %d, want 405", status)
		}
		status, _, header := send(t, h, "POST", "/v1/mcp", "", "")
		if status != 401 || !strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("nobody: %d %q", status, header.Get("WWW-Authenticate"))
		}
	})

	t.Run("Omi", func(t *testing.T) {
		status, body, _ := send(t, h, "GET", "/.well-known/omi-tools.json", token["backend"], "")
		var manifest struct {
			Tools []struct {
				Name, Endpoint, Method string
				AuthRequired           bool   `json:"auth_required"`
				StatusMessage          string `json:"status_message"`
			}
		}
		if err := json.Unmarshal([]byte(body), &manifest); err != nil || status != 200 || len(manifest.Tools) != 8 {
			t.Fatalf("%d %s %v", status, body, err)
		}
		first := manifest.Tools[0]
		if first.Name != "odd-tools-echo" || first.Method != "POST" || !first.AuthRequired || first.StatusMessage != "Echoing" {
			t.Errorf("got %+v", first)
		}
		if _, body, _ := send(t, h, "GET", "/v1/omi/tools/odd-tools", token["ada"], ""); !strings.Contains(body, `"name":"echo"`) {
			t.Errorf("one app's: %s", body)
		}
		for _, c := range []struct {
			reason, path, as, body string
			status                 int
			want                   string
		}{
			{"a call as its chat makes it", first.Endpoint, "backend", `{"text":"milk","lang":null,"uid":"ada","app_id":"01","tool_name":"odd-tools-echo","geolocation":{"latitude":1}}`, 200, `{"result":"{\"arguments\":{\"text\":\"milk\"},\"calls\":1,\"uid\":\"ada\"}"}`},
			{"text is text", "/v1/omi/tools/odd-tools/text", "backend", `{"uid":"ada"}`, 200, `{"result":"plain words"}`},
			{"arguments, which the model can mend", first.Endpoint, "backend", `{"uid":"ada"}`, 200, `{"error":"arguments.text is missing"}`},
			{"an app's error", "/v1/omi/tools/odd-tools/fail", "backend", `{"uid":"ada"}`, 200, `{"error":"there is no such note; list them first"}`},
			{"unknown", "/v1/omi/tools/odd-tools/lose", "backend", `{"uid":"ada"}`, 404, `{"error":"`},
			{"no user", first.Endpoint, "backend", `{"text":"milk"}`, 400, `uid is missing`},
			{"another user", first.Endpoint, "eve", `{"text":"milk","uid":"ada"}`, 403, `wrong_user`},
			{"nobody", first.Endpoint, "", `{"text":"milk","uid":"ada"}`, 401, `no_credentials`},
			{"a list", first.Endpoint, "backend", `[]`, 400, `not a JSON object`},
		} {
			status, body, _ := send(t, h, "POST", c.path, token[c.as], c.body)
			if status != c.status || !strings.Contains(body, c.want) {
				t.Errorf("%s: got %d %s, want %d …%s…", c.reason, status, body, c.status, c.want)
			}
		}
		// All that its chat can send stands in the endpoint's URL.
		r, _ := http.NewRequestWithContext(t.Context(), "POST", fmt.Sprintf("http://omi:%s@%s%s", token["backend"], h.Addr(), first.Endpoint), strings.NewReader(`{"text":"milk","uid":"ada"}`))
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("with the token in the URL: %d", resp.StatusCode)
		}
		r.URL.Path = "/v1/users/ada/tools/odd-tools/text"
		r.Body = io.NopCloser(strings.NewReader("{}"))
		r.ContentLength = 2
		if resp, err = http.DefaultClient.Do(r); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Errorf("Basic elsewhere: %d, want 401", resp.StatusCode)
		}
	})

	t.Run("counted", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+h.OperatorsAddr().String()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token["operator"])
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`auricle_tool_calls_total{result="bad_arguments",via="http"} 3`,
			`auricle_tool_calls_total{result="unknown_tool",via="mcp"} `,
			`auricle_tool_calls_total{result="app_error",via="omi"} 1`,
			`auricle_invocations_total{app="odd-tools",event="tool",outcome="fuel_exhausted"} 1`,
			`auricle_invocations_total{app="odd-tools",event="tool",outcome="ok"} `,
			`auricle_breaker_open{app="odd-tools"} 0`, // for all that the app answered errors
		} {
			if !strings.Contains(string(page), want) {
				t.Errorf("no %s", want)
			}
		}
		if strings.Contains(string(page), "milk") {
			t.Error("arguments are in the metrics")
		}
	})
}
