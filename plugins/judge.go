package plugins

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
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
		return &RunError{Outcome: s.outcome, Message: s.message, Stack: frames(stack), ExitCode: s.code, Err: s.cause}, nil
	}
	var fault runtime.Error
	if errors.As(err, &fault) || strings.HasSuffix(text, panicMark) {
		return nil, fmt.Errorf("fault in the engine, not in the guest: %w", err)
	}
	return &RunError{Outcome: Trap, Message: "wasm " + strings.TrimPrefix(text, trapPrefix), Stack: frames(stack)}, nil
}

// frames splits a stack as wazero writes it: ".name(i32) i32" a line.
func frames(stack string) []string {
	var out []string
	for line := range strings.SplitSeq(stack, "\n\t") {
		if line = strings.TrimPrefix(line, "."); line != "" {
			out = append(out, clean(line))
		}
	}
	return out
}
