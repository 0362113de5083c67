// Package mcp serves a user's tools over the Model Context Protocol, streamable
// HTTP (https://modelcontextprotocol.io/specification/2025-11-25), so that any
// MCP client can call them.
//
// The way of the data: the HTTP API has authorised a request and knows whose it
// is; ServeUser makes a server of the tools that this user has now and lets the
// official SDK answer one request with it. Nothing is kept between requests:
// there are no sessions to bound, to hijack or to lose with a host, any host
// behind a balancer may answer, and a tool that is switched off is gone from the
// next list. The price is that a server can tell a client nothing by itself: no
// list_changed, no progress.
//
// A tool that the user has not is a protocol error (-32602). What a model can
// mend, or should hear of, is a result with isError: wrong arguments, an app that
// failed, a host that is busy. The code is in its _meta as auricle.dev/code.
//
// Concurrency: a Handler is safe for concurrent use. Its calls run in dispatch,
// whose Drain waits for them.
//
// It may import host/tools. It authorises nobody, and checks neither Host nor
// Origin: the HTTP API does, for all paths alike.
package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/auricle-dev/auricle/host/tools"
)

const (
	maxRequestBytes = 256 << 10
	requestTime     = 55 * time.Second // a little more than a call may take

	codeKey = "auricle.dev/code"
)

// Options configure a Handler. Tools is needed.
type Options struct {
	Tools   *tools.Tools
	Version string // of the host, told to clients
}

// Handler answers MCP requests.
type Handler struct {
	o    Options
	http http.Handler
}

// serverKey is the context key of the *mcp.Server for a request.
type serverKey struct{}

// New returns a Handler.
func New(o Options) *Handler {
	if o.Version == "" {
		o.Version = "unknown"
	}
	return &Handler{o: o, http: mcp.NewStreamableHTTPHandler(
		func(r *http.Request) *mcp.Server {
			s, _ := r.Context().Value(serverKey{}).(*mcp.Server)
			return s
		},
		&mcp.StreamableHTTPOptions{
			Stateless: true, JSONResponse: true, MaxRequestBodyBytes: maxRequestBytes, PropagateRequestCancellation: true,
			// Where that protects, the host has done so, for what is behind a proxy too.
			DisableLocalhostProtection: true,
		})}
}

// ServeUser answers a request for a user, who is known to be who asks.
func (h *Handler) ServeUser(w http.ResponseWriter, r *http.Request, uid string) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	h.http.ServeHTTP(w, r.WithContext(context.WithValue(ctx, serverKey{}, h.server(ctx, uid))))
}

// server returns a server of what a user has. Calls end with ctx, the request's:
// older versions of the protocol have the SDK not pass that on.
func (h *Handler) server(ctx context.Context, uid string) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "auricle", Title: "Auricle", Version: h.o.Version}, &mcp.ServerOptions{
		Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}},
		PageSize:     1000,
		// The SDK's default lets whoever is between give one user's tools to another.
		SetCacheable: func(_ context.Context, _ mcp.Request, c *mcp.Cacheable) { c.CacheScope = "private" },
	})
	have := map[string]bool{}
	for _, t := range h.o.Tools.Of(uid) {
		have[t.ID()] = true
		s.AddTool(
			&mcp.Tool{Name: t.ID(), Description: t.Description, InputSchema: t.Parameters},
			func(asked context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				asked, cancel := context.WithCancel(asked)
				defer cancel()
				defer context.AfterFunc(ctx, cancel)()
				result, err := h.o.Tools.Call(asked, tools.MCP, uid, t.App, t.Name, r.Params.Arguments)
				if err != nil {
					return failed(err), nil
				}
				return succeeded(result), nil
			})
	}
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			switch p := r.GetParams().(type) {
			case *mcp.CallToolParamsRaw:
				if !have[p.Name] {
					h.o.Tools.Refused(tools.MCP, tools.CodeUnknownTool) // which the SDK answers
				}
			case *mcp.SubscriptionsListenParams:
				// It would hold a connection open to hear of nothing.
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "this server has nothing to subscribe to"}
			}
			return next(ctx, method, r)
		}
	})
	return s
}

// succeeded returns a tool's result as MCP has it: as text for the model, a
// string as it is, and an object as structured content besides.
func succeeded(result json.RawMessage) *mcp.CallToolResult {
	text := string(result)
	var s string
	if json.Unmarshal(result, &s) == nil && !bytes.Equal(result, []byte("null")) {
		text = s
	}
	out := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}
	if len(result) > 0 && result[0] == '{' {
		out.StructuredContent = result
	}
	return out
}

func failed(err error) *mcp.CallToolResult {
	code := tools.CodeInternal
	var f *tools.Failure
	if errors.As(err, &f) {
		code = f.Code
	}
	return &mcp.CallToolResult{
		Meta: mcp.Meta{codeKey: code}, IsError: true,
		Content: []mcp.Content{&mcp.TextContent{Text: err.Error()}},
	}
}
