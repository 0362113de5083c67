package plugins_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

func TestModulesAreRefusedWithTheReason(t *testing.T) {
	e := newEngine(t, plugins.Options{MaxModuleBytes: 100_000})
	whole := guest(t, "limits")
	for _, c := range []struct {
		name string
		wasm []byte
		step string
		is   error
		want string
	}{
		{"empty", nil, "parsing", plugins.ErrNotWasm, ""},
		{"text", []byte("(module)"), "parsing", plugins.ErrNotWasm, ""},
		{"an ELF binary", []byte("\x7fELF\x02\x01\x01\x00"), "parsing", plugins.ErrNotWasm, ""},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "parsing", plugins.ErrComponent, ""},
		{"truncated", whole[:len(whole)-3], "parsing", plugins.ErrMalformed, "at byte "},
		{"half", whole[:len(whole)/2], "parsing", plugins.ErrMalformed, "at byte "},
		{"too large", make([]byte, 100_001), "parsing", plugins.ErrLimit, "100001 bytes, at most 100000 are taken"},
		{"large memory", guest(t, "memory_large"), "parsing", plugins.ErrLimit, "begins with 125 MiB, the limit is 64 MiB"},
		{"large table", guest(t, "table_large"), "parsing", plugins.ErrLimit, ""},
		{"reserved export", guest(t, "export_reserved"), "parsing", plugins.ErrReserved, ""},
		{"reserved import", guest(t, "import_reserved"), "parsing", plugins.ErrReserved, ""},
		{"unknown imports", guest(t, "import_unknown"), "linking", plugins.ErrImport,
			"unknown import \"env\" \"launch\" (i32) -> i64\nunknown import \"wasi_snapshot_preview1\" \"fd_teleport\" ()"},
		{"wrong import", guest(t, "import_signature"), "linking", plugins.ErrImport,
			`import "wasi_snapshot_preview1" "fd_close" has type (i64) -> i32, the host's is (i32) -> i32`},
		{"wrong _initialize", guest(t, "init_signature"), "linking", plugins.ErrInit, "with type (), not (i32)"},
		{"imported _initialize", guest(t, "init_reexport"), "linking", plugins.ErrInit, "a function of the module's own"},
		{"segment outside", guest(t, "segment_outside"), "initialising", plugins.ErrInit, ""},
		{"trap", guest(t, "init_trap"), "initialising", plugins.ErrInit, "wasm unreachable"},
		{"exit", guest(t, "init_exit"), "initialising", plugins.ErrInit, "exited with code 3; it wrote: no ?luck"},
		{"exit 0", guest(t, "init_exit_ok"), "initialising", plugins.ErrInit, "exited with code 0 before it was ready"},
	} {
		_, err := e.Load(context.Background(), c.wasm, plugins.LoadOptions{Name: "odd"})
		var le *plugins.LoadError
		if !errors.As(err, &le) || !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, want a LoadError of %v", c.name, err, c.is)
			continue
		}
		if le.Step != c.step || le.Module != "odd" || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `module "odd": `+c.step) {
			t.Errorf("%s: got step %q, text %q; want %q and %q", c.name, le.Step, err, c.step, c.want)
		}
		if (le.Offset >= 0) != strings.Contains(err.Error(), "at byte") {
			t.Errorf("%s: offset %d in %q", c.name, le.Offset, err)
		}
	}
}

func TestImportErrorTellsWhatIsWanted(t *testing.T) {
	e := newEngine(t, plugins.Options{})
	_, err := e.Load(context.Background(), guest(t, "import_signature"), plugins.LoadOptions{})
	var ie *plugins.ImportError
	if !errors.As(err, &ie) || !ie.Known || ie.Name != "fd_close" || ie.Wanted != "(i64) -> i32" || ie.Have != "(i32) -> i32" {
		t.Errorf("got %#v", ie)
	}
	_, err = e.Load(context.Background(), guest(t, "import_unknown"), plugins.LoadOptions{})
	if !errors.As(err, &ie) || ie.Known || ie.Import != (plugins.Import{Module: "env", Name: "launch"}) {
		t.Errorf("got %#v", ie)
	}
}

