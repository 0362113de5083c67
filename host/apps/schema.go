package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// words are what a schema's violations speak of.
type words struct {
	what string // the value as a whole, "settings"
	one  string // "setting of this app", which an unknown member is none of
}

var settingsWords = words{"settings", "setting of this app"}

// schemaURL is what a manifest's schema is compiled as; nothing is at it.
const schemaURL = "auricle:schema"

// maxViolations is how many violations of a schema are reported.
const maxViolations = 32

// nowhere is the loader of a schema that may refer only to itself.
type nowhere struct{ of string }

func (n nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %q; the schema of %s may refer only to itself", printable(clip(url, 200)), n.of)
}

// compileSchema compiles a JSON Schema, 2020-12 unless it says otherwise.
func compileSchema(raw json.RawMessage, of words) (s *jsonschema.Schema, err error) {
	defer func() { // the schema is a module's: what it does to the compiler must not end the process
		if p := recover(); p != nil {
			err = fmt.Errorf("the schema can't be compiled: %v", p)
		}
	}()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nowhere{of.what})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	s, err = c.Compile(schemaURL)
	if err != nil {
		return nil, errors.New(printable(clip(err.Error(), 1000)))
	}
	return s, nil
}

// violation is a value that breaks the schema.
type violation struct {
	pointer string // JSON pointer
	what    string
}

// violations returns how a JSON value, which w names, breaks a schema.
func violations(s *jsonschema.Schema, value json.RawMessage, w words) (vs []violation) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return []violation{{"", err.Error()}}
	}
	defer func() {
		if p := recover(); p != nil {
			vs = []violation{{"", fmt.Sprintf("the manifest's schema can't be applied: %v", p)}}
		}
	}()
	var bad *jsonschema.ValidationError
	switch err := s.Validate(doc); {
	case err == nil:
		return nil
	case !errors.As(err, &bad):
		return []violation{{"", err.Error()}}
	}
	w.flatten(bad, &vs)
	slices.SortStableFunc(vs, func(a, b violation) int { return strings.Compare(a.pointer, b.pointer) })
	vs = slices.Compact(vs)
	if len(vs) > maxViolations {
		more := len(vs) - maxViolations
		vs = append(vs[:maxViolations], violation{"", fmt.Sprintf("%d more values do not fit the manifest's schema", more)})
	}
	return vs
}

// flatten gathers the violations at the ends of e's tree.
func (w words) flatten(e *jsonschema.ValidationError, vs *[]violation) {
	at := ""
	for _, token := range e.InstanceLocation {
		at += "/" + escapePointer(token)
	}
	add := func(at, format string, args ...any) {
		*vs = append(*vs, violation{at, fmt.Sprintf(format, args...)})
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, p := range k.Properties {
			add(at+"/"+escapePointer(p), "%s is no %s", w.at(at+"/"+escapePointer(p)), w.one)
		}
		return
	case *kind.Required:
		for _, p := range k.Missing {
			add(at, "%s is missing", w.at(at+"/"+escapePointer(p)))
		}
		return
	case *kind.Type:
		add(at, "%s is %s, must be %s", w.at(at), article(k.Got), article(strings.Join(k.Want, " or ")))
		return
	case *kind.AnyOf, *kind.OneOf, *kind.Not:
		var whys []string
		var inner []violation
		for _, c := range e.Causes {
			w.flatten(c, &inner)
		}
		for _, v := range inner {
			whys = append(whys, v.what)
		}
		why := ""
		if len(whys) > 0 {
			why = ": " + strings.Join(slices.Compact(whys), ", or ")
		}
		add(at, "%s fits none of the forms that are allowed%s", w.at(at), why)
		return
	}
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			w.flatten(c, vs)
		}
		return
	}
	leaf := jsonschema.ValidationError{SchemaURL: e.SchemaURL, InstanceLocation: e.InstanceLocation, ErrorKind: e.ErrorKind}
	add(at, "%s: %s", w.at(at), printable(clip(leaf.BasicOutput().Error.String(), 500)))
}

// at names the value at a JSON pointer as people write it: "settings.words[0]".
func (w words) at(pointer string) string {
	name := w.what
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			name += "[" + token + "]"
			continue
		}
		name += "." + printable(clip(token, 100))
	}
	return name
}

// article returns a JSON type with its article.
func article(t string) string {
	switch t {
	case "null", "":
		return t
	case "array", "object", "integer":
		return "an " + t
	}
	return "a " + t
}

func escapePointer(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}
