package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/sdk/event"
)

// MessageError says why a text frame is no message of the protocol.
type MessageError struct {
	Code    string // CodeBadJSON, CodeUnknownType or CodeBadMessage
	Message string // names the field, says what to do; fit for the client
	Type    string // the message's type, as far as it is known
}

// Error returns the code and the message.
func (e *MessageError) Error() string { return e.Code + ": " + e.Message }

// DecodeClient reads a text frame of a client's strictly: a field that is
// unknown, missing, given twice, null or of the wrong kind is an error, and so
// is anything after the object. Names are case-sensitive. Whether values are
// within their limits is not checked here. The memory it takes is a small
// multiple of len(b). Errors are *MessageError.
func DecodeClient(b []byte) (Message, error) {
	if !utf8.Valid(b) {
		return nil, &MessageError{Code: CodeBadJSON, Message: "the text frame is not UTF-8; send JSON, and audio in binary frames"}
	}
	if !json.Valid(b) {
		return nil, &MessageError{Code: CodeBadJSON, Message: fmt.Sprintf("the text frame is not JSON: %v; send one JSON object a frame, and audio in binary frames", jsonFault(b))}
	}
	t, err := messageType(b)
	if err != nil {
		return nil, &MessageError{Code: CodeBadMessage, Message: err.Error()}
	}
	d := newDecoder(b)
	var m Message
	switch t {
	case "start":
		m, err = d.start()
	case "transcript":
		m, err = d.transcript()
	case "finish":
		m, err = &Finish{}, d.object("", nil)
	case "end":
		m, err = &End{}, d.object("", nil)
	case "keepalive":
		m, err = &Keepalive{}, d.object("", nil)
	default:
		return nil, &MessageError{Code: CodeUnknownType, Type: t, Message: fmt.Sprintf("there is no message of type %s; send one of: %s", quote(t), strings.Join(ClientTypes, ", "))}
	}
	if err != nil {
		return nil, &MessageError{Code: CodeBadMessage, Type: t, Message: t + ": " + err.Error()}
	}
	return m, nil
}

// jsonFault returns what json.Valid found.
func jsonFault(b []byte) error {
	var raw json.RawMessage
	err := json.Unmarshal(b, &raw)
	var s *json.SyntaxError
	if errors.As(err, &s) {
		return fmt.Errorf("%w at byte %d", err, s.Offset)
	}
	return err
}

// messageType returns the type of the message in b, which is valid JSON.
func messageType(b []byte) (string, error) {
	d := newDecoder(b)
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return "", errors.Join(errors.New(`a message is a JSON object with a "type"`), err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", err
		}
		if key == "type" {
			return d.string("type")
		}
		if err := d.skip(); err != nil {
			return "", err
		}
	}
	return "", errors.New(`the message has no "type"; send one of: ` + strings.Join(ClientTypes, ", "))
}

// decoder reads one message of valid JSON along its schema, so that nothing is
// built of what the schema does not hold.
type decoder struct{ *json.Decoder }

func newDecoder(b []byte) decoder {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return decoder{d}
}

// skip reads over one value.
func (d decoder) skip() error {
	for depth := 0; ; {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// object reads an object. field reads the value of a key, or returns
// errUnknownField; it is nil for an object without fields. path is the
// object's place in the message: "" for the message itself, which has a type
// besides, and then must end.
func (d decoder) object(path string, field func(key, path string) error) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	if tok != json.Delim('{') {
		return wrongKind(path, "an object", tok)
	}
	var seen []string
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		key := tok.(string) // by the grammar
		at := key
		if path != "" {
			at = path + "." + key
		}
		for _, s := range seen { // no object has more than a few fields
			if s == key {
				return fmt.Errorf("%s is given twice", clip(at))
			}
		}
		seen = append(seen, key)
		switch {
		case path == "" && key == "type":
			_, err = d.string("type")
		case field == nil:
			err = errUnknownField
		default:
			err = field(key, at)
		}
		if errors.Is(err, errUnknownField) {
			return fmt.Errorf("there is no field %s; remove it or fix its name", clip(at))
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return err
	}
	if path == "" {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return errors.New("something follows the object; send one object a frame")
		}
	}
	return nil
}

var errUnknownField = errors.New("unknown field")

// clip keeps a client's names in messages short and printable.
func clip(path string) string { return quote(path) }

func wrongKind(path, want string, got json.Token) error {
	if path == "" {
		path = "the message"
	}
	kind := ""
	switch t := got.(type) {
	case json.Delim:
		kind = map[json.Delim]string{'{': "an object", '[': "an array"}[t]
	case string:
		kind = "a string"
	case json.Number:
		kind = "the number " + quote(t.String())
	case bool:
		kind = "a boolean"
	case nil:
		kind = "null"
	}
	return fmt.Errorf("%s is %s; give %s", path, kind, want)
}

