package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/users"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// parts are the real ones that a server reads.
type parts struct {
	users *users.Users
	store *store.Store
	apps  *apps.Set
	jobs  *jobs.Jobs
	told  chan struct{} // closed when jobs has been told of all that there are
	ready error
	log   bytes.Buffer
}

// telling is a store that closes told when its follower has been told of all
// jobs.
type telling struct {
	*store.Store
	told chan struct{}
}

func (s telling) FollowJobs(ctx context.Context, f func(store.JobChange)) error {
	return s.Store.FollowJobs(ctx, func(c store.JobChange) {
		f(c)
		if c.Synced {
			close(s.told)
		}
	})
}

// serve starts a server over real parts with one app, greeter, that was not
// granted all that it wants.
func serve(t *testing.T, wrap func(api.Store) api.Store) (*httptest.Server, *parts) {
	t.Helper()
	ctx, p := t.Context(), &parts{told: make(chan struct{})}
	closing := func(name string, f func(context.Context) error) {
		t.Cleanup(func() {
			if err := f(context.Background()); err != nil {
				t.Errorf("closing the %s: %v", name, err)
			}
		})
	}
	var err error
	if p.store, err = store.Open(ctx, store.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	closing("store", p.store.Close)
	engine, err := plugins.New(ctx, plugins.Options{HostModules: []plugins.HostModule{apps.HostModule()}})
	if err != nil {
		t.Fatal(err)
	}
	closing("engine", engine.Close)
	var problems config.Problems
	p.apps, problems = apps.Load(ctx, engine, []config.App{{
		Name: "greeter", Module: "testdata/greeter.wasm", Users: []string{"*"},
		Grant: []event.Capability{event.CapTranscript, event.CapConversation},
	}})
	for _, problem := range problems {
		if problem.Severity == config.Fault {
			t.Fatal(problem)
		}
	}
	closing("apps", p.apps.Close)
	registry := prometheus.NewRegistry()
	p.users, err = users.New(users.Options{Store: p.store})
	if err != nil {
		t.Fatal(err)
	}
	dispatcher, err := dispatch.New(dispatch.Options{Apps: p.apps, Choices: p.users, Workers: 4, Queue: 16, Logger: hclog.NewNullLogger(), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	p.jobs, err = jobs.New(jobs.Options{Store: telling{p.store, p.told}, Dispatch: jobs.DispatchTo(dispatcher), Apps: func() *apps.Set { return p.apps }})
	if err != nil {
		t.Fatal(err)
	}
	closing("jobs", p.jobs.Close)
	closing("dispatcher", dispatcher.Drain)
	var s api.Store = p.store
	if wrap != nil {
		s = wrap(s)
	}
	server := httptest.NewServer(api.New(api.Options{
		Store: s, Dispatch: dispatcher, Apps: p.apps, Jobs: p.jobs, Users: p.users, Values: p.store, Memories: p.store, Gatherer: registry, Version: "1.0.0",
		Ready:  func() error { return p.ready },
		Logger: hclog.New(&hclog.LoggerOptions{Output: &p.log}),
	}))
	t.Cleanup(server.Close)
	return server, p
}

func get(t *testing.T, server *httptest.Server, method, path string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func complete(t *testing.T, s *store.Store, id, uid string) event.Conversation {
	t.Helper()
	c := event.Conversation{
		ID: id, UID: uid, Session: "s_1", StartedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), CompletedAt: time.Date(2026, 3, 1, 12, 1, 0, 0, time.UTC),
		Reason: event.ReasonEnd, Segments: []event.Segment{{ID: "1", Text: "<b>5 & 6</b>", End: 1}},
	}
	if err := s.Complete(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

var requestIDs = regexp.MustCompile(`^r_[0-9a-hjkmnp-tv-z]{26}$`)

// checkHeaders holds what every JSON answer has.
func checkHeaders(t *testing.T, path string, resp *http.Response) {
	t.Helper()
	for name, want := range map[string]string{"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s is %q, want %q", path, name, got, want)
		}
	}
	if ids := resp.Header.Values("X-Request-Id"); len(ids) != 1 || !requestIDs.MatchString(ids[0]) {
		t.Errorf("%s: X-Request-Id is %q", path, ids)
	}
}

// checkError holds the shape of an error.
func checkError(t *testing.T, path string, resp *http.Response, body string, status int, code, says string) {
	t.Helper()
	checkHeaders(t, path, resp)
	var e struct {
		Error struct {
			Code, Message string
			RequestID     string `json:"request_id"`
		}
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Errorf("%s: %v in %s", path, err, body)
		return
	}
	if resp.StatusCode != status || e.Error.Code != code || !strings.Contains(e.Error.Message, says) {
		t.Errorf("%s: got %d %s", path, resp.StatusCode, body)
	}
	if e.Error.RequestID != resp.Header.Get("X-Request-Id") {
		t.Errorf("%s: request id %q in the body, %q in the header", path, e.Error.RequestID, resp.Header.Get("X-Request-Id"))
	}
}

func TestBadRequestsGetAClearError(t *testing.T) {
	server, _ := serve(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		code, says   string
	}{
		{"GET", "/", 404, "not_found", ""},
		{"GET", "/v1/app", 404, "not_found", ""},
		{"GET", "/v1/apps/", 404, "not_found", ""},
		{"GET", "/v1/conversations/", 404, "not_found", ""},
		{"GET", "/v1/conversations/a/b", 404, "not_found", ""},
		{"GET", "/v1/jobs/", 404, "not_found", ""},
		{"GET", "/v1/jobs/greeter", 404, "not_found", ""},
		{"GET", "/v1/jobs/greeter/c_none/x", 404, "not_found", ""},
		{"GET", "/v1/jobs/greeter/c_none", 404, "not_found", "no job for this conversation"},
		{"GET", "/v1/jobs/greeter/%3E", 404, "not_found", "no job for this conversation"},
		{"GET", "/v1/jobs/greeter/c_none?x=", 400, "bad_query", `unknown parameter "x"`},
		{"GET", "/v1/jobs?uid=ann", 400, "bad_query", `unknown parameter "uid"; known: app, conversation, reason, state, limit, cursor`},
		{"GET", "/v1/jobs?app=", 400, "bad_query", "app is empty"},
		{"GET", "/v1/jobs?app=a&app=b", 400, "bad_query", "app is given 2 times"},
		{"GET", "/v1/jobs?state=gone", 400, "bad_query", `state "gone" is none; known: waiting, running, dead`},
		{"GET", "/v1/jobs?reason=" + strings.Repeat("r", 129), 400, "bad_query", "reason is 129 bytes long"},
		{"GET", "/v1/jobs?limit=1001", 400, "bad_limit", "1 to 1000"},
		{"GET", "/v1/jobs?cursor=", 400, "bad_cursor", "leave it out"},
		{"GET", "/v1/jobs?cursor=x", 400, "bad_cursor", "start again"},
		{"GET", "/v1/jobs/retry", 405, "method_not_allowed", "POST only"},
		{"POST", "/v1/jobs", 405, "method_not_allowed", "GET only"},
		{"POST", "/v1/jobs/drop", 415, "bad_content_type", "application/json"},
		{"GET", "/v1/conversations/c_none", 404, "not_found", "no completed conversation"},
		{"GET", "/v1/conversations/%3E", 404, "not_found", "no completed conversation"},
		{"POST", "/v1/apps", 405, "method_not_allowed", "GET only"},
		{"DELETE", "/v1/conversations/c_1", 405, "method_not_allowed", "GET only"},
		{"PUT", "/healthz", 405, "method_not_allowed", "GET only"},
		{"OPTIONS", "/metrics", 405, "method_not_allowed", "GET only"},
		{"GET", "/v1/apps?verbose=1", 400, "bad_query", `unknown parameter "verbose"`},
		{"GET", "/v1/conversations/c_1?x=", 400, "bad_query", `unknown parameter "x"`},
		{"GET", "/v1/conversations", 400, "bad_uid", "missing"},
		{"GET", "/v1/conversations?uid=", 400, "bad_uid", "missing"},
		{"GET", "/v1/conversations?uid=a%20b", 400, "bad_uid", "printable ASCII"},
		{"GET", "/v1/conversations?uid=h%C3%A9", 400, "bad_uid", "printable ASCII"},
		{"GET", "/v1/conversations?uid=" + strings.Repeat("u", 129), 400, "bad_uid", "129 bytes"},
		{"GET", "/v1/conversations?uid=ann&uid=bob", 400, "bad_query", "uid is given 2 times"},
		{"GET", "/v1/conversations?uid=ann&user=bob", 400, "bad_query", `unknown parameter "user"; known: uid, limit, cursor`},
		{"GET", "/v1/conversations?uid=ann;limit=1", 400, "bad_query", "can't be read"},
		{"GET", "/v1/conversations?uid=%zz", 400, "bad_query", "can't be read"},
		{"GET", "/v1/conversations?uid=ann&limit=", 400, "bad_limit", "1 to 100"},
		{"GET", "/v1/conversations?uid=ann&limit=0", 400, "bad_limit", "1 to 100"},
		{"GET", "/v1/conversations?uid=ann&limit=101", 400, "bad_limit", "1 to 100"},
		{"GET", "/v1/conversations?uid=ann&limit=%2B5", 400, "bad_limit", "1 to 100"},
		{"GET", "/v1/conversations?uid=ann&limit=05", 400, "bad_limit", "1 to 100"},
		{"GET", "/v1/conversations?uid=ann&limit=1e1", 400, "bad_limit", "1 to 100"},
		{"GET", "/v1/conversations?uid=ann&cursor=", 400, "bad_cursor", "leave it out"},
		{"GET", "/v1/conversations?uid=ann&cursor=%00", 400, "bad_cursor", "start again"},
	} {
		resp, body := get(t, server, c.method, c.path)
		checkError(t, c.method+" "+c.path, resp, body, c.status, c.code, c.says)
		want := ""
		if c.status == 405 {
			want = "GET, HEAD"
			if strings.Contains(c.says, "POST") {
				want = "POST"
			}
		}
		if allow := resp.Header.Get("Allow"); allow != want {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, allow)
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	server, p := serve(t, nil)
	resp, body := get(t, server, "GET", "/healthz")
	checkHeaders(t, "/healthz", resp)
	if resp.StatusCode != 200 || body != `{"status":"ok","version":"1.0.0"}`+"\n" {
		t.Errorf("healthz: %d %s", resp.StatusCode, body)
	}
	resp, body = get(t, server, "GET", "/readyz")
	if resp.StatusCode != 200 || body != `{"ready":true}`+"\n" {
		t.Errorf("readyz: %d %s", resp.StatusCode, body)
	}
	p.ready = errors.Join(errors.New("still starting"), fmt.Errorf("store: %w", errors.Join(errors.New("disk full"))))
	resp, body = get(t, server, "GET", "/readyz")
	checkHeaders(t, "/readyz", resp)
	if resp.StatusCode != 503 || body != `{"ready":false,"reasons":["still starting","store: disk full"]}`+"\n" {
		t.Errorf("readyz: %d %s", resp.StatusCode, body)
	}
	if resp, _ := get(t, server, "GET", "/healthz"); resp.StatusCode != 200 {
		t.Errorf("healthz while not ready: %d, want 200", resp.StatusCode)
	}
	resp, body = get(t, server, "HEAD", "/healthz")
	if resp.StatusCode != 200 || body != "" || resp.ContentLength <= 0 {
		t.Errorf("HEAD /healthz: %d, %q, length %d", resp.StatusCode, body, resp.ContentLength)
	}
}

func TestConversationsAreListedPageByPage(t *testing.T) {
	server, p := serve(t, nil)
	for i := range 25 {
		complete(t, p.store, fmt.Sprintf("c_%02d", i), "ann@example.com")
	}
	complete(t, p.store, "c_99", "bob")
	list := func(query string) (ids []string, next string) {
		resp, body := get(t, server, "GET", "/v1/conversations?uid=ann%40example.com"+query)
		checkHeaders(t, query, resp)
		var page store.Page
		if err := json.Unmarshal([]byte(body), &page); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s %v", query, resp.StatusCode, body, err)
		}
		for _, r := range page.Conversations {
			ids = append(ids, r.ID)
		}
		return ids, page.Next
	}
	ids, next := list("")
	if len(ids) != 20 || ids[0] != "c_24" || ids[19] != "c_05" || next == "" {
		t.Fatalf("first page: %v, next %q", ids, next)
	}
	if ids, next := list("&cursor=" + next); !reflect.DeepEqual(ids, []string{"c_04", "c_03", "c_02", "c_01", "c_00"}) || next != "" {
		t.Errorf("second page: %v, next %q", ids, next)
	}
	if ids, _ := list("&limit=3"); len(ids) != 3 {
		t.Errorf("limit=3: %v", ids)
	}
	resp, body := get(t, server, "GET", "/v1/conversations?uid=bob&cursor="+next)
	checkError(t, "ann's cursor for bob", resp, body, 400, "bad_cursor", "start again")
	if _, body := get(t, server, "GET", "/v1/conversations?uid=nobody"); body != `{"conversations":[]}`+"\n" {
		t.Errorf("a user with none: %s", body)
	}
}

func TestAConversationIsShownWithWhatAppsMadeOfIt(t *testing.T) {
	server, p := serve(t, nil)
	complete(t, p.store, "c_1", "ann")
	out := event.Output{App: "greeter", Conversation: "c_1", Event: "conversation", Invocation: "i_1", Kind: event.OutputEmitted, Data: json.RawMessage(`{"html":"<p>&</p>"}`), At: time.Date(2026, 3, 1, 12, 2, 0, 0, time.UTC)}
	if _, err := p.store.FinishJob(t.Context(), "c_1", store.Result{App: "greeter", Event: "conversation", Invocation: "i_1", Outcome: "ok", Attempt: 1, Outputs: []event.Output{out}}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.PutJob(t.Context(), store.Job{App: "runaway", Conversation: "c_1", UID: "ann", Session: "s_1", State: store.JobDead, Since: out.At, Attempts: 2, Reason: "trap"}, 0); err != nil {
		t.Fatal(err)
	}
	resp, body := get(t, server, "GET", "/v1/conversations/c_1")
	checkHeaders(t, "c_1", resp)
	want := `{"id":"c_1","session":"s_1","uid":"ann","started_at":"2026-03-01T12:00:00Z","completed_at":"2026-03-01T12:01:00Z","reason":"end","audio_ms":0,` +
		`"segments":[{"id":"1","text":"<b>5 & 6</b>","is_user":false,"start":0,"end":1}],` +
		`"outputs":[{"app":"greeter","conversation":"c_1","event":"conversation","invocation":"i_1","kind":"output","data":{"html":"<p>&</p>"},"at":"2026-03-01T12:02:00Z"}],` +
		`"jobs":[{"app":"runaway","conversation":"c_1","uid":"ann","session":"s_1","state":"dead","since":"2026-03-01T12:02:00Z","attempts":2,"reason":"trap"}]}` + "\n"
	if resp.StatusCode != 200 || body != want {
		t.Errorf("got %d\n%s\nwant\n%s", resp.StatusCode, body, want)
	}
}

func TestAppsShowGrantsLimitsAndCounts(t *testing.T) {
	server, _ := serve(t, nil)
	resp, body := get(t, server, "GET", "/v1/apps")
	checkHeaders(t, "/v1/apps", resp)
	var got struct {
		Version string
		Apps    []struct {
			Name, Version, Description, Author, Breaker, State string
			Sessions                                           *struct{}
			Module                                             struct{ SHA256 string }
			Capabilities                                       struct {
				Wanted []struct {
					Name, Reason      string
					Optional, Granted bool
				}
				Granted []string
			}
			Limits   map[string]map[string]float64
			Outcomes map[string]int64
			Dropped  map[string]int64
			Fuel     map[string]uint64
			WallUS   map[string]uint64 `json:"wall_us"`
			Running  *int
			Waiting  *int
		}
		Pool map[string]int
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 || len(got.Apps) != 1 {
		t.Fatalf("%d %s %v", resp.StatusCode, body, err)
	}
	a := got.Apps[0]
	if got.Version != "1.0.0" || a.Name != "greeter" || a.Version != "1.2.0" || a.Description != "Says <hello> & more." || a.Author != "Ann" || a.Breaker != "closed" || a.State != "fresh" || a.Sessions != nil || len(a.Module.SHA256) != 64 {
		t.Errorf("got %+v", a)
	}
	if !reflect.DeepEqual(a.Capabilities.Granted, []string{"transcript", "conversation"}) {
		t.Errorf("granted %v", a.Capabilities.Granted)
	}
	if n := a.Capabilities.Wanted; len(n) != 3 || n[2].Name != "notify" || n[2].Reason != "to greet you" || !n[2].Optional || n[2].Granted || !n[0].Granted {
		t.Errorf("wanted %+v", n)
	}
	if l := a.Limits; len(l) != 2 || l["transcript"]["fuel"] != 1e6 || l["transcript"]["wall_ms"] != 50 || l["conversation"]["memory_bytes"] != 64<<20 {
		t.Errorf("limits %v", l)
	}
	if len(a.Outcomes) != 8 || a.Dropped == nil || len(a.Fuel) != 4 || len(a.WallUS) != 4 || a.Running == nil || a.Waiting == nil {
		t.Errorf("counts: %+v", a)
	}
	if got.Pool["workers"] != 4 || len(got.Pool) != 4 {
		t.Errorf("pool %v", got.Pool)
	}
	if strings.Contains(body, `\u003c`) {
		t.Errorf("HTML escapes in %s", body)
	}
}

func TestMetricsAreServed(t *testing.T) {
	server, _ := serve(t, nil)
	resp, body := get(t, server, "GET", "/metrics")
	if resp.StatusCode != 200 || !strings.Contains(body, "\nauricle_pool_running_invocations 0\n") || !requestIDs.MatchString(resp.Header.Get("X-Request-Id")) {
		t.Errorf("%d %v %.300s", resp.StatusCode, resp.Header, body)
	}
}

// failing answers every read with one error.
type failing struct{ err error }

func (f failing) Conversation(context.Context, string) (store.Record, error) {
	return store.Record{}, f.err
}

func (f failing) Conversations(context.Context, string, int, string) (store.Page, error) {
	return store.Page{}, f.err
}

func TestAStoreThatFailsIsToldWithoutItsInsides(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("reading c_1: %w", store.ErrClosed), 503, "store_unavailable"},
		{fmt.Errorf("reading c_1: %w", context.DeadlineExceeded), 503, "store_unavailable"},
		{errors.New("reading /var/secret: input/output error"), 500, "internal"},
	} {
		server, p := serve(t, func(api.Store) api.Store { return failing{c.err} })
		for _, path := range []string{"/v1/conversations/c_1", "/v1/conversations?uid=ann"} {
			resp, body := get(t, server, "GET", path)
			checkError(t, path, resp, body, c.status, c.code, "")
			if strings.Contains(body, "secret") {
				t.Errorf("the answer tells the host's insides: %s", body)
			}
			if log := p.log.String(); !strings.Contains(log, c.err.Error()) || !strings.Contains(log, resp.Header.Get("X-Request-Id")) {
				t.Errorf("the log has not the error with its request id: %s", log)
			}
		}
	}
}

func TestAClosedStoreAnswers503(t *testing.T) {
	server, p := serve(t, nil)
	if err := p.store.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	resp, body := get(t, server, "GET", "/v1/conversations?uid=ann")
	checkError(t, "closed", resp, body, 503, "store_unavailable", "try again")
}
