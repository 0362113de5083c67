package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/tools"
)

// mcpPath is where MCP clients whose credentials fix a user connect.
const mcpPath = "/v1/mcp"

// maxCallBytes bounds the body of a call: its arguments, with white space.
const maxCallBytes = 128 << 10

// MCP answers MCP requests for a user; *mcp.Handler is one.
type MCP interface {
	ServeUser(w http.ResponseWriter, r *http.Request, uid string)
}

// toolBody is a tool as GET /v1/users/{uid}/tools lists it.
type toolBody struct {
	App           string          `json:"app"`
	Name          string          `json:"name"`
	Description   string          `json:"description"`
	Parameters    json.RawMessage `json:"parameters"`
	StatusMessage string          `json:"status_message,omitempty"`
}

// resultBody is the answer to a call that ended ok.
type resultBody struct {
	Result json.RawMessage `json:"result"`
}

// callFailure is the answer to a call that did not: a failure, and with
// bad_arguments what is wrong with them.
type callFailure struct {
	Error struct {
		failureBody
		Violations []violationBody `json:"violations,omitempty"`
	} `json:"error"`
}

type violationBody struct {
	At      string `json:"at"` // a JSON pointer into the arguments
	Message string `json:"message"`
}

// toolPath is what a path asks of a user's tools.
type toolPath struct {
	uid       string // "" at mcpPath: the credentials' own
	mcp       bool
	app, tool string // "": the list
}

// parseToolPath reads the paths of a user's tools, as they were sent: with
// escapes, so that a uid may hold a slash.
func parseToolPath(escaped string) (p toolPath, ok bool) {
	if escaped == mcpPath {
		return toolPath{mcp: true}, true
	}
	rest, ok := strings.CutPrefix(escaped, usersPath+"/")
	if !ok {
		return p, false
	}
	parts := strings.Split(rest, "/")
	for i, part := range parts {
		whole, err := url.PathUnescape(part)
		if err != nil || whole == "" {
			return p, false
		}
		parts[i] = whole
	}
	switch {
	case len(parts) == 2 && parts[1] == "mcp":
		return toolPath{uid: parts[0], mcp: true}, true
	case len(parts) == 2 && parts[1] == "tools":
		return toolPath{uid: parts[0]}, true
	case len(parts) == 4 && parts[1] == "tools":
		return toolPath{uid: parts[0], app: parts[2], tool: parts[3]}, true
	}
	return p, false
}

// tools answers for a user's tools.
func (h *handler) tools(w http.ResponseWriter, r *http.Request, p toolPath) {
	id := identity(r)
	if p.uid == "" {
		if p.uid = id.UID; p.uid == "" {
			fail(w, r, http.StatusBadRequest, "bad_uid", "these credentials are for any user; connect to "+usersPath+"/{uid}/mcp instead")
			return
		}
	}
	if err := checkUID(p.uid); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_uid", err.Error())
		return
	}
	if !id.ActsFor(p.uid) {
		h.refuse(w, r, &auth.Refusal{Code: auth.CodeUser, Message: "these credentials are another user's"})
		return
	}
	if p.mcp {
		h.o.MCP.ServeUser(w, r, p.uid)
		return
	}
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	switch {
	case p.app != "" && r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "a tool is called by POST, with a JSON object of its arguments")
	case p.app != "":
		h.callTool(w, r, p)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers GET only; name an app and its tool behind it to call that")
	default:
		list := struct {
			Tools []toolBody `json:"tools"`
		}{[]toolBody{}}
		for _, t := range h.o.Tools.Of(p.uid) {
			list.Tools = append(list.Tools, toolBody{t.App, t.Name, t.Description, t.Parameters, t.StatusMessage})
		}
		respond(w, http.StatusOK, list)
	}
}

// callTool answers POST /v1/users/{uid}/tools/{app}/{tool}.
func (h *handler) callTool(w http.ResponseWriter, r *http.Request, p toolPath) {
	body, ok := callBody(w, r)
	if !ok {
		return
	}
	result, err := h.o.Tools.Call(r.Context(), tools.HTTP, p.uid, p.app, p.tool, body)
	if err != nil {
		failCall(w, r, err)
		return
	}
	respond(w, http.StatusOK, resultBody{result})
}

// callBody reads the body of a call. When it is no good it answers and reports
// false.
func callBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, r, http.StatusUnsupportedMediaType, "bad_content_type", "send the arguments as JSON, with Content-Type: application/json")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, r, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body is larger than %d bytes", maxCallBytes))
		return nil, false
	case err != nil:
		fail(w, r, http.StatusBadRequest, "bad_body", "the body could not be read")
		return nil, false
	}
	return body, true
}

// failCall answers with why a call has no result. An app that was called and
// failed is an answer, 200: the request was carried out.
func failCall(w http.ResponseWriter, r *http.Request, err error) {
	f := failureOf(err)
	var body callFailure
	body.Error.failureBody = failureBody{Code: f.Code, Message: f.Message, RequestID: requestID(r)}
	for _, v := range f.Violations {
		body.Error.Violations = append(body.Error.Violations, violationBody{v.Pointer, v.What})
	}
	retryAfter(w, f)
	respond(w, callStatus(f), body)
}

func failureOf(err error) *tools.Failure {
	var f *tools.Failure
	if errors.As(err, &f) {
		return f
	}
	return &tools.Failure{Code: tools.CodeInternal, Message: "something is wrong in the host; its log says more"}
}

func retryAfter(w http.ResponseWriter, f *tools.Failure) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
}

func callStatus(f *tools.Failure) int {
	switch f.Code {
	case tools.CodeUnknownTool:
		return http.StatusNotFound
	case tools.CodeBadArguments:
		return http.StatusBadRequest
	case tools.CodeQueueFull:
		return http.StatusTooManyRequests
	case tools.CodeBusy, tools.CodeBreakerOpen, tools.CodeShutdown:
		return http.StatusServiceUnavailable
	case tools.CodeCancelled:
		return http.StatusGatewayTimeout
	case tools.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusOK
}
