package apps

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/host/bridge"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// LoadersAtOnce is how many modules Load loads at once: compiling is what takes
// long, and takes a processor each.
const LoadersAtOnce = 2

const (
	maxModuleBytes = 32 << 20

	manifestFuel = 1_000_000_000
	manifestWall = 5 * time.Second
)

// Load reads, checks and initialises every app's module, and checks its
// manifest against the grant and the settings, two at a time. Problems are all
// that was found wrong with any of them, sorted by place. The Set holds the
// apps that could be loaded, all of them unless there is a Fault; the caller
// closes it in either case. When ctx ends, what is left is a Fault each.
func Load(ctx context.Context, e *plugins.Engine, cs []config.App) (*Set, config.Problems) {
	apps, problems := loadAll(ctx, e, cs, nil)
	return &Set{apps: slices.DeleteFunc(apps, func(a *App) bool { return a == nil })}, problems
}

// loadAll loads every app of a configuration, nil for one that can't be run.
// One that runs already and has not changed is taken over as it is; running is
// nil where nothing runs yet.
func loadAll(ctx context.Context, e *plugins.Engine, cs []config.App, running map[string]*App) ([]*App, config.Problems) {
	apps, problems := make([]*App, len(cs)), make([]config.Problems, len(cs))
	var wg sync.WaitGroup
	turn := make(chan *bytes.Buffer, LoadersAtOnce) // and what the file is read into
	for range cap(turn) {
		turn <- new(bytes.Buffer)
	}
	for i := range cs {
		wg.Go(func() {
			file := <-turn
			defer func() { turn <- file }()
			l := &loading{engine: e, config: cs[i], prior: running[cs[i].Name], background: running != nil}
			apps[i] = l.load(ctx, file)
			problems[i] = l.problems
		})
	}
	wg.Wait()
	var all config.Problems
	for _, ps := range problems {
		all = append(all, ps...)
	}
	all.Sort()
	return apps, all
}

// Open loads a single module without configuration, for an author's own
// machine: it is granted all that its manifest wants, serves everyone, and its
// notifications are not rate-limited. Nil settings are none. name is what the
// app is called; empty takes the manifest's. The caller closes the App.
func Open(ctx context.Context, e *plugins.Engine, name string, wasm []byte, settings json.RawMessage) (*App, error) {
	return open(ctx, e, config.App{Name: name, Settings: settings}, wasm)
}

// open is Open with more of a configuration.
func open(ctx context.Context, e *plugins.Engine, c config.App, wasm []byte) (*App, error) {
	c.Users = []string{everyone}
	l := &loading{engine: e, config: c, open: true}
	a := l.app(ctx, wasm)
	if err := l.problems.Err(); err != nil {
		if a != nil {
			return nil, errors.Join(err, a.Close(ctx))
		}
		return nil, err
	}
	a.slots = nil
	return a, nil
}

// loading is one app on its way.
type loading struct {
	engine     *plugins.Engine
	config     config.App
	prior      *App // what runs under its name; nil: nothing
	background bool // apps are running that loading must not hold up
	open       bool // by Open: the grant is what the manifest wants
	inspect    bool // by Inspect: neither grant nor settings matter
	problems   config.Problems
}

func (l *loading) fault(at config.Pos, what, do string) {
	l.problems = append(l.problems, config.Problem{Pos: firstPos(at, l.config.Pos.Block), What: l.title() + what, Do: do})
}

// title is what the problems begin with.
func (l *loading) title() string {
	if l.config.Name == "" {
		return ""
	}
	return fmt.Sprintf("app %q: ", l.config.Name)
}

// load reads the module's file and makes the app; nil if it can't be run.
func (l *loading) load(ctx context.Context, file *bytes.Buffer) *App {
	at := l.config.Pos.Module
	if l.config.Webhook != nil && l.config.Module == "" {
		return l.bridge(ctx, file)
	}
	err := ReadModule(file, l.config.Module)
	if err != nil {
		do := "check the path, and that the file can be read"
		if errors.Is(err, fs.ErrNotExist) {
			do = "build the module, or correct the path"
		}
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		l.fault(at, fmt.Sprintf("module %s can't be read: %v", l.config.Module, err), do)
		return nil
	}
	wasm := file.Bytes() // which the engine does not keep
	if !l.pinned(wasm) {
		return nil
	}
	return l.made(ctx, wasm)
}

