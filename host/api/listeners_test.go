package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/api"
)

func TestEachListenerServesItsOwnPathsOnly(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	clients, operators := api.ForClients(inner), api.ForOperators(inner)
	const served, refused = http.StatusNoContent, http.StatusNotFound
	for _, row := range []struct {
		path                    string
		toClients, toOperators  int
		clientsAreTold, opsTold string
	}{
		{"/healthz", served, served, "", ""},
		{"/readyz", served, served, "", ""},
		{"/v1/stream", served, refused, "", "clients' listener"},
		{"/v1/conversations", served, refused, "", "clients' listener"},
		{"/v1/conversations/c_1", served, refused, "", "clients' listener"},
		{"/v1/telephone/twilio", served, refused, "", "clients' listener"},
		{"/v1/telephones", refused, served, "nothing at this path", ""},
		{"/v1/tokens", served, refused, "", "clients' listener"},
		{"/metrics", refused, served, "operators' listener", ""},
		{"/v1/apps", refused, served, "operators' listener", ""},
		{"/v1/jobs", refused, served, "operators' listener", ""},
		{"/v1/jobs/drop", refused, served, "operators' listener", ""},
		{"/v1/jobs/a/c_1", refused, served, "operators' listener", ""},
		{"/v1/users/ada/apps", refused, served, "operators' listener", ""},
		{"/v1/replays/i_1", refused, served, "operators' listener", ""},
		{"/v1/reload", refused, served, "operators' listener", ""},
		{"/v1/cluster", refused, served, "operators' listener", ""},
		{"/debug/pprof/", refused, 200, "operators' listener", ""},
		{"/debug/pprof/cmdline", refused, 200, "operators' listener", ""},
		{"/debug/pprof/nothing", refused, refused, "operators' listener", "Unknown profile"},
		{"/v1/new", refused, served, "nothing at this path", ""}, // a path must be named to be public
		{"/v1/streamer", refused, served, "nothing at this path", ""},
		{"/healthz2", refused, served, "nothing at this path", ""},
		{"/v1/conversations/../apps", served, refused, "", "clients' listener"}, // no path is cleaned here, so it is an id that there is not
		{"//metrics", refused, served, "nothing at this path", ""},
		{"/", refused, served, "nothing at this path", ""},
	} {
		for _, l := range []struct {
			name    string
			handler http.Handler
			status  int
			told    string
		}{{"clients", clients, row.toClients, row.clientsAreTold}, {"operators", operators, row.toOperators, row.opsTold}} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL.Path = row.path
			w := httptest.NewRecorder()
			l.handler.ServeHTTP(w, r)
			if w.Code != l.status || !strings.Contains(w.Body.String(), l.told) {
				t.Errorf("%s: %s to %s, want %d and %q", row.path, w.Result().Status, l.name, l.status, l.told)
			}
			if strings.Contains(w.Body.String(), "127.0.0.1") {
				t.Errorf("%s: an address is given away: %s", row.path, w.Body)
			}
		}
	}
}
