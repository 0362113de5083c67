// Package seed measures the three findings that Auricle started from, each
// against the design that it replaces, in one run on one machine: audio kept
// for nobody, a thread for each task of a completion, and one app that hangs.
//
// The host's side is a real host in this process, spoken to over real
// WebSocket connections; its apps are the small Wasm modules in guests. The
// old design's side (in the files old_*.go) does what its public source does,
// with the same load.
package seed

import (
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

//go:generate sh -c "for f in guests/*.wat; do wat2wasm $f -o ${f%.wat}.wasm; done"

//go:embed guests/*.wasm
var guests embed.FS

// Options say what to measure.
type Options struct {
	// Scale multiplies the time that apps of the completions wait (2 to 5 s)
	// and the old design's webhook timeouts (10 and 5 s for live
	// transcripts). 0 means 1/20.
	Scale    float64
	Progress io.Writer // what is being measured, a line each; nil discards
}

// Report is what was measured. Its JSON form is that of `auricle bench seed -json`.
type Report struct {
	Machine     figures.Machine `json:"machine"`
	Scale       float64         `json:"scale"`
	Audio       Audio           `json:"audio"`
	Completions Completions     `json:"completions"`
	HungApp     HungApp         `json:"hung_app"`
}

// Run measures all three findings, one after the other.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Scale == 0 {
		o.Scale = 1.0 / 20
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	r := Report{
		Machine: figures.ThisMachine(),
		Scale:   o.Scale,
	}
	dir, err := os.MkdirTemp("", "auricle-seed-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	if err := unpackGuests(dir); err != nil {
		return r, err
	}

	fmt.Fprintln(o.Progress, "audio with no consumer: an hour of 16 kHz audio, as fast as it goes")
	if r.Audio, err = measureAudio(ctx, dir); err != nil {
		return r, fmt.Errorf("audio with no consumer: %w", err)
	}
	fmt.Fprintf(o.Progress, "completions: %d conversations at once, %d apps on each\n", completionConversations, completionApps)
	if r.Completions, err = measureCompletions(ctx, dir, o.Scale); err != nil {
		return r, fmt.Errorf("completions: %w", err)
	}
	fmt.Fprintln(o.Progress, "a hung app: transcripts every 100 ms to 4 apps, one of which never returns")
	if r.HungApp, err = measureHungApp(ctx, dir, o.Scale); err != nil {
		return r, fmt.Errorf("a hung app: %w", err)
	}
	return r, nil
}

// unpackGuests writes the modules to dir, as a configuration names files.
func unpackGuests(dir string) error {
	files, err := guests.ReadDir("guests")
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := guests.ReadFile("guests/" + f.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
