package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/nats-io/nats-server/v2/server"
)

func TestValuesAreKeptByCompareAndSet(t *testing.T) {
	dir := t.TempDir()
	open := func() *store.Store {
		t.Helper()
		s, err := store.Open(t.Context(), store.Options{Dir: dir})
		must(t, err)
		return s
	}
	s := open()
	none, rev, err := s.Values(t.Context(), "a.b", "ann@x/y")
	must(t, err)
	if len(none) != 0 || rev != 0 {
		t.Errorf("before any: %v at %d", none, rev)
	}
	first, err := s.PutValues(t.Context(), "a.b", "ann@x/y", map[string][]byte{"k": []byte("v")}, 0)
	must(t, err)
	if _, err := s.PutValues(t.Context(), "a.b", "ann@x/y", map[string][]byte{"k": []byte("w")}, 0); !errors.Is(err, store.ErrFenced) {
		t.Errorf("a second writer: %v, want ErrFenced", err)
	}
	want := map[string][]byte{"k": {}, "é<&>{": {0, 1, 0xff, '{', '}'}, "large": bytes.Repeat([]byte{7}, 1<<20)}
	second, err := s.PutValues(t.Context(), "a.b", "ann@x/y", want, first)
	must(t, err)
	for _, other := range [][2]string{{"a", "ann@x/y"}, {"a.b", "ann"}} {
		if got, _, err := s.Values(t.Context(), other[0], other[1]); err != nil || len(got) != 0 {
			t.Errorf("%v: %v, %v: it sees another's", other, got, err)
		}
	}
	must(t, s.Close(t.Context()))

	s = open()
	got, rev, err := s.Values(t.Context(), "a.b", "ann@x/y")
	must(t, err)
	if !reflect.DeepEqual(got, want) || rev != second {
		t.Errorf("after a restart %d values at %d, want %d at %d", len(got), rev, len(want), second)
	}
	gone, err := s.PutValues(t.Context(), "a.b", "ann@x/y", nil, rev)
	must(t, err)
	if got, rev, err := s.Values(t.Context(), "a.b", "ann@x/y"); err != nil || len(got) != 0 || rev != gone {
		t.Errorf("after all was deleted: %v at %d: %v", got, rev, err)
	}
	if _, err := s.PutValues(t.Context(), "a.b", "ann@x/y", map[string][]byte{"k": nil}, gone); err != nil {
		t.Errorf("keeping again: %v", err)
	}
	many := map[string][]byte{}
	for i := range store.MaxValues + 1 {
		many[fmt.Sprint(i)] = nil
	}
	for _, bad := range []struct {
		why, app, uid string
		values        map[string][]byte
		want          error
	}{
		{"no uid", "a", "", nil, store.ErrBadID},
		{"no app", "", "u", nil, store.ErrBadID},
		{"an empty key", "a", "u", map[string][]byte{"": nil}, store.ErrBadID},
		{"too many keys", "a", "u", many, store.ErrTooManyValues},
		{"too much for one record", "a", "u", map[string][]byte{"k": make([]byte, store.MaxMessageBytes)}, store.ErrTooLarge},
	} {
		if _, err := s.PutValues(t.Context(), bad.app, bad.uid, bad.values, 0); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v, want %v", bad.why, err, bad.want)
		}
	}
	if _, err := s.PutValues(t.Context(), "a", "most", map[string][]byte{"k": make([]byte, store.MaxValuesBytes)}, 0); err != nil {
		t.Errorf("as much as may be: %v", err)
	}
	if got, _, err := s.Values(t.Context(), "a", "most"); err != nil || len(got["k"]) != store.MaxValuesBytes {
		t.Errorf("as much as may be: %d bytes: %v", len(got["k"]), err)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("what can't be kept made the store unready: %v", err)
	}
	must(t, s.Close(t.Context()))
}

func TestHostsShareValues(t *testing.T) {
	srv := oneNATS(t, t.TempDir(), server.RANDOM_PORT)
	servers := store.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1}
	a, b := share(t, "a", servers), share(t, "b", servers)
	rev, err := a.PutValues(t.Context(), "x", "ann", map[string][]byte{"n": []byte("1")}, 0)
	must(t, err)
	got, seen, err := b.Values(t.Context(), "x", "ann")
	must(t, err)
	if string(got["n"]) != "1" || seen != rev {
		t.Errorf("the other host has %q at %d, want 1 at %d", got["n"], seen, rev)
	}
	_, err = b.PutValues(t.Context(), "x", "ann", map[string][]byte{"n": []byte("2")}, seen)
	must(t, err)
	if _, err := a.PutValues(t.Context(), "x", "ann", map[string][]byte{"n": []byte("3")}, rev); !errors.Is(err, store.ErrFenced) {
		t.Errorf("a write over another host's: %v, want ErrFenced", err)
	}
	// What was taken can be read: the server's answer is larger than the record.
	most := map[string][]byte{"k": make([]byte, 700<<10)}
	if _, err := a.PutValues(t.Context(), "x", "large", most, 0); err != nil {
		t.Errorf("700 KiB at a server with max_payload 1 MiB: %v", err)
	}
	if got, _, err := b.Values(t.Context(), "x", "large"); err != nil || len(got["k"]) != 700<<10 {
		t.Errorf("read %d bytes: %v", len(got["k"]), err)
	}
	if _, err := a.PutValues(t.Context(), "x", "large", map[string][]byte{"k": make([]byte, 900<<10)}, 0); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("900 KiB: %v, want ErrTooLarge", err)
	}
}

func TestDamagedValuesAreNamed(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Dir: dir})
	must(t, err)
	_, err = s.PutValues(t.Context(), "notes", "ann", map[string][]byte{"k": []byte("to be damaged")}, 0)
	must(t, err)
	must(t, s.Close(t.Context()))
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "$G", "streams", "VALUES", "msgs", "*.blk"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	b, err := os.ReadFile(files[0])
	must(t, err)
	must(t, os.WriteFile(files[0], bytes.Replace(b, []byte("to be damaged"), []byte("TO BE damaged"), 1), 0o600))
	_, err = store.Open(t.Context(), store.Options{Dir: dir})
	var damage *store.DamageError
	if !errors.As(err, &damage) || !strings.Contains(err.Error(), `what app "notes" keeps for user "ann"`) {
		t.Errorf("opened with %v", err)
	}
}
