package sdk

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Tool is something that a chat or an agent calls an app for, on behalf of a
// user. All but Status are required.
//
// Calls run on fresh state, also in an app whose State is event.StateSession:
// a call belongs to no session.
type Tool struct {
	// Name is 1 to 63 of a-z, 0-9 and '_', beginning with a letter.
	Name string
	// Description is for the model, which goes by it alone: what the tool does,
	// when to call it, and what it answers. At most 4 KiB.
	Description string
	// Parameters is a JSON Schema (2020-12) of type object, at most 16 KiB. The
	// host checks the arguments of each call against it, so that Handle is called
	// only with arguments that fit. Describe each of them; forbid others by
	// "additionalProperties": false.
	Parameters string
	// Status is what a chat may show while the tool works, for example "Looking
	// up the notes".
	Status string
	// Handle answers a call. What it returns is marshalled as JSON, at most 64 KiB,
	// and is the call's result. The text of an error is told to the model, which
	// may call again and better: say what is wrong and what to do. A panic's is
	// not.
	Handle func(ctx *Context, call *event.ToolCall) (any, error)
}

// tools puts a's tools into m.
func (a *App) tools(m *event.Manifest, bad func(string, ...any)) {
	if len(a.Tools) > event.MaxTools {
		bad("Tools has %d tools; an app has at most %d", len(a.Tools), event.MaxTools)
	}
	seen := map[string]bool{}
	for i, t := range a.Tools {
		at := fmt.Sprintf("Tools[%d]", i)
		switch {
		case !event.ValidToolName(t.Name):
			bad(`%s: Name is %q; it must be 1 to %d of a-z, 0-9 and '_', beginning with a letter, for example "find_note"`, at, t.Name, event.MaxToolNameBytes)
		case seen[t.Name]:
			bad("%s: there is another tool with the name %q", at, t.Name)
		}
		seen[t.Name] = true
		if strings.TrimSpace(t.Description) == "" {
			bad("%s: Description is missing; by it a model knows when to call the tool", at)
		}
		if t.Handle == nil {
			bad("%s: Handle is missing", at)
		}
		if err := checkSchema(t.Parameters); err != nil {
			bad(`%s: Parameters: %w; a tool without arguments has {"type": "object", "additionalProperties": false}`, at, err)
		}
		m.Events.Tools = append(m.Events.Tools, event.Tool{
			Name: t.Name, Description: t.Description, Parameters: json.RawMessage(t.Parameters), StatusMessage: t.Status,
		})
	}
}

// callTool answers a call: its result is what is emitted.
func (a *App) callTool(ctx *Context, e *event.ToolCall) error {
	for _, t := range a.Tools {
		if t.Name != e.Tool {
			continue
		}
		result, err := t.Handle(ctx, e)
		if err != nil {
			return err
		}
		return ctx.Emit(result)
	}
	return fmt.Errorf("app %q has no tool %q", a.Name, e.Tool)
}
