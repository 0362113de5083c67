package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

// command is the package of the auricle command.
const command = "github.com/auricle-dev/auricle/cmd/auricle"

// Build builds the app in folder dir with the go command found in PATH, as
// its author would, and returns the module's path, in a temporary folder of
// the test's.
func Build(t testing.TB, dir string) string {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), filepath.Base(abs)+".wasm")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-o", out, ".")
	cmd.Dir = abs
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS="+moduleFlags(os.Getenv("GOFLAGS")))
	ownGroup(cmd)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the app in %s: %v\n%s", abs, err, msg)
	}
	return out
}

// moduleFlags returns GOFLAGS without what can't be had for Wasm.
func moduleFlags(flags string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(flags), func(f string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		return slices.Contains([]string{"race", "msan", "asan", "cover", "covermode", "coverpkg", "buildmode"}, name)
	}), " ")
}

// Each builds the app in folder dir and runs test twice, as subtests: with the
// handlers of app in this process, and with the module.
func Each(t *testing.T, app sdk.App, dir string, test func(t *testing.T, run RunFunc)) {
	t.Helper()
	t.Run("in-process", func(t *testing.T) {
		test(t, func(t testing.TB, o Options, events ...Event) *Report {
			t.Helper()
			return Run(t, app, o, events...)
		})
	})
	t.Run("module", func(t *testing.T) {
		path := Build(t, dir)
		test(t, func(t testing.TB, o Options, events ...Event) *Report {
			t.Helper()
			return RunModule(t, path, o, events...)
		})
	})
}

// RunModule gives events, one after the other, to the module at path through
// the auricle command, under the limits that its manifest asks for or the
// host's defaults. An app with State: event.StateSession keeps its memory for
// each session that events name. It fails the test at once when the command does, for
// example because the module or the settings are refused.
//
// The command is the file that the environment variable AURICLE names, or
// auricle in PATH, or else "go run" of the version that the test's Go module
// requires; "go get -tool github.com/auricle-dev/auricle/cmd/auricle" lets it.
func RunModule(t testing.TB, path string, o Options, events ...Event) *Report {
	t.Helper()
	if len(o.Ungranted) > 0 || o.RecentlyNotified || o.Web != nil {
		t.Fatal("apptest.RunModule: Options.Ungranted, RecentlyNotified and Web work in-process only; use Run")
	}
	settings, err := o.settings()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"app", "run", "-json", "-events", "-"}
	if settings != nil {
		file := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(file, settings, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-settings", file)
	}
	var in bytes.Buffer
	for i, e := range events {
		if err := writeLine(&in, e); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	argv, err := auricle()
	if err != nil {
		t.Fatal(err)
	}
	limit := o.timeout(5 * time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	argv = append(append(argv, args...), path)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, msg bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &msg
	ownGroup(cmd)
	err = cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s: not done after %v\n%s", strings.Join(argv, " "), limit, msg.Bytes())
	}
	if err != nil && !invocationsFailed(err, msg.String()) {
		hint := ""
		if argv[0] == "go" {
			hint = "\nIf the command itself can't be built here, put auricle in PATH, name it in the environment variable AURICLE, or run: go get -tool " + command
		}
		t.Fatalf("%s: %v\n%s%s", strings.Join(argv, " "), err, msg.Bytes(), hint)
	}
	r, err := readReport(&out)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, msg.Bytes())
	}
	if len(r.Results) != len(events) {
		t.Fatalf("%s: got %d results of %d events\n%s", strings.Join(argv, " "), len(r.Results), len(events), msg.Bytes())
	}
	return r
}

// exitInvocation is the command's exit code when an invocation did not end ok.
const exitInvocation = 3

// invocationsFailed reports whether the command did its work and says with
// err that an invocation did not end ok. The go command turns every exit code
// into 1 and writes the real one last on stderr.
func invocationsFailed(err error, stderr string) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	return exit.ExitCode() == exitInvocation ||
		exit.ExitCode() == 1 && strings.HasSuffix(strings.TrimSpace(stderr), fmt.Sprintf("exit status %d", exitInvocation))
}

// auricle returns how to start the command.
func auricle() ([]string, error) {
	if file := os.Getenv("AURICLE"); file != "" {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("the environment variable AURICLE should name the auricle command: %w", err)
		}
		return []string{file}, nil
	}
	if file, err := exec.LookPath("auricle"); err == nil {
		return []string{file}, nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return nil, errors.New("found neither auricle nor go in PATH: install the auricle command, or name it in the environment variable AURICLE")
	}
	return []string{"go", "run", command}, nil
}

// writeLine writes e as the command reads it.
func writeLine(w io.Writer, e Event) error {
	e, err := filled(e)
	if err != nil {
		return err
	}
	line := struct {
		Kind    string `json:"kind"`
		Payload any    `json:"payload"`
	}{e.Kind().String(), e}
	if a, ok := e.(*event.Audio); ok {
		line.Payload = struct {
			Rate         int    `json:"rate"`
			Start        int64  `json:"start"`
			Dropped      uint32 `json:"dropped,omitempty"`
			Session      string `json:"session"`
			Conversation string `json:"conversation"`
			UID          string `json:"uid"`
			Restarted    bool   `json:"restarted,omitempty"`
			PCM          []byte `json:"pcm_base64"`
		}{a.Rate, a.Start, a.Dropped, a.Session, a.Conversation, a.UID, a.Restarted, a.PCM}
	}
	return json.NewEncoder(w).Encode(line)
}

// readReport reads what the command wrote, a line for each event.
func readReport(r io.Reader) (*Report, error) {
	report := &Report{}
	dec := json.NewDecoder(r)
	for {
		var line struct {
			Event       string  `json:"event"`
			Outcome     Outcome `json:"outcome"`
			Error       string  `json:"error"`
			Fuel        uint64  `json:"fuel"`
			FuelLimit   uint64  `json:"fuel_limit"`
			WallMicros  int64   `json:"wall_us"`
			MemoryBytes int64   `json:"memory_bytes"`
			Outputs     []struct {
				Kind event.OutputKind `json:"kind"`
				Data json.RawMessage  `json:"data"`
			} `json:"outputs"`
			Log []struct {
				Level string `json:"level"`
				Text  string `json:"text"`
			} `json:"log"`
			LogCut    int  `json:"log_cut_bytes"`
			Restarted bool `json:"restarted"`
		}
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			return report, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the results: %w", err)
		}
		res := Result{
			Event: line.Event, Outcome: line.Outcome, Error: line.Error,
			Fuel: line.Fuel, FuelLimit: line.FuelLimit, MemoryBytes: line.MemoryBytes, LogCut: line.LogCut,
			Wall:      time.Duration(line.WallMicros) * time.Microsecond,
			Restarted: line.Restarted,
		}
		for _, o := range line.Outputs {
			if o.Kind != event.OutputNotification {
				res.Outputs = append(res.Outputs, o.Data)
				continue
			}
			var n struct {
				Text string `json:"text"`
			}
			if err := json.Unmarshal(o.Data, &n); err != nil {
				return nil, fmt.Errorf("reading a notification: %w", err)
			}
			res.Notifications = append(res.Notifications, n.Text)
		}
		for _, l := range line.Log {
			res.Log = append(res.Log, LogLine{l.Level, l.Text})
		}
		report.Results = append(report.Results, res)
	}
}
