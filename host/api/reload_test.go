package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/config"
)

// reloads starts a server whose reload is f.
func reloads(t *testing.T, f func(context.Context) (api.ReloadReport, error)) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(api.New(api.Options{Gatherer: prometheus.NewRegistry(), Reload: f}))
	t.Cleanup(server.Close)
	return server
}

func TestReloadTellsWhatChanged(t *testing.T) {
	want := api.ReloadReport{
		Kept: []string{"a"}, Added: []string{"b"}, Changed: []string{}, Removed: []string{}, Applied: []string{"log_level"},
		Restart: []api.RestartKey{{Key: "pool.workers", At: "c.hcl:3:13"}}, Warnings: []string{"c.hcl:4:2: warning: odd"},
	}
	server := reloads(t, func(context.Context) (api.ReloadReport, error) { return want, nil })
	resp, body := get(t, server, "POST", "/v1/reload")
	checkHeaders(t, "/v1/reload", resp)
	var got api.ReloadReport
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %d %s %v, want %+v", resp.StatusCode, body, err, want)
	}
}

func TestReloadThatIsRefusedSaysWhy(t *testing.T) {
	faults := config.Problems{
		{Pos: config.Pos{File: "c.hcl", Line: 2, Column: 3}, What: "pool.workers: 0 is below the least, 1", Do: "set 1 to 4096"},
		{Pos: config.Pos{File: "c.hcl", Line: 9, Column: 1}, Severity: config.Warning, What: "odd"},
	}
	server := reloads(t, func(context.Context) (api.ReloadReport, error) { return api.ReloadReport{}, faults })
	resp, body := get(t, server, "POST", "/v1/reload")
	checkHeaders(t, "/v1/reload", resp)
	var got struct {
		Error    struct{ Code, Message string }
		Problems []string
	}
	want := []string{"c.hcl:2:3: pool.workers: 0 is below the least, 1; set 1 to 4096", "c.hcl:9:1: warning: odd"}
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 422 || got.Error.Code != "bad_configuration" || !reflect.DeepEqual(got.Problems, want) {
		t.Errorf("got %d %s %v, want %q", resp.StatusCode, body, err, want)
	}
}

func TestBadReloadRequests(t *testing.T) {
	called := 0
	server := reloads(t, func(context.Context) (api.ReloadReport, error) {
		called++
		return api.ReloadReport{}, errors.New("the host is shutting down")
	})
	resp, body := get(t, server, "GET", "/v1/reload")
	checkError(t, "GET", resp, body, 405, "method_not_allowed", "POST only")
	if allow := resp.Header.Get("Allow"); allow != "POST" {
		t.Errorf("Allow is %q", allow)
	}
	resp, body = get(t, server, "POST", "/v1/reload?force=1")
	checkError(t, "query", resp, body, 400, "bad_query", "force")
	without := httptest.NewServer(api.New(api.Options{Gatherer: prometheus.NewRegistry()}))
	t.Cleanup(without.Close)
	resp, body = get(t, without, "POST", "/v1/reload")
	checkError(t, "without", resp, body, 404, "not_found", "")

	// A page of another site, in a browser of this machine.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/reload", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://example.com")
	resp, err = server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 || called != 0 {
		t.Errorf("from another site: %s, reloaded %d times", resp.Status, called)
	}

	resp, body = get(t, server, "POST", "/v1/reload")
	checkError(t, "stopping", resp, body, 503, "not_reloaded", "the host is shutting down; nothing was changed")
}
