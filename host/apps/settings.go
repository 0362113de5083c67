package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// schemaURL is what a manifest's schema is compiled as; nothing is at it.
const schemaURL = "auricle:settings"

// maxViolations is how many violations of a schema are reported.
const maxViolations = 32

// nowhere is the loader of a schema that may refer only to itself.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("it refers to %q; a settings schema may refer only to itself", printable(clip(url, 200)))
}

// compileSchema compiles a JSON Schema, 2020-12 unless it says otherwise.
func compileSchema(raw json.RawMessage) (s *jsonschema.Schema, err error) {
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
	c.UseLoader(nowhere{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	s, err = c.Compile(schemaURL)
	if err != nil {
		return nil, errors.New(printable(clip(err.Error(), 1000)))
	}
	return s, nil
}

// violation is a setting that breaks the schema.
type violation struct {
	pointer string // JSON pointer
	what    string
}

// violations returns how settings, a JSON object, break a schema.
func violations(s *jsonschema.Schema, settings json.RawMessage) (vs []violation) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(settings))
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
	flatten(bad, &vs)
	slices.SortStableFunc(vs, func(a, b violation) int { return strings.Compare(a.pointer, b.pointer) })
	vs = slices.Compact(vs)
	if len(vs) > maxViolations {
		more := len(vs) - maxViolations
		vs = append(vs[:maxViolations], violation{"", fmt.Sprintf("%d more settings do not fit the manifest's schema", more)})
	}
	return vs
}

// flatten gathers the violations at the ends of e's tree.
func flatten(e *jsonschema.ValidationError, vs *[]violation) {
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
			add(at+"/"+escapePointer(p), "%s is no setting of this app", setting(at+"/"+escapePointer(p)))
		}
		return
	case *kind.Required:
		for _, p := range k.Missing {
			add(at, "%s is missing", setting(at+"/"+escapePointer(p)))
		}
		return
	case *kind.Type:
		add(at, "%s is %s, must be %s", setting(at), article(k.Got), article(strings.Join(k.Want, " or ")))
		return
	case *kind.AnyOf, *kind.OneOf, *kind.Not:
		var whys []string
		var inner []violation
		for _, c := range e.Causes {
			flatten(c, &inner)
		}
		for _, v := range inner {
			whys = append(whys, v.what)
		}
		why := ""
		if len(whys) > 0 {
			why = ": " + strings.Join(slices.Compact(whys), ", or ")
		}
		add(at, "%s fits none of the forms that are allowed%s", setting(at), why)
		return
	}
	if len(e.Causes) > 0 {
		for _, c := range e.Causes {
			flatten(c, vs)
		}
		return
	}
	leaf := jsonschema.ValidationError{SchemaURL: e.SchemaURL, InstanceLocation: e.InstanceLocation, ErrorKind: e.ErrorKind}
	add(at, "%s: %s", setting(at), printable(clip(leaf.BasicOutput().Error.String(), 500)))
}

// setting names the setting at a JSON pointer as an operator wrote it:
// "settings.words[0]".
func setting(pointer string) string {
	name := "settings"
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

// positionOf returns where the setting at a JSON pointer stands, or the
// nearest thing around it that has a place.
func positionOf(pos config.AppPos, pointer string) config.Pos {
	for {
		if p, ok := pos.Setting[pointer]; ok {
			return p
		}
		i := strings.LastIndexByte(pointer, '/')
		if i < 0 {
			break
		}
		pointer = pointer[:i]
	}
	return firstPos(pos.Settings, pos.Block)
}

// firstPos returns the first that says anything.
func firstPos(ps ...config.Pos) config.Pos {
	for _, p := range ps {
		if p != (config.Pos{}) {
			return p
		}
	}
	return config.Pos{}
}
