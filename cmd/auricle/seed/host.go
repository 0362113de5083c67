package seed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// running is a host that serves on a port of its own, with an empty store.
type running struct {
	*host.Host
	served chan error // what Serve returned
}

// startHost starts a host with the defaults and the given apps.
func startHost(ctx context.Context, dir string, apps ...config.App) (*running, error) {
	data, err := os.MkdirTemp(dir, "data-")
	if err != nil {
		return nil, err
	}
	c := config.Default()
	c.Listen, c.Operators.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = data
	c.Apps = apps
	h, err := host.New(ctx, host.Options{Config: c})
	if err != nil {
		return nil, err
	}
	r := &running{Host: h, served: make(chan error, 1)}
	go func() { r.served <- h.Serve() }() // ends with Shutdown; stop waits for it
	return r, nil
}

// stop shuts the host down and waits until it no longer serves.
func (r *running) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		return err
	}
	return <-r.served
}

// stopAfter stops the host because of err, and returns both what failed.
func stopAfter(r *running, err error) error {
	return errors.Join(err, r.stop())
}

// app is a guest as an operator would install it.
func app(dir, name, guest string, limits config.AppLimits, settings any, grant ...event.Capability) (config.App, error) {
	a := config.App{
		Name:   name,
		Module: filepath.Join(dir, guest+".wasm"),
		Grant:  grant,
		Users:  []string{"*"},
		Limits: limits,
	}
	if settings != nil {
		b, err := json.Marshal(settings)
		if err != nil {
			return a, err
		}
		a.Settings = b
	}
	return a, nil
}

// get returns the body of one of the host's pages.
func (r *running) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.OperatorsAddr().String()+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", path, resp.Status, b)
	}
	return b, nil
}

// metric reads one gauge without labels from the host's /metrics.
func (r *running) metric(ctx context.Context, name string) (float64, error) {
	page, err := r.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(page)
	if m == nil {
		return 0, fmt.Errorf("/metrics has no %s", name)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
