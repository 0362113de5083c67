package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/hashicorp/go-hclog"
)

// filled makes a store with six conversations of ann's, each with a result, and
// three open ones, and returns its folder.
func filled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ctx := t.Context()
	s := open(t, dir)
	for i := range 6 {
		id := fmt.Sprintf("c_%d", i)
		must(t, s.Complete(ctx, conversation(id, "ann", event.Segment{ID: "1", Text: "what was said in " + id}), nil))
		must(t, s.AddResult(ctx, id, result("minutes", "i_"+id)))
	}
	for i := range 3 {
		c := conversation(fmt.Sprintf("c_open%d", i), "ann", event.Segment{ID: "1", Text: "said"})
		_, err := s.Append(ctx, store.Part{Conversation: c, Seq: 1}, 0)
		must(t, err)
	}
	must(t, s.Close(ctx))
	return dir
}

func blockOf(dir, stream string) string {
	return filepath.Join(dir, "jetstream", "$G", "streams", stream, "msgs", "1.blk")
}

// files returns the contents of all files under dir.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		all[path] = string(data)
		return err
	}))
	return all
}

func TestADamagedStoreIsRefusedUntilItIsSalvaged(t *testing.T) {
	dir := filled(t)
	ctx := t.Context()
	spoil := func(stream, text string) {
		path := blockOf(dir, stream)
		data, err := os.ReadFile(path)
		must(t, err)
		at := bytes.Index(data, []byte(text))
		if at < 0 {
			t.Fatalf("no %q in %s", text, path)
		}
		data[at] ^= 2
		must(t, os.WriteFile(path, data, 0o600))
	}
	spoil("CONVERSATIONS", "what was said in c_2") // in the body
	spoil("OPEN", "c_open1")                       // in the subject
	spoil("RESULTS", "i_c_5")                      // the last record
	before := files(t, dir)

	_, err := store.Open(ctx, store.Options{Dir: dir})
	var damage *store.DamageError
	if !errors.As(err, &damage) || len(damage.Damage) != 3 || len(damage.Lost) != 3 || !damage.All {
		t.Fatalf("opened: %v, want a DamageError of 3 places", err)
	}
	for _, want := range []string{
		"stream CONVERSATIONS", filepath.Join("streams", "OPEN", "msgs", "1.blk") + ", byte ",
		`completed conversation c_2 of user "ann"`, "a part of open conversation c_open1, session s_1", "a result on conversation c_5",
		"2 records before it and 3 after it", "Restore a backup", "-salvage",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	after := files(t, dir)
	for path, data := range before {
		if after[path] != data {
			t.Errorf("%s was changed", path)
		}
	}

	var log bytes.Buffer
	s, err := store.Open(ctx, store.Options{Dir: dir, Salvage: true, Logger: hclog.New(&hclog.LoggerOptions{Output: &log})})
	must(t, err)
	for i := range 6 {
		r, err := s.Conversation(ctx, fmt.Sprintf("c_%d", i))
		switch {
		case i == 2:
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("c_2: %v, want it gone", err)
			}
		case err != nil || r.Segments[0].Text != fmt.Sprintf("what was said in c_%d", i):
			t.Errorf("c_%d: %+v, %v", i, r, err)
		case i == 5 && len(r.Outputs) != 0, i != 5 && len(r.Outputs) != 1:
			t.Errorf("c_%d: outputs %v", i, r.Outputs)
		}
	}
	held, err := s.Unfinished(ctx)
	must(t, err)
	if len(held) != 2 || held[0].Conversation.ID != "c_open0" || held[1].Conversation.ID != "c_open2" {
		t.Errorf("open: %+v", held)
	}
	must(t, s.Complete(ctx, conversation("c_2", "ann", event.Segment{ID: "1", Text: "again"}), nil))
	must(t, s.Close(context.Background()))
	for _, key := range []string{"c_2", "c_open1", "c_5"} {
		if !strings.Contains(log.String(), "[ERROR] lost: key=") || !strings.Contains(log.String(), key) {
			t.Errorf("the log does not tell that %s is lost:\n%s", key, log.String())
		}
	}

	// What was damaged is kept as it was.
	kept, err := filepath.Glob(filepath.Join(dir, "damaged", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	for _, stream := range []string{"CONVERSATIONS", "OPEN", "RESULTS"} {
		path, err := filepath.Rel(dir, blockOf(dir, stream))
		must(t, err)
		if data, err := os.ReadFile(filepath.Join(kept[0], path)); err != nil || string(data) != before[path] {
			t.Errorf("%s: not kept as it was: %v", path, err)
		}
	}

	// And the store is whole again.
	s = open(t, dir)
	if r, err := s.Conversation(ctx, "c_2"); err != nil || r.Segments[0].Text != "again" {
		t.Errorf("c_2 after it was stored again: %+v, %v", r, err)
	}
}

func TestAFileThatIsMissingIsMissed(t *testing.T) {
	dir := filled(t)
	must(t, os.Remove(blockOf(dir, "CONVERSATIONS")))
	_, err := store.Open(t.Context(), store.Options{Dir: dir})
	var damage *store.DamageError
	if !errors.As(err, &damage) || !damage.All || len(damage.Lost) != 6 {
		t.Fatalf("%v, want the six conversations lost", err)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "jetstream", "$G", "streams", "RESULTS")))
	if _, err := store.Open(t.Context(), store.Options{Dir: dir}); !errors.As(err, &damage) || !strings.Contains(err.Error(), "stream RESULTS") {
		t.Errorf("%v, want stream RESULTS missed", err)
	}
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Salvage: true})
	must(t, err)
	defer s.Close(context.Background())
	if held, err := s.Unfinished(t.Context()); err != nil || len(held) != 3 {
		t.Errorf("open: %+v, %v", held, err)
	}
}

func TestTheFormatOfADirectory(t *testing.T) {
	for _, c := range []struct{ name, format, want string }{
		{"a newer one", `{"format":3}`, "format 3, this host reads up to 2"},
		{"a damaged file", `{"form`, "does not say which format"},
		{"none", "", ""}, // a directory of format 1
		{"this one", `{"format":2,"more":"x"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filled(t)
			path := filepath.Join(dir, "format")
			must(t, os.Remove(path))
			if c.format != "" {
				must(t, os.WriteFile(path, []byte(c.format), 0o600))
			}
			s, err := store.Open(t.Context(), store.Options{Dir: dir})
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
					t.Fatalf("%v, want %q", err, c.want)
				}
				return
			}
			must(t, err)
			defer s.Close(context.Background())
			if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), `"format":2`) {
				t.Errorf("%s, %v", data, err)
			}
		})
	}
}
