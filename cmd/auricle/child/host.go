package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// PartHost is the part that a child is to be to serve the configuration that the
// next argument names.
const PartHost = "host"

// startTimeout bounds how long a host may take until it serves.
const startTimeout = 60 * time.Second

// Host is a child that is a host.
type Host struct {
	*Child
	Address string // where clients connect
	Metrics string // URL of its metrics; see Scrape
}

// hostConfig has no limit to how fast audio comes: an hour of it does at once.
const hostConfig = `listen   = %q
log_json = true

operators {
  listen = %q
}

stream {
  audio_rate = 0
}
%s
`

// StartHost starts a host with a store of its own in dir, and extra in its
// configuration, and waits until it serves.
func StartHost(ctx context.Context, command []string, dir, extra string) (*Host, error) {
	home, err := os.MkdirTemp(dir, "host-")
	if err != nil {
		return nil, err
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	operators, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(home, "config.hcl")
	if err := os.WriteFile(config, fmt.Appendf(nil, hostConfig, address, operators, extra), 0o600); err != nil {
		return nil, err
	}
	c, err := Start(command, dir, PartHost, config)
	if err != nil {
		return nil, err
	}
	h := &Host{Child: c, Address: address, Metrics: "http://" + operators + "/metrics"}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if _, err = fetch(ctx, "http://"+address+"/readyz"); err == nil {
			return h, nil
		}
		select {
		case <-c.Exited:
			return nil, c.Died()
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for the host to serve: %w", err), c.Stop())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// FreeAddress returns an address of this machine on which nobody listens.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// client keeps no connection open: it would count as one of the host's.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close() // read to its end
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return string(body), err
}
