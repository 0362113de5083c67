package apps_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// shelf keeps all that it is given.
type shelf struct{ recordings []*apps.Recording }

func (s *shelf) Wants(plugins.Outcome) bool { return true }

func (s *shelf) Keep(r *apps.Recording) bool {
	if !r.Overlong {
		s.recordings = append(s.recordings, r)
	}
	return !r.Overlong
}

// last returns the last recording, as it is after it was a file.
func (s *shelf) last(t testing.TB) *apps.Recording {
	t.Helper()
	file, err := s.recordings[len(s.recordings)-1].Encode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := apps.DecodeRecording(file)
	if err != nil {
		t.Fatalf("%v in\n%s", err, file)
	}
	return r
}

func TestReplayGoesAsRecorded(t *testing.T) {
	limited := strings.Replace(allCaps, `"events"`, `"limits": {"fuel": 300000, "wall_ms": 100, "memory_bytes": 1048576}, "events"`, 1)
	quick := strings.Replace(allCaps, `"events"`, `"limits": {"fuel": 1000000000, "wall_ms": 20}, "events"`, 1)
	wasm := map[string][]byte{allCaps: guestFile(t, "script", allCaps), limited: guestFile(t, "script", limited), quick: guestFile(t, "script", quick)}
	for _, c := range []struct {
		name     string
		manifest string
		script   *script
		want     plugins.Outcome
	}{
		{"ok", allCaps, new(script).do(opSettings, scratch, 1000).do(opEmitLast, scratch), plugins.OK},
		{"app_error", allCaps, new(script).with(opError, "no <coin>").do(opReturn, 3), plugins.AppError},
		{"exit", allCaps, new(script).do(opExit, 4), plugins.AppError},
		{"trap", allCaps, new(script).do(opTrap), plugins.Trap},
		{"pointer", allCaps, new(script).do(opCall, memoryEnd-1, 2), plugins.Trap},
		{"fuel_exhausted", limited, new(script).do(opSpin), plugins.FuelExhausted},
		{"deadline_exceeded", quick, new(script).do(opSpin), plugins.DeadlineExceeded},
		{"memory_exceeded", limited, new(script).do(opGrow, 9), plugins.MemoryExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			// A second notification to the same user is answered rate_limited, and
			// the app is told so again though a replay has no such limit.
			a, kept := loadScript(t, c.manifest)
			s := (&script{data: c.script.data}).with(opLog, "<begin>\u2028", 2).with(opEmit, `{"a":"<&\u2028>","b":1.50}`).
				with(opCall, `{"op":"notify","text":"  It is time "}`).do(opResult, scratch, 1000).do(opEmitLast, scratch)
			s.code = append(s.code, c.script.code...)
			for range 2 {
				inv := s.run(t, a)
				if inv.Outcome != c.want || inv.Replay != inv.ID {
					t.Fatalf("%s (%s), recording %q; want %s", inv.Outcome, inv.Err, inv.Replay, c.want)
				}
				r := kept.last(t)
				if r.Invocation != inv.ID || r.Fuel != inv.Fuel || !bytes.Equal(r.Payload, s.payload()) || r.App != "notes" || r.Version != "1.0.0" || r.UID != "u" {
					t.Errorf("recorded %+v", r)
				}
				got, err := apps.Replay(t.Context(), theEngine(t), wasm[c.manifest], r)
				if err != nil {
					t.Fatal(err)
				}
				if !got.AsRecorded() || got.Module != r.Module || got.Invocation.Outcome != inv.Outcome || got.Invocation.Fuel != inv.Fuel {
					t.Errorf("%v, %+v", got.Diverged, got.Differences)
				}
				if !reflect.DeepEqual(outputs(got.Invocation), outputs(inv)) || !reflect.DeepEqual(got.Invocation.Log, inv.Log) {
					t.Errorf("outputs %q log %q, were %q %q", outputs(got.Invocation), got.Invocation.Log, outputs(inv), inv.Log)
				}
			}
		})
	}
}

