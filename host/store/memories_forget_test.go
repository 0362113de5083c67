package store_test

import (
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/store"
)

func TestMemoriesOfOneUserAreForgotten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	note := []store.Memory{{App: "notes", Content: "likes tea", CreatedAt: time.Now().UTC()}, {App: "notes", Content: "has a dog", CreatedAt: time.Now().UTC()}}
	for _, uid := range []string{"ann", "ann", "bert"} {
		must(t, s.AddMemories(t.Context(), uid, note))
	}
	for _, want := range []int{4, 0} {
		if n, err := s.ForgetMemories(t.Context(), "ann"); err != nil || n != want {
			t.Errorf("forgot %d of ann's: %v, want %d", n, err, want)
		}
	}
	for uid, want := range map[string]int{"ann": 0, "bert": 2} {
		if ms, err := s.Memories(t.Context(), uid); err != nil || len(ms) != want {
			t.Errorf("%s has %d: %v, want %d", uid, len(ms), err, want)
		}
	}
	must(t, s.AddMemories(t.Context(), "ann", note[:1]))
	if ms, err := s.Memories(t.Context(), "ann"); err != nil || len(ms) != 1 {
		t.Errorf("noted anew: %d: %v", len(ms), err)
	}
}
