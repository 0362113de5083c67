package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep JSON of a module's may be nested.
const maxDepth = 64

// jsonFuel is what decoding a byte of JSON costs, besides its crossing.
const jsonFuel = 10

var rawType = reflect.TypeFor[json.RawMessage]()

// decodeStrict decodes one JSON value into v, a pointer. It refuses what is
// not UTF-8, unknown fields of v's structs (case matters), a name that an
// object has twice, nesting deeper than maxDepth (anew in a json.RawMessage),
// and anything behind the value. Errors say where, as a JSON pointer.
func decodeStrict(b []byte, v any) error {
	if err := checkJSON(b, reflect.TypeOf(v)); err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) {
			where := ""
			if t.Field != "" {
				where = " at /" + strings.ReplaceAll(t.Field, ".", "/")
			}
			return fmt.Errorf("%s%s does not fit, want %s", t.Value, printable(where), jsonName(t.Type))
		}
		return err
	}
	return nil
}

// jsonName returns what JSON calls a value of type t.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "an object"
}

// compactStrict returns one JSON value of any shape without white space,
// checked as decodeStrict does.
func compactStrict(b []byte) (json.RawMessage, error) {
	if err := checkJSON(b, nil); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// checkJSON makes decodeStrict's checks. t is what the value is to be decoded
// into; nil takes any shape.
func checkJSON(b []byte, t reflect.Type) error {
	if !utf8.Valid(b) {
		return errors.New("not valid UTF-8")
	}
	c := checker{json.NewDecoder(bytes.NewReader(b))}
	c.dec.UseNumber()
	if err := c.value(t, "", 0); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the JSON ends too early")
		}
		return err
	}
	if _, err := c.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

type checker struct{ dec *json.Decoder }

func (c checker) value(t reflect.Type, at string, depth int) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == rawType {
		t, depth = nil, 0 // its own value
	}
	tok, err := c.dec.Token()
	if err != nil {
		return err
	}
	if d, ok := tok.(json.Delim); !ok {
		return nil
	} else if depth >= maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	} else if d == '[' {
		return c.list(t, at, depth)
	}
	return c.object(t, at, depth)
}

func (c checker) list(t reflect.Type, at string, depth int) error {
	if t != nil && t.Kind() == reflect.Slice {
		t = t.Elem()
	} else {
		t = nil
	}
	for i := 0; c.dec.More(); i++ {
		if err := c.value(t, fmt.Sprintf("%s/%d", at, i), depth+1); err != nil {
			return err
		}
	}
	_, err := c.dec.Token()
	return err
}

func (c checker) object(t reflect.Type, at string, depth int) error {
	seen := map[string]bool{}
	for c.dec.More() {
		tok, err := c.dec.Token()
		if err != nil {
			return err
		}
		name := tok.(string)
		if seen[name] {
			return fmt.Errorf("%q is there twice%s", printable(name), place(at))
		}
		seen[name] = true
		inner, known := member(t, name)
		if !known {
			return fmt.Errorf("unknown field %q%s", printable(name), place(at))
		}
		if err := c.value(inner, at+"/"+name, depth+1); err != nil {
			return err
		}
	}
	_, err := c.dec.Token()
	return err
}

func place(at string) string {
	if at == "" {
		return ""
	}
	return " at " + printable(at)
}

// member returns the type of the field that JSON calls name. It reports false
// when t is a struct without one.
func member(t reflect.Type, name string) (reflect.Type, bool) {
	if t == nil {
		return nil, true
	}
	switch t.Kind() {
	case reflect.Map:
		return t.Elem(), true
	case reflect.Struct:
		for i := range t.NumField() {
			if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); tag == name {
				return t.Field(i).Type, true
			}
		}
		return nil, false
	}
	return nil, true // of the wrong kind, which decoding reports
}
