// Package fetch calls web services for apps, within what their manifests name
// and their operators grant.
//
// The way of a call: [Client.Do] checks the request and its host (host/reach),
// takes a place among the app's calls and one from its rate, has the operator's
// headers and signature put in, and hands it to net/http. Each address is
// checked when it is dialled, after its name was resolved, so that a name can't
// lead elsewhere between two looks; each redirect is checked as the first URL
// was, and dressed anew. The answer's body is read up to a bound, and thrown
// away where it is longer.
//
// HTTP/1.1 over TLS as the system's roots have it; no proxy of the environment,
// no cookies, no compression, so that what is counted is what came.
//
// Concurrency: a Client may be used by many goroutines; a call runs on its
// caller's, which waits. Close closes the idle connections; calls under way end
// with their contexts.
//
// It knows nothing of modules or fuel: host/apps does.
package fetch

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/reach"
	"github.com/auricle-dev/auricle/sdk/event"
	"golang.org/x/time/rate"
)

// The defaults of config.AppHTTP.
const (
	DefaultTimeout       = 10 * time.Second
	DefaultConcurrency   = 8
	DefaultRatePerMinute = 600
)

const (
	maxRedirects   = 5
	maxHeaderBytes = 32 << 10 // of an answer's headers
	idleTimeout    = 30 * time.Second
	keptPerHost    = 2 // idle connections
	userAgent      = "Auricle"
)

// Options say whom an app may call, and how.
type Options struct {
	App    string         // its name, for metrics
	Wants  []reach.Host   // what its manifest names
	Config config.AppHTTP // the operator's
}

// Client calls web services for one app. Make one with New; Close it when the
// app goes.
type Client struct {
	app       string
	wants     []reach.Host
	config    config.AppHTTP
	places    chan struct{} // one for each call under way
	rate      *rate.Limiter
	guard     *guard
	transport *http.Transport
	counts    *counts
	now       func() time.Time
}

// New returns a Client for o. It opens nothing.
func New(o Options) *Client {
	c := o.Config
	c.MaxRequestBytes = cmp.Or(c.MaxRequestBytes, event.MaxBodyBytes)
	c.MaxResponseBytes = cmp.Or(c.MaxResponseBytes, event.MaxBodyBytes)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Concurrency = cmp.Or(c.Concurrency, DefaultConcurrency)
	c.RatePerMinute = cmp.Or(c.RatePerMinute, DefaultRatePerMinute)
	cl := &Client{
		app: o.App, wants: o.Wants, config: c,
		places: make(chan struct{}, c.Concurrency),
		rate:   rate.NewLimiter(rate.Limit(float64(c.RatePerMinute)/60), max(1, c.RatePerMinute/10)),
		guard:  newGuard(c.Private),
		now:    time.Now,
	}
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	cl.transport = &http.Transport{
		DialContext:            (&net.Dialer{ControlContext: cl.guard.control}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		Protocols:              http1,
		DisableCompression:     true,
		MaxIdleConns:           c.Concurrency,
		MaxIdleConnsPerHost:    keptPerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	return cl
}

// Close closes the connections that wait for another call.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Refusal is why a call got no answer. The app is told.
type Refusal struct {
	Code    string // one of event's Code constants
	Message string // for people; it holds no secret and no address
}

func (r *Refusal) Error() string { return r.Message + " (" + r.Code + ")" }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Do calls a web service and waits for the whole answer. The error is a
// *Refusal, or that of ctx when that has ended.
func (c *Client) Do(ctx context.Context, r event.HTTPRequest, body []byte) (event.HTTPResponse, []byte, error) {
	began := c.now()
	c.counts.begin()
	resp, answer, err := c.do(ctx, r, body)
	c.counts.end(result(resp.Status, err), len(body), len(answer), c.now().Sub(began))
	return resp, answer, err
}

func (c *Client) do(ctx context.Context, r event.HTTPRequest, body []byte) (event.HTTPResponse, []byte, error) {
	var none event.HTTPResponse
	req, host, err := c.request(r, body)
	if err != nil {
		return none, nil, err
	}
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	default:
		return none, nil, refuse(event.CodeTooManyCalls, "%d calls of the app are under way, which is as many as may be", c.config.Concurrency)
	}
	if !c.rate.AllowN(c.now(), 1) {
		return none, nil, refuse(event.CodeRateLimited, "more than %d calls a minute", c.config.RatePerMinute)
	}
	limit := c.config.Timeout
	if r.TimeoutMillis > 0 {
		limit = min(limit, time.Duration(min(r.TimeoutMillis, limit.Milliseconds()+1))*time.Millisecond)
	}
	call, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c.dress(req, host, body)
	client := http.Client{Transport: c.transport, CheckRedirect: c.redirect}
	resp, err := client.Do(req.WithContext(call))
	if err != nil {
		return none, nil, c.why(ctx, call, limit, err)
	}
	defer resp.Body.Close() // what was not read of it closes the connection
	answer, err := c.read(resp)
	if err == nil {
		// A service that sees the connection go may end its answer in a hurry, and
		// that may still be read as a whole one.
		err = call.Err()
	}
	if err != nil {
		return none, nil, c.why(ctx, call, limit, err)
	}
	told := event.HTTPResponse{Status: resp.StatusCode, Headers: headers(resp.Header)}
	if at := resp.Request.URL.String(); at != req.URL.String() {
		told.URL = at
	}
	if head, err := json.Marshal(told); err != nil || len(head) > event.MaxRequestBytes-1024 {
		return none, nil, refuse(event.CodeResponseTooLarge, "the answer's headers are larger than may be")
	}
	return told, answer, nil
}

// request checks what the app asks for.
func (c *Client) request(r event.HTTPRequest, body []byte) (*http.Request, reach.Host, error) {
	bad := func(format string, args ...any) (*http.Request, reach.Host, error) {
		return nil, reach.Host{}, refuse(event.CodeBadRequest, format, args...)
	}
	method := cmp.Or(r.Method, http.MethodGet)
	if !slices.Contains(event.HTTPMethods, method) {
		return bad("an app's method is one of %s", strings.Join(event.HTTPMethods, ", "))
	}
	u, host, err := reach.ParseURL(r.URL)
	if err != nil {
		return bad("url: %v", err)
	}
	if r.TimeoutMillis < 0 {
		return bad("timeout_ms is below 0")
	}
	if int64(len(body)) > c.config.MaxRequestBytes {
		return nil, host, refuse(event.CodeRequestTooLarge, "a body of %d bytes, at most %d are taken", len(body), c.config.MaxRequestBytes)
	}
	if len(body) > 0 && (method == http.MethodGet || method == http.MethodHead) {
		return bad("a %s has no body", method)
	}
	req, err := http.NewRequest(method, u.String(), bytes.NewReader(body))
	if err != nil {
		return bad("url: it can't be called")
	}
	req.Header.Set("User-Agent", userAgent)
	if err := c.headers(req.Header, r.Headers); err != nil {
		return nil, host, err
	}
	if err := c.granted(host); err != nil {
		return nil, host, err
	}
	return req, host, nil
}

// granted refuses a host that the manifest does not name or the operator did
// not grant.
func (c *Client) granted(h reach.Host) error {
	switch {
	case !h.Any(c.wants):
		return refuse(event.CodeHostNotGranted, "%s is not among the hosts of the app's manifest", h)
	case c.config.Hosts != nil && !h.Any(c.config.Hosts):
		return refuse(event.CodeHostNotGranted, "the operator did not grant %s", h)
	}
	return nil
}

// redirect is http.Client.CheckRedirect: req is the next request.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return refuse(event.CodeRedirectRefused, "more than %d redirects", maxRedirects)
	}
	next := *req.URL
	next.Fragment, next.RawFragment = "", ""
	u, host, err := reach.FromURL(&next)
	if err != nil {
		return refuse(event.CodeRedirectRefused, "the answer sends to a URL that is none for an app: %v", err)
	}
	if err := c.granted(host); err != nil {
		return refuse(event.CodeRedirectRefused, "the answer sends to %s, which is not granted", host)
	}
	req.URL, req.Host = u, u.Host
	// What this package put in is the other host's; where it came from may hold
	// a key.
	req.Header.Del("Referer")
	c.undress(req.Header)
	var body []byte
	if req.Body != nil && req.GetBody != nil {
		again, err := req.GetBody()
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(again); err != nil {
			return err
		}
	}
	c.dress(req, host, body)
	return nil
}

