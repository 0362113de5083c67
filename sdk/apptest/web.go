package apptest

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

// fetch answers a call of a web service by Options.Web. The code is empty when
// there is an answer.
func (v *invocation) fetch(r *event.HTTPRequest, body []byte) (resp *event.HTTPResponse, answer []byte, code, message string) {
	switch {
	case !v.run.wants(event.CapHTTP):
		v.misuse = `it calls web services, but does not want to: put sdk.HTTP("why", "api.example.com") in App.Wants`
		return nil, nil, event.CodeNotGranted, v.misuse
	case !v.run.options.granted(event.CapHTTP):
		return nil, nil, event.CodeNotGranted, "the operator did not grant http"
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, nil, event.CodeBadRequest, "url: not an absolute http or https URL"
	case !v.run.reaches(u):
		return nil, nil, event.CodeHostNotGranted, fmt.Sprintf("%s is not among the hosts that the app wants", u.Host)
	case v.run.options.Web == nil:
		v.misuse = "it calls a web service, and the test answers none: set Options.Web"
		return nil, nil, event.CodeConnectFailed, v.misuse
	}
	got, err := v.run.options.Web(sdk.FetchRequest{
		Method: r.Method, URL: r.URL, Header: r.Headers, Body: body, Timeout: time.Duration(r.TimeoutMillis) * time.Millisecond,
	})
	if refusal, ok := errors.AsType[*sdk.Error](err); ok {
		return nil, nil, refusal.Code, refusal.Message
	}
	switch {
	case err != nil:
		return nil, nil, event.CodeConnectFailed, err.Error()
	case got == nil:
		return nil, nil, event.CodeConnectFailed, "Options.Web gave neither an answer nor an error"
	case len(got.Body) > event.MaxBodyBytes:
		return nil, nil, event.CodeResponseTooLarge, fmt.Sprintf("an answer of %d bytes, at most %d are taken", len(got.Body), event.MaxBodyBytes)
	}
	return &event.HTTPResponse{Status: got.Status, Headers: got.Header, URL: got.URL}, got.Body, "", ""
}

// reaches reports whether the app's manifest names the host of u.
func (r *run) reaches(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	for _, w := range r.manifest.Capabilities {
		for _, pattern := range w.Hosts {
			if !strings.Contains(pattern, "://") {
				pattern = "https://" + pattern
			}
			p, err := url.Parse(pattern)
			if err != nil || p.Scheme != u.Scheme {
				continue
			}
			want := p.Port()
			if want == "" {
				want = map[string]string{"https": "443", "http": "80"}[p.Scheme]
			}
			name := strings.ToLower(u.Hostname())
			below, star := strings.CutPrefix(strings.ToLower(p.Hostname()), "*")
			if want == port && (!star && name == below || star && strings.HasSuffix(name, below) && name != below) {
				return true
			}
		}
	}
	return false
}
