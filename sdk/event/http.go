package event

// OpHTTP calls a web service, now and not when the invocation ends; capability
// http. The request is in Request.HTTP and its body behind the JSON; the answer
// is in Response.HTTP and its body behind that.
const OpHTTP = "http"

// HTTPRequest is a call of a web service.
type HTTPRequest struct {
	Method string `json:"method,omitempty"` // one of HTTPMethods; empty is GET
	URL    string `json:"url"`              // absolute, https unless the grant says http; no user, no fragment
	// Headers are the app's own. The host refuses those that are not the app's
	// to set: Host, Content-Length, what belongs to the connection, and what the
	// operator has the host put in.
	Headers map[string]string `json:"headers,omitempty"`
	// TimeoutMillis bounds the call, with its redirects and its body, in ms. 0
	// leaves it to the operator's timeout; the invocation's own limit bounds it
	// in either case.
	TimeoutMillis int64 `json:"timeout_ms,omitempty"`
}

// HTTPResponse is a web service's answer, whatever its status: an answer of 500
// is one that came.
type HTTPResponse struct {
	Status int `json:"status"` // 200, 404, …
	// Headers have canonical names ("Content-Type"); the values of one that came
	// several times are joined by ", ", those of Set-Cookie are left out.
	Headers map[string]string `json:"headers,omitempty"`
	// URL is where the answer came from, where redirects led elsewhere.
	URL string `json:"url,omitempty"`
}

// HTTPMethods are the methods that an app may use.
var HTTPMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// The codes of an HTTPRequest that got no answer, besides CodeBadRequest,
// CodeNotGranted and CodeRateLimited. None ends the invocation.
const (
	CodeHostNotGranted   = "host_not_granted"   // the URL's host is not among those granted
	CodeAddressRefused   = "address_refused"    // the host's name leads to an address that is not public, which is not granted
	CodeRedirectRefused  = "redirect_refused"   // the answer sends elsewhere: outside of the grant, or too often
	CodeRequestTooLarge  = "request_too_large"  // the body is larger than the operator allows
	CodeResponseTooLarge = "response_too_large" // the answer's headers or body are; nothing of it is given
	CodeTimeout          = "timeout"            // no whole answer within the call's time
	CodeConnectFailed    = "connect_failed"     // no such name, nobody listens, or the certificate is not good
	CodeExchangeFailed   = "exchange_failed"    // connected, and then cut off or answered with what is not HTTP
	CodeTooManyCalls     = "too_many_calls"     // as many calls of the app as may be are under way
)