// bridge makes the app of a webhook: the bridge, loaded and checked as any
// module.
func (l *loading) bridge(ctx context.Context, file *bytes.Buffer) *App {
	file.Reset()
	if err := bridge.Module(file); err != nil {
		do := "take an auricle that is whole"
		if errors.Is(err, bridge.ErrNotBuilt) {
			do = "build it with make, or take a release"
		}
		l.fault(l.config.Pos.Module, err.Error(), do)
		return nil
	}
	return l.made(ctx, file.Bytes())
}

// made returns what runs already if it is the same, otherwise the app of a
// module; nil if it can't be run.
func (l *loading) made(ctx context.Context, wasm []byte) *App {
	if l.prior != nil && l.prior.is(l.config, wasm) {
		return l.prior
	}
	return l.app(ctx, wasm)
}

// ReadModule reads a module's file, no larger than a module may be, into a
// buffer that may have held another.
func ReadModule(into *bytes.Buffer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	into.Reset()
	into.Grow(int(min(info.Size(), maxModuleBytes)) + bytes.MinRead)
	if _, err := into.ReadFrom(io.LimitReader(f, maxModuleBytes+1)); err != nil {
		return err
	}
	if into.Len() > maxModuleBytes {
		return fmt.Errorf("it has more than %d MiB", maxModuleBytes>>20)
	}
	return nil
}

// app makes the app of a module, or returns nil, having noted why. Faults of
// grant and settings do not keep it from being returned.
func (l *loading) app(ctx context.Context, wasm []byte) *App {
	limit := memoryBytes(l.config.Limits, &event.Manifest{})
	m := l.module(ctx, wasm, limit)
	if m == nil {
		return nil
	}
	manifest, ok := l.manifest(ctx, m)
	if !ok {
		l.drop(ctx, m)
		return nil
	}
	if want := memoryBytes(l.config.Limits, &manifest); want != limit {
		// The manifest could be read only from a loaded module; what it suggests
		// takes loading it again, of which compiling is done.
		l.drop(ctx, m)
		if m = l.module(ctx, wasm, want); m == nil {
			return nil
		}
	}
	if l.config.Name == "" {
		l.config.Name = manifest.Name
	}
	a := &App{
		Name: l.config.Name, Manifest: manifest, Module: m, Settings: l.config.Settings,
		config: l.config, slots: &notifySlots{},
	}
	if l.prior != nil {
		a.slots = l.prior.slots // a new version may not notify sooner
	}
	if len(a.Settings) == 0 {
		a.Settings = json.RawMessage("{}")
	}
	if l.inspect {
		return a
	}
	l.grant(a)
	l.http(a)
	l.state(a)
	l.settings(a)
	return a
}

func (l *loading) drop(ctx context.Context, m *plugins.Module) {
	// Nothing runs in it, so that this neither waits nor fails.
	_ = m.Close(ctx)
}

// module loads the binary and checks what it exports.
func (l *loading) module(ctx context.Context, wasm []byte, memoryBytes int64) *plugins.Module {
	m, err := l.engine.Load(ctx, wasm, plugins.LoadOptions{
		Name: l.config.Name, MemoryBytes: memoryBytes, Background: l.background,
	})
	if err != nil {
		l.refused(err)
		return nil
	}
	faults := len(l.problems)
	i32 := plugins.I32
	for _, x := range []struct {
		name            string
		params, results []plugins.ValueType
	}{
		{exportManifest, nil, nil},
		{exportHandle, []plugins.ValueType{i32, i32}, []plugins.ValueType{i32}},
	} {
		if err := m.CheckExport(x.name, x.params, x.results); err != nil {
			what := strings.TrimPrefix(err.Error(), fmt.Sprintf("module %q: ", l.config.Name))
			l.fault(l.config.Pos.Module, what, "build the app with an Auricle SDK, or export what docs/abi.md asks for")
		}
	}
	if m.MemoryBytes() == 0 {
		l.fault(l.config.Pos.Module, "it has no memory, so that it could read no event", `export a memory as "memory"`)
	}
	if len(l.problems) > faults {
		l.drop(ctx, m)
		return nil
	}
	return m
}

// pinned checks the module against the configuration's sha256.
func (l *loading) pinned(wasm []byte) bool {
	if l.config.SHA256 == "" {
		return true
	}
	have := hexSum(wasm)
	if strings.EqualFold(have, l.config.SHA256) {
		return true
	}
	l.fault(l.config.Pos.SHA256, fmt.Sprintf("module %s has sha256 %s, not the one pinned", l.config.Module, have),
		fmt.Sprintf("find out why it changed; if it is the module you want, write sha256 = %q", have))
	return false
}

