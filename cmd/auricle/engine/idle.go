package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/plugins"
)

// Idle is what idle instances of the guest in Go cost, all of which have
// handled an event.
type Idle struct {
	Instances int `json:"instances"`
	// Bytes is how much the process grew by them: its proportional set size
	// (/proc/self/smaps_rollup), in which a page that many instances share
	// counts once, and its page tables (VmPTE). 0 where the system has neither.
	Bytes int64 `json:"bytes"`
}

func (l *lab) measureIdle(ctx context.Context, guest []byte, instances int) (r Idle, err error) {
	m, closeEngine, err := l.metered(ctx, guest, plugins.Options{
		IdleInstances: instances, IdleBytes: 1 << 40, IdleAfter: -1, SpareInstances: -1,
	})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, closeEngine()) }()
	before := processBytes()
	if err := occupy(ctx, m, instances); err != nil {
		return r, err
	}
	if idle := m.Usage().Idle; idle != instances {
		return r, fmt.Errorf("%d of %d instances are idle", idle, instances)
	}
	return Idle{Instances: instances, Bytes: processBytes() - before}, nil
}

// occupy has n instances handle an event each. They are idle when it returns.
func occupy(ctx context.Context, m *plugins.Module, n int) error {
	for range n {
		s, err := m.NewSession() // has an instance of its own until it is closed
		if err != nil {
			return err
		}
		defer s.Close()
		res, err := s.Run(ctx, plugins.Invocation{Export: kernels.Event, Args: []uint64{1}, Limits: ample})
		if err := errors.Join(err, res.Err); err != nil {
			return err
		}
	}
	return nil
}

// processBytes is the memory that this process has in use, as the system
// counts it, after garbage was given back; 0 where that can't be known.
func processBytes() int64 {
	debug.FreeOSMemory()
	var total int64
	for _, c := range []struct{ file, key string }{{"/proc/self/smaps_rollup", "Pss:"}, {"/proc/self/status", "VmPTE:"}} {
		text, err := os.ReadFile(c.file)
		if err != nil {
			return 0
		}
		for line := range bytes.Lines(text) {
			if v, ok := bytes.CutPrefix(line, []byte(c.key)); ok {
				kb, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(v), []byte(" kB"))), 10, 64)
				if err != nil {
					return 0
				}
				total += kb << 10
			}
		}
	}
	return total
}
