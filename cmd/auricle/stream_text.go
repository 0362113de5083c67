package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/sdk/event"
)

// maxTextBytes bounds what is shown of one output. -json shows all of it.
const maxTextBytes = 4 << 10

// outputText shows an output's data for people: a notification as its text,
// another flat object in one line, everything else as an indented outline.
// Whatever the app put into it, the text has no control characters but
// newlines.
func outputText(kind event.OutputKind, data json.RawMessage) string {
	if kind == event.OutputNotification {
		var n struct{ Text string }
		if err := json.Unmarshal(data, &n); err == nil {
			return printable(n.Text)
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeOrdered(d)
	if err != nil {
		return printable(string(data))
	}
	text := inlineText(v)
	if utf8.RuneCountInString(text) > 100 || !isFlat(v) {
		text = strings.TrimPrefix(outlineText(v, ""), "\n")
	}
	if len(text) > maxTextBytes {
		cut := maxTextBytes
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = fmt.Sprintf("%s… (%d bytes more)", text[:cut], len(text)-cut)
	}
	return text
}

// member is one member of a JSON object; decodeOrdered gives an object as
// []member, in the order in which its app wrote it.
type member struct {
	Key   string
	Value any
}

// decodeOrdered decodes one value: nil, bool, json.Number, string, []any or []member.
func decodeOrdered(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeOrdered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		object := []member{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeOrdered(d)
			if err != nil {
				return nil, err
			}
			object = append(object, member{key.(string), v})
		}
		_, err := d.Token()
		return object, err
	}
	return t, nil
}

// isFlat reports whether v is no list, and no object with another within.
func isFlat(v any) bool {
	switch v := v.(type) {
	case []any:
		return len(v) == 0
	case []member:
		for _, m := range v {
			switch m.Value.(type) {
			case []any, []member:
				return false
			}
		}
	}
	return true
}

// inlineText writes v in one line: an object as key=value.
func inlineText(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return printable(v)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = inlineText(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []member:
		parts := make([]string, len(v))
		for i, m := range v {
			value := inlineText(m.Value)
			if _, ok := m.Value.(string); ok && (value == "" || strings.ContainsAny(value, " =,\"")) {
				value = strconv.Quote(value)
			}
			parts[i] = printable(m.Key) + "=" + value
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

// outlineText writes v over several lines, each behind indent; it begins with
// a newline unless v fits behind the key that led to it.
func outlineText(v any, indent string) string {
	var b strings.Builder
	switch v := v.(type) {
	case []member:
		for _, m := range v {
			b.WriteString("\n" + indent + printable(m.Key) + ":")
			b.WriteString(outlineText(m.Value, indent+"  "))
		}
	case []any:
		for _, e := range v {
			b.WriteString("\n" + indent + "-")
			if isFlat(e) {
				b.WriteString(" " + inlineText(e))
			} else {
				b.WriteString(outlineText(e, indent+"  "))
			}
		}
	default:
		text := inlineText(v)
		if indent == "" {
			return text
		}
		return " " + text
	}
	if b.Len() == 0 {
		return " " + inlineText(v)
	}
	return b.String()
}

// printable makes text that came over the wire safe for a terminal: control
// characters, and the ones that turn the direction of writing, are escaped.
func printable(s string) string {
	safe := func(r rune) bool {
		return r != utf8.RuneError && (unicode.IsPrint(r) || unicode.Is(unicode.Zs, r)) && !unicode.Is(unicode.Bidi_Control, r)
	}
	var b strings.Builder
	for i, r := range s {
		if safe(r) {
			b.WriteRune(r)
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		q := strconv.QuoteToASCII(s[i : i+size])
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// clock writes a time in a recording: 0:07, 12:34, 1:02:03.
func clock(d time.Duration) string {
	s := int64(d / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// megabytes writes a number of bytes as people count them.
func megabytes(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// counted writes a number and its noun, for example "1 app" or "3 apps".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// style writes to a terminal in bold or colour, and plainly elsewhere.
type style bool

func (s style) bold(text string) string { return s.wrap("1", text) }
func (s style) warn(text string) string { return s.wrap("33", text) }
func (s style) bad(text string) string  { return s.wrap("31", text) }

func (s style) wrap(code, text string) string {
	if !s {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// indented puts every line of text but the first behind n spaces.
func indented(text string, n int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", n))
}

// errWriter remembers the first error of writing, so that a printer of many
// lines checks once. After it, nothing is written any more.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, a ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, a...)
	}
}
