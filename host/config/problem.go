package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is where a value stands. Line and Column count from 1, columns in
// characters as a reader sees them. They are 0 for what has no place in a
// file: File then names the environment variable ("AURICLE_LISTEN"), the flag
// ("-listen"), the file as a whole, or "default".
type Pos struct {
	File         string
	Line, Column int
}

// String returns "config.hcl:14:3", or the File alone where there is no line.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Severity tells a fault from a warning.
type Severity int

// The severities. A host does not start with a Fault.
const (
	Fault Severity = iota
	Warning
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Pos      Pos
	Severity Severity
	What     string // what is wrong
	Do       string // what to do about it; may be empty
}

// String returns the problem in one line:
// "config.hcl:14:3: what is wrong; what to do", or, for a warning,
// "config.hcl:14:3: warning: what is wrong; what to do".
func (p Problem) String() string {
	var b strings.Builder
	if at := p.Pos.String(); at != "" {
		b.WriteString(at)
		b.WriteString(": ")
	}
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.What)
	if p.Do != "" {
		b.WriteString("; ")
		b.WriteString(p.Do)
	}
	return oneLine(b.String())
}

// oneLine escapes what would break or disguise a line on a terminal: names and
// values from a file are repeated in problems.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Problems are all that was found wrong. As an error, one line each.
type Problems []Problem

// HasFault reports whether at least one of ps is a Fault.
func (ps Problems) HasFault() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.Severity == Fault })
}

// Err returns ps when it has a Fault, otherwise nil: warnings stop nothing.
func (ps Problems) Err() error {
	if !ps.HasFault() {
		return nil
	}
	return ps
}

// Error returns every problem on a line of its own, warnings too.
func (ps Problems) Error() string { return ps.String() }

// String returns every problem on a line of its own, without a last newline.
func (ps Problems) String() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Sort puts ps in the order in which a reader meets them: by file, line and
// column, then what has no line, by name. Problems of one place keep their
// order.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if (a.Pos.Line == 0) != (b.Pos.Line == 0) {
			return cmp.Compare(b.Pos.Line, a.Pos.Line)
		}
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
		)
	})
}
