package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/auricle-dev/auricle/host/api"
)

func TestOnlyLoopbackNamesAreAnswered(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	const refused, answered = http.StatusForbidden, http.StatusNoContent
	for _, c := range []struct {
		listen, host string
		want         int
	}{
		{"127.0.0.1:7080", "127.0.0.1:7080", answered},
		{"127.0.0.1:7080", "127.0.0.1", answered},
		{"127.0.0.1:7080", "127.0.0.2:7080", answered},
		{"127.0.0.1:7080", "localhost:7080", answered},
		{"127.0.0.1:7080", "LocalHost", answered},
		{"127.0.0.1:7080", "localhost:9999", answered}, // a forwarded port
		{"127.0.0.1:7080", "[::1]:7080", answered},
		{"127.0.0.1:7080", "[::1]", answered},
		{"127.0.0.1:7080", "[::ffff:127.0.0.1]:7080", answered},
		{"10.0.0.5:7080", "10.0.0.5:7080", answered},       // the address served on
		{"10.0.0.5:7080", "auricle.example.org", answered}, // names of a public address are its operator's business
		{"127.0.0.1:7080", "evil.example:7080", refused},
		{"127.0.0.1:7080", "localhost.evil.example", refused},
		{"127.0.0.1:7080", "127.0.0.1.evil.example:7080", refused},
		{"127.0.0.1:7080", "evil.example\x00localhost", refused},
		{"127.0.0.1:7080", "10.0.0.5:7080", refused},
		{"127.0.0.1:7080", "[::1%25eth0]:7080", refused},
		{"127.0.0.1:7080", "[::1", refused},
		{"127.0.0.1:7080", "", refused},
		{"0.0.0.0:7080", "auricle.example.org", answered},
		{"[::]:7080", "[2001:db8::1]:7080", answered},
	} {
		r := httptest.NewRequest(http.MethodGet, "/v1/stream", nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		api.LoopbackOnly(c.listen, inner).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("listening on %s, Host %q: got %d, want %d", c.listen, c.host, w.Code, c.want)
		}
		if w.Code == refused {
			checkError(t, c.host, w.Result(), w.Body.String(), refused, "bad_host", "proxy")
		}
	}
}

func TestARequestHasOneIDThroughBothHandlers(t *testing.T) {
	server, _ := serve(t, nil)
	guarded := httptest.NewServer(api.LoopbackOnly(server.Listener.Addr().String(), server.Config.Handler))
	defer guarded.Close()
	resp, body := get(t, guarded, "GET", "/nowhere")
	checkError(t, "/nowhere", resp, body, 404, "not_found", "")
}

func FuzzLoopbackOnly(f *testing.F) {
	for _, seed := range []string{"localhost", "127.0.0.1:7080", "[::1]:1", "evil.example", "[", "]:", "::1", "localhost:evil.example"} {
		f.Add(seed)
	}
	handler := api.LoopbackOnly("127.0.0.1:7080", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	f.Fuzz(func(t *testing.T, host string) {
		answer := func(host string) int {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host = host
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w.Code
		}
		// Whatever is answered is no name that a resolver could be asked for
		// under another's domain.
		if answer(host) == http.StatusNoContent && answer(host+".evil.example") == http.StatusNoContent {
			t.Fatalf("%q is answered, under evil.example too", host)
		}
	})
}
