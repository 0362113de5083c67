package event

import "encoding/json"

// The bounds of an app's tools. A name's and the app's together, with a '-'
// between them, are a name that MCP takes: 128 characters at most.
const (
	MaxTools             = 64       // of one app
	MaxToolNameBytes     = 63       // a to z, 0 to 9 and '_', beginning with a letter
	MaxToolTextBytes     = 4 << 10  // of its description
	MaxToolStatusBytes   = 200      // of its status message
	MaxToolSchemaBytes   = 16 << 10 // of its parameters
	MaxToolArgumentBytes = 64 << 10 // of the arguments of one call
)

// Tool is something that an app does when a chat or an agent calls for it, as
// the manifest declares it.
type Tool struct {
	Name        string `json:"name"`        // see ValidToolName
	Description string `json:"description"` // for the model: what it does, and when to call it
	// Parameters is a JSON Schema (2020-12) of type object, which the host checks
	// the arguments of each call against. It may refer to itself only.
	Parameters json.RawMessage `json:"parameters"`
	// StatusMessage is what a chat may show while the tool works, for example
	// "Looking up the notes".
	StatusMessage string `json:"status_message,omitempty"`
}

// ValidToolName reports whether s may name a tool: 1 to MaxToolNameBytes of a to
// z, 0 to 9 and '_', beginning with a letter.
func ValidToolName(s string) bool {
	if len(s) == 0 || len(s) > MaxToolNameBytes || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// ToolCall is the payload of a KindTool event: one call of one of the app's
// tools, for a user. What the app emits, one value, is the call's result.
type ToolCall struct {
	Call string `json:"call"` // names this call; no other has it
	Tool string `json:"tool"` // the tool's name, as the manifest has it
	UID  string `json:"uid"`  // the user for whom it is called
	// Arguments is a JSON object that fits the tool's parameters.
	Arguments json.RawMessage `json:"arguments"`
}
