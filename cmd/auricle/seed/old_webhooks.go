package seed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// runOldWebhooks calls three healthy webhooks and one that never answers as
// the old design did: for each transcript in turn, one after the other, each
// with the given timeout. It returns how late each healthy answer was.
func runOldWebhooks(ctx context.Context, timeout time.Duration) ([]time.Duration, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/healthy", func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			_, _ = w.Write(body) // a client that has gone hears nothing
		}
	})
	mux.HandleFunc("/hung", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(l) }) // ends with Close below
	defer func() {
		close(release)
		server.Close()
		served.Wait()
	}()

	webhook := &http.Client{Timeout: timeout}
	call := func(path string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+l.Addr().String()+path,
			bytes.NewReader([]byte(`{"segments":[{"text":"The budget is due."}]}`)))
		if err != nil {
			return err
		}
		resp, err := webhook.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	}

	// The transcripts arrive on their own, whatever the webhooks do.
	arrived := make(chan time.Time, oldEvents)
	var clock sync.WaitGroup
	clock.Go(func() {
		defer close(arrived)
		tick := time.NewTicker(hungInterval)
		defer tick.Stop()
		for range oldEvents {
			select {
			case at := <-tick.C:
				arrived <- at
			case <-ctx.Done():
				return
			}
		}
	})
	defer clock.Wait()

	var delays []time.Duration
	for at := range arrived {
		for _, path := range []string{"/healthy", "/hung", "/healthy", "/healthy"} {
			err := call(path)
			switch {
			case path == "/hung" && err == nil:
				return nil, fmt.Errorf("the hung webhook answered")
			case path == "/healthy" && err != nil:
				return nil, fmt.Errorf("a healthy webhook: %w", err)
			case path == "/healthy":
				delays = append(delays, time.Since(at))
			}
		}
	}
	return delays, ctx.Err()
}
