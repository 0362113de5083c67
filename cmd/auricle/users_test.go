package main

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
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/users"
	"github.com/auricle-dev/auricle/sdk/event"
)

// someUsers keep choices for the host's API.
type someUsers map[string]map[string]bool

func (s someUsers) Chosen(uid string) map[string]bool {
	all := map[string]bool{}
	for app, on := range s[uid] {
		all[app] = on
	}
	return all
}

func (s someUsers) Set(_ context.Context, uid, app string, to users.State) error {
	if s[uid] == nil {
		s[uid] = map[string]bool{}
	}
	if s[uid][app] = to == users.On; to == users.Default {
		delete(s[uid], app)
	}
	return nil
}

type someApps []string

func (s someApps) All() (as []*apps.App) {
	for _, name := range s {
		as = append(as, &apps.App{Name: name, Manifest: event.Manifest{Version: "1.0.0"}})
	}
	return as
}

func TestUsersAppsAreSwitchedByCommand(t *testing.T) {
	server := httptest.NewServer(api.New(api.Options{
		Users: someUsers{"ana": {"gone": false}}, Apps: someApps{"loudness", "keywords"}, Gatherer: prometheus.NewRegistry(),
	}))
	t.Cleanup(server.Close)
	const head = "app       version        state  by      default\n"
	const rest = "gone      not installed  off    user    \n"
	for _, step := range []struct {
		do   []string
		want string
	}{
		{[]string{"apps", "ana"}, head + "loudness  1.0.0          off    config  off\nkeywords  1.0.0          off    config  off\n" + rest},
		{[]string{"on", "ana", "loudness"}, head + "loudness  1.0.0          on     user    off\nkeywords  1.0.0          off    config  off\n" + rest},
		{[]string{"off", "ana", "loudness"}, head + "loudness  1.0.0          off    user    off\nkeywords  1.0.0          off    config  off\n" + rest},
		{[]string{"reset", "ana", "loudness"}, head + "loudness  1.0.0          off    config  off\nkeywords  1.0.0          off    config  off\n" + rest},
	} {
		got := auricle(t, exitOK, append([]string{"users", step.do[0], "-url", server.URL}, step.do[1:]...)...)
		if got != step.want {
			t.Errorf("users %v:\n%swant\n%s", step.do, got, step.want)
		}
	}
	for _, uid := range []string{"a/b%", "..", "."} {
		var u api.UserApps
		if err := json.Unmarshal([]byte(auricle(t, exitOK, "users", "on", "-json", "-url", server.URL, uid, "keywords")), &u); err != nil {
			t.Fatal(err)
		}
		if u.UID != uid || len(u.Apps) != 2 || !u.Apps[1].On || u.Apps[1].Why != "user" {
			t.Errorf("%q: %+v", uid, u)
		}
	}
	if got := auricle(t, exitFault, "users", "on", "-url", server.URL, "ana", "keyword"); !strings.Contains(got, `there is no app "keyword"; installed: loudness, keywords (unknown_app)`) {
		t.Error(got)
	}
}

func TestWhatAnAppStoresIsListedAndForgottenByCommand(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.PutValues(t.Context(), "loudness", "a/na", map[string][]byte{"level": []byte("12"), "a\u200bb": nil}, 0); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Options{Values: s, Gatherer: prometheus.NewRegistry()}))
	t.Cleanup(server.Close)
	if got, want := auricle(t, exitOK, "users", "storage", "-url", server.URL, "a/na", "loudness"), "key       bytes\na\\u200bb  0\nlevel     2\n2 keys    12\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	const none = "app loudness has nothing stored for user a/na\n"
	for _, name := range []string{"forget", "storage", "forget"} {
		if got := auricle(t, exitOK, "users", name, "-url", server.URL, "a/na", "loudness"); got != none {
			t.Errorf("users %s: %q, want %q", name, got, none)
		}
	}
}

func TestMemoriesAreListedAndDeletedByCommand(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	at := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	if err := s.AddMemories(t.Context(), "a/na", []store.Memory{{App: "notes", Content: "likes\ttea", CreatedAt: at}}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Options{Memories: s, Gatherer: prometheus.NewRegistry()}))
	t.Cleanup(server.Close)
	const none = "nothing is noted about user a/na\n"
	for _, step := range []struct{ flag, want string }{
		{"-json=false", "noted             app    memory\n2026-03-04 05:06  notes  likes\\ttea\n"}, {"-delete", none}, {"-json=false", none},
	} {
		if got := auricle(t, exitOK, "users", "memories", step.flag, "-url", server.URL, "a/na"); got != step.want {
			t.Errorf("%s: %q, want %q", step.flag, got, step.want)
		}
	}
}
