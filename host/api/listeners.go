package api

import (
	"net/http"
	"net/http/pprof"
	"strings"
)

// Where streams are opened, of the native protocol, of Omi's and of telephone
// providers'; package stream answers there.
const (
	streamPath    = "/v1/stream"
	omiPusherPath = "/v1/trigger/listen"
	omiListenPath = "/v4/listen"
	telephonePath = "/v1/telephone"
)

// integrationsPath is what apps' own servers ask below; package integrations
// answers there, and asks for their keys.
const integrationsPath = "/v2/integrations"

// pprofPath is what profiles of the running host are below.
const pprofPath = "/debug/pprof"

// The paths of each listener; what is below them is theirs too. What is in
// neither is not served to clients: a path must be named to be public.
var (
	bothPaths     = []string{"/healthz", "/readyz"}
	clientsPaths  = []string{streamPath, omiPusherPath, omiListenPath, telephonePath, conversationsPath, tokensPath, integrationsPath, mcpPath, omiManifestPath, omiToolsPath}
	operatorPaths = []string{"/metrics", "/v1/apps", jobsPath, usersPath, replaysPath, reloadPath, clusterPath, pprofPath}
)

// ForClients serves what clients may ask for: health, streams, conversations,
// tokens and tools. It answers 404 for every other path, whatever next has there.
func ForClients(next http.Handler) http.Handler {
	return withRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case within(r.URL.Path, bothPaths), within(r.URL.Path, clientsPaths), ofTools(r):
			next.ServeHTTP(w, r)
		case within(r.URL.Path, operatorPaths):
			fail(w, r, http.StatusNotFound, "not_found", "this is served on the operators' listener, not to clients; the key operators.listen says where that is")
		default:
			fail(w, r, http.StatusNotFound, "not_found", "there is nothing at this path; see /v1/stream and /v1/conversations?uid=")
		}
	}))
}

// ForOperators serves everything but what is for clients, and profiles of the
// running host below /debug/pprof/.
func ForOperators(next http.Handler) http.Handler {
	profiles := http.NewServeMux() // not the default one, which anything may add to
	profiles.HandleFunc("GET "+pprofPath+"/", pprof.Index)
	profiles.HandleFunc("GET "+pprofPath+"/cmdline", pprof.Cmdline)
	profiles.HandleFunc("GET "+pprofPath+"/profile", pprof.Profile)
	profiles.HandleFunc("GET "+pprofPath+"/symbol", pprof.Symbol)
	profiles.HandleFunc("GET "+pprofPath+"/trace", pprof.Trace)
	return withRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case within(r.URL.Path, clientsPaths), ofTools(r):
			fail(w, r, http.StatusNotFound, "not_found", "this is served on the clients' listener; the key listen says where that is")
		case within(r.URL.Path, []string{pprofPath}):
			profiles.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	}))
}

// ofTools reports whether a request is for a user's tools, which are below
// usersPath beside what is for operators.
func ofTools(r *http.Request) bool {
	_, ok := parseToolPath(r.URL.EscapedPath())
	return ok
}

// within reports whether path is one of paths or below one.
func within(path string, paths []string) bool {
	for _, p := range paths {
		if rest, ok := strings.CutPrefix(path, p); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}
