package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxSchemaParts bounds what a schema of a tool has with all that it refers to
// in place: checking a call takes time for each, which no fuel pays for.
const maxSchemaParts = 2000

var toolWords = words{"arguments", "argument of this tool"}

// checkTools checks the tools of a manifest; nil are none.
func checkTools(tools []event.Tool, bad func(format string, args ...any)) {
	if tools != nil && len(tools) == 0 {
		bad("events.tools is empty; leave it out, or declare a tool")
	}
	if len(tools) > event.MaxTools {
		bad("events.tools has %d tools, at most %d are taken", len(tools), event.MaxTools)
		return
	}
	seen := map[string]bool{}
	for i, t := range tools {
		at := fmt.Sprintf("events.tools[%d]", i)
		if !event.ValidToolName(t.Name) {
			bad("%s: name %q must be 1 to %d of a-z, 0-9 and '_', beginning with a letter", at, printable(clip(t.Name, 80)), event.MaxToolNameBytes)
		} else {
			at = fmt.Sprintf("events.tools[%d] %q", i, t.Name)
		}
		if seen[t.Name] {
			bad("%s: the name is there twice", at)
		}
		seen[t.Name] = true
		if strings.TrimSpace(t.Description) == "" {
			bad("%s: description is missing; by it a model knows when to call the tool", at)
		}
		for _, text := range []struct {
			field, s string
			most     int
		}{{"description", t.Description, event.MaxToolTextBytes}, {"status_message", t.StatusMessage, event.MaxToolStatusBytes}} {
			switch {
			case len(text.s) > text.most:
				bad("%s: %s has %d bytes, at most %d are taken", at, text.field, len(text.s), text.most)
			case strings.ContainsFunc(text.s, func(r rune) bool { return unprintable(r) && r != '\n' && r != '\t' }):
				bad("%s: %s has control characters", at, text.field)
			}
		}
		if _, err := compileParameters(t.Parameters); err != nil {
			bad("%s: parameters: %w", at, err)
		}
	}
}

// compileParameters compiles the schema of a tool's arguments.
func compileParameters(raw json.RawMessage) (*jsonschema.Schema, error) {
	switch {
	case len(raw) == 0:
		return nil, errors.New(`missing; a tool that takes no arguments has {"type": "object"}`)
	case len(raw) > event.MaxToolSchemaBytes:
		return nil, fmt.Errorf("%d bytes, at most %d are taken", len(raw), event.MaxToolSchemaBytes)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	object, ok := doc.(map[string]any)
	if !ok || object["type"] != "object" {
		return nil, errors.New(`a JSON Schema with "type": "object" is needed, for arguments are names and values`)
	}
	m := schemaMeasure{root: doc, left: maxSchemaParts}
	if err := m.add(doc); err != nil {
		return nil, err
	}
	return compileSchema(raw, toolWords)
}

// schemaMeasure bounds how much there is to a schema that a module wrote. A
// few lines of references to references stand for more parts than could be
// checked in a lifetime.
type schemaMeasure struct {
	root any
	left int
	open []string // the references that are being followed
}

func (m *schemaMeasure) add(v any) error {
	if m.left--; m.left < 0 {
		return fmt.Errorf("the schema has more than %d parts, with what it refers to in place; make it simpler", maxSchemaParts)
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := m.add(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, e := range v {
			text, isText := e.(string)
			switch {
			case isText && name == "$ref":
				if err := m.follow(text); err != nil {
					return err
				}
			case isText && (name == "$id" || name == "$anchor" || strings.HasPrefix(name, "$dynamic") || strings.HasPrefix(name, "$recursive")):
				return fmt.Errorf("%s is not taken in a tool's schema; refer by $ref to #/$defs", name)
			}
			if err := m.add(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow adds what a reference stands for.
func (m *schemaMeasure) follow(ref string) error {
	pointer, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return fmt.Errorf("it refers to %q; a tool's schema may refer only to parts of its own, as #/$defs/name", printable(clip(ref, 200)))
	}
	for _, r := range m.open {
		if r == pointer {
			return fmt.Errorf("%q refers to itself; a tool's schema may not", printable(clip(ref, 200)))
		}
	}
	v := m.root
	for token := range strings.SplitSeq(pointer, "/") {
		object, _ := v.(map[string]any)
		next, ok := object[strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")]
		if !ok {
			return fmt.Errorf("it refers to %q, which is not in it", printable(clip(ref, 200)))
		}
		v = next
	}
	m.open = append(m.open, pointer)
	err := m.add(v)
	m.open = m.open[:len(m.open)-1]
	return err
}

// compileTools makes the app ready to check calls of its tools.
func (a *App) compileTools() error {
	a.schemas = map[string]*jsonschema.Schema{}
	for _, t := range a.Manifest.Events.Tools {
		s, err := compileParameters(t.Parameters)
		if err != nil {
			return fmt.Errorf("tool %q: %w", t.Name, err)
		}
		a.schemas[t.Name] = s
	}
	return nil
}

// Tools returns the app's tools, in the manifest's order; none unless the app
// holds tools.
func (a *App) Tools() []event.Tool {
	if !a.Holds(event.CapTools) {
		return nil
	}
	return a.Manifest.Events.Tools
}

// ArgumentsError says how a call's arguments are not those of the tool.
type ArgumentsError struct {
	Violations []Violation // never empty
}

// Violation is one thing that is wrong with a call's arguments.
type Violation struct {
	Pointer string // JSON pointer into the arguments; "" is all of them
	What    string // for people and models: "arguments.to is missing"
}

// Error names every violation.
func (e *ArgumentsError) Error() string {
	whats := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		whats[i] = v.What
	}
	return strings.Join(whats, "; ")
}

// CheckArguments checks the arguments of a call of one of the app's tools, a
// JSON object; empty is {}. It returns them without white space, or an
// *ArgumentsError. A member that is there twice, and what is nested too deep, is
// refused as well, so that the app reads what was checked.
func (a *App) CheckArguments(tool string, arguments []byte) (json.RawMessage, error) {
	bad := func(format string, args ...any) error {
		return &ArgumentsError{[]Violation{{"", fmt.Sprintf(format, args...)}}}
	}
	if len(arguments) > event.MaxToolArgumentBytes {
		return nil, bad("arguments have %d bytes, at most %d are taken", len(arguments), event.MaxToolArgumentBytes)
	}
	if len(bytes.TrimSpace(arguments)) == 0 {
		arguments = []byte("{}")
	}
	compact, err := compactStrict(arguments)
	switch {
	case err != nil:
		return nil, bad("arguments are not JSON as it is taken here: %v", err)
	case compact[0] != '{':
		return nil, bad("arguments are not a JSON object")
	}
	schema := a.schemas[tool]
	if schema == nil {
		return nil, bad("there is no tool %q", printable(clip(tool, 80)))
	}
	vs := violations(schema, compact, toolWords)
	if len(vs) == 0 {
		return compact, nil
	}
	e := &ArgumentsError{}
	for _, v := range vs {
		e.Violations = append(e.Violations, Violation{v.pointer, printable(clip(v.what, 500))})
	}
	return nil, e
}
