// Package tools is the one way by which chats and agents call apps' tools,
// whatever protocol they speak.
//
// The way of the data: a call names a user, an app and a tool. The app must be
// one that this user has now; its arguments are checked against the schema in
// the app's manifest; then dispatch runs it. What comes back is the tool's JSON
// result, or a *Failure with a code that each protocol tells in its own way and
// a message that is fit for a model to read: of what goes on inside an app it
// has the outcome's name only, besides what the app itself says.
//
// Each call is counted once, by the protocol that it came by and how it ended.
// Neither the arguments nor the result is ever logged.
//
// Concurrency: Tools is safe for concurrent use and keeps nothing but counters.
//
// It may import host/apps, host/dispatch, plugins and sdk/event. It authorises
// nobody: whoever calls it knows whose uid it is.
package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The bounds of a call, besides the app's own limits.
const (
	waitForWorker = 10 * time.Second
	wholeCall     = 50 * time.Second // below what the HTTP server gives an answer
)

// Dispatch runs calls; *dispatch.Dispatcher is one.
type Dispatch interface {
	Call(ctx context.Context, c dispatch.Call) (apps.Invocation, error)
	LacksTools(uid, app string) string
}

var _ Dispatch = (*dispatch.Dispatcher)(nil)

// Options configure Tools. Dispatch and Apps are needed.
type Options struct {
	Dispatch   Dispatch
	Apps       func() []*apps.App    // that are installed now, in the configuration's order
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Tools calls tools.
type Tools struct {
	o     Options
	calls *prometheus.CounterVec
}

// Via is the protocol that a call came by.
type Via string

// The protocols.
const (
	HTTP Via = "http"
	MCP  Via = "mcp"
	Omi  Via = "omi"
)

// New returns Tools.
func New(o Options) *Tools {
	return &Tools{o: o, calls: promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "auricle_tool_calls_total",
		Help: "Calls of apps' tools, by the protocol they came by and how they ended: ok, or the code of the failure.",
	}, []string{"via", "result"})}
}

// Tool is a tool that a user has.
type Tool struct {
	App string
	event.Tool
}

// ID names the tool among all of all apps: the app's name, '-' and the tool's.
// No two have the same, for a tool's name has no '-'.
func (t Tool) ID() string { return t.App + "-" + t.Name }

// Of returns the tools that a user has, by the order of the configuration and
// of the manifests. An empty uid is nobody in particular: all that are installed.
func (t *Tools) Of(uid string) []Tool {
	var all []Tool
	for _, a := range t.o.Apps() {
		if uid != "" && t.o.Dispatch.LacksTools(uid, a.Name) != "" {
			continue
		}
		for _, tool := range a.Tools() {
			all = append(all, Tool{a.Name, tool})
		}
	}
	return all
}

// The codes of a Failure, besides the outcomes of an invocation that is not ok.
const (
	CodeUnknownTool  = "unknown_tool"  // the user has no such tool: the app lacks it, is switched off, or is not the user's
	CodeBadArguments = "bad_arguments" // they do not fit the tool's parameters
	CodeQueueFull    = "queue_full"    // too much waits for the app
	CodeBusy         = "busy"          // no worker was free in time
	CodeBreakerOpen  = "breaker_open"  // the app kept failing and is not called for a while
	CodeShutdown     = "shutting_down" // the host is ending
	CodeCancelled    = "cancelled"     // the caller has gone, or the call took too long
	CodeInternal     = "internal"      // a fault of the host's
)

// Failure is why there is no result.
type Failure struct {
	Code       string           // one of the Code constants, or an outcome: app_error, trap, …
	Message    string           // for people and models; what is wrong, and what to do where there is something
	Violations []apps.Violation // with CodeBadArguments
	RetryAfter time.Duration    // when it may be tried again; 0: unknown, or it would not help
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Ran reports whether the app was called: it, and not the host, failed.
func (f *Failure) Ran() bool {
	switch plugins.Outcome(f.Code) {
	case plugins.AppError, plugins.Trap, plugins.FuelExhausted, plugins.DeadlineExceeded, plugins.MemoryExceeded:
		return true
	}
	return false
}

// Call calls a tool for a user. Empty arguments are {}. The error is a *Failure.
// The result is null where the app gave none.
func (t *Tools) Call(ctx context.Context, via Via, uid, app, tool string, arguments []byte) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeCall)
	defer cancel()
	result, f := t.call(ctx, uid, app, tool, arguments)
	if f != nil {
		t.Refused(via, f.Code)
		return nil, f
	}
	t.calls.WithLabelValues(string(via), "ok").Inc()
	return result, nil
}

