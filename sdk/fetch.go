package sdk

import (
	"fmt"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// FetchRequest is a call of a web service, for Context.Fetch.
type FetchRequest struct {
	Method string // "GET", "HEAD", "POST", "PUT", "PATCH" or "DELETE"; empty is GET
	URL    string // absolute, of a host in sdk.HTTP's list
	// Header are the request's headers. What the operator has the host put in,
	// such as a key, and what belongs to the connection is not the app's to set.
	Header map[string]string
	Body   []byte // 1 MiB at most
	// Timeout bounds the call, redirects and body included. 0 leaves it to the
	// operator's timeout; it never outlasts the event's own limit of time.
	Timeout time.Duration
}

// FetchResponse is a web service's answer, of any status.
type FetchResponse struct {
	Status int               // 200, 404, …
	Header map[string]string // by canonical name; read it with Get
	URL    string            // where the answer came from, after redirects
	Body   []byte            // 1 MiB at most
}

// OK reports whether the status is one of success, 200 to 299.
func (r *FetchResponse) OK() bool { return r.Status >= 200 && r.Status < 300 }

// Get returns a header's value, whatever the case of name; "" when there is
// none.
func (r *FetchResponse) Get(name string) string {
	for n, v := range r.Header {
		if strings.EqualFold(n, name) {
			return v
		}
	}
	return ""
}

// Fetch calls a web service and waits for its answer, now: unlike an output or
// a notification, a request that was sent stays sent when the invocation fails
// afterwards, and is sent again when it is tried again. The app must declare
// the capability: put sdk.HTTP("why", "api.example.com") in App.Wants.
//
// An answer of any status is no error; look at FetchResponse.OK. Otherwise the
// error is an *Error, which is one of ErrHostNotGranted, ErrAddressRefused,
// ErrRedirectRefused, ErrRequestTooLarge, ErrResponseTooLarge, ErrTimeout,
// ErrConnectFailed, ErrExchangeFailed, ErrTooManyCalls, ErrRateLimited,
// ErrBadRequest and ErrNotGranted; test with errors.Is. An app may go on after
// any of them. When the event's own limit of time is over the invocation ends
// there.
func (c *Context) Fetch(r FetchRequest) (*FetchResponse, error) {
	if len(r.Body) > event.MaxBodyBytes {
		return nil, &Error{Op: event.OpHTTP, Code: event.CodeRequestTooLarge,
			Message: fmt.Sprintf("a body of %d bytes, at most %d are taken", len(r.Body), event.MaxBodyBytes)}
	}
	h := event.HTTPRequest{Method: r.Method, URL: r.URL, Headers: r.Header}
	if r.Timeout > 0 {
		h.TimeoutMillis = max(1, r.Timeout.Milliseconds())
	}
	resp, body, err := c.call(event.Request{Op: event.OpHTTP, HTTP: &h}, r.Body)
	if err != nil {
		return nil, err
	}
	if resp.HTTP == nil {
		return nil, fmt.Errorf("%s: the host's answer holds none of the service's", event.OpHTTP)
	}
	out := &FetchResponse{Status: resp.HTTP.Status, Header: resp.HTTP.Headers, URL: resp.HTTP.URL, Body: body}
	if out.URL == "" {
		out.URL = r.URL
	}
	return out, nil
}
