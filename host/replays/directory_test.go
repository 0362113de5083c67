package replays_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/replays"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// recording returns one of an app that failed.
func recording(app string, payloadBytes int) *apps.Recording {
	return &apps.Recording{
		Invocation: apps.NewInvocationID(), App: app, Version: "1.0.0", Module: strings.Repeat("ab", 32),
		Kind: event.KindTranscript, UID: "ann", Session: "s_1", Conversation: "c_1", At: time.Now().UTC().Round(0),
		Payload: bytes.Repeat([]byte("x"), payloadBytes), Settings: []byte("{}"),
		Limits: plugins.Limits{Fuel: 100, Wall: time.Second}, MemoryLimit: 1 << 20, State: event.StateFresh, Outcome: plugins.Trap,
	}
}

func open(t *testing.T, o replays.Options) *replays.Directory {
	t.Helper()
	d, err := replays.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDirectory(t, d) })
	return d
}

func closeDirectory(t *testing.T, d *replays.Directory) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		t.Error(err)
	}
}

// listed returns the invocations that are listed.
func listed(t *testing.T, d *replays.Directory, app string, limit int) (ids []string) {
	t.Helper()
	es, err := d.List(t.Context(), app, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		ids = append(ids, e.Invocation)
	}
	return ids
}

func TestRecordingsAreKeptOverRestarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "replays")
	d := open(t, replays.Options{Dir: dir})
	one, two, three := recording("a", 10), recording("b", 10), recording("a", 10)
	for _, r := range []*apps.Recording{two, three, one} {
		if !d.Keep(r) {
			t.Fatal("not kept")
		}
	}
	closeDirectory(t, d)
	if d.Keep(recording("a", 1)) {
		t.Error("kept after Close")
	}
	if ids := listed(t, d, "", 10); len(ids) != 3 {
		t.Errorf("after Close %v are listed", ids)
	}

	d = open(t, replays.Options{Dir: dir})
	newest := []string{one.Invocation, two.Invocation, three.Invocation}
	slices.Sort(newest)
	slices.Reverse(newest)
	if ids := listed(t, d, "", 10); !slices.Equal(ids, newest) {
		t.Errorf("listed %v, want %v", ids, newest)
	}
	if ids := listed(t, d, "", 2); !slices.Equal(ids, newest[:2]) {
		t.Errorf("listed %v, want %v", ids, newest[:2])
	}
	if ids := listed(t, d, "b", 10); !slices.Equal(ids, []string{two.Invocation}) {
		t.Errorf("listed of b: %v", ids)
	}
	es, err := d.List(t.Context(), "b", 1)
	if err != nil || es[0].RecordingHead != two.Head() || es[0].Bytes == 0 {
		t.Errorf("listed %+v (%v), want %+v", es, err, two.Head())
	}
	file, err := d.Read(one.Invocation)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := apps.DecodeRecording(file); err != nil || r.Invocation != one.Invocation || !bytes.Equal(r.Payload, one.Payload) {
		t.Errorf("read %+v, %v", r, err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700 | os.ModeDir, one.Invocation + ".json": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%q has mode %v (%v), want %v", name, info.Mode(), err, want)
		}
	}
	for _, id := range []string{"", "i_1", "../" + one.Invocation, recording("a", 1).Invocation} {
		if _, err := d.Read(id); !errors.Is(err, replays.ErrNotFound) {
			t.Errorf("reading %q: %v", id, err)
		}
	}
}

func TestFailuresAreWantedAndOthersBySample(t *testing.T) {
	for _, c := range []struct {
		sample   float64
		min, max int
	}{{0, 0, 0}, {1, 1000, 1000}, {0.5, 300, 700}} {
		d := open(t, replays.Options{Dir: t.TempDir(), Sample: c.sample})
		wanted := 0
		for range 1000 {
			if d.Wants(plugins.OK) {
				wanted++
			}
			if !d.Wants(plugins.DeadlineExceeded) {
				t.Fatal("a failure is not wanted")
			}
		}
		if wanted < c.min || wanted > c.max {
			t.Errorf("sample %v: %d of 1000 wanted", c.sample, wanted)
		}
	}
}

