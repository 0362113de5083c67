package apptest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Outcome says how an invocation ended.
type Outcome string

// The outcomes. In-process there are only OK and AppError.
const (
	OK               Outcome = "ok"
	AppError         Outcome = "app_error"         // an error, a panic, or more output than allowed
	Trap             Outcome = "trap"              // the sandbox stopped a bad instruction or memory access
	FuelExhausted    Outcome = "fuel_exhausted"    // too many instructions
	DeadlineExceeded Outcome = "deadline_exceeded" // too much time
	MemoryExceeded   Outcome = "memory_exceeded"   // too much memory
)

// Report is what became of each event, in order.
type Report struct {
	Results []Result
}

// Result is what became of one event.
type Result struct {
	Event   string // kind of the event, for example "transcript"
	Outcome Outcome
	Error   string // what went wrong, for people; "" when the outcome is OK

	// Outputs are what the app emitted, Notifications the texts it notified,
	// each in order. Both are empty unless the outcome is OK: effects take
	// hold only then.
	Outputs       []json.RawMessage
	Notifications []string

	// Restarted says that the host told the app, by the event's restarted, that
	// the state of its session is lost. Modules only.
	Restarted bool

	Log    []LogLine // kept whatever the outcome
	LogCut int       // bytes of log that had no room

	Fuel        uint64        // units used; 0 in-process
	FuelLimit   uint64        // units allowed; 0 in-process
	Wall        time.Duration // time taken
	MemoryBytes int64         // the module's memory at the end; 0 in-process
}

// LogLine is a line of an app's log.
type LogLine struct {
	Level string // "trace", "debug", "info", "warn" or "error"
	Text  string
}

// OK fails the test unless every event's outcome was OK, and returns r.
func (r *Report) OK(t testing.TB) *Report {
	t.Helper()
	for i, res := range r.Results {
		if res.Outcome != OK {
			t.Fatalf("event %d (%s): outcome %s: %s%s", i, res.Event, res.Outcome, res.Error, res.logText())
		}
	}
	return r
}

// Outputs returns what the app emitted at any of the events, in order.
func (r *Report) Outputs() []json.RawMessage {
	var all []json.RawMessage
	for _, res := range r.Results {
		all = append(all, res.Outputs...)
	}
	return all
}

// Notifications returns the texts of all notifications, in order.
func (r *Report) Notifications() []string {
	var all []string
	for _, res := range r.Results {
		all = append(all, res.Notifications...)
	}
	return all
}

// Decode decodes each output of r as a T. A field that T lacks, or another
// type of value, fails the test.
func Decode[T any](t testing.TB, r *Report) []T {
	t.Helper()
	var all []T
	for i, raw := range r.Outputs() {
		var v T
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("output %d: decoding %s as %T: %v", i, raw, v, err)
		}
		all = append(all, v)
	}
	return all
}

func (r *Result) logText() string {
	if len(r.Log) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nlog:")
	for _, l := range r.Log {
		fmt.Fprintf(&b, "\n\t%s: %s", l.Level, l.Text)
	}
	return b.String()
}
