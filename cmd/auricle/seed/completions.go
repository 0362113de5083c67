package seed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

const (
	completionConversations = 50
	completionApps          = 7
	completionTasks         = completionConversations * completionApps
)

// Completions is what it takes to complete 50 conversations at once with 7
// apps on each, where each app waits 2 to 5 s (times Scale).
type Completions struct {
	Conversations      int     `json:"conversations"`
	Apps               int     `json:"apps"`
	OldPeakThreads     int     `json:"old_peak_threads"` // of the process, above what it had before
	OldPeakMemoryBytes int64   `json:"old_peak_memory_bytes"`
	OldSeconds         float64 `json:"old_seconds"` // to the last result
	HostPeakRunning    int     `json:"host_peak_running"`
	PoolWorkers        int     `json:"pool_workers"`
	HostPeakThreads    int     `json:"host_peak_threads"`
	HostPeakGoroutines int     `json:"host_peak_goroutines"` // clients included
	HostPeakMemory     int64   `json:"host_peak_memory_bytes"`
	HostSeconds        float64 `json:"host_seconds"`
	Lost               int     `json:"lost"` // results that did not reach the client or are not stored
}

// waits returns how long app i is busy: 2 to 5 s, evenly spread, times scale.
func waits(i int, scale float64) time.Duration {
	return time.Duration(float64(2*time.Second+time.Duration(i)*3*time.Second/(completionApps-1)) * scale)
}

func measureCompletions(ctx context.Context, dir string, scale float64) (Completions, error) {
	c := Completions{Conversations: completionConversations, Apps: completionApps}

	peak := watchPeak()
	c.OldSeconds = runOldCompletions(scale).Seconds()
	p := peak.stop()
	c.OldPeakThreads, c.OldPeakMemoryBytes = p.threads, p.memory

	var installed []config.App
	for i := range completionApps {
		// The wall-clock limit leaves room above the wait, whatever the scale.
		limits := config.AppLimits{Wall: waits(i, scale) + 10*time.Second}
		a, err := app(dir, fmt.Sprintf("wait%d", i), "wait", limits,
			map[string]int64{"ms": waits(i, scale).Milliseconds()}, event.CapConversation)
		if err != nil {
			return c, err
		}
		installed = append(installed, a)
	}
	h, err := startHost(ctx, dir, installed...)
	if err != nil {
		return c, err
	}
	if err := hostCompletions(ctx, h, scale, &c); err != nil {
		return c, stopAfter(h, err)
	}
	return c, h.stop()
}

func hostCompletions(ctx context.Context, h *running, scale float64, c *Completions) error {
	// Every result one after the other, and a minute more.
	bound := time.Minute
	for i := range completionApps {
		bound += completionConversations * waits(i, scale)
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()

	var clients []*client
	defer func() {
		for _, cl := range clients {
			cl.close()
		}
	}()
	for i := range completionConversations {
		cl, err := h.connect(ctx, fmt.Sprintf("user%d", i), 0)
		if err != nil {
			return err
		}
		clients = append(clients, cl)
		if err := cl.transcript(1, event.Segment{ID: "1", Text: "That is all for today.", End: 1}); err != nil {
			return err
		}
		if _, err := cl.wait(ctx, func(m message) bool { return m.Type == "ack" }); err != nil {
			return err
		}
	}

	peak := watchPeak()
	began := time.Now()
	reached := make([]int, len(clients)) // results that each client got
	stored := make([]int, len(clients))  // results that the host kept
	errs := make([]error, len(clients))
	var wg sync.WaitGroup
	for i, cl := range clients {
		wg.Go(func() { reached[i], stored[i], errs[i] = completeOne(ctx, h, cl) })
	}
	wg.Wait()
	c.HostSeconds = time.Since(began).Seconds()
	p := peak.stop()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.HostPeakThreads, c.HostPeakGoroutines, c.HostPeakMemory = p.threads, p.goroutines, p.memory
	pool := h.Pool()
	c.HostPeakRunning, c.PoolWorkers = pool.PeakRunning, pool.Workers
	for i := range clients {
		c.Lost += completionApps - min(reached[i], stored[i])
	}
	return nil
}

// completeOne finishes one client's conversation and counts the apps' results
// that reach the client and those that the host then has stored.
func completeOne(ctx context.Context, h *running, cl *client) (reached, stored int, err error) {
	if err := cl.send(map[string]string{"type": "finish"}); err != nil {
		return 0, 0, err
	}
	var id string
	_, err = cl.wait(ctx, func(m message) bool {
		switch {
		case m.Type == "conversation" && m.State == "completed":
			id = m.ID
		case m.Type == "output":
			reached++
		}
		return reached == completionApps && id != ""
	})
	if err != nil {
		return reached, 0, fmt.Errorf("waiting for the results of conversation %s: %w", id, err)
	}
	stored, err = storedOutputs(ctx, h, id)
	return reached, stored, err
}

// storedOutputs reads the conversation until all results are stored or the
// host has nothing left to do: what a client got may be a moment ahead of the
// disk.
func storedOutputs(ctx context.Context, h *running, id string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		b, err := h.get(ctx, "/v1/conversations/"+id)
		if err != nil {
			if ctx.Err() != nil {
				return n, nil // what is missing is counted as lost
			}
			return n, err
		}
		var record struct {
			Outputs []event.Output `json:"outputs"`
		}
		if err := json.Unmarshal(b, &record); err != nil {
			return n, err
		}
		if n = len(record.Outputs); n >= completionApps {
			return n, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return n, nil
		}
	}
}
