package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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

// someJobs answers the host's API with jobs that a test gives, and notes what
// was asked.
type someJobs struct {
	jobs  []store.Job
	asked []string
}

func (s *someJobs) List(f jobs.Filter, limit int, cursor string) (jobs.Page, error) {
	s.asked = append(s.asked, fmt.Sprintf("list %v %d %s", f, limit, cursor))
	from := 0
	if cursor != "" {
		from = len(cursor)
	}
	to := min(from+limit, len(s.jobs))
	page := jobs.Page{Jobs: s.jobs[from:to]}
	if to < len(s.jobs) {
		page.Next = strings.Repeat("x", to)
	}
	return page, nil
}

func (s *someJobs) Counts() jobs.Counts { return jobs.Counts{} }

func (s *someJobs) Show(_ context.Context, app, conversation string) (store.Job, error) {
	for _, j := range s.jobs {
		if j.App == app && j.Conversation == conversation {
			return j, nil
		}
	}
	return store.Job{}, jobs.ErrNotFound
}

func (s *someJobs) Retry(_ context.Context, f jobs.Filter) (int, error) {
	s.asked = append(s.asked, fmt.Sprintf("retry %v", f))
	return len(s.jobs), nil
}

func (s *someJobs) Drop(_ context.Context, f jobs.Filter) (int, error) {
	s.asked = append(s.asked, fmt.Sprintf("drop %v", f))
	return 1, nil
}

// serveJobs returns the URL of a host that has two jobs.
func serveJobs(t *testing.T) (string, *someJobs) {
	t.Helper()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &someJobs{jobs: []store.Job{
		{App: "minutes", Conversation: "c_2", UID: "ana", Session: "s_2", State: store.JobWaiting, Since: noon, Next: noon.Add(time.Minute), Reason: "breaker_open"},
		{
			App: "notes", Conversation: "c_1", UID: "ana", Session: "s_1", State: store.JobDead, Since: noon, Attempts: 2, Reason: "trap",
			Last: &store.Attempt{
				Invocation: "i_1", Module: "abc", Version: "1.0.0", At: noon, Outcome: "trap", Error: "unreachable\x1b[2J",
				Stack: []string{"take_notes", "handle"}, Log: []store.LogLine{{Level: "info", Text: "taking notes"}}, LogCut: 7,
				Fuel: 1234, FuelLimit: 10_000, WallMicros: 1500, Replay: "i_1.replay",
			},
		},
	}}
	server := httptest.NewServer(api.New(api.Options{Jobs: s, Gatherer: prometheus.NewRegistry()}))
	t.Cleanup(server.Close)
	return server.URL, s
}

// auricle runs the command and returns what it prints.
func auricle(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), args, nil, &out, &out); code != want {
		t.Errorf("auricle %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, out.Bytes())
	}
	return out.String()
}

func TestJobsListPrintsWhatTheHostSays(t *testing.T) {
	url, s := serveJobs(t)
	got := auricle(t, exitOK, "jobs", "list", "-url", url, "-app", "notes", "-conversation", "c", "-reason", "trap", "-state", "dead")
	want := `conversation  app      state    reason        attempts  since                 next
c_2           minutes  waiting  breaker_open  0         2026-03-01 12:00:00Z  2026-03-01 12:01:00Z
c_1           notes    dead     trap          2         2026-03-01 12:00:00Z  
2 jobs
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if want := []string{"list {notes c trap dead} 100 "}; !reflect.DeepEqual(s.asked, want) {
		t.Errorf("asked %q, want %q", s.asked, want)
	}
	if got := auricle(t, exitOK, "jobs", "list", "-url", url+"/", "-limit", "1"); !strings.Contains(got, "1 job, and more; raise -limit") {
		t.Errorf("got %s", got)
	}
	var page jobs.Page
	if err := json.Unmarshal([]byte(auricle(t, exitOK, "jobs", "list", "-url", url, "-json")), &page); err != nil || len(page.Jobs) != 2 || page.Jobs[0].App != "minutes" {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestJobsListReadsAllPages(t *testing.T) {
	url, s := serveJobs(t)
	s.jobs = nil
	for i := range jobs.MaxPage + 5 {
		s.jobs = append(s.jobs, store.Job{App: "a", Conversation: fmt.Sprint("c_", i)})
	}
	if got := auricle(t, exitOK, "jobs", "list", "-url", url, "-limit", "5000"); !strings.HasSuffix(got, "\n1005 jobs\n") || len(s.asked) != 2 {
		t.Errorf("ends in %q after %d requests", got[len(got)-20:], len(s.asked))
	}
	s.jobs = nil
	if got := auricle(t, exitOK, "jobs", "list", "-url", url); got != "no jobs\n" {
		t.Errorf("got %q", got)
	}
}

func TestJobsShowPrintsTheLastAttempt(t *testing.T) {
	url, _ := serveJobs(t)
	got := auricle(t, exitOK, "jobs", "show", "-url", url, "notes", "c_1")
	want := `app           notes
conversation  c_1
user          ana
session       s_1
state         dead
reason        trap
since         2026-03-01 12:00:00Z
attempts      2

last attempt
  invocation  i_1
  at          2026-03-01 12:00:00Z
  module      version 1.0.0, SHA-256 abc
  outcome     trap
  cost        1,234 fuel (12.3 %), 1.50 ms
  error       unreachable\x1b[2J
  stack       at take_notes
              at handle
  log         info: taking notes
              7 bytes more were cut
  replay      i_1.replay
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var job store.Job
	if err := json.Unmarshal([]byte(auricle(t, exitOK, "jobs", "show", "-url", url, "-json", "notes", "c_1")), &job); err != nil || job.Last == nil || job.Last.Fuel != 1234 {
		t.Errorf("%+v, %v", job, err)
	}
	if got := auricle(t, exitFault, "jobs", "show", "-url", url, "notes", "c_9"); !strings.Contains(got, "404 Not Found: this app has no job for this conversation") {
		t.Errorf("got %s", got)
	}
}

func TestJobsAreRetriedAndDroppedOnlyAsMeant(t *testing.T) {
	url, s := serveJobs(t)
	if got := auricle(t, exitOK, "jobs", "retry", "-url", url, "-app", "notes", "-reason", "trap"); got != "retried 2 jobs\n" {
		t.Errorf("got %q", got)
	}
	if got := auricle(t, exitOK, "jobs", "drop", "-url", url, "-all"); got != "dropped 1 job\n" {
		t.Errorf("got %q", got)
	}
	if got := auricle(t, exitOK, "jobs", "drop", "-url", url, "-state", "dead", "-json"); got != "{\n  \"dropped\": 1\n}\n" {
		t.Errorf("got %q", got)
	}
	if want := []string{"retry {notes  trap }", "drop {   }", "drop {   dead}"}; !reflect.DeepEqual(s.asked, want) {
		t.Errorf("asked %q, want %q", s.asked, want)
	}
	if got := auricle(t, exitFault, "jobs", "drop", "-url", url, "-state", "gone"); !strings.Contains(got, `state "gone" is none; known: waiting, running, dead`) {
		t.Errorf("got %s", got)
	}
}