// refused says why the engine did not load the module.
func (l *loading) refused(err error) {
	at := l.config.Pos.Module
	if imports := importErrors(err); len(imports) > 0 {
		for _, i := range imports {
			l.fault(at, "its module has an "+importText(i), importRemedy(i))
		}
		return
	}
	do := ""
	for _, r := range []struct {
		is error
		do string
	}{
		{plugins.ErrNotWasm, "name a .wasm file"},
		{plugins.ErrComponent, "build a core module: for Go, GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared"},
		{plugins.ErrMalformed, "the file is damaged or was cut short: build it, or fetch it, again"},
		{plugins.ErrUnsupported, "build it without that feature"},
		{plugins.ErrReserved, "the app's author must rename it"},
		{plugins.ErrLimit, "make the module smaller, or raise the app's memory in its limits"},
		{plugins.ErrInit, "the app's author must make it initialise without fault, within 5 s"},
	} {
		if errors.Is(err, r.is) {
			do = r.do
			break
		}
	}
	what := err.Error()
	var le *plugins.LoadError
	if errors.As(err, &le) {
		what = le.Step
		if le.Offset >= 0 {
			what += fmt.Sprintf(" at byte %d", le.Offset)
		}
		what += ": " + le.Err.Error()
	}
	l.fault(at, "its module can't be loaded: "+printable(clip(what, 4<<10)), do)
}

// importErrors returns every *plugins.ImportError in err's tree.
func importErrors(err error) []*plugins.ImportError {
	switch e := err.(type) {
	case nil:
		return nil
	case *plugins.ImportError:
		return []*plugins.ImportError{e}
	case interface{ Unwrap() []error }:
		var out []*plugins.ImportError
		for _, inner := range e.Unwrap() {
			out = append(out, importErrors(inner)...)
		}
		return out
	case interface{ Unwrap() error }:
		return importErrors(e.Unwrap())
	}
	return nil
}

func importText(i *plugins.ImportError) string { return printable(i.Error()) }

func importRemedy(i *plugins.ImportError) string {
	if i.Module != hostModule {
		return fmt.Sprintf("a module may import only %s and wasi_snapshot_preview1: build it so that it needs nothing else", hostModule)
	}
	var names []string
	for _, f := range HostModule().Functions {
		names = append(names, f.Name)
	}
	return fmt.Sprintf("build it with an SDK for this version of the host (%s has %s)", hostModule, strings.Join(names, ", "))
}

// manifest has the module write its manifest.
func (l *loading) manifest(ctx context.Context, m *plugins.Module) (event.Manifest, bool) {
	at := l.config.Pos.Module
	const author = "the app's author must correct it"
	g := &guest{app: &App{Name: l.config.Name}, moment: describing}
	res, err := m.Run(ctx, plugins.Invocation{
		Export: exportManifest, Limits: plugins.Limits{Fuel: manifestFuel, Wall: manifestWall}, State: g, Stderr: stderr{g},
	})
	if err != nil {
		l.fault(at, fmt.Sprintf("asking for its manifest: %v", err), "")
		return event.Manifest{}, false
	}
	lines, _ := g.log.end()
	said := ""
	if len(lines) > 0 {
		said = "; it logged: " + clip(lines[len(lines)-1].Text, 500)
	}
	if o, why := g.outcome(res); o != plugins.OK {
		l.fault(at, fmt.Sprintf("asking for its manifest ended with %s: %s%s", o, why, said), author)
		return event.Manifest{}, false
	}
	if g.manifest == nil {
		l.fault(at, fmt.Sprintf("%s wrote no manifest%s", exportManifest, said), author)
		return event.Manifest{}, false
	}
	manifest, err := DecodeManifest(g.manifest)
	if err == nil {
		return manifest, true
	}
	for _, e := range unjoin(err) {
		l.fault(at, "its manifest: "+printable(e.Error()), author)
	}
	return event.Manifest{}, false
}

// unjoin returns the errors that errors.Join put together.
func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// settings checks the operator's settings against the manifest's schema.
func (l *loading) settings(a *App) {
	schema := a.Manifest.Settings
	if schema == nil {
		var given map[string]json.RawMessage
		if err := json.Unmarshal(a.Settings, &given); err != nil || len(given) > 0 {
			l.fault(firstPos(l.config.Pos.Settings), "it takes no settings", "remove settings")
		}
		return
	}
	s, err := compileSchema(schema)
	if err != nil { // DecodeManifest compiled it before
		l.fault(l.config.Pos.Module, fmt.Sprintf("its manifest: settings is no JSON Schema: %v", err), "")
		return
	}
	for _, v := range violations(s, a.Settings) {
		l.fault(positionOf(l.config.Pos, v.pointer), v.what, "see the app's manifest: auricle app inspect "+l.config.Module)
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
