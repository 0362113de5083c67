package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/store"
)

func TestMemoriesAreKeptNewestFirst(t *testing.T) {
	dir := t.TempDir()
	open := func() *store.Store {
		t.Helper()
		s, err := store.Open(t.Context(), store.Options{Dir: dir})
		must(t, err)
		return s
	}
	s := open()
	if none, err := s.Memories(t.Context(), "ann"); err != nil || none == nil || len(none) != 0 {
		t.Errorf("before any: %v, %v", none, err)
	}
	must(t, s.AddMemories(t.Context(), "ann", []store.Memory{{App: "crm", Content: "likes tea"}, {App: "crm", Content: "has a dog", Tags: []string{"pets"}}}))
	must(t, s.AddMemories(t.Context(), "ann", []store.Memory{{App: "crm", Content: "moved to Lyon"}}))
	must(t, s.AddMemories(t.Context(), "ann.*", []store.Memory{{App: "crm", Content: "another user's"}}))
	must(t, s.Close(t.Context()))

	s = open()
	got, err := s.Memories(t.Context(), "ann")
	must(t, err)
	var contents []string
	ids := map[string]bool{}
	for _, m := range got {
		contents = append(contents, m.Content)
		ids[m.ID] = true
	}
	if want := "moved to Lyon, has a dog, likes tea"; strings.Join(contents, ", ") != want || len(ids) != 3 {
		t.Errorf("after a restart %q with ids %v, want %q", contents, ids, want)
	}
	for _, bad := range []struct {
		why  string
		uid  string
		ms   []store.Memory
		want error
	}{
		{"no uid", "", []store.Memory{{Content: "x"}}, store.ErrBadID},
		{"none", "ann", nil, store.ErrTooManyMemories},
		{"too many at once", "ann", make([]store.Memory, store.MaxMemories+1), store.ErrTooManyMemories},
	} {
		if err := s.AddMemories(t.Context(), bad.uid, bad.ms); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v, want %v", bad.why, err, bad.want)
		}
	}
	if err := s.Ready(); err != nil {
		t.Errorf("what can't be kept made the store unready: %v", err)
	}
	must(t, s.Close(t.Context()))
}

func TestAUsersMemoriesAreBounded(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Dir: t.TempDir()})
	must(t, err)
	const most = 3
	store.LimitNotes(s, most)
	for i := range most {
		must(t, s.AddMemories(t.Context(), "ann", []store.Memory{{Content: fmt.Sprint(i)}}))
	}
	if err := s.AddMemories(t.Context(), "ann", []store.Memory{{Content: "one more"}}); !errors.Is(err, store.ErrTooManyMemories) {
		t.Errorf("one more than may be: %v", err)
	}
	if got, err := s.Memories(t.Context(), "ann"); err != nil || len(got) != most {
		t.Errorf("%d memories, %v", len(got), err)
	}
	must(t, s.AddMemories(t.Context(), "bob", []store.Memory{{Content: "another user's"}}))
	must(t, s.Close(t.Context()))
}
