package webhooks_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/webhooks"
)

// options let the parts be the command that AURICLE names, or one that is built
// here.
func options(t *testing.T) webhooks.Options {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("what a process uses is read from Linux's /proc")
	}
	command := os.Getenv("AURICLE")
	if command == "" {
		command = build(t)
	}
	return webhooks.Options{
		Command: []string{command, "bench-part"}, Dir: t.TempDir(),
		Streams: 6, Talk: time.Second, Every: 500 * time.Millisecond, Rounds: 1, Patience: 20 * time.Second,
	}
}

// build builds the command as make does, with the webhook bridge in it. It leaves
// the source tree as it is.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run := func(env []string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %q: %v\n%s", args, err, out)
		}
	}
	module := filepath.Join(dir, "bridge.wasm")
	run([]string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, "build", "-trimpath", "-buildmode=c-shared", "-o", module, "../../../host/bridge/app")
	b, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(b)
	place, placeErr := filepath.Abs("../../../host/bridge/built/webhook.wasm.gz")
	overlay, overlayErr := json.Marshal(map[string]any{"Replace": map[string]string{place: module + ".gz"}})
	if err := errors.Join(err, z.Close(), placeErr, overlayErr); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.WriteFile(module+".gz", packed.Bytes(), 0o600),
		os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	command := filepath.Join(dir, "auricle")
	run(nil, "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", command, "..")
	return command
}

// All forms run small. How fast they are is not tested: that no healthy app
// loses anything in a host, and that the figures are there, is.
func TestEveryFormMeasures(t *testing.T) {
	t.Parallel() // it waits more than it works
	o := options(t)
	r, err := webhooks.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	for _, p := range r.Problems {
		if !strings.Contains(p, "late") { // a machine that is busy
			t.Error(p)
		}
	}
	if len(r.Forms) != len(webhooks.Forms) {
		t.Fatalf("%d forms were measured, want %q", len(r.Forms), webhooks.Forms)
	}
	const events = 6 * 2 * 3 // streams, segments, apps
	for f, fs := range r.Forms {
		for name, c := range map[string]webhooks.Case{"healthy": fs.Healthy, "hung": fs.Hung} {
			if c.Events != events || c.DelayP50 <= 0 || c.DelayP99 < c.DelayP50 || c.CompletionP50 <= 0 || c.CompletionP99 < c.CompletionP50 ||
				c.Threads < 2 || c.RSS < 1<<20 || c.CPUSeconds < 0 || len(c.RoundP50) != 1 || len(c.RoundP99) != 1 {
				t.Errorf("%s, %s: %+v; want figures of %d events", f, name, c, events)
			}
			if f == webhooks.FormThreads && name == "hung" {
				// What was said second waits for the timeout of what was said first.
				if c.DelayP99 < 5000 {
					t.Errorf("%s, %s: p99 is %.0f ms; the hung app's timeout of 10 s must be in it", f, name, c.DelayP99)
				}
				continue
			}
			if c.Missing != 0 || c.Dropped != 0 || c.CompletionsMissing != 0 {
				t.Errorf("%s, %s: healthy apps lost %d results, %d of conversations, and were dropped %d events; want none", f, name, c.Missing, c.CompletionsMissing, c.Dropped)
			}
		}
		if fs.P99Ratio <= 0 {
			t.Errorf("%s: the ratio is %v", f, fs.P99Ratio)
		}
	}
	if len(r.Targets()) != 4 || r.ThreadsOverWasm <= 0 || r.BridgeOverWasm <= 0 {
		t.Errorf("targets %+v, ratios %v and %v; want four and both", r.Targets(), r.ThreadsOverWasm, r.BridgeOverWasm)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind (%v)", left, err)
	}
	checkForm(t, b)
}

// checkForm checks the names of the JSON form, which are promised.
func checkForm(t *testing.T, report []byte) {
	t.Helper()
	var form struct {
		Machine  map[string]any            `json:"machine"`
		Streams  int                       `json:"streams"`
		Forms    map[string]map[string]any `json:"forms"`
		Problems []string                  `json:"problems"`
	}
	if err := json.Unmarshal(report, &form); err != nil {
		t.Fatal(err)
	}
	if form.Machine["cpus"] == nil || form.Streams == 0 || form.Problems == nil {
		t.Errorf("the report's JSON has no machine, streams or problems")
	}
	for name, fs := range form.Forms {
		if _, ok := fs["p99_ratio"].(float64); !ok {
			t.Errorf("the report's JSON has no number %s.p99_ratio", name)
		}
		for _, which := range []string{"healthy", "hung"} {
			c, _ := fs[which].(map[string]any)
			for _, field := range []string{"events", "missing", "dropped", "dropped_fourth", "completions_missing", "delay_p50_ms", "delay_p99_ms", "completion_p50_ms", "completion_p99_ms", "threads", "rss", "cpu_s", "late_p99_ms"} {
				if _, ok := c[field].(float64); !ok {
					t.Errorf("the report's JSON has no number %s.%s.%s", name, which, field)
				}
			}
		}
	}
}

// A run that is broken off leaves no process and no file.
func TestARunThatIsBrokenOffLeavesNothing(t *testing.T) {
	t.Parallel() // it waits more than it works
	o := options(t)
	o.Talk, o.Only = time.Minute, []webhooks.Form{webhooks.FormThreads}
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = writerFunc(func(b []byte) (int, error) {
		cancel() // at the first thing that it says it does
		return len(b), nil
	})
	if _, err := webhooks.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v; want %v", err, context.Canceled)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind (%v)", left, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