func (d decoder) string(path string) (string, error) {
	tok, err := d.Token()
	if err != nil {
		return "", err
	}
	s, ok := tok.(string)
	if !ok {
		return "", wrongKind(path, "a string", tok)
	}
	return s, nil
}

func (d decoder) bool(path string) (bool, error) {
	tok, err := d.Token()
	if err != nil {
		return false, err
	}
	v, ok := tok.(bool)
	if !ok {
		return false, wrongKind(path, "true or false", tok)
	}
	return v, nil
}

func (d decoder) float(path string) (float64, error) {
	tok, err := d.Token()
	if err != nil {
		return 0, err
	}
	if n, ok := tok.(json.Number); ok {
		if f, err := n.Float64(); err == nil {
			return f, nil
		}
	}
	return 0, wrongKind(path, "a number that fits 64-bit floating point", tok)
}

func (d decoder) int(path string) (int, error) {
	tok, err := d.Token()
	if err != nil {
		return 0, err
	}
	if n, ok := tok.(json.Number); ok {
		if i, err := strconv.ParseInt(n.String(), 10, 32); err == nil {
			return int(i), nil
		}
	}
	return 0, wrongKind(path, "a whole number of at most 31 bits", tok)
}

func (d decoder) uint(path string) (uint64, error) {
	tok, err := d.Token()
	if err != nil {
		return 0, err
	}
	if n, ok := tok.(json.Number); ok {
		if u, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
			return u, nil
		}
	}
	return 0, wrongKind(path, "a whole number, not negative", tok)
}

func (d decoder) start() (*Start, error) {
	m := new(Start)
	err := d.object("", func(key, path string) (err error) {
		switch key {
		case "uid":
			m.UID, err = d.string(path)
		case "audio":
			m.Audio, err = d.format(path)
		case "session":
			m.Session, err = d.string(path)
		case "language":
			m.Language, err = d.string(path)
		case "source":
			m.Source, err = d.string(path)
		case "metadata":
			m.Metadata, err = d.metadata(path)
		default:
			err = errUnknownField
		}
		return err
	})
	return m, err
}

func (d decoder) format(path string) (*Format, error) {
	f := new(Format)
	err := d.object(path, func(key, path string) (err error) {
		switch key {
		case "codec":
			f.Codec, err = d.string(path)
		case "rate":
			f.Rate, err = d.int(path)
		case "channels":
			f.Channels, err = d.int(path)
		default:
			err = errUnknownField
		}
		return err
	})
	return f, err
}

func (d decoder) metadata(path string) (map[string]string, error) {
	var m map[string]string
	err := d.object(path, func(key, path string) error {
		v, err := d.string(path)
		if err != nil {
			return err
		}
		if len(m) == MaxMetadataEntries {
			return fmt.Errorf("metadata has more than %d entries", MaxMetadataEntries)
		}
		if m == nil {
			m = make(map[string]string)
		}
		m[key] = v
		return nil
	})
	return m, err
}

func (d decoder) transcript() (*Transcript, error) {
	m := new(Transcript)
	err := d.object("", func(key, path string) (err error) {
		switch key {
		case "seq":
			m.Seq, err = d.uint(path)
		case "segments":
			m.Segments, err = d.segments(path)
		default:
			err = errUnknownField
		}
		return err
	})
	return m, err
}

func (d decoder) segments(path string) ([]event.Segment, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	if tok != json.Delim('[') {
		return nil, wrongKind(path, "an array of segments", tok)
	}
	var segs []event.Segment
	for d.More() {
		s, err := d.segment(path + "[" + strconv.Itoa(len(segs)) + "]")
		if err != nil {
			return nil, err
		}
		segs = append(segs, s)
	}
	_, err = d.Token() // the closing bracket
	return segs, err
}

func (d decoder) segment(path string) (event.Segment, error) {
	var s event.Segment
	var id, text, start, end bool
	err := d.object(path, func(key, path string) (err error) {
		switch key {
		case "id":
			id = true
			s.ID, err = d.string(path)
		case "text":
			text = true
			s.Text, err = d.string(path)
		case "speaker":
			s.Speaker, err = d.string(path)
		case "is_user":
			s.IsUser, err = d.bool(path)
		case "start":
			start = true
			s.Start, err = d.float(path)
		case "end":
			end = true
			s.End, err = d.float(path)
		default:
			err = errUnknownField
		}
		return err
	})
	if err != nil {
		return s, err
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"id", id}, {"text", text}, {"start", start}, {"end", end}} {
		if !f.given {
			return s, fmt.Errorf("%s.%s is missing", path, f.name)
		}
	}
	return s, nil
}