func TestReplayOfAnotherModuleSaysWhatDiffers(t *testing.T) {
	a, kept := loadScript(t, allCaps)
	new(script).with(opLog, "begun", 2).with(opCall, `{"op":"notify","text":"It is time"}`).do(opTrap).run(t, a)
	r := kept.last(t)
	manifest := strings.Replace(allCaps, `"1.0.0"`, `"1.0.1", "limits": {"fuel": 10}`, 1) // the recording's limits count
	got, err := apps.Replay(t.Context(), theEngine(t), guestFile(t, "script", manifest), r)
	if err != nil || !got.AsRecorded() || got.Module == r.Module {
		t.Errorf("a module that does the same: %+v, %v", got, err)
	}
	// As if the module did not trap any more, nor ask.
	r.Payload = new(script).with(opLog, "well", 2).with(opEmit, "1").payload()
	got, err = apps.Replay(t.Context(), theEngine(t), guestFile(t, "script", allCaps), r)
	if err != nil {
		t.Fatal(err)
	}
	var whats []string
	for _, d := range got.Differences {
		whats = append(whats, d.What)
	}
	if want := []string{"outcome", "fuel", "error", "stack", "output 1", "log line 1"}; !reflect.DeepEqual(whats, want) || got.AsRecorded() {
		t.Errorf("differences %+v, want in %q", got.Differences, want)
	}
	if want := "answer 1: the module ended where the recorded one asked for auricle_v1.call"; got.Diverged == nil || got.Diverged.Error() != want {
		t.Errorf("diverged: %v, want %q", got.Diverged, want)
	}
	if d := got.Differences[0]; d.Was != "trap" || d.Is != "ok" {
		t.Errorf("outcome: %+v", d)
	}
	if _, err := apps.Replay(t.Context(), theEngine(t), []byte("\x00asm"), r); err == nil {
		t.Error("a module that can't be loaded was replayed")
	}
	deaf := strings.Replace(allCaps, `"transcript": {}, `, "", 1)
	if _, err := apps.Replay(t.Context(), theEngine(t), guestFile(t, "script", deaf), r); err == nil || !strings.Contains(err.Error(), "transcript") {
		t.Errorf("a module that does not handle transcripts: %v", err)
	}
}

func TestRecordingOfASessionSaysWhatItBeganWith(t *testing.T) {
	a, kept := openCounter(t), new(shelf)
	a.KeepRecordings(kept)
	state := new(apps.SessionState)
	defer state.Close()
	for i, want := range []bool{false, true} {
		say(t, a, state, "word")
		if r := kept.last(t); r.Continued != want || r.State != event.StateSession {
			t.Errorf("event %d: continued %v with state %s", i+1, r.Continued, r.State)
		}
	}
}

func TestWhatIsTooLongIsNotRecorded(t *testing.T) {
	a, kept := loadScript(t, allCaps)
	s := new(script)
	s.data = make([]byte, apps.MaxRecordedBytes)
	if inv := s.run(t, a); inv.Replay != "" || len(kept.recordings) != 0 {
		t.Errorf("kept %q", inv.Replay)
	}
}

