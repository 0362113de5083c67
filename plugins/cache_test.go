package plugins_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

// filesIn returns the files in dir and below, and fails if it holds what was
// left of making them.
func filesIn(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "building-") && d.Name() != "building-left" {
			t.Errorf("%s was left behind", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// loadCached loads answer, whose calls answer 1 on fresh state, and runs it.
func loadCached(t testing.TB, dir string, wantCached bool) {
	t.Helper()
	m := load(t, newEngine(t, plugins.Options{CacheDir: dir}), "answer")
	if m.Cached() != wantCached {
		t.Errorf("found in the cache: %v, want %v", m.Cached(), wantCached)
	}
	if got := value(t, run(t, m, "calls")); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

func TestCompiledCodeIsKeptOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "cache")
	loadCached(t, dir, false)
	first := filesIn(t, dir)
	if len(first) != 2 {
		t.Errorf("the cache holds %q, want an entry and its code", first)
	}
	loadCached(t, dir, true)
	if again := filesIn(t, dir); !slices.Equal(first, again) {
		t.Errorf("the cache holds %q, then %q", first, again)
	}
	e := newEngine(t, plugins.Options{CacheDir: dir})
	for _, name := range []string{"kinds", "state", "session", "limits", "traps"} {
		m := load(t, e, name)
		if m.Cached() {
			t.Errorf("%s was never loaded before", name)
		}
		again := load(t, newEngine(t, plugins.Options{CacheDir: dir}), name)
		if !again.Cached() {
			t.Errorf("%s is not kept", name)
		}
		a, b := m.Init(), again.Init()
		if a.Fuel != b.Fuel || a.MemoryBytes != b.MemoryBytes || again.Reinitialised() != m.Reinitialised() || !slices.Equal(m.Imports(), again.Imports()) {
			t.Errorf("%s is another: %+v, %+v", name, a, b)
		}
	}
	wantOutcome(t, run(t, load(t, e, "limits"), "work", 5), plugins.OK)
	if value(t, run(t, load(t, e, "kinds"), "entries")) != 1 || value(t, run(t, load(t, e, "state"), "fresh")) != 1 {
		t.Error("the state is not as it was")
	}
}

// What is kept of two modules that differ in nothing but code is not mixed up.
func TestCodeIsKeptByAllOfTheContent(t *testing.T) {
	dir := t.TempDir()
	one := guest(t, "session")
	other := bytes.Replace(one, []byte{0x41, 42, 0x36}, []byte{0x41, 43, 0x36}, 1) // i32.const 42, i32.store
	if bytes.Equal(one, other) {
		t.Fatal("the guest has changed")
	}
	for _, cached := range []bool{false, true} {
		e := newEngine(t, plugins.Options{CacheDir: dir})
		for i, wasm := range [][]byte{one, other} {
			m, err := e.Load(context.Background(), wasm, plugins.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if m.Cached() != cached {
				t.Errorf("found in the cache: %v, want %v", m.Cached(), cached)
			}
			if got, want := value(t, run(t, m, "count")), uint64(1+6+43+i); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		}
	}
}

func TestDamagedCacheIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	loadCached(t, dir, false)
	damages := map[string]func(path string, b []byte) error{
		"removed":   func(path string, _ []byte) error { return os.Remove(path) },
		"emptied":   func(path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) },
		"cut short": func(path string, b []byte) error { return os.WriteFile(path, b[:len(b)/2], 0o600) },
		"longer":    func(path string, b []byte) error { return os.WriteFile(path, append(b, 0), 0o600) },
	}
	for _, file := range filesIn(t, dir) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// A bit anywhere: header, counts, offsets, code.
		for at := 0; at < len(b); at += max(1, len(b)/10) {
			damages[fmt.Sprintf("a bit at %d", at)] = func(path string, b []byte) error {
				b = bytes.Clone(b)
				b[at%len(b)] ^= 4
				return os.WriteFile(path, b, 0o600)
			}
		}
	}
	for what, damage := range damages {
		for _, file := range filesIn(t, dir) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(file, b); err != nil {
				t.Fatal(err)
			}
			t.Log(what, file)
			loadCached(t, dir, false)
		}
	}
	loadCached(t, dir, true)
	if err := plugins.TakeCode(dir); err != nil {
		t.Fatal(err)
	}
	loadCached(t, dir, false)
	loadCached(t, dir, true)
}

// cacheEnv makes the test's binary a process that loads modules from a cache.
const cacheEnv = "AURICLE_TEST_CACHE"

var sharedGuests = []string{"answer", "limits", "state", "traps", "kinds"}

// loadShared is what those processes do.
func loadShared(dir string) error {
	ctx := context.Background()
	for range 3 {
		e, err := plugins.New(ctx, plugins.Options{CacheDir: dir})
		if err != nil {
			return err
		}
		for _, name := range sharedGuests {
			wasm, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
			if err != nil {
				return err
			}
			if _, err := e.Load(ctx, wasm, plugins.LoadOptions{Name: name}); err != nil {
				return err
			}
		}
		if err := e.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}

func TestProcessesShareTheCache(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { // ends with its process, waited for below
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), cacheEnv+"="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	if got, want := len(filesIn(t, dir)), 2*len(sharedGuests); got != want {
		t.Errorf("%d files in the cache, want %d", got, want)
	}
	loadCached(t, dir, true)
}

func TestModulesLoadedAtOnceAreCompiledOnce(t *testing.T) {
	e := newEngine(t, plugins.Options{CacheDir: t.TempDir()})
	wasm := guest(t, "state")
	var mu sync.Mutex
	var wg sync.WaitGroup
	made := 0
	for range 6 {
		wg.Go(func() { // ends after loading, waited for below
			m, err := e.Load(context.Background(), wasm, plugins.LoadOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if !m.Cached() {
				made++
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("compiled %d times", made)
	}
}

func TestCacheForgetsWhatNobodyUses(t *testing.T) {
	dir := t.TempDir()
	loadCached(t, dir, false)
	load(t, newEngine(t, plugins.Options{CacheDir: dir}), "limits")
	left := filepath.Join(dir, "building-left")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-100 * 24 * time.Hour)
	for _, path := range append(filesIn(t, dir), left) {
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	newEngine(t, plugins.Options{CacheDir: dir})
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("the cache holds %q, unused for 100 days", files)
	}
	loadCached(t, dir, false)
}
