package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/plugins"
)

// runAppReplay runs a recorded invocation again. The error has exitFault and
// was said already if it did not go as recorded.
func runAppReplay(ctx context.Context, o appRunOptions, stdin io.Reader, stdout io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	rec, err := readRecording(o.replay, stdin)
	if err != nil {
		return err
	}
	return withEngine(ctx, o.module, func(e *plugins.Engine, _ string, wasm []byte) error {
		again, err := apps.Replay(ctx, e, wasm, rec)
		if err != nil {
			return err
		}
		if o.json {
			err = printJSON(stdout, newReplayReport(rec, again))
		} else {
			err = printReplay(newRunText(stdout), rec, again)
		}
		if err == nil && (rec.Continued || !again.AsRecorded()) {
			err = &exitError{code: exitFault}
		}
		return err
	})
}

// readRecording reads a recorded invocation from a file, or from stdin.
func readRecording(path string, stdin io.Reader) (*apps.Recording, error) {
	name, file := "standard input", stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() // it is only read
		name, file = path, f
	}
	b, err := io.ReadAll(io.LimitReader(file, apps.MaxRecordingFile+1))
	if err != nil {
		return nil, err
	}
	rec, err := apps.DecodeRecording(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rec, nil
}

// replayReport is what app run -replay -json prints.
type replayReport struct {
	AsRecorded  bool               `json:"as_recorded"`
	Continued   bool               `json:"continued"` // so that it can't be compared
	Module      string             `json:"module_sha256"`
	Recorded    recordedReport     `json:"recorded"`
	Diverged    string             `json:"diverged,omitempty"` // where it asked for another answer
	Differences []differenceReport `json:"differences"`
	Result      runLine            `json:"result"`
}

type recordedReport struct {
	Invocation string          `json:"invocation"`
	Module     string          `json:"module_sha256"`
	Outcome    plugins.Outcome `json:"outcome"`
	Fuel       uint64          `json:"fuel"`
}

type differenceReport struct {
	What string `json:"what"`
	Was  string `json:"was"`
	Is   string `json:"is"`
}

func newReplayReport(rec *apps.Recording, again *apps.Replayed) replayReport {
	r := replayReport{
		AsRecorded: again.AsRecorded() && !rec.Continued, Continued: rec.Continued, Module: again.Module,
		Recorded:    recordedReport{rec.Invocation, rec.Module, rec.Outcome, rec.Fuel},
		Differences: []differenceReport{}, Result: newRunLine(again.Invocation),
	}
	if again.Diverged != nil {
		r.Diverged = again.Diverged.Error()
	}
	for _, d := range again.Differences {
		r.Differences = append(r.Differences, differenceReport(d))
	}
	return r
}

// maxReplayLines bounds how many differences are shown to people.
const maxReplayLines = 20

// printReplay shows a replay to people.
func printReplay(show *runText, rec *apps.Recording, again *apps.Replayed) error {
	out := &show.out
	out.printf("%s %s: invocation %s, recorded %s\n\n", printable(rec.App), printable(again.Version), printable(rec.Invocation), rec.At.Format("2006-01-02 15:04:05 MST"))
	if err := show.Event(appEvent{Kind: rec.Kind}, again.Invocation); err != nil {
		return err
	}
	out.printf("\n")
	same := rec.Module == again.Module
	if !same {
		out.printf("Recorded was another module: %s, sha256 %s.\n", printable(rec.Version), printable(rec.Module))
	}
	if rec.Continued {
		out.printf("The recorded invocation began with memory that earlier events of its session had\n" +
			"left, which is not in the recording. This one began afresh: they can't be compared.\n")
	}
	if again.AsRecorded() {
		if !rec.Continued {
			out.printf("As recorded: %s, %s fuel.\n", rec.Outcome, grouped(rec.Fuel))
		}
		return out.err
	}
	out.printf("%s\n", show.style.bad("Not as recorded:"))
	for i, d := range again.Differences {
		if i == maxReplayLines {
			out.printf("  and %s more (-json has all)\n", counted(len(again.Differences)-i, "difference"))
			break
		}
		out.printf("  %-12s was %s\n", d.What, printable(shortened(d.Was)))
		out.printf("  %-12s is  %s\n", "", printable(shortened(d.Is)))
	}
	if again.Diverged != nil {
		out.printf("  %v\n", again.Diverged)
	}
	if same && !rec.Continued {
		out.printf("It is the same module: this version of auricle is not the one that recorded it.\n")
	}
	return out.err
}

// shortened cuts what is too long for a line.
func shortened(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
