package api_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/replays"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// keepRecordings starts a server with kept recordings, one for each app named.
func keepRecordings(t *testing.T, names ...string) (*httptest.Server, []*apps.Recording) {
	t.Helper()
	kept, err := replays.Open(replays.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var recordings []*apps.Recording
	for i, app := range names {
		at := time.Date(2026, 3, 1, 12, i, 0, 0, time.UTC)
		r := &apps.Recording{
			Invocation: "i_" + strings.Repeat(string(rune('0'+i)), 26), App: app, Version: "1.0.0", Kind: event.KindTranscript, UID: "ann", At: at,
			Payload: []byte(`{"text":"<budget>"}`), Settings: []byte("{}"),
			Limits: plugins.Limits{Fuel: 100, Wall: time.Second}, MemoryLimit: 1 << 20, State: event.StateFresh, Outcome: plugins.Trap,
		}
		if !kept.Keep(r) {
			t.Fatal("not kept")
		}
		recordings = append(recordings, r)
	}
	if err := kept.Close(context.Background()); err != nil { // all of them are written
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Options{Gatherer: prometheus.NewRegistry(), Replays: kept}))
	t.Cleanup(server.Close)
	return server, recordings
}

func TestRecordingsAreListedAndGiven(t *testing.T) {
	server, rs := keepRecordings(t, "notes", "words", "notes")
	list := func(query string) (heads []apps.RecordingHead) {
		t.Helper()
		resp, body := get(t, server, "GET", "/v1/replays"+query)
		checkHeaders(t, query, resp)
		var got struct{ Replays []replays.Entry }
		if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 || !strings.HasPrefix(body, `{"replays":[`) {
			t.Fatalf("%d %s %v", resp.StatusCode, body, err)
		}
		for _, e := range got.Replays {
			if e.Bytes == 0 {
				t.Errorf("%s has no size", e.Invocation)
			}
			heads = append(heads, e.RecordingHead)
		}
		return heads
	}
	if got := list(""); len(got) != 3 || got[0] != rs[2].Head() || got[2] != rs[0].Head() {
		t.Errorf("listed %+v", got)
	}
	if got := list("?limit=1&app=notes"); len(got) != 1 || got[0] != rs[2].Head() {
		t.Errorf("listed %+v", got)
	}
	if got := list("?app=none"); len(got) != 0 {
		t.Errorf("listed %+v", got)
	}
	resp, body := get(t, server, "GET", "/v1/replays/"+rs[1].Invocation)
	checkHeaders(t, "one", resp)
	want, err := rs[1].Encode()
	if err != nil || resp.StatusCode != 200 || body != string(want) {
		t.Errorf("got %d %s, want %s (%v)", resp.StatusCode, body, want, err)
	}
}

func TestBadRequestsForRecordings(t *testing.T) {
	server, _ := keepRecordings(t)
	for _, c := range []struct {
		method, path string
		status       int
		code, says   string
	}{
		{"GET", "/v1/replays?uid=ann", 400, "bad_query", `unknown parameter "uid"; known: app, limit`},
		{"GET", "/v1/replays?limit=0", 400, "bad_limit", "1 to 100"},
		{"GET", "/v1/replays?app=", 400, "bad_app", "leave it out"},
		{"GET", "/v1/replays/i_1?x=1", 400, "bad_query", "takes none"},
		{"GET", "/v1/replays/i_1", 404, "not_found", "no recording of this invocation"},
		{"GET", "/v1/replays/..%2Fsecret", 404, "not_found", ""},
		{"GET", "/v1/replays/", 404, "not_found", ""},
		{"DELETE", "/v1/replays/i_1", 405, "method_not_allowed", "GET only"},
	} {
		resp, body := get(t, server, c.method, c.path)
		checkError(t, c.path, resp, body, c.status, c.code, c.says)
	}
	without := httptest.NewServer(api.New(api.Options{Gatherer: prometheus.NewRegistry()}))
	t.Cleanup(without.Close)
	resp, body := get(t, without, "GET", "/v1/replays")
	checkError(t, "without", resp, body, 404, "not_found", "")
}