func TestBadOptionsAreRefusedTogether(t *testing.T) {
	_, err := replays.Open(replays.Options{MaxBytes: -1, MaxAge: -1, Sample: 1.5})
	for _, want := range []string{"no directory", "MaxBytes is -1", "MaxAge is -1", "a Sample of 1.5"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

// An app that fails all the time does not push out another's recordings.
func TestRoomIsMadeByTheAppThatTakesTheMost(t *testing.T) {
	dir, metrics := t.TempDir(), prometheus.NewRegistry()
	d := open(t, replays.Options{Dir: dir, MaxBytes: 10 * 4096, Registerer: metrics})
	rare := []*apps.Recording{recording("rare", 1), recording("rare", 1)}
	var often []string
	keep := func(r *apps.Recording) {
		t.Helper()
		if !d.Keep(r) { // the queue has room for all of them
			t.Fatal("not kept")
		}
	}
	for _, r := range rare {
		keep(r)
	}
	for range 30 {
		r := recording("often", 1)
		often = append(often, r.Invocation)
		keep(r)
	}
	keep(recording("huge", 11*4096)) // more than the whole directory
	closeDirectory(t, d)
	if ids := listed(t, d, "rare", 50); len(ids) != 2 {
		t.Errorf("of the rare ones, %v are left", ids)
	}
	slices.Sort(often)
	slices.Reverse(often)
	if ids := listed(t, d, "often", 50); !slices.Equal(ids, often[:8]) {
		t.Errorf("%v are left, want %v", ids, often[:8])
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 10 {
		t.Errorf("%d files (%v)", len(files), err)
	}
}

func TestOldRecordingsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := open(t, replays.Options{Dir: dir, MaxAge: 20 * time.Hour})
		d.Keep(recording("a", 1))
		synctest.Wait()
		time.Sleep(20*time.Hour - time.Nanosecond)
		d.Keep(recording("a", 1))
		synctest.Wait()
		if ids := listed(t, d, "", 9); len(ids) != 2 {
			t.Errorf("before its time: %v", ids)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if ids := listed(t, d, "", 9); len(ids) != 1 {
			t.Errorf("in time: %v", ids)
		}
		closeDirectory(t, d)
	})
}

func TestWhatCanNotBeKeptIsCounted(t *testing.T) {
	dir, metrics := filepath.Join(t.TempDir(), "replays"), prometheus.NewRegistry()
	var log bytes.Buffer
	d := open(t, replays.Options{Dir: dir, Registerer: metrics, Logger: hclog.New(&hclog.LoggerOptions{Output: &log})})
	if _, err := d.List(t.Context(), "", 1); err != nil { // the writer is at work
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	overlong := recording("a", 1)
	overlong.Overlong = true
	if d.Keep(overlong) {
		t.Error("an overlong one is kept")
	}
	if d.Keep(recording("a", 33<<20)) {
		t.Error("one that fills the queue is kept")
	}
	d.Keep(recording("a", 1))
	d.Keep(recording("a", 1))
	closeDirectory(t, d)
	counts := func(d *replays.Directory) string {
		var out []string
		for _, fate := range []string{"kept", "dropped", "too_long", "failed"} {
			out = append(out, fmt.Sprint(fate, " ", testutil.ToFloat64(d.Counted(fate))))
		}
		return strings.Join(out, ", ")
	}
	if got, want := counts(d), "kept 0, dropped 1, too_long 1, failed 2"; got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
	if n := strings.Count(log.String(), "can't be kept"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}

func TestWhatIsNoRecordingIsLeft(t *testing.T) {
	dir := t.TempDir()
	id := recording("a", 1).Invocation
	for _, name := range []string{id + ".json", id + ".part", "notes.txt", "i_1.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"format":1`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	d := open(t, replays.Options{Dir: dir, Logger: hclog.New(&hclog.LoggerOptions{Output: &log})})
	if ids := listed(t, d, "", 9); len(ids) != 0 {
		t.Errorf("listed %v", ids)
	}
	closeDirectory(t, d)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 || !strings.Contains(log.String(), "can't be read") {
		t.Errorf("%v, %v; log:\n%s", files, err, log.String())
	}
}
