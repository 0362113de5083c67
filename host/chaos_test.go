package host_test

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/stream"
)

func TestChaosIsLoudAndOnlyForThisMachine(t *testing.T) {
	chaos, err := stream.ParseChaos("drop=1%")
	if err != nil {
		t.Fatal(err)
	}
	chaos.Seed = 7
	for _, tt := range []struct {
		listen  string
		allowed bool
	}{
		{"127.0.0.1:0", true},
		{"[::1]:0", true},
		{"0.0.0.0:0", false},
		{":0", false},
	} {
		if l, err := net.Listen("tcp", tt.listen); err != nil {
			t.Logf("not here: %v", err)
			continue
		} else {
			l.Close()
		}
		c := config.Default()
		c.Listen, c.DataDir = tt.listen, t.TempDir()
		var log bytes.Buffer
		h, err := host.New(t.Context(), host.Options{Config: c, Chaos: chaos, Logger: hclog.New(&hclog.LoggerOptions{Output: &log})})
		if tt.allowed != (err == nil) {
			t.Errorf("%s: got %v", tt.listen, err)
		}
		if err != nil {
			if !strings.Contains(err.Error(), "can be reached from others; listen on 127.0.0.1, or leave -chaos away") {
				t.Errorf("%s: got %v", tt.listen, err)
			}
			continue
		}
		if err := h.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got := log.String(); !strings.Contains(got, "[WARN]  CHAOS: ") || !strings.Contains(got, `faults="drop=1%"`) || !strings.Contains(got, "seed=7") {
			t.Errorf("%s: the log is not loud: %s", tt.listen, got)
		}
	}
}
