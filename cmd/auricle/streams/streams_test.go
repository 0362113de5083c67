package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/streams"
)

// options let the parts be the command that AURICLE names, or one that is built
// here.
func options(t *testing.T) streams.Options {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("what a process uses is read from Linux's /proc")
	}
	command := os.Getenv("AURICLE")
	if command == "" {
		command = filepath.Join(t.TempDir(), "auricle")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, "..").CombinedOutput(); err != nil {
			t.Fatalf("building the command: %v\n%s", err, out)
		}
	}
	return streams.Options{
		Command: []string{command, "bench-part"}, Dir: t.TempDir(),
		Streams: 24, Rounds: 1, Window: time.Second, Settle: 4 * time.Second,
	}
}

// Every scenario runs small. How fast the machine is, is not tested: that the
// figures are there and fit together is.
func TestEveryScenarioMeasures(t *testing.T) {
	t.Parallel() // it waits more than it works
	o := options(t)
	r, err := streams.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	for _, p := range r.Problems {
		if !strings.Contains(p, "late") && !strings.Contains(p, "waiting") { // a machine that is busy
			t.Error(p)
		}
	}

	f, n := r.Floor, r.NoAudioApp
	// The system counts CPU in hundredths of a second, of which 24 streams take
	// few or none; a host's own goroutines come and go.
	if f.Streams != 24 || f.CPUPerStreamHour < 0 || n.Streams != 24 || n.CPUPerStreamHour < 0 || n.CPURatio < 0 || n.GoroutinesPerStream < 0.5 {
		t.Errorf("floor %+v\nno audio app %+v\nwant figures of 24 streams each", f, n)
	}
	// A second's window of 24 streams with a transcript every 2 s holds 12, or
	// some more or less by how its ends fall.
	if tr := r.Transcripts; tr.Streams != 24 || tr.PerSecond < 3 || tr.PerSecond > 40 || tr.AckP50Millis <= 0 || tr.AckP99Millis < tr.AckP50Millis {
		t.Errorf("transcripts %+v; want some 12 a second, acknowledged", tr)
	}
	if a := r.AudioApp; a.Streams != 24 || a.PerSecond < 6 || a.PerSecond > 60 || a.OutputsPerSec <= 0 || a.Outcomes["ok"] == 0 {
		t.Errorf("audio app %+v; want some 24 invocations a second, none failed, and their outputs", a)
	}
	// A few of the host's own goroutines come and go; one for each client would be 60.
	if c := r.Churn; c.Cycles != 60 || c.PerSecond <= 0 || c.RSSBefore <= 0 || c.GoroutinesLeft > 8 || c.FDsLeft > 4 {
		t.Errorf("churn %+v; want 60 cycles and next to nothing left", c)
	}
	if l := r.Long; l.Streams != 3 || l.Hours != 3 || l.Speed <= 1 || l.RSSBefore <= 0 {
		t.Errorf("long %+v; want 3 h of talk, faster than it takes to say", l)
	}
	d := r.Disturbed
	for name, beside := range map[string]streams.Beside{"hung app": d.HungApp, "slow readers": d.SlowReaders, "storm": d.Storm} {
		if beside.Streams == 0 || len(beside.QuietP99) != 2 || len(beside.DisturbedP99) != 2 || slices.Min(beside.QuietP99) <= 0 || slices.Min(beside.DisturbedP99) <= 0 {
			t.Errorf("%s: %+v; want acknowledgements in two windows of each kind", name, beside)
		}
	}
	if d.HungAppRatio <= 0 || d.SlowReadersRatio <= 0 || d.StormRatio <= 0 || len(d.Storm.StormSeconds) != 2 {
		t.Errorf("disturbed %+v; want ratios, and the time that each storm took", d)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind (%v)", left, err)
	}
	checkForm(t, r)
}

// checkForm checks the names of the JSON form, which are promised.
func checkForm(t *testing.T, r streams.Report) {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var form map[string]any
	if err := json.Unmarshal(b, &form); err != nil {
		t.Fatal(err)
	}
	for part, names := range map[string][]string{
		"floor":        {"streams", "cpu_s_per_stream_hour", "rss_per_stream"},
		"no_audio_app": {"streams", "cpu_ratio", "rss_per_stream", "flatness"},
		"audio_app":    {"streams", "dropped", "invocations_per_s"},
		"churn":        {"cycles", "rss_growth", "goroutines_left", "fds_left"},
		"disturbed":    {"hung_app_ratio", "slow_readers_ratio", "storm_ratio"},
	} {
		fields, _ := form[part].(map[string]any)
		for _, name := range names {
			if _, ok := fields[name].(float64); !ok {
				t.Errorf("the report's JSON has no number %s.%s", part, name)
			}
		}
	}
}

// A run that is broken off leaves no process and no file.
func TestARunThatIsBrokenOffLeavesNothing(t *testing.T) {
	t.Parallel() // it waits more than it works
	o := options(t)
	ctx, cancel := context.WithCancel(t.Context())
	o.Window = time.Minute
	o.Only = []string{streams.ScenarioTranscripts}
	o.Progress = writerFunc(func(b []byte) (int, error) {
		cancel() // at the first thing that it says it does
		return len(b), nil
	})
	if _, err := streams.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v; want %v", err, context.Canceled)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v behind (%v)", left, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
