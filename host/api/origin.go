package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/host/origins"
)

// ForPages lets the web pages of listed origins read conversations, ask for
// tokens and call tools (CORS, https://fetch.spec.whatwg.org/#http-cors-protocol). A request of
// a page of any other origin is refused with 403, not only hidden from it; a
// request without an Origin comes from no page and passes. Cookies are never
// asked for. Other paths pass as they are: a stream has its own check.
func ForPages(pages origins.List, next http.Handler) http.Handler {
	return withRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods := methodsForPages(r.URL.Path)
		if ofTools(r) || within(r.URL.Path, []string{omiManifestPath, omiToolsPath}) {
			methods = []string{http.MethodGet, http.MethodHead, http.MethodPost}
		}
		if methods == nil {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Add("Vary", "Origin")
		origin, sent := r.Header["Origin"]
		if !sent {
			next.ServeHTTP(w, r)
			return
		}
		if len(origin) != 1 || !pages.Names(origin[0]) {
			fail(w, r, http.StatusForbidden, "origin_not_allowed", "pages of this origin may not use this host; the operator can list it in stream.origins")
			return
		}
		h.Set("Access-Control-Allow-Origin", origin[0])
		asked := r.Header.Get("Access-Control-Request-Method")
		if r.Method != http.MethodOptions || asked == "" {
			h.Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
			next.ServeHTTP(w, r)
			return
		}
		h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
		if !slices.Contains(methods, asked) || !headersForPages(r.Header.Values("Access-Control-Request-Headers")) {
			h.Del("Access-Control-Allow-Origin")
			fail(w, r, http.StatusForbidden, "preflight_refused", "pages may send "+strings.Join(methods, ", ")+" here, with the headers Authorization and Content-Type, and those of MCP")
			return
		}
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Mcp-Protocol-Version, Mcp-Method, Mcp-Name")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	}))
}

// methodsForPages returns what pages may do at a path; nil where they have no
// business.
func methodsForPages(path string) []string {
	switch {
	case within(path, []string{conversationsPath}):
		return []string{http.MethodGet, http.MethodHead}
	case path == tokensPath:
		return []string{http.MethodPost}
	}
	return nil
}

// headersForPages reports whether all headers that a page asks to send may be
// sent.
func headersForPages(asked []string) bool {
	for name := range strings.SplitSeq(strings.Join(asked, ","), ",") {
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "", "authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name":
		default:
			return false
		}
	}
	return true
}