func TestEndlessInitialisationEnds(t *testing.T) {
	e := newEngine(t, plugins.Options{})
	for _, c := range []struct {
		limits plugins.Limits
		want   plugins.Outcome
	}{
		{plugins.Limits{Fuel: 1_000_000, Wall: time.Minute}, plugins.FuelExhausted},
		{plugins.Limits{Fuel: 1 << 60, Wall: 20 * time.Millisecond}, plugins.DeadlineExceeded},
	} {
		_, err := e.Load(context.Background(), guest(t, "init_endless"), plugins.LoadOptions{Init: c.limits})
		var re *plugins.RunError
		if !errors.Is(err, plugins.ErrInit) || !errors.As(err, &re) || re.Outcome != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := e.Load(ctx, guest(t, "init_endless"), plugins.LoadOptions{Init: plugins.Limits{Fuel: 1 << 60, Wall: time.Hour}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	// A sleep is not waited for, but counts.
	_, err = e.Load(context.Background(), guest(t, "init_sleep"), plugins.LoadOptions{Init: plugins.Limits{Wall: time.Second}})
	var re *plugins.RunError
	if !errors.As(err, &re) || re.Outcome != plugins.DeadlineExceeded {
		t.Errorf("slept for the whole limit: %v", err)
	}
}

func TestInitialisationsWordsArePassedOn(t *testing.T) {
	var out bytes.Buffer
	_, err := newEngine(t, plugins.Options{}).Load(context.Background(), guest(t, "init_exit"), plugins.LoadOptions{InitStderr: &out})
	if err == nil || out.String() != "no \x1bluck\n" {
		t.Errorf("wrote %q, error %v", out.String(), err)
	}
}

func TestUnusableCacheDirIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/nowhere"} {
		_, err := plugins.New(context.Background(), plugins.Options{CacheDir: dir})
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "name a directory that this user can write to") {
			t.Errorf("%s: got %v", dir, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.wasm")
	hostile, err2 := filepath.Glob("testdata/hostile/*.wasm")
	if err := errors.Join(err, err2); err != nil || len(seeds) == 0 || len(hostile) == 0 {
		f.Fatal("no seeds: ", err)
	}
	for _, s := range append(seeds, hostile...) {
		b, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Add([]byte("\x00asm\x0d\x00\x01\x00"))
	e := newEngine(f, plugins.Options{HostModules: []plugins.HostModule{testHost(nil)}})
	limits := plugins.Limits{Fuel: 100_000, Wall: 50 * time.Millisecond}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		start := time.Now()
		ctx := context.Background()
		m, err := e.Load(ctx, wasm, plugins.LoadOptions{MemoryBytes: 8 << 20, Init: limits})
		if err != nil {
			var le *plugins.LoadError
			if !errors.As(err, &le) {
				t.Fatalf("not a LoadError: %v", err)
			}
			return
		}
		defer func() {
			if err := m.Close(ctx); err != nil {
				t.Error(err)
			}
		}()
		if m.MemoryBytes() > 8<<20 {
			t.Errorf("%d bytes of memory", m.MemoryBytes())
		}
		for _, export := range []string{"fresh", "spin", "none", "sched_yield", "unreachable"} {
			if m.CheckExport(export, nil, nil) != nil && m.CheckExport(export, nil, []plugins.ValueType{plugins.I32}) != nil {
				continue
			}
			res, err := m.Run(ctx, plugins.Invocation{Export: export, Limits: limits})
			if err != nil {
				t.Fatalf("%s: %v", export, err)
			}
			if res.Fuel > limits.Fuel {
				t.Errorf("%s: used %d", export, res.Fuel)
			}
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