// Refused counts a call that a protocol has refused by itself.
func (t *Tools) Refused(via Via, code string) {
	t.calls.WithLabelValues(string(via), code).Inc()
}

// attempts is how many versions of an app one call is made for, when others
// take its place meanwhile.
const attempts = 3

func (t *Tools) call(ctx context.Context, uid, app, tool string, arguments []byte) (json.RawMessage, *Failure) {
	for range attempts {
		a := t.find(uid, app, tool)
		if a == nil {
			return nil, &Failure{Code: CodeUnknownTool, Message: fmt.Sprintf("the user has no tool %.80q of an app %.80q", tool, app)}
		}
		checked, err := a.CheckArguments(tool, arguments)
		var wrong *apps.ArgumentsError
		switch {
		case errors.As(err, &wrong):
			return nil, &Failure{Code: CodeBadArguments, Message: wrong.Error(), Violations: wrong.Violations}
		case err != nil:
			return nil, internal()
		}
		payload, err := json.Marshal(event.ToolCall{Call: newCallID(), Tool: tool, UID: uid, Arguments: checked})
		if err != nil {
			return nil, internal()
		}
		inv, err := t.o.Dispatch.Call(ctx, dispatch.Call{App: app, UID: uid, Version: a, Payload: payload, Wait: waitForWorker})
		var refused *dispatch.CallError
		switch {
		case errors.As(err, &refused) && refused.Reason == dispatch.ReasonReplaced:
			continue
		case err != nil:
			return nil, failed(app, tool, err)
		case inv.Outcome != plugins.OK:
			return nil, ended(app, tool, inv)
		}
		for _, o := range inv.Outputs {
			return o.Data, nil // the only one
		}
		return json.RawMessage("null"), nil
	}
	return nil, &Failure{Code: CodeBusy, Message: "the app is being replaced; try again", RetryAfter: time.Second}
}

// find returns the app that has the tool, nil where the user has no such tool.
func (t *Tools) find(uid, app, tool string) *apps.App {
	for _, a := range t.o.Apps() {
		if a.Name != app || t.o.Dispatch.LacksTools(uid, app) != "" {
			continue
		}
		for _, have := range a.Tools() {
			if have.Name == tool {
				return a
			}
		}
	}
	return nil
}

// failed says why a call did not run.
func failed(app, tool string, err error) *Failure {
	var refused *dispatch.CallError
	if !errors.As(err, &refused) {
		return internal()
	}
	switch refused.Reason {
	case dispatch.ReasonNotInstalled, dispatch.ReasonSwitchedOff: // since it was looked for
		return &Failure{Code: CodeUnknownTool, Message: fmt.Sprintf("the user has no tool %.80q of an app %.80q", tool, app)}
	case dispatch.ReasonQueueFull:
		return &Failure{Code: CodeQueueFull, Message: "too much waits for this app; try again later", RetryAfter: 5 * time.Second}
	case dispatch.ReasonLate:
		return &Failure{Code: CodeBusy, Message: "the host is busy; try again later", RetryAfter: 5 * time.Second}
	case dispatch.ReasonBreakerOpen:
		return &Failure{
			Code: CodeBreakerOpen, Message: "this app keeps failing and is not called for a while; try again later",
			RetryAfter: max(time.Until(refused.Until), time.Second),
		}
	case dispatch.ReasonShutdown:
		return &Failure{Code: CodeShutdown, Message: "the host is shutting down; try again", RetryAfter: 5 * time.Second}
	case dispatch.ReasonCallerGone:
		return &Failure{Code: CodeCancelled, Message: fmt.Sprintf("the call was given up, or took longer than %v", wholeCall)}
	}
	return internal()
}

// ended says how a call ended that is not ok.
func ended(app, tool string, inv apps.Invocation) *Failure {
	f := &Failure{Code: string(inv.Outcome)}
	switch {
	case inv.Said != "":
		f.Message = inv.Said
	case inv.Outcome == plugins.AppError:
		f.Message = fmt.Sprintf("the tool %q of the app %q failed; its operator finds out why by invocation %s", tool, app, inv.ID)
	default:
		f.Message = fmt.Sprintf("the tool %q of the app %q was stopped (%s); its operator finds out why by invocation %s", tool, app, inv.Outcome, inv.ID)
	}
	return f
}

func internal() *Failure {
	return &Failure{Code: CodeInternal, Message: "something is wrong in the host; its log says more"}
}

func newCallID() string { return "t_" + strings.ToLower(ulid.Make().String()) }
