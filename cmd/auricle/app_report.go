package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// runJSON prints one JSON object a line for each event. sdk/apptest reads it.
type runJSON struct{ enc *json.Encoder }

// runLine is what runJSON prints of an invocation.
type runLine struct {
	Event       string          `json:"event"`
	Invocation  string          `json:"invocation"`
	Outcome     plugins.Outcome `json:"outcome"`
	Error       string          `json:"error"` // "" when the outcome is ok
	Stack       []string        `json:"stack,omitempty"`
	Fuel        uint64          `json:"fuel"`
	FuelLimit   uint64          `json:"fuel_limit"`
	WallMicros  int64           `json:"wall_us"`
	MemoryBytes int64           `json:"memory_bytes"`
	Outputs     []runOutput     `json:"outputs"` // empty unless the outcome is ok
	Log         []runLog        `json:"log"`
	LogCut      int             `json:"log_cut_bytes,omitempty"`
	Restarted   bool            `json:"restarted,omitempty"` // the app was told that its state is lost
}

type runOutput struct {
	Kind event.OutputKind `json:"kind"`
	Data json.RawMessage  `json:"data"`
}

type runLog struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

func (r *runJSON) Begin(*apps.App) error { return nil }

func (r *runJSON) Event(_ appEvent, inv apps.Invocation) error { return r.enc.Encode(newRunLine(inv)) }

func newRunLine(inv apps.Invocation) runLine {
	line := runLine{
		Event: inv.Kind.String(), Invocation: inv.ID, Outcome: inv.Outcome, Error: inv.Err, Stack: inv.Stack,
		Fuel: inv.Fuel, FuelLimit: inv.FuelLimit, WallMicros: inv.Wall.Microseconds(), MemoryBytes: inv.MemoryBytes,
		Outputs: []runOutput{}, Log: []runLog{}, LogCut: inv.LogCut, Restarted: inv.Restarted,
	}
	for _, o := range inv.Outputs {
		line.Outputs = append(line.Outputs, runOutput{o.Kind, o.Data})
	}
	for _, l := range inv.Log {
		line.Log = append(line.Log, runLog{l.Level, l.Text})
	}
	return line
}

func (r *runJSON) End() error { return nil }

// runText prints a run for people.
type runText struct {
	out      errWriter
	app      *apps.App
	style    style
	outcomes map[plugins.Outcome]int
	fuel     []uint64
	wall     []time.Duration
}

func newRunText(w io.Writer) *runText {
	return &runText{
		out: errWriter{w: w}, style: style(isTerminal(w) && os.Getenv("NO_COLOR") == ""),
		outcomes: map[plugins.Outcome]int{},
	}
}

func (r *runText) Begin(app *apps.App) error {
	r.app = app
	m := &app.Manifest
	r.out.printf("%s %s", printable(m.Name), printable(m.Version))
	if m.Description != "" {
		r.out.printf(": %s", printable(m.Description))
	}
	r.out.printf("\n\n")
	return r.out.err
}

// runIndent is where the lines below an event begin.
const runIndent = 11

// maxFrames is how much of a stack is shown to people.
const maxFrames = 12

func (r *runText) Event(ev appEvent, inv apps.Invocation) error {
	r.outcomes[inv.Outcome]++
	r.fuel = append(r.fuel, inv.Fuel)
	r.wall = append(r.wall, inv.Wall)

	outcome := string(inv.Outcome)
	if inv.Outcome != plugins.OK {
		outcome = r.style.bad(outcome)
	}
	r.out.printf("%*s  %-12s  %s  %s fuel (%s), %s, %s\n", runIndent-2, clock(ev.At), inv.Kind, outcome,
		grouped(inv.Fuel), percent(inv.Fuel, inv.FuelLimit), wallText(inv.Wall), megabytes(inv.MemoryBytes))
	below := strings.Repeat(" ", runIndent)
	if inv.Restarted {
		r.out.printf("%srestarted: its state was lost, and the event says so\n", below)
	}
	if inv.Outcome != plugins.OK {
		r.out.printf("%s%s\n", below, r.style.bad(indented(printableLines(inv.Err), runIndent)))
	}
	for _, f := range inv.Stack[:min(len(inv.Stack), maxFrames)] {
		r.out.printf("%s    at %s\n", below, printable(f))
	}
	if more := len(inv.Stack) - maxFrames; more > 0 {
		r.out.printf("%s    and %d more\n", below, more)
	}
	for _, o := range inv.Outputs {
		text := outputText(o.Kind, o.Data)
		if o.Kind == event.OutputNotification {
			text = r.style.bold("* " + text)
		}
		r.out.printf("%s%s\n", below, indented(text, runIndent))
	}
	for _, l := range inv.Log {
		r.out.printf("%slog %s: %s\n", below, l.Level, printable(l.Text))
	}
	if inv.LogCut > 0 {
		r.out.printf("%slog cut: %s more\n", below, megabytes(int64(inv.LogCut)))
	}
	return r.out.err
}

func (r *runText) End() error {
	slices.Sort(r.fuel)
	slices.Sort(r.wall)
	outcomes := make([]string, 0, len(r.outcomes))
	for o, n := range r.outcomes {
		outcomes = append(outcomes, fmt.Sprintf("%d %s", n, o))
	}
	slices.Sort(outcomes)
	n := len(r.fuel)
	r.out.printf("\n%s: %s; fuel median %s, most %s; time median %s, most %s\n",
		counted(n, "event"), strings.Join(outcomes, ", "),
		grouped(r.fuel[n/2]), grouped(r.fuel[n-1]), wallText(r.wall[n/2]), wallText(r.wall[n-1]))
	if r.app.State() == event.StateSession {
		u := r.app.Module.Usage()
		r.out.printf("state kept for %s: %s\n", counted(u.Sessions, "session"), megabytes(u.SessionBytes))
	}
	return r.out.err
}

// printableLines is printable for text whose lines are to be kept, such as a
// guest's stack.
func printableLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = printable(strings.ReplaceAll(l, "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

// grouped writes a number with its thousands apart: 1,234,567.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent writes how much of a limit was used.
func percent(n, of uint64) string {
	if of == 0 {
		return "no limit"
	}
	p := 100 * float64(n) / float64(of)
	if p > 0 && p < 0.1 {
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", p)
}

// wallText writes a duration in ms, or in s when it is long.
func wallText(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
