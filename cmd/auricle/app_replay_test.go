package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/replays"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// recordDice has the app sdk/testdata/guests/dice end in the ways that it can, as in
// a host, and returns a directory of the recordings, named after what it
// was told. Compiled code goes to cache.
func recordDice(t *testing.T, module, cache string) string {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	kept, err := replays.Open(replays.Options{Dir: filepath.Join(dir, "kept"), Sample: 1})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{} // by invocation
	wasm, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := plugins.New(ctx, plugins.Options{CacheDir: cache, HostModules: []plugins.HostModule{apps.HostModule()}})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(context.WithoutCancel(ctx)) // nothing runs in it
	app, err := apps.Open(ctx, engine, "dice", wasm, nil)
	if err != nil {
		t.Fatal(err)
	}
	app.KeepRecordings(kept)
	for order, want := range map[string]plugins.Outcome{
		"throw": plugins.OK, "error": plugins.AppError, "late": plugins.DeadlineExceeded, "fill": plugins.MemoryExceeded,
	} {
		inv, err := app.Invoke(ctx, apps.Event{
			Kind: event.KindTranscript, UID: "ann", Session: "s_1", Conversation: "c_1",
			Payload: fmt.Appendf(nil, `{"segments":[{"id":"1","text":%q}]}`, order),
		})
		if err != nil || inv.Outcome != want || inv.Replay == "" {
			t.Fatalf("%s: %s (%s), recording %q, %v", order, inv.Outcome, inv.Err, inv.Replay, err)
		}
		names[inv.Replay] = order
	}
	if err := kept.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for invocation, name := range names {
		file, err := kept.Read(invocation)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
