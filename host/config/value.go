package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// form is how a value was written.
type form int

const (
	formNull    form = iota
	formString       // text in quotes
	formNumber       // Text holds it in decimal
	formBool         // Text is "true" or "false"
	formList         // Items
	formObject       // Members
	formUntyped      // text from the environment or a flag, to be read as the key's kind
	formBroken       // something that is no plain value and was reported
)

// value is one value with the place it came from. koanf copies what it hands
// out, so it is plain data with exported fields only.
type value struct {
	Form    form
	Text    string
	Items   []value
	Members []member
	Pos     Pos
	Origin  origin

	Variable string // whose text this is, by env("…"); it is a secret
}

// member is one name and value of an object.
type member struct {
	Name  string
	Pos   Pos // of the name
	Value value
}

// origin is where a value came from.
type origin int

const (
	fromDefault origin = iota
	fromFile
	fromEnvironment
	fromFlag
)

// split returns text from the environment or a flag, "a,b", as a list.
func (v value) split() value {
	text := strings.Trim(v.Text, "[]") // a default, or what someone took from a file
	v.Form = formList
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.Trim(strings.TrimSpace(item), `"`); item != "" {
			v.Items = append(v.Items, value{Form: formString, Text: item, Pos: v.Pos, Origin: v.Origin})
		}
	}
	return v
}

// got describes v in a problem's words: what was found instead.
func (v value) got() string {
	if v.Variable != "" {
		return "a secret"
	}
	switch v.Form {
	case formNull:
		return "null"
	case formNumber:
		return "number " + short(v.Text)
	case formBool:
		return v.Text
	case formList:
		return "a list"
	case formObject:
		return "an object"
	}
	return quote(v.Text)
}

// quote returns s in quotes, cut where it is long.
func quote(s string) string { return strconv.Quote(short(s)) }

// short cuts s to what fits in a line of a problem.
func short(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// appendJSON writes v, a value from a file, as JSON.
func (v value) appendJSON(b *bytes.Buffer) {
	switch v.Form {
	case formNumber, formBool:
		b.WriteString(v.Text)
	case formString, formUntyped:
		b.Write(jsonString(v.Text))
	case formList:
		b.WriteByte('[')
		for i, item := range v.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.appendJSON(b)
		}
		b.WriteByte(']')
	case formObject:
		b.WriteByte('{')
		for i, m := range v.Members {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(jsonString(m.Name))
			b.WriteByte(':')
			m.Value.appendJSON(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString("null")
	}
}

// jsonString returns s as a JSON string; invalid UTF-8 becomes U+FFFD.
func jsonString(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a string always encodes
		return []byte(`""`)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// places notes the position of v and of all within it by JSON pointer.
func (v value) places(pointer string, at map[string]Pos) {
	at[pointer] = v.Pos
	for i, item := range v.Items {
		item.places(pointer+"/"+strconv.Itoa(i), at)
	}
	for _, m := range v.Members {
		m.Value.places(pointer+"/"+pointerToken.Replace(m.Name), at)
	}
}

// pointerToken escapes a name for a JSON pointer (RFC 6901).
var pointerToken = strings.NewReplacer("~", "~0", "/", "~1")

func lastSlash(pointer string) int { return strings.LastIndexByte(pointer, '/') }
