package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/auricle-dev/auricle/host/auth"
)

// Route is a path that this package answers, and what it takes to ask for it.
type Route struct {
	Method string     // GET (and HEAD), POST, PUT or DELETE
	Path   string     // "/v1/conversations/{id}"
	Scope  auth.Scope // "": open to everyone
}

// routes is the one table of who may ask for what. A path that is not in it is
// nowhere: Authorise answers 404.
var routes = []Route{
	{"GET", "/healthz", ""},
	{"GET", "/readyz", ""},
	{"GET", "/metrics", auth.Operate},
	{"GET", conversationsPath, auth.Read},           // one user's: the credentials' own, where they are one user's
	{"GET", conversationsPath + "/{id}", auth.Read}, // likewise
	{"POST", tokensPath, auth.Stream},               // likewise
	{"GET", "/v1/apps", auth.Operate},
	{"GET", jobsPath, auth.Operate},
	{"GET", jobsPath + "/{app}/{conversation}", auth.Operate},
	{"POST", jobsPath + "/retry", auth.Operate},
	{"POST", jobsPath + "/drop", auth.Operate},
	{"GET", replaysPath, auth.Operate},
	{"GET", replaysPath + "/{invocation}", auth.Operate},
	{"GET", clusterPath, auth.Operate},
	{"POST", reloadPath, auth.Operate},
	{"GET", pprofPath + "/", auth.Operate},
	{"GET", pprofPath + "/{profile}", auth.Operate},
	{"GET", usersPath + "/{uid}/apps", auth.Operate},
	{"PUT", usersPath + "/{uid}/apps/{app}", auth.Operate},
	{"DELETE", usersPath + "/{uid}/apps/{app}", auth.Operate},
	{"GET", usersPath + "/{uid}/memories", auth.Operate},
	{"DELETE", usersPath + "/{uid}/memories", auth.Operate},
	{"GET", usersPath + "/{uid}/apps/{app}/storage", auth.Operate},
	{"DELETE", usersPath + "/{uid}/apps/{app}/storage", auth.Operate},
	{"GET", usersPath + "/{uid}/tools", auth.Tools}, // one user's: the credentials' own, where they are one user's
	{"POST", usersPath + "/{uid}/tools/{app}/{tool}", auth.Tools},
	{"POST", usersPath + "/{uid}/mcp", auth.Tools},
	{"POST", mcpPath, auth.Tools},
	{"GET", omiManifestPath, auth.Tools},
	{"GET", omiToolsPath + "/{app}", auth.Tools},
	{"POST", omiToolsPath + "/{app}/{tool}", auth.Tools},
}

// Routes returns every route with the scope that it takes.
func Routes() []Route { return append([]Route(nil), routes...) }

// routeOf returns the route that a path is of, as it was sent: what is escaped in
// it parts nothing.
func routeOf(path string) (Route, bool) {
	for _, r := range routes {
		if matches(r.Path, path) {
			return r, true
		}
	}
	return Route{}, false
}

// matches reports whether a path is one of pattern, whose parts in braces stand
// for anything.
func matches(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return false
	}
	for i, w := range want {
		if !strings.HasPrefix(w, "{") && w != have[i] {
			return false
		}
	}
	return true
}

// identityKey is the context key of who asks.
type identityKey struct{}

// identity returns who asks; everyone where Authorise is not in the way.
func identity(r *http.Request) auth.Identity {
	if id, ok := r.Context().Value(identityKey{}).(auth.Identity); ok {
		return id
	}
	return auth.Anyone()
}

// Authorise asks for credentials, and for the scope of each route, before next,
// which serves what New's handler does, answers. Whoever has shown none is told
// nothing, not even which paths there are.
func Authorise(a *auth.Authenticator, next http.Handler) http.Handler {
	return withRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, known := routeOf(r.URL.EscapedPath())
		if known && route.Scope == "" {
			next.ServeHTTP(w, r)
			return
		}
		id, err := a.Request(omiBearer(r))
		if err == nil && !known {
			fail(w, r, http.StatusNotFound, "not_found", "there is nothing at this path; see /v1/apps, /v1/jobs and /v1/conversations?uid=")
			return
		}
		if err == nil {
			var lacks *auth.Refusal
			if errors.As(id.Require(route.Scope), &lacks) {
				err = a.Refuse(lacks)
			}
		}
		var f *auth.Refusal
		switch {
		case errors.As(err, &f):
			failAuth(w, r, f)
			return
		case err != nil:
			fail(w, r, http.StatusServiceUnavailable, "internal", "the host could not check the credentials")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, id)))
	}))
}

// failAuth answers with a refusal.
func failAuth(w http.ResponseWriter, r *http.Request, f *auth.Refusal) {
	f.Header(w.Header())
	fail(w, r, f.Status(), f.Code, f.Message)
}

// refuse counts a refusal that a handler has found, and answers with it.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, f *auth.Refusal) {
	if h.o.Auth != nil {
		h.o.Auth.Refuse(f)
	}
	failAuth(w, r, f)
}
