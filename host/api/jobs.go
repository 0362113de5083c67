package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
)

const (
	maxBodyBytes   = 4 << 10 // of a request that says which jobs are meant
	maxFilterBytes = 128     // of one member of it
)

// jobs answers GET /v1/jobs.
func (h *handler) jobs(w http.ResponseWriter, r *http.Request) {
	values, err := query(r, "app", "conversation", "reason", "state", "limit", "cursor")
	if err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	f := jobs.Filter{
		App: values.Get("app"), Conversation: values.Get("conversation"),
		Reason: values.Get("reason"), State: store.JobState(values.Get("state")),
	}
	for _, name := range []string{"app", "conversation", "reason", "state"} {
		if values.Has(name) && values.Get(name) == "" {
			fail(w, r, http.StatusBadRequest, "bad_query", name+" is empty; leave it out to mean all")
			return
		}
	}
	if err := checkFilter(f); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	limit, cursor, ok := page(w, r, values, jobs.MinPage, jobs.MaxPage)
	if !ok {
		return
	}
	found, err := h.o.Jobs.List(f, limit, cursor)
	if err != nil {
		h.failStore(w, r, err)
		return
	}
	respond(w, http.StatusOK, found)
}

// job answers GET /v1/jobs/{app}/{conversation}.
func (h *handler) job(w http.ResponseWriter, r *http.Request, app, conversation string) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	job, err := h.o.Jobs.Show(r.Context(), app, conversation)
	if errors.Is(err, store.ErrBadID) {
		err = jobs.ErrNotFound // nothing is kept under such an id
	}
	if err != nil {
		h.failStore(w, r, err)
		return
	}
	respond(w, http.StatusOK, job)
}

// changeJobs answers POST /v1/jobs/retry and /v1/jobs/drop: by what is done to
// the jobs that are meant, and what has been done to so many then.
func (h *handler) changeJobs(done string, change func(Jobs, context.Context, jobs.Filter) (int, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f, ok := meant(w, r)
		if !ok {
			return
		}
		n, err := change(h.o.Jobs, r.Context(), f)
		h.o.Logger.Info("jobs are "+done+" by request", "request", requestID(r), "jobs", n, "app", f.App, "conversation", f.Conversation, "reason", f.Reason, "state", f.State)
		if err != nil {
			h.failStore(w, r, err)
			return
		}
		respond(w, http.StatusOK, map[string]int{done: n})
	}
}

// meant reads which jobs a request is about. When it does not say, it answers
// and reports false.
func meant(w http.ResponseWriter, r *http.Request) (f jobs.Filter, ok bool) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return f, false
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, r, http.StatusUnsupportedMediaType, "bad_content_type", "send JSON, with Content-Type: application/json")
		return f, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			fail(w, r, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body is larger than %d bytes", maxBodyBytes))
			return f, false
		}
		fail(w, r, http.StatusBadRequest, "bad_body", "the body could not be read")
		return f, false
	}
	if f, err = parseFilter(body); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_body", err.Error())
		return f, false
	}
	return f, true
}

// parseFilter reads a JSON object with at least one of app, conversation,
// reason and state, or with all true instead. Each member is known and given
// once: what is meant by mistake is everything.
func parseFilter(body []byte) (f jobs.Filter, err error) {
	members := map[string]json.RawMessage{}
	d := json.NewDecoder(strings.NewReader(string(body)))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return f, errors.New(`the body is not a JSON object; for example {"app":"notes","reason":"trap"}`)
	}
	known := []string{"app", "conversation", "reason", "state", "all"}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return f, fmt.Errorf("the body is not JSON: %w", err)
		}
		name, _ := t.(string)
		switch _, had := members[name]; {
		case !slices.Contains(known, name):
			return f, fmt.Errorf("unknown member %.64q; known: %s", name, strings.Join(known, ", "))
		case had:
			return f, fmt.Errorf("member %q is given twice", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return f, fmt.Errorf("the body is not JSON: %w", err)
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return f, fmt.Errorf("the body is not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return f, errors.New("there is more behind the JSON object")
	}
	all := false
	for _, name := range known {
		value, ok := members[name]
		if !ok {
			continue
		}
		if name == "all" {
			if string(value) != "true" {
				return f, errors.New("all is not true; leave it out, or name an app, conversation, reason or state")
			}
			all = true
			continue
		}
		s := ""
		if value[0] != '"' || json.Unmarshal(value, &s) != nil || s == "" {
			return f, fmt.Errorf("%s is not a string with something in it", name)
		}
		switch name {
		case "app":
			f.App = s
		case "conversation":
			f.Conversation = s
		case "reason":
			f.Reason = s
		case "state":
			f.State = store.JobState(s)
		}
	}
	switch {
	case all && len(members) > 1:
		return f, errors.New("all is given with a filter; leave one of them out")
	case !all && len(members) == 0:
		return f, errors.New("no filter is given; name an app, conversation, reason or state, or say all: true")
	}
	return f, checkFilter(f)
}

// checkFilter says what can't be meant by a filter.
func checkFilter(f jobs.Filter) error {
	for _, m := range []struct{ name, value string }{{"app", f.App}, {"conversation", f.Conversation}, {"reason", f.Reason}} {
		if len(m.value) > maxFilterBytes {
			return fmt.Errorf("%s is %d bytes long; at most %d", m.name, len(m.value), maxFilterBytes)
		}
	}
	switch f.State {
	case "", store.JobWaiting, store.JobRunning, store.JobDead:
		return nil
	}
	return fmt.Errorf("state %.64q is none; known: %s, %s, %s", f.State, store.JobWaiting, store.JobRunning, store.JobDead)
}
