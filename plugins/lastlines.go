package plugins

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxLastBytes = 2 << 10 // kept of what a guest wrote
	maxLastLines = 20      // so that a panic of Go's is seen from its message on
)

// tabs begin the lines of Go's stacks.
var tabs = strings.NewReplacer("\t", "    ")

// lastLines keeps the end of what a guest writes. The zero value is ready and
// takes no memory until something is written.
type lastLines struct {
	kept []byte // at most maxLastBytes; from then on a ring
	next int    // where the ring goes on
	lost bool   // something was written over
}

// add keeps the end of b.
func (l *lastLines) add(b []byte) {
	if over := len(b) - maxLastBytes; over > 0 {
		l.lost = true
		b = b[over:]
	}
	if room := maxLastBytes - len(l.kept); room > 0 {
		n := min(room, len(b))
		l.kept = append(l.kept, b[:n]...)
		b = b[n:]
	}
	for len(b) > 0 {
		n := copy(l.kept[l.next:], b)
		l.next = (l.next + n) % maxLastBytes
		l.lost = true
		b = b[n:]
	}
}

// lines returns the last lines, oldest first, fit for a log.
func (l *lastLines) lines() []string {
	if len(l.kept) == 0 {
		return nil
	}
	text := slices.Concat(l.kept[l.next:], l.kept[:l.next])
	for l.lost && len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:] // of a character cut in two
	}
	var out []string
	for line := range bytes.Lines(text) {
		out = append(out, cleanTo(tabs.Replace(strings.TrimRight(string(line), "\r\n")), maxLastBytes))
	}
	if l.lost && len(out) > 0 {
		out[0] = "…" + out[0]
	}
	return out[max(0, len(out)-maxLastLines):]
}