// recordingFile is a small recording's.
func recordingFile(t testing.TB) []byte {
	t.Helper()
	file, err := (&apps.Recording{
		Invocation: "i_1", App: "notes", Version: "1.0.0", Module: strings.Repeat("ab", 32), Kind: event.KindTranscript,
		At: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC), Payload: []byte(`{"text":"budget"}`), Settings: []byte("{}"),
		Limits: plugins.Limits{Fuel: 100, Wall: time.Second}, MemoryLimit: 1 << 20, State: event.StateFresh,
		Answers: []byte{0, 2, 1, 4}, Outcome: plugins.Trap, Err: "unreachable", Stack: []string{"f()"}, Fuel: 7,
		Outputs: []apps.RecordedOutput{{Kind: event.OutputEmitted, Data: []byte(`[1,{"a":null}]`)}},
		Log:     []apps.LogLine{{Level: "info", Text: "begun"}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDamagedRecordingsAreRefused(t *testing.T) {
	file := recordingFile(t)
	if _, err := apps.DecodeRecording(file); err != nil {
		t.Fatal(err)
	}
	for n := range len(bytes.TrimSpace(file)) {
		if _, err := apps.DecodeRecording(file[:n]); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	whole, err := apps.DecodeRecording(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range file {
		for _, to := range []byte{file[i] ^ 1, file[i] ^ 0x20, 0, '"'} {
			bad := bytes.Clone(file)
			bad[i] = to
			// What is read though a byte was changed (white space, "\u00e9" for "é")
			// must be what was written.
			if r, err := apps.DecodeRecording(bad); err == nil && !reflect.DeepEqual(r, whole) {
				t.Errorf("byte %d changed from %q to %q: read as %+v", i, file[i], to, r)
			}
		}
	}
	for _, c := range []struct{ name, from, to, want string }{
		{"another format", `"format":1`, `"format":2`, "a recording of format 2; this version of auricle reads format 1"},
		{"an unknown field", `"app"`, `"apq"`, `unknown field "apq"`},
		{"another content", "budget", "target", "does not have its sha256"},
		{"no recording", `"format"`, `"fromat"`, "no recording of an invocation"},
	} {
		bad := strings.Replace(string(file), c.from, c.to, 1)
		if _, err := apps.DecodeRecording([]byte(bad)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := apps.DecodeRecording(nil); err == nil {
		t.Error("an empty file is a recording")
	}
}

// FuzzRecording checks that what is read as a recording is written as one that
// reads the same.
func FuzzRecording(f *testing.F) {
	file := recordingFile(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte(`{"format": 1, "sha256": "` + strings.Repeat("0", 64) + `"}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := apps.DecodeRecording(apps.Resum(file))
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := apps.DecodeRecording(again)
		if err != nil {
			t.Fatalf("%v in\n%s", err, again)
		}
		if !reflect.DeepEqual(back, r) {
			t.Errorf("read as %+v, then as %+v", r, back)
		}
	})
}

// loadScript returns an app that does what its events say, with its
// notifications rate-limited as in a host, and where it is recorded.
func loadScript(t testing.TB, manifest string) (*apps.App, *shelf) {
	t.Helper()
	a, kept := openScript(t, manifest), new(shelf)
	apps.LimitNotifications(a)
	a.KeepRecordings(kept)
	return a, kept
}

// BenchmarkRecording compares invocations in turns: not recorded, recorded and
// not kept, as all that end well are, and kept.
func BenchmarkRecording(b *testing.B) {
	payload := new(script).with(opLog, "begun", 2).with(opEmit, `{"a":1}`).with(opCall, `{"op":"notify","text":"It is time"}`).payload()
	var as [3]*apps.App
	for i, k := range []apps.Keeper{nil, indifferent{}, greedy{}} {
		as[i] = openScript(b, allCaps)
		if k != nil {
			as[i].KeepRecordings(k)
		}
	}
	var took [3][]time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		for i := range as {
			a := as[(rounds+i)%3]
			start := time.Now()
			inv, err := a.Invoke(b.Context(), apps.Event{Kind: event.KindTranscript, UID: "u", Session: "s", Conversation: "c", Payload: payload})
			took[(rounds+i)%3] = append(took[(rounds+i)%3], time.Since(start))
			if err = errors.Join(err, wantOK(inv)); err != nil {
				b.Fatal(err)
			}
		}
	}
	var p50 [3]float64
	for i := range took {
		slices.Sort(took[i])
		p50[i] = float64(took[i][len(took[i])/2].Nanoseconds())
	}
	b.ReportMetric(p50[0], "p50-ns/plain")
	b.ReportMetric(p50[1]-p50[0], "ns/recording")
	b.ReportMetric(p50[2]-p50[0], "ns/handing-over")
}

func wantOK(inv apps.Invocation) error {
	if inv.Outcome != plugins.OK {
		return fmt.Errorf("%s: %s", inv.Outcome, inv.Err)
	}
	return nil
}

// indifferent keeps nothing, greedy takes everything and forgets it.
type (
	indifferent struct{}
	greedy      struct{}
)

func (indifferent) Wants(plugins.Outcome) bool { return false }
func (indifferent) Keep(*apps.Recording) bool  { return false }
func (greedy) Wants(plugins.Outcome) bool      { return true }
func (greedy) Keep(*apps.Recording) bool       { return true }

func TestAppsOfANewConfigurationAreRecordedToo(t *testing.T) {
	wasm := guestFile(t, "script", allCaps)
	one := app(t, "one", wasm, grantable...)
	s, kept := loadSet(t, one), new(shelf)
	s.KeepRecordings(kept)
	change, problems := s.Plan(t.Context(), theEngine(t), []config.App{one, app(t, "two", wasm, grantable...)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	change.Apply()
	for i, a := range s.All() {
		if inv := new(script).do(opTrap).run(t, a); inv.Replay != inv.ID || len(kept.recordings) != i+1 {
			t.Errorf("%s of app %s: recording %q", inv.Outcome, a.Name, inv.Replay)
		}
	}
}
