package plugins

import (
	"errors"
	"fmt"
	"regexp"
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
// the guest did wrong (its fuel and last lines are finish's to fill in), or a
// fault of the host's.
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
		return &RunError{Outcome: s.outcome, Message: s.message, Stack: r.frames(stack), ExitCode: s.code, Err: s.cause}, nil
	}
	var fault runtime.Error
	if errors.As(err, &fault) || strings.HasSuffix(text, panicMark) {
		return nil, fmt.Errorf("fault in the engine, not in the guest: %w", err)
	}
	return &RunError{Outcome: Trap, Message: "wasm " + strings.TrimPrefix(text, trapPrefix), Stack: r.frames(stack)}, nil
}

// frame is a line of a stack as wazero writes it: ".name(i32,i64) (i32,i64)".
var frame = regexp.MustCompile(`^(.*?)\((|(?:[a-z0-9]+,)*[a-z0-9]+)\)(?: ([a-z0-9]+)| \(([a-z0-9,]+)\))?$`)

// frames splits a stack, innermost first, and writes the guest's functions as
// the author knows them: the rewriter gave each a parameter and a result more,
// the last, for the balance, and added functions of its own.
func (r *run) frames(stack string) []string {
	var out []string
	for line := range strings.SplitSeq(stack, "\n\t") {
		line = clean(strings.TrimPrefix(line, "."))
		parts := frame.FindStringSubmatch(line)
		if line == "" || strings.HasPrefix(line, meter.Reserved) {
			continue
		}
		if parts != nil && !r.hostFunction(parts[1]) {
			results := strings.Split(parts[3]+parts[4], ",")
			line = parts[1] + "(" + withoutLast(strings.Split(parts[2], ",")) + ")"
			switch n := len(results) - 1; {
			case n == 1:
				line += " " + results[0]
			case n > 1:
				line += " (" + withoutLast(results) + ")"
			}
		}
		out = append(out, line)
	}
	return out
}

func withoutLast(types []string) string { return strings.Join(types[:len(types)-1], ",") }

// hostFunction reports whether name, as wazero writes it, is one of the host's.
func (r *run) hostFunction(name string) bool {
	module, function, _ := strings.Cut(name, ".")
	_, ok := r.module.engine.imports[Import{module, function}]
	return ok
}
