package api_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/users"
)

// ask makes a request with headers in pairs.
func ask(t *testing.T, server *httptest.Server, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

var asJSON = []string{"Content-Type", "application/json"}

func TestUsersAppsAreSwitchedAndListed(t *testing.T) {
	server, p := serve(t, nil)
	if err := p.users.Set(t.Context(), "a/b%c", "gone", users.Off); err != nil {
		t.Fatal(err)
	}
	const path = "/v1/users/a%2Fb%25c/apps"
	const gone = `"absent":[{"name":"gone","on":false}]}` + "\n"
	var version string
	for i, step := range []struct{ method, path, body, want string }{
		{http.MethodGet, path, "", `"on":true,"why":"config","default":true}],` + gone},
		{http.MethodDelete, path + "/greeter", "", `"on":false,"why":"user","default":true}],` + gone},
		{http.MethodDelete, path + "/greeter", "", `"on":false,"why":"user","default":true}],` + gone},
		{http.MethodPut, path + "/greeter", "", `"on":true,"why":"user","default":true}],` + gone},
		{http.MethodPut, path + "/greeter", `{"state":"off"}`, `"on":false,"why":"user","default":true}],` + gone},
		{http.MethodPut, path + "/greeter", `{"state":"on"}`, `"on":true,"why":"user","default":true}],` + gone},
		{http.MethodPut, path + "/greeter", `{"state":"default"}`, `"on":true,"why":"config","default":true}],` + gone},
		{http.MethodPut, path + "/gone", `{"state":"default"}`, `"on":true,"why":"config","default":true}],"absent":[]}` + "\n"},
	} {
		resp, body := ask(t, server, step.method, step.path, step.body, asJSON...)
		if i == 0 {
			_, rest, _ := strings.Cut(body, `"version":"`)
			version, _, _ = strings.Cut(rest, `"`)
		}
		want := `{"uid":"a/b%c","apps":[{"name":"greeter","version":"` + version + `",` + step.want
		if resp.StatusCode != http.StatusOK || body != want {
			t.Errorf("%d: %s %s %s: %d %swant %s", i, step.method, step.path, step.body, resp.StatusCode, body, want)
		}
	}
}

func TestBadChoicesAreRefused(t *testing.T) {
	server, p := serve(t, nil)
	for _, bad := range []struct {
		why, method, path, body string
		headers                 []string
		status                  int
		want                    string
	}{
		{"an app that is not installed", http.MethodPut, "/v1/users/ann/apps/none", "", nil, 404, `unknown_app","message":"there is no app \"none\"; installed: greeter`},
		{"the same, switched off", http.MethodDelete, "/v1/users/ann/apps/none", "", nil, 404, "unknown_app"},
		{"the same, with nothing to take back", http.MethodPut, "/v1/users/ann/apps/none", `{"state":"default"}`, asJSON, 404, "unknown_app"},
		{"a space in the uid", http.MethodGet, "/v1/users/a%20b/apps", "", nil, 400, "bad_uid"},
		{"a uid that is no ASCII", http.MethodPut, "/v1/users/%C3%A9/apps/greeter", "", nil, 400, "bad_uid"},
		{"a long uid", http.MethodGet, "/v1/users/" + strings.Repeat("u", 129) + "/apps", "", nil, 400, "bad_uid"},
		{"no uid", http.MethodGet, "/v1/users//apps", "", nil, 404, "not_found"},
		{"nothing of a user's but apps", http.MethodGet, "/v1/users/ann", "", nil, 404, "not_found"},
		{"too deep", http.MethodPut, "/v1/users/ann/apps/greeter/x", "", nil, 404, "not_found"},
		{"the list can't be put", http.MethodPut, "/v1/users/ann/apps", "", nil, 405, "answers GET only"},
		{"one app can't be read", http.MethodGet, "/v1/users/ann/apps/greeter", "", nil, 405, "answers PUT and DELETE only"},
		{"a parameter", http.MethodDelete, "/v1/users/ann/apps/greeter?default", "", nil, 400, "bad_query"},
		{"DELETE with a body", http.MethodDelete, "/v1/users/ann/apps/greeter", `{"state":"off"}`, asJSON, 400, "DELETE takes no body"},
		{"no JSON", http.MethodPut, "/v1/users/ann/apps/greeter", `{"state":"off"}`, []string{"Content-Type", "text/plain"}, 415, "bad_content_type"},
		{"a page of another origin", http.MethodPut, "/v1/users/ann/apps/greeter", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, "bad_origin"},
		{"an unknown state", http.MethodPut, "/v1/users/ann/apps/greeter", `{"state":"ON"}`, asJSON, 400, "state is none of"},
		{"an unknown member", http.MethodPut, "/v1/users/ann/apps/greeter", `{"enabled":false}`, asJSON, 400, `known: state`},
		{"a state twice", http.MethodPut, "/v1/users/ann/apps/greeter", `{"state":"on","state":"off"}`, asJSON, 400, "more than a state"},
		{"more behind it", http.MethodPut, "/v1/users/ann/apps/greeter", `{"state":"on"} {}`, asJSON, 400, "more than a state"},
		{"a list", http.MethodPut, "/v1/users/ann/apps/greeter", `["state"]`, asJSON, 400, "not a JSON object"},
		{"a large body", http.MethodPut, "/v1/users/ann/apps/greeter", strings.Repeat(" ", 5000), asJSON, 413, "too_large"},
	} {
		resp, body := ask(t, server, bad.method, bad.path, bad.body, bad.headers...)
		if resp.StatusCode != bad.status || !strings.Contains(body, bad.want) {
			t.Errorf("%s: %d %swant %d %s", bad.why, resp.StatusCode, body, bad.status, bad.want)
		}
	}
	if n := p.users.Len(); n != 0 {
		t.Errorf("%d users have choices after all that", n)
	}
}

// FuzzUserChoice: every uid and app can be named by a path, and what a path
// names is named by the path made of it; a body says a known state or nothing.
func FuzzUserChoice(f *testing.F) {
	f.Add("ann", "loudness", []byte(`{"state":"on"}`))
	f.Add("a/b", "%2F", []byte(`{"state":"default","state":1}`))
	f.Add("..", "", []byte(`[`))
	f.Fuzz(func(t *testing.T, uid, app string, body []byte) {
		path := "/v1/users/" + url.PathEscape(uid) + "/apps"
		if app != "" {
			path += "/" + url.PathEscape(app)
		}
		gotUID, gotApp, ok := api.UserPath(path)
		if ok != (uid != "") || ok && (gotUID != uid || gotApp != app) {
			t.Errorf("%q of %q: %q of %q, %v", app, uid, gotApp, gotUID, ok)
		}
		api.UserPath("/v1/users/" + uid + "/" + app) // whatever it is
		switch to, err := api.ParseState(body); {
		case err != nil && to != "":
			t.Errorf("%s: both %q and %v", body, to, err)
		case err == nil && to != users.On && to != users.Off && to != users.Default:
			t.Errorf("%s: %q", body, to)
		}
	})
}

func TestWhatAnAppKeepsIsListedAndForgotten(t *testing.T) {
	server, p := serve(t, nil)
	if _, err := p.store.PutValues(t.Context(), "gone.app", "a/b%c", map[string][]byte{"b": []byte("12"), "a": nil}, 0); err != nil {
		t.Fatal(err)
	}
	const path = "/v1/users/a%2Fb%25c/apps/gone.app/storage"
	const empty = `{"uid":"a/b%c","app":"gone.app","bytes":0,"keys":[]}` + "\n"
	for i, step := range []struct {
		method, path, body, why string
		status                  int
		want                    string // of the body, or the code
	}{
		{http.MethodGet, path, "", "sizes, no values", 200, `{"uid":"a/b%c","app":"gone.app","bytes":4,"keys":[{"key":"a","bytes":0},{"key":"b","bytes":2}]}` + "\n"},
		{http.MethodDelete, path, "x", "a body", 400, `"bad_body"`},
		{http.MethodPut, path, "", "no such method", 405, `"method_not_allowed"`},
		{http.MethodDelete, path + "?key=a", "", "a query", 400, `"bad_query"`},
		{http.MethodGet, "/v1/users/ann/apps/Gone/storage", "", "no app's name", 400, `"bad_app"`},
		{http.MethodGet, "/v1/users/a%20b/apps/gone/storage", "", "no uid", 400, `"bad_uid"`},
		{http.MethodGet, "/v1/users/ann/apps/gone/storage/more", "", "nothing there", 404, `"not_found"`},
		{http.MethodDelete, path, "", "all of it", 200, empty},
		{http.MethodDelete, path, "", "once more", 200, empty},
		{http.MethodGet, path, "", "then it is gone", 200, empty},
	} {
		resp, body := ask(t, server, step.method, step.path, step.body)
		if resp.StatusCode != step.status || !strings.Contains(body, step.want) {
			t.Errorf("step %d, %s: %d %s, want %d %s", i, step.why, resp.StatusCode, body, step.status, step.want)
		}
	}
	resp, body := ask(t, server, http.MethodDelete, path, "", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if resp.StatusCode != 403 {
		t.Errorf("a page of another origin: %d %s", resp.StatusCode, body)
	}
}

func TestMemoriesAreListedAndForgotten(t *testing.T) {
	server, p := serve(t, nil)
	if err := p.store.AddMemories(t.Context(), "a/b%c", []store.Memory{{App: "gone", Content: "likes <tea>"}}); err != nil {
		t.Fatal(err)
	}
	const path = "/v1/users/a%2Fb%25c/memories"
	const empty = `{"uid":"a/b%c","memories":[]}` + "\n"
	for i, step := range []struct {
		method, path, body, why string
		status                  int
		want                    string // of the body, or the code
	}{
		{http.MethodGet, path, "", "all of it", 200, `"app":"gone","content":"likes <tea>"`},
		{http.MethodDelete, path, "x", "a body", 400, `"bad_body"`},
		{http.MethodPut, path, "", "no such method", 405, `"method_not_allowed"`},
		{http.MethodGet, path + "?limit=1", "", "a query", 400, `"bad_query"`},
		{http.MethodGet, "/v1/users/a%20b/memories", "", "no uid", 400, `"bad_uid"`},
		{http.MethodGet, "/v1/users/a/b/memories", "", "nothing there", 404, `"not_found"`},
		{http.MethodDelete, path, "", "deleted", 200, empty},
		{http.MethodDelete, path, "", "once more", 200, empty},
		{http.MethodGet, path, "", "then it is gone", 200, empty},
	} {
		resp, body := ask(t, server, step.method, step.path, step.body)
		if resp.StatusCode != step.status || !strings.Contains(body, step.want) {
			t.Errorf("step %d, %s: %d %s, want %d %s", i, step.why, resp.StatusCode, body, step.status, step.want)
		}
	}
}
