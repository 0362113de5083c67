package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
)

// post sends a body of JSON, with headers in pairs.
func post(t *testing.T, server *httptest.Server, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
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

// withDeadLetters starts a server that has a dead letter of each of three apps,
// none of which is installed, for each of two conversations.
func withDeadLetters(t *testing.T) *httptest.Server {
	t.Helper()
	server, p := serve(t, nil)
	for _, c := range []string{"c_1", "c_2"} {
		for _, app := range []string{"a", "b", "c"} {
			if _, err := p.store.PutJob(t.Context(), store.Job{
				App: app, Conversation: c, UID: "ann", Session: "s", State: store.JobDead, Since: time.Now(), Attempts: 2, Reason: "trap",
				Last: &store.Attempt{Invocation: "i_1", Outcome: "trap", Stack: []string{"f"}, Fuel: 7},
			}, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // ends with ctx; waited for at the test's end
		p.jobs.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	select {
	case <-p.told:
	case <-time.After(30 * time.Second):
		t.Fatal("the jobs are not told of")
	}
	return server
}

func TestJobsAreListedAndShown(t *testing.T) {
	server := withDeadLetters(t)
	list := func(query string) (names []string, next string) {
		t.Helper()
		resp, body := get(t, server, "GET", "/v1/jobs"+query)
		checkHeaders(t, query, resp)
		var page struct {
			Jobs []store.Job
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", query, resp.StatusCode, body)
		}
		for _, j := range page.Jobs {
			names = append(names, j.Conversation+" "+j.App)
		}
		return names, page.Next
	}
	for query, want := range map[string][]string{
		"":                           {"c_2 a", "c_2 b", "c_2 c", "c_1 a", "c_1 b", "c_1 c"},
		"?app=b":                     {"c_2 b", "c_1 b"},
		"?conversation=c_1&limit=10": {"c_1 a", "c_1 b", "c_1 c"},
		"?reason=trap&state=dead&conversation=c_2&app=a": {"c_2 a"},
		"?state=waiting":      nil,
		"?reason=queue_full":  nil,
		"?conversation=c%2F1": nil,
	} {
		if got, next := list(query); !reflect.DeepEqual(got, want) || next != "" {
			t.Errorf("%s: %q, next %q; want %q", query, got, next, want)
		}
	}
	first, next := list("?limit=4")
	second, end := list("?limit=4&cursor=" + next)
	if len(first) != 4 || !reflect.DeepEqual(second, []string{"c_1 b", "c_1 c"}) || end != "" {
		t.Errorf("in pages: %q and %q", first, second)
	}
	if _, body := get(t, server, "GET", "/v1/jobs?app=nobody"); body != `{"jobs":[]}`+"\n" {
		t.Errorf("none: %s", body)
	}
	var job store.Job
	resp, body := get(t, server, "GET", "/v1/jobs/b/c_1")
	if err := json.Unmarshal([]byte(body), &job); err != nil || resp.StatusCode != 200 || job.Last == nil || job.Last.Fuel != 7 || job.App != "b" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestJobsAreRetriedAndDroppedAsMeant(t *testing.T) {
	server := withDeadLetters(t)
	for _, c := range []struct{ path, body, want string }{
		{"/v1/jobs/drop", `{"app":"a","conversation":"c_1"}`, `{"dropped":1}`},
		{"/v1/jobs/drop", `{"app":"a","conversation":"c_1"}`, `{"dropped":0}`},
		{"/v1/jobs/retry", ` {"app" : "b", "reason":"trap", "state":"dead"} `, `{"retried":2}`},
		{"/v1/jobs/drop", `{"conversation":"c_9"}`, `{"dropped":0}`},
		{"/v1/jobs/drop", `{"state":"dead"}`, `{"dropped":3}`},
	} {
		resp, body := post(t, server, c.path, c.body)
		checkHeaders(t, c.path, resp)
		if resp.StatusCode != 200 || body != c.want+"\n" {
			t.Errorf("%s %s: %d %s, want %s", c.path, c.body, resp.StatusCode, body, c.want)
		}
	}
	_, body := get(t, server, "GET", "/v1/jobs?state=dead")
	if body != `{"jobs":[]}`+"\n" {
		t.Errorf("left: %s", body)
	}
	if resp, body := post(t, server, "/v1/jobs/drop", `{"all":true}`, "Content-Type", "application/json; charset=utf-8"); resp.StatusCode != 200 {
		t.Errorf("all: %d %s", resp.StatusCode, body)
	}
}

func TestRequestsThatDoNotSayWhichJobsChangeNothing(t *testing.T) {
	server := withDeadLetters(t)
	for _, c := range []struct {
		body       string
		headers    []string
		status     int
		code, says string
	}{
		{"", nil, 400, "bad_body", "not a JSON object"},
		{"null", nil, 400, "bad_body", "not a JSON object"},
		{`[]`, nil, 400, "bad_body", "not a JSON object"},
		{`{}`, nil, 400, "bad_body", "no filter is given"},
		{`{"app":""}`, nil, 400, "bad_body", "app is not a string with something in it"},
		{`{"app":null}`, nil, 400, "bad_body", "app is not a string"},
		{`{"app":7}`, nil, 400, "bad_body", "app is not a string"},
		{`{"app":["a"]}`, nil, 400, "bad_body", "app is not a string"},
		{`{"App":"a"}`, nil, 400, "bad_body", `unknown member "App"; known: app, conversation, reason, state, all`},
		{`{"apps":"a"}`, nil, 400, "bad_body", `unknown member "apps"`},
		{`{"app":"a","app":"b"}`, nil, 400, "bad_body", `member "app" is given twice`},
		{`{"all":false}`, nil, 400, "bad_body", "all is not true"},
		{`{"all":"true"}`, nil, 400, "bad_body", "all is not true"},
		{`{"all":true,"app":"a"}`, nil, 400, "bad_body", "all is given with a filter"},
		{`{"state":"gone"}`, nil, 400, "bad_body", `state "gone" is none`},
		{`{"app":"` + strings.Repeat("a", 129) + `"}`, nil, 400, "bad_body", "app is 129 bytes long"},
		{`{"all":true} {}`, nil, 400, "bad_body", "more behind"},
		{`{"all":true}x`, nil, 400, "bad_body", "more behind"},
		{`{"all":true`, nil, 400, "bad_body", "not JSON"},
		{`{"app" "a"}`, nil, 400, "bad_body", "not JSON"},
		{`{"all":true,"x":"` + strings.Repeat("x", 5000) + `"}`, nil, 413, "too_large", "4096 bytes"},
		{`{"all":true}`, []string{"Content-Type", "text/plain"}, 415, "bad_content_type", "application/json"},
		{`{"all":true}`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "bad_content_type", "application/json"},
		{`{"all":true}`, []string{"Origin", "https://evil.example"}, 403, "bad_origin", "other origins"},
		{`{"all":true}`, []string{"Sec-Fetch-Site", "cross-site"}, 403, "bad_origin", "other origins"},
	} {
		for _, path := range []string{"/v1/jobs/drop", "/v1/jobs/retry"} {
			resp, body := post(t, server, path, c.body, c.headers...)
			checkError(t, fmt.Sprintf("%s %.60s %v", path, c.body, c.headers), resp, body, c.status, c.code, c.says)
		}
	}
	resp, body := post(t, server, "/v1/jobs/drop?all=true", `{"all":true}`)
	checkError(t, "a query", resp, body, 400, "bad_query", "takes none")
	if _, body := get(t, server, "GET", "/v1/jobs?state=dead"); strings.Count(body, `"state":"dead"`) != 6 {
		t.Errorf("left: %s", body)
	}
}

// noted keeps what an operator was understood to mean.
type noted struct {
	api.Jobs
	f *jobs.Filter
}

func (n *noted) Drop(_ context.Context, f jobs.Filter) (int, error) {
	n.f = &f
	return 0, nil
}

// Whatever is sent, all jobs are meant only by who says so.
func FuzzDropJobs(f *testing.F) {
	for _, seed := range []string{`{"all":true}`, `{"app":"a"}`, `{"state":"dead","reason":"trap"}`, `{}`, `{"app":"a","app":""}`, `{"all":true,"app":"a"}`, `{"all":true}{`, "\xff", `{"app":"\ud800"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		n := &noted{}
		r := httptest.NewRequest(http.MethodPost, "/v1/jobs/drop", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		api.New(api.Options{Jobs: n, Gatherer: prometheus.NewRegistry()}).ServeHTTP(w, r)
		if (w.Code == http.StatusOK) != (n.f != nil) || w.Code >= 500 {
			t.Fatalf("%q: status %d, dropped %v", body, w.Code, n.f)
		}
		if n.f == nil {
			return
		}
		var said struct{ All bool }
		if err := json.Unmarshal([]byte(body), &said); err != nil || said.All != (*n.f == jobs.Filter{}) {
			t.Fatalf("%q was understood as %+v (%v)", body, *n.f, err)
		}
	})
}
