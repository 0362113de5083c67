package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/nats-io/nats-server/v2/server"
)

func TestChoicesAreKeptByCompareAndSet(t *testing.T) {
	dir := t.TempDir()
	open := func() *store.Store {
		t.Helper()
		s, err := store.Open(t.Context(), store.Options{Dir: dir})
		must(t, err)
		return s
	}
	s := open()
	none, rev, err := s.Choices(t.Context(), "ann")
	must(t, err)
	if len(none.Apps) != 0 || rev != 0 {
		t.Errorf("before any choice: %+v, revision %d", none, rev)
	}
	first, err := s.PutChoices(t.Context(), store.Choices{UID: "ann", Apps: map[string]bool{"a": true}}, 0)
	must(t, err)
	if _, err := s.PutChoices(t.Context(), store.Choices{UID: "ann", Apps: map[string]bool{"b": true}}, 0); !errors.Is(err, store.ErrFenced) {
		t.Errorf("a second writer: %v, want ErrFenced", err)
	}
	want := store.Choices{UID: "ann", Apps: map[string]bool{"a": true, "b.c": false}}
	second, err := s.PutChoices(t.Context(), want, first)
	must(t, err)
	must(t, s.Close(t.Context()))

	s = open()
	got, rev, err := s.Choices(t.Context(), "ann")
	must(t, err)
	if !reflect.DeepEqual(got, want) || rev != second {
		t.Errorf("after a restart %+v at %d, want %+v at %d", got, rev, want, second)
	}
	gone, err := s.PutChoices(t.Context(), store.Choices{UID: "ann"}, rev)
	must(t, err)
	if got, rev, err := s.Choices(t.Context(), "ann"); err != nil || len(got.Apps) != 0 || rev != gone {
		t.Errorf("after taking all back: %+v at %d: %v", got, rev, err)
	}
	if _, err := s.PutChoices(t.Context(), want, gone); err != nil {
		t.Errorf("choosing again: %v", err)
	}
	many := map[string]bool{}
	for i := range store.MaxChoices + 1 {
		many[fmt.Sprint(i)] = true
	}
	for _, bad := range []struct {
		why  string
		c    store.Choices
		want error
	}{
		{"no uid", store.Choices{Apps: map[string]bool{"a": true}}, store.ErrBadID},
		{"an app without a name", store.Choices{UID: "u", Apps: map[string]bool{"": true}}, store.ErrBadID},
		{"too many apps", store.Choices{UID: "u", Apps: many}, store.ErrTooManyChoices},
	} {
		if _, err := s.PutChoices(t.Context(), bad.c, 0); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v, want %v", bad.why, err, bad.want)
		}
	}
	if err := s.Ready(); err != nil {
		t.Errorf("what can't be kept made the store unready: %v", err)
	}
	must(t, s.Close(t.Context()))
}

func TestChoicesAreToldToOtherHosts(t *testing.T) {
	srv := oneNATS(t, t.TempDir(), server.RANDOM_PORT)
	servers := store.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1}
	a, b := share(t, "a", servers), share(t, "b", servers)
	before, err := a.PutChoices(t.Context(), store.Choices{UID: "ann", Apps: map[string]bool{"x": true}}, 0)
	must(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan store.ChoicesChange, 16)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	following.Go(func() {
		if err := b.FollowChoices(ctx, func(c store.ChoicesChange) { changes <- c }); err != nil {
			t.Error(err)
		}
	})
	told := func(want store.ChoicesChange) {
		t.Helper()
		got := eventually(t, changes, "a change", func(store.ChoicesChange) bool { return true })
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("told %+v, want %+v", got, want)
		}
	}
	told(store.ChoicesChange{Begin: true})
	told(store.ChoicesChange{Choices: store.Choices{UID: "ann", Apps: map[string]bool{"x": true}}, Revision: before})
	told(store.ChoicesChange{Synced: true})
	next, err := a.PutChoices(t.Context(), store.Choices{UID: "ann", Apps: map[string]bool{"x": false}}, before)
	must(t, err)
	told(store.ChoicesChange{Choices: store.Choices{UID: "ann", Apps: map[string]bool{"x": false}}, Revision: next})
	gone, err := b.PutChoices(t.Context(), store.Choices{UID: "ann"}, next)
	must(t, err)
	told(store.ChoicesChange{Choices: store.Choices{UID: "ann"}, Revision: gone, Gone: true})
}