// read returns the answer's body.
func (c *Client) read(resp *http.Response) ([]byte, error) {
	most := c.config.MaxResponseBytes
	if resp.Request.Method != http.MethodHead && resp.ContentLength > most {
		return nil, refuse(event.CodeResponseTooLarge, "an answer of %d bytes, at most %d are taken", resp.ContentLength, most)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, refuse(event.CodeResponseTooLarge, "an answer of more than %d bytes", most)
	}
	return b, nil
}

// why says why there is no answer: in a *Refusal, or by ctx's own error.
func (c *Client) why(ctx, call context.Context, limit time.Duration, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	if call.Err() != nil {
		return refuse(event.CodeTimeout, "no whole answer within %v", limit)
	}
	if errors.Is(err, errNotPublic) {
		return refuse(event.CodeAddressRefused, "the host's name leads to an address that is not public, and not granted in http.private")
	}
	if strings.Contains(err.Error(), "server response headers exceeded") { // net/http has no type for it
		return refuse(event.CodeResponseTooLarge, "the answer's headers have more than %d bytes", maxHeaderBytes)
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok {
		if d.IsNotFound {
			return refuse(event.CodeConnectFailed, "there is no such host")
		}
		return refuse(event.CodeConnectFailed, "the host's name could not be resolved")
	}
	if t, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return refuse(event.CodeConnectFailed, "the service's certificate is not good: %v", t.Err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return refuse(event.CodeConnectFailed, "the service does not speak TLS")
	}
	if o, ok := errors.AsType[*net.OpError](err); ok && o.Op == "dial" {
		return refuse(event.CodeConnectFailed, "nobody takes the connection")
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return refuse(event.CodeConnectFailed, "the service ended the TLS handshake")
	}
	return refuse(event.CodeExchangeFailed, "the service broke the exchange off, or answered with what is not HTTP/1.1")
}

// errNotPublic is in the error of a dial that the guard refuses.
var errNotPublic = errors.New("the address is not public")

// prefixes parts the operator's ranges by family.
func prefixes(ps []netip.Prefix) (v4, v6 []netip.Prefix) {
	for _, p := range ps {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return v4, v6
}
