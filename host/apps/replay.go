package apps

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
)

// Replayed is what became of a recording when it was run again.
type Replayed struct {
	Invocation  Invocation
	Module      string       // the SHA-256 of the binary that ran, in hex
	Version     string       // its manifest's
	Diverged    error        // where it first asked for another answer than the recorded one did; nil if it never did
	Differences []Difference // of what came out
}

// AsRecorded reports whether the invocation went as the recorded one did, to
// the unit of fuel.
func (r *Replayed) AsRecorded() bool { return r.Diverged == nil && len(r.Differences) == 0 }

// Replay runs a recorded invocation again, of the module that it was of or of
// another one: with its event, settings and limits, and with the answers that
// the host gave then. No time passes: sleeps do not wait, and the wall-clock
// limit is met where it was. An error says that it could not be run, as by Open
// and Invoke.
func Replay(ctx context.Context, e *plugins.Engine, wasm []byte, r *Recording) (_ *Replayed, err error) {
	tape, err := plugins.ReadTape(r.Answers)
	if err != nil {
		return nil, err
	}
	a, err := open(ctx, e, config.App{
		Name: r.App, Settings: r.Settings,
		Limits: config.AppLimits{Fuel: r.Limits.Fuel, Wall: r.Limits.Wall, MemoryBytes: r.MemoryLimit},
	}, wasm)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close(context.WithoutCancel(ctx))) }()
	ev := Event{Kind: r.Kind, UID: r.UID, Session: r.Session, Conversation: r.Conversation, Payload: r.Payload}
	if err := a.handles(ev.Kind); err != nil {
		return nil, err
	}
	inv, err := a.handle(ctx, ev, r.Restarted, tape)
	if err != nil {
		return nil, fmt.Errorf("replaying %s: %w", r.Invocation, err)
	}
	sum := a.Module.SHA256()
	return &Replayed{
		Invocation: inv, Module: hex.EncodeToString(sum[:]), Version: a.Manifest.Version,
		Diverged: tape.Diverged(), Differences: r.differences(inv),
	}, nil
}
