package main

import (
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/sdk/event"
)

func TestOutputsReadWell(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind event.OutputKind
		data string
		want string
	}{
		{"a notification", event.OutputNotification, `{"text":"Budget was said"}`, "Budget was said"},
		{"a flat object", event.OutputEmitted, `{"rms_dbfs":-23.5,"speech":true,"note":"a b"}`, `rms_dbfs=-23.5 speech=true note="a b"`},
		{"a string", event.OutputEmitted, `"hello"`, "hello"},
		{"null", event.OutputEmitted, `null`, "null"},
		{"an empty list", event.OutputEmitted, `[]`, "[]"},
		{"an outline", event.OutputEmitted, `{"title":"Launch","actions":[{"who":"Ana","what":"send it"}],"none":[]}`,
			"title: Launch\nactions:\n  - who=Ana what=\"send it\"\nnone: []"},
		{"no JSON", event.OutputEmitted, `{`, "{"},
		{"a terminal's escapes", event.OutputNotification, `{"text":"\u001b[31mred\u202e\nnext"}`, `\x1b[31mred\u202e\nnext`},
		{"escapes in a key", event.OutputEmitted, `{"\u001b]0;x":1}`, `\x1b]0;x=1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := outputText(tt.kind, []byte(tt.data)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLongOutputIsCut(t *testing.T) {
	got := outputText(event.OutputEmitted, []byte(`"`+strings.Repeat("é", maxTextBytes)+`"`))
	if len(got) > maxTextBytes+40 || !strings.HasSuffix(got, "bytes more)") || strings.ContainsRune(got, '\ufffd') {
		t.Errorf("got %d bytes ending in %q", len(got), got[len(got)-40:])
	}
}

// Whatever an app emits, what reaches the terminal has no control characters
// but newlines.
func TestNothingRawReachesTheTerminal(t *testing.T) {
	for _, data := range []string{
		`{"text":"\u001b[2J"}`, `[[[["\u0000"]]]]`, `{"a":{"b":[1,"\u202e"]}}`, "\xff\x00", "\"\xff\"", `"a` + "\x1b", `{"a":1}x`, `}`, `]`, ``,
		`{"\u009b":{"\r":"\n\n"}}`, `"` + strings.Repeat(`\u0007`, 1000) + `"`,
	} {
		for _, kind := range []event.OutputKind{event.OutputEmitted, event.OutputNotification} {
			for line := range strings.SplitSeq(outputText(kind, []byte(data)), "\n") {
				if printable(line) != line {
					t.Errorf("%q reached the terminal of %q", line, data)
				}
			}
		}
	}
}
