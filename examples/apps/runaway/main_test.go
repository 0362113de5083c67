package main

import (
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// TestEveryModeIsStopped runs every mode in the module, for they can't be
// stopped in-process. The second event shows that nothing is left of the first:
// it ends the same.
func TestEveryModeIsStopped(t *testing.T) {
	module := apptest.Build(t, ".")
	for _, c := range []struct {
		mode    string
		outcome apptest.Outcome
		want    string // in the error
	}{
		{"loop", apptest.FuelExhausted, "fuel"},
		{"allocate", apptest.MemoryExceeded, "64 MiB"},
		{"recurse", apptest.FuelExhausted, "fuel"},
		{"flood", apptest.AppError, "more than 64 outputs"},
		{"log", apptest.FuelExhausted, "fuel"},
		{"trap", apptest.Trap, "out of bounds"},
		{"panic", apptest.AppError, "panic: on purpose"},
		{"sleep", apptest.DeadlineExceeded, "250ms"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			o := apptest.Options{Settings: settings{Mode: c.mode}}
			r := apptest.RunModule(t, module, o, &event.Transcript{}, &event.Transcript{})
			for _, res := range r.Results {
				if res.Outcome != c.outcome && !slow(c.outcome, res.Outcome) || len(res.Outputs) != 0 {
					t.Errorf("got %s (%s) and %d outputs, want %s and none", res.Outcome, res.Error, len(res.Outputs), c.outcome)
				}
				if res.Outcome == c.outcome && !strings.Contains(res.Error, c.want) {
					t.Errorf("got error %q, want one with %q", res.Error, c.want)
				}
				if len(res.Log) == 0 || res.Log[0].Text != "about to "+c.mode {
					t.Errorf("got log %v", res.Log)
				}
				if c.mode == "log" && res.LogCut == 0 {
					t.Error("the log was not cut")
				}
			}
		})
	}
}

// slow reports whether got is the deadline in place of spent fuel: a busy
// machine may meet that first.
func slow(want, got apptest.Outcome) bool {
	return want == apptest.FuelExhausted && got == apptest.DeadlineExceeded
}

func TestLoopsByDefaultOnAConversationToo(t *testing.T) {
	r := apptest.RunModule(t, apptest.Build(t, "."), apptest.Options{}, &event.Conversation{})
	if got := r.Results[0].Outcome; got != apptest.FuelExhausted && got != apptest.DeadlineExceeded {
		t.Errorf("got %s, want it stopped", got)
	}
}

func TestEveryModeOfTheSchemaExists(t *testing.T) {
	schema := apptest.Registered(t).Settings
	for name := range modes {
		if _, err := mode(name); err != nil {
			t.Errorf("mode %q: %v", name, err)
		}
		if !strings.Contains(schema, `"`+name+`"`) {
			t.Errorf("the schema has no mode %q", name)
		}
	}
}

func TestAnUnknownModeIsRefused(t *testing.T) {
	r := apptest.Run(t, apptest.Registered(t), apptest.Options{Settings: settings{Mode: "behave"}}, &event.Transcript{})
	const want = `no mode "behave"; the modes are allocate, flood, log, loop, panic, recurse, sleep, trap`
	if res := r.Results[0]; res.Outcome != apptest.AppError || !strings.Contains(res.Error, want) {
		t.Errorf("got %s: %s, want %q", res.Outcome, res.Error, want)
	}
}

// TestHarmlessModesInProcess runs those that a test can survive.
func TestHarmlessModesInProcess(t *testing.T) {
	for mode, want := range map[string]string{"panic": "panic: on purpose; stack: ", "flood": "more than 64 outputs in one invocation"} {
		r := apptest.Run(t, apptest.Registered(t), apptest.Options{Settings: settings{Mode: mode}}, &event.Conversation{})
		if res := r.Results[0]; res.Outcome != apptest.AppError || !strings.Contains(res.Error, want) {
			t.Errorf("%s: got %s: %s, want %q", mode, res.Outcome, res.Error, want)
		}
	}
}
