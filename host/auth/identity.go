package auth

import (
	"fmt"
	"slices"
	"time"
)

// Scope is what credentials allow.
type Scope string

// The scopes.
const (
	Stream  Scope = "stream"  // every stream, and POST /v1/tokens
	Read    Scope = "read"    // conversations
	Tools   Scope = "tools"   // apps' tools: by HTTP, MCP and Omi's chat
	Operate Scope = "operate" // everything of an operator's: apps, jobs, replays, reload, cluster, metrics
)

// Scopes lists all of them.
var Scopes = []Scope{Stream, Read, Tools, Operate}

// Identity is who a request comes from.
type Identity struct {
	Name    string    // for logs: a static token's name, "jwt", "single-use"; "" without authentication
	UID     string    // the one user whom it may act for; "" is any
	Scopes  []Scope   // what it may do
	Expires time.Time // when its credentials end; zero: never
}

// Anyone is who every request comes from while authentication is off.
func Anyone() Identity { return Identity{Scopes: slices.Clone(Scopes)} }

// May reports whether i has the scope.
func (i Identity) May(s Scope) bool { return slices.Contains(i.Scopes, s) }

// ActsFor reports whether i may act for the user.
func (i Identity) ActsFor(uid string) bool { return i.UID == "" || i.UID == uid }

// Require returns a *Refusal with CodeScope when i lacks the scope.
func (i Identity) Require(s Scope) error {
	if i.May(s) {
		return nil
	}
	return &Refusal{Code: CodeScope, Message: fmt.Sprintf("these credentials do not have the scope %q; use some that do", s)}
}
