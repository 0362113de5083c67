package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/prometheus/client_golang/prometheus"
)

// stagings returns the folders in memory that batches of dir are set down in.
func stagings(t *testing.T, dir string) (folders []string) {
	t.Helper()
	owners, err := filepath.Glob("/dev/shm/auricle-staging-*/data_dir")
	must(t, err)
	for _, owner := range owners {
		if b, err := os.ReadFile(owner); err == nil && string(b) == dir {
			folders = append(folders, filepath.Dir(owner))
		}
	}
	return folders
}

func TestBatchesAreSetDownInMemory(t *testing.T) {
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Skip("no file system in memory")
	}
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	reg := prometheus.NewRegistry()
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Registerer: reg})
	must(t, err)
	fill(t, s, 0, 64)
	refused := func() float64 { return value(t, reg, "auricle_store_commits_refused_total", "RESULTS") }
	if n := refused(); n != 0 {
		t.Fatalf("%v batches were refused", n)
	}
	folders := stagings(t, dir)
	if len(folders) != 1 {
		t.Fatalf("set down in %v, want one folder", folders)
	}

	// A copy of the directory, as of a host that was killed, is another's.
	must(t, os.CopyFS(elsewhere, os.DirFS(dir)))
	other := open(t, elsewhere)
	if got := stagings(t, dir); len(got) != 1 || got[0] != folders[0] {
		t.Errorf("after a copy was opened: %v, want %v", got, folders)
	}
	must(t, other.Close(t.Context()))

	// Somebody tidies the folder away: what is written then is written still.
	must(t, os.RemoveAll(folders[0]))
	fill(t, s, 64, 128)
	n := refused()
	if n == 0 {
		t.Error("batches were set down in a folder that is not there")
	}
	fill(t, s, 128, 192)
	if refused() > n {
		t.Errorf("%v batches were refused after the folder was made again", refused()-n)
	}
	if held, err := s.Unfinished(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("unfinished: %d, %v, want none", len(held), err)
	}
	must(t, s.Close(t.Context()))
	if got := stagings(t, dir); len(got) != 0 {
		t.Errorf("after it closed: %v, want none", got)
	}
}
