package apps

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Inspection is what can be told of a module without running it on an event.
type Inspection struct {
	Manifest         event.Manifest            `json:"manifest"`
	Wants            []event.CapabilityRequest `json:"wants"`   // what it would need granted, and why
	Grant            string                    `json:"grant"`   // the line of configuration that grants all of it
	Imports          []string                  `json:"imports"` // as "auricle_v1.emit"
	SizeBytes        int64                     `json:"size_bytes"`
	SHA256           string                    `json:"sha256"`
	MemoryBytes      int64                     `json:"memory_bytes"`       // of an instance when an invocation begins
	MemoryLimitBytes int64                     `json:"memory_limit_bytes"` // without a limit of the operator's
	InitFuel         uint64                    `json:"init_fuel"`
	InitMicros       int64                     `json:"init_us"`
	Reinitialised    string                    `json:"reinitialised,omitempty"` // why each invocation initialises anew, which is slower
}

// Inspect loads a module and has it write its manifest. The error says all
// that is wrong with it. name is for errors.
func Inspect(ctx context.Context, e *plugins.Engine, name string, wasm []byte) (Inspection, error) {
	l := &loading{engine: e, inspect: true}
	l.config.Name = name
	a := l.app(ctx, wasm)
	if a == nil {
		return Inspection{}, l.problems.Err()
	}
	i := a.Inspect()
	return i, errors.Join(l.problems.Err(), a.Close(ctx))
}

// Inspect returns what can be told of the app's module.
func (a *App) Inspect() Inspection {
	sum, init := a.Module.SHA256(), a.Module.Init()
	i := Inspection{
		Manifest: a.Manifest, Wants: a.Manifest.Wants(),
		SizeBytes: a.Module.Size(), SHA256: hex.EncodeToString(sum[:]),
		MemoryBytes: a.Module.MemoryBytes(), MemoryLimitBytes: a.Module.MemoryLimit(),
		InitFuel: init.Fuel, InitMicros: init.Wall.Microseconds(), Reinitialised: a.Module.Reinitialised(),
	}
	var cs []event.Capability
	for _, w := range i.Wants {
		cs = append(cs, w.Name)
	}
	i.Grant = GrantLine(cs)
	for _, im := range a.Module.Imports() {
		i.Imports = append(i.Imports, im.Module+"."+im.Name)
	}
	return i
}
