package plugins

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/auricle-dev/auricle/plugins/internal/meter"
)

// wazero gives a trap as text: its name after trapPrefix, then, after
// stackMark, the functions, innermost first, each on a line of its own.
const (
	trapPrefix = "wasm error: "
	stackMark  = "\nwasm stack trace:\n\t"
	panicMark  = " (recovered by wazero)"
)

// judge says what the error of wazero's call means: nil for a good end, what
// the guest did wrong, or a fault of the host's.
func (r *run) judge(err error) (*RunError, error) {
	if err == nil {
		return nil, nil
	}
	text, stack, _ := strings.Cut(err.Error(), stackMark)
	var s *stop
	if errors.As(err, &s) {
		if s.outcome == OK {
			return nil, nil
		}
		return &RunError{Outcome: s.outcome, Message: s.message, Stack: frames(stack), ExitCode: s.code, Err: s.cause}, nil
	}
	var fault runtime.Error
	if errors.As(err, &fault) || strings.HasSuffix(text, panicMark) {
		return nil, fmt.Errorf("fault in the engine, not in the guest: %w", err)
	}
	return &RunError{Outcome: Trap, Message: "wasm " + strings.TrimPrefix(text, trapPrefix), Stack: frames(stack)}, nil
}

// frames splits a stack as wazero writes it: ".name(i32) i32" a line. The
// engine's own functions are left out, and the guest's shown with the types
// that their author gave them.
func frames(stack string) []string {
	var out []string
	for line := range strings.SplitSeq(stack, "\n\t") {
		name, guest := line, strings.HasPrefix(line, ".") && !strings.HasPrefix(line, "...")
		if guest {
			name = line[1:]
		}
		if name == "" || strings.HasPrefix(name, meter.Reserved) {
			continue
		}
		if guest {
			name = unmetered(name)
		}
		out = append(out, clean(name))
	}
	return out
}

// unmetered takes the balance, the last parameter and the last result of each
// of the guest's functions, from a line such as "name(i32,i64) (f32,i64)".
func unmetered(line string) string {
	const balance = "i64"
	end := strings.LastIndex(line, ") ") // a name may have one too
	if end < 0 {
		return line
	}
	head, results := line[:end], line[end+2:]
	params, ok := strings.CutSuffix(head, balance)
	if !ok {
		return line
	}
	params = strings.TrimSuffix(params, ",") + ")"
	if results == balance {
		return params
	}
	results, ok = strings.CutSuffix(strings.TrimPrefix(results, "("), ","+balance+")")
	if !ok {
		return line
	}
	if strings.Contains(results, ",") {
		results = "(" + results + ")"
	}
	return params + " " + results
}
