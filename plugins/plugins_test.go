package plugins_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

//go:generate sh -c "cd testdata && for f in *.wat; do wat2wasm --debug-names --enable-tail-call --enable-extended-const $DOLLAR{f} -o $DOLLAR{f%.wat}.wasm; done"

// newEngine makes an engine that is closed with the test.
func newEngine(t testing.TB, o plugins.Options) *plugins.Engine {
	t.Helper()
	e, err := plugins.New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("closing the engine: %v", err)
		}
	})
	return e
}

// guest reads a guest of testdata.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func load(t testing.TB, e *plugins.Engine, name string) *plugins.Module {
	t.Helper()
	m, err := e.Load(context.Background(), guest(t, name), plugins.LoadOptions{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ample are limits that only something endless meets.
var ample = plugins.Limits{Fuel: 1e9, Wall: time.Minute}

// run runs one export under ample limits.
func run(t testing.TB, m *plugins.Module, export string, args ...uint64) plugins.Result {
	t.Helper()
	return runInvocation(t, m, plugins.Invocation{Export: export, Args: args, Limits: ample})
}

// runInvocation runs inv and checks what holds for every result.
func runInvocation(t testing.TB, m *plugins.Module, inv plugins.Invocation) plugins.Result {
	t.Helper()
	res, err := m.Run(context.Background(), inv)
	if err != nil {
		t.Fatalf("%s: %v", inv.Export, err)
	}
	if (res.Err == nil) != (res.Outcome == plugins.OK) {
		t.Errorf("%s: outcome %s with error %v", inv.Export, res.Outcome, res.Err)
	}
	var re *plugins.RunError
	if res.Err != nil && (!errors.As(res.Err, &re) || re.Outcome != res.Outcome) {
		t.Errorf("%s: outcome %s, error %#v", inv.Export, res.Outcome, res.Err)
	}
	if l := inv.Limits.Fuel; l != 0 && res.Fuel > l {
		t.Errorf("%s: used %d units of %d", inv.Export, res.Fuel, l)
	}
	return res
}

// value is the single result of an invocation that has to end well.
func value(t testing.TB, res plugins.Result) uint64 {
	t.Helper()
	if res.Outcome != plugins.OK || len(res.Values) != 1 {
		t.Fatalf("got %s (%v) with values %v, want ok with one", res.Outcome, res.Err, res.Values)
	}
	return res.Values[0]
}

func wantOutcome(t testing.TB, res plugins.Result, want plugins.Outcome) {
	t.Helper()
	if res.Outcome != want {
		t.Errorf("got %s (%v), want %s", res.Outcome, res.Err, want)
	}
}
