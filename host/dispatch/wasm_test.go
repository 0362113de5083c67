package dispatch_test

//go:generate sh -c "ls testdata/*.wat | sed s/[.]wat// | xargs -I{} wat2wasm {}.wat -o {}.wasm"

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// With real modules: one that never returns is stopped each time and then no
// longer called, and the other's results are complete.
func TestModuleThatNeverReturnsHarmsOnlyItself(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	engine, err := plugins.New(ctx, plugins.Options{HostModules: []plugins.HostModule{apps.HostModule()}})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(ctx)
	set, problems := apps.Load(ctx, engine, []config.App{
		{Name: "spins", Module: filepath.Join("testdata", "spins.wasm"), Users: []string{"*"}, Grant: []event.Capability{event.CapTranscript, event.CapConversation}, Limits: config.AppLimits{Fuel: 1_000_000}},
		{Name: "echo", Module: filepath.Join("testdata", "echo.wasm"), Users: []string{"u"}, Grant: []event.Capability{event.CapAudio, event.CapTranscript, event.CapConversation}},
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer set.Close(ctx)
	d, err := dispatch.New(dispatch.Options{Apps: set, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	var l listener
	o := l.options("u", "s")
	o.Rate = 8000
	s := d.Open(o)
	if as := s.Apps(); len(as) != 2 || as[1].Name != "echo" || !s.WantsAudio() {
		t.Fatalf("apps %v, wants audio %v", as, s.WantsAudio())
	}
	const segments = 50
	for i := range segments {
		s.Transcript(say("c", fmt.Sprint(i), fmt.Sprint("word", i)))
		s.Audio("c", int64(160*i), pcm(160*i, 160))
	}
	select {
	case <-l.complete(s, "c", "spins", "echo"):
	case <-ctx.Done():
		t.Fatal("not all apps answered")
	}
	s.Close()
	if err := d.Drain(ctx); err != nil {
		t.Error(err)
	}

	heard := map[string]bool{}
	pieces := 0
	for _, inv := range l.invocations() {
		if inv.App == "spins" {
			if inv.Outcome != plugins.FuelExhausted || len(inv.Outputs) != 0 {
				t.Errorf("spins: %s %s", inv.Outcome, inv.Err)
			}
			continue
		}
		if inv.Outcome != plugins.OK || len(inv.Outputs) != 1 {
			t.Errorf("echo: %s %s, %d outputs", inv.Outcome, inv.Err, len(inv.Outputs))
			continue
		}
		switch inv.Kind {
		case event.KindTranscript:
			var tr event.Transcript
			if err := json.Unmarshal(inv.Outputs[0].Data, &tr); err != nil {
				t.Fatal(err)
			}
			for _, seg := range tr.Segments {
				heard[seg.ID] = true
			}
		case event.KindAudio:
			pieces++
		}
	}
	if len(heard) != segments || pieces != 10 {
		t.Errorf("echo got %d segments and %d pieces of audio, want %d and 10", len(heard), pieces, segments)
	}
	for _, put := range l.putOff() {
		if put != "spins breaker_open" {
			t.Errorf("put off: %s", put)
		}
	}
	for _, g := range l.got() {
		if g.App != "spins" {
			t.Errorf("gap %+v", g)
		}
	}
	for _, st := range d.Stats() {
		t.Logf("%+v", st)
	}
}
