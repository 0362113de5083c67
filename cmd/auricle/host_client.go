package main

import (
	"context"
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

// defaultHostURL is where a host listens when nothing else is configured.
const defaultHostURL = "http://127.0.0.1:7080"

const (
	hostTimeout   = 30 * time.Second // of a request, its answer included
	maxHostAnswer = 64 << 20
)

// hostClient asks a running host.
type hostClient struct{ base *url.URL }

// newHostClient returns a client of the host at address: a URL, or host:port.
func newHostClient(address string) (*hostClient, error) {
	full := address
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" {
		return nil, usagef("-url %q is no address; write it like %s or 127.0.0.1:7080", address, defaultHostURL)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("-url %q: the scheme must be http or https", address)
	}
	return &hostClient{u}, nil
}

// get returns what the host has at a path. What it refuses with is the error.
func (c *hostClient) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	at := c.base.JoinPath(path)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("nothing listens at %s; is the host running? start it with \"auricle serve\"", c.base)
		}
		return nil, err
	}
	defer resp.Body.Close() // it is only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHostAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the host's answer: %w", err)
	case len(body) > maxHostAnswer:
		return nil, fmt.Errorf("the host's answer has more than %d MiB", maxHostAnswer>>20)
	case resp.StatusCode == http.StatusOK:
		return body, nil
	}
	var refused struct {
		Error struct{ Message string }
	}
	if err := json.Unmarshal(body, &refused); err != nil || refused.Error.Message == "" {
		return nil, fmt.Errorf("%s answered %s; is it an auricle host?", at.Redacted(), resp.Status)
	}
	return nil, errors.New(refused.Error.Message)
}
