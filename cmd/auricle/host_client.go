package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// defaultHostURL is where a host answers operators when nothing else is
// configured.
const defaultHostURL = "http://127.0.0.1:7081"

// hostURLUsage is the usage of the flag -url.
const hostURLUsage = "the `URL` of the host's operators' listener, or host:port"

const (
	hostTimeout   = time.Minute // of one request, if nothing else is said
	maxHostAnswer = 64 << 20    // bytes
)

// hostClient asks a running host over HTTP.
type hostClient struct {
	base    *url.URL
	timeout time.Duration // of one request
	tls     *tls.Config   // nil: certificates are checked the usual way
}

// newHostClient takes the URL of a host: http or https, a host and maybe a
// port; or host:port.
func newHostClient(base string) (*hostClient, error) {
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, usagef("-url %q is not the URL of a host; write it like %s", base, defaultHostURL)
	}
	return &hostClient{base: &url.URL{Scheme: u.Scheme, Host: u.Host}, timeout: hostTimeout}, nil
}

// get asks for what is at path, whose parts are escaped here.
func (c *hostClient) get(ctx context.Context, values url.Values, into any, path ...string) error {
	u := c.base.JoinPath(escaped(path)...)
	u.RawQuery = values.Encode()
	return c.do(ctx, http.MethodGet, u, nil, into)
}

// post sends body as JSON.
func (c *hostClient) post(ctx context.Context, body, into any, path ...string) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, c.base.JoinPath(escaped(path)...), b, into)
}

func escaped(parts []string) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		if out[i] = url.PathEscape(p); p == "." || p == ".." {
			out[i] = strings.ReplaceAll(p, ".", "%2E") // it is a name, and not a way
		}
	}
	return out
}

// do makes a request and reads the JSON of its answer; with a *[]byte, the
// answer as it is. Its errors say what to do.
func (c *hostClient) do(ctx context.Context, method string, u *url.URL, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := http.DefaultClient
	if c.tls != nil {
		t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c.tls}
		defer t.CloseIdleConnections()
		client = &http.Client{Transport: t}
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s; is the host running? start it with \"auricle serve\"", c.base)
	case err != nil:
		return fmt.Errorf("asking the host: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c.refused(resp)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxHostAnswer+1))
	if err != nil {
		return fmt.Errorf("reading the host's answer: %w", err)
	}
	if len(answer) > maxHostAnswer {
		return fmt.Errorf("the answer of %s is larger than %s", c.base, megabytes(maxHostAnswer))
	}
	if as, ok := into.(*[]byte); ok {
		*as = answer
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the answer of %s is not what an Auricle host says: %w", c.base, err)
	}
	return nil
}

// refusedError is what a host answered instead of what it was asked for.
type refusedError struct {
	text     string
	Problems []string // with its configuration, a line each
}

func (e *refusedError) Error() string { return e.text }

func (c *hostClient) refused(resp *http.Response) error {
	var e refusedError
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHostAnswer))
	if err == nil && json.Unmarshal(body, &e) != nil {
		e.Problems = nil // it is no JSON of ours, as refusal says
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	e.text = fmt.Sprintf("%s refused: %s", c.base, refusal(resp))
	return &e
}

// refusal says why a host answered with a status that is no success.
func refusal(resp *http.Response) string {
	var body struct {
		Error struct{ Code, Message string }
	}
	if b, err := io.ReadAll(resp.Body); err == nil && json.Unmarshal(b, &body) == nil && body.Error.Message != "" {
		return fmt.Sprintf("%s: %s (%s)", resp.Status, printable(body.Error.Message), printable(body.Error.Code))
	}
	return resp.Status + "; is it an Auricle host?"
}
