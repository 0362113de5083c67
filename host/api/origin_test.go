package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/origins"
)

func TestPagesOfListedOriginsOnly(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	const page = "https://app.example.com"
	pages := api.ForPages(origins.List{page}, inner)
	none := api.ForPages(nil, inner)
	const passed, preflight, refused = http.StatusTeapot, http.StatusNoContent, http.StatusForbidden
	for _, row := range []struct {
		name         string
		handler      http.Handler
		method, path string
		origin       string // "" sends none
		asks, sends  string // of a preflight
		want         int
		allowed      string // Access-Control-Allow-Origin
	}{
		{"a page reads", pages, "GET", "/v1/conversations/c_1", page, "", "", passed, page},
		{"a page gets a token", pages, "POST", "/v1/tokens", page, "", "", passed, page},
		{"a program", pages, "GET", "/v1/conversations", "", "", "", passed, ""},
		{"another page", pages, "GET", "/v1/conversations", "https://evil.example", "", "", refused, ""},
		{"another page with a token to get", pages, "POST", "/v1/tokens", "https://evil.example", "", "", refused, ""},
		{"another scheme", pages, "GET", "/v1/conversations", "http://app.example.com", "", "", refused, ""},
		{"another port", pages, "GET", "/v1/conversations", page + ":8443", "", "", refused, ""},
		{"a sandboxed page", pages, "GET", "/v1/conversations", "null", "", "", refused, ""},
		{"a page of this machine, none listed", none, "GET", "/v1/conversations", "http://localhost:3000", "", "", refused, ""},
		{"asking first", pages, "OPTIONS", "/v1/conversations", page, "GET", "authorization", preflight, page},
		{"asking first, for a token", pages, "OPTIONS", "/v1/tokens", page, "POST", "Authorization, content-type", preflight, page},
		{"asking first, another page", pages, "OPTIONS", "/v1/tokens", "https://evil.example", "POST", "", refused, ""},
		{"asking to change", pages, "OPTIONS", "/v1/conversations", page, "DELETE", "", refused, ""},
		{"asking for a header", pages, "OPTIONS", "/v1/conversations", page, "GET", "authorization, x-forwarded-for", refused, ""},
		{"OPTIONS that is no preflight", pages, "OPTIONS", "/v1/conversations", page, "", "", passed, page},
		{"health is no page's business", pages, "GET", "/healthz", page, "", "", passed, ""},
	} {
		r := httptest.NewRequest(row.method, row.path, nil)
		for name, v := range map[string]string{"Origin": row.origin, "Access-Control-Request-Method": row.asks, "Access-Control-Request-Headers": row.sends} {
			if v != "" {
				r.Header.Set(name, v)
			}
		}
		w := httptest.NewRecorder()
		row.handler.ServeHTTP(w, r)
		if w.Code != row.want || w.Header().Get("Access-Control-Allow-Origin") != row.allowed {
			t.Errorf("%s: %d, allowed %q; want %d, %q", row.name, w.Code, w.Header().Get("Access-Control-Allow-Origin"), row.want, row.allowed)
		}
		if row.path != "/healthz" && w.Header().Get("Vary") != "Origin" {
			t.Errorf("%s: Vary is %q: a cache would give one page's answer to another", row.name, w.Header().Get("Vary"))
		}
		if w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: cookies are asked for", row.name)
		}
	}
}
