// Package clients_test runs the example clients against a real host.
package clients_test

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
)

func TestExampleClientsCompleteAConversation(t *testing.T) {
	url := startHost(t)
	recording := filepath.Join(t.TempDir(), "talk.wav")
	if err := os.WriteFile(recording, quietWAV(time.Second), 0o600); err != nil {
		t.Fatal(err)
	}

	t.Run("go", func(t *testing.T) {
		client := filepath.Join(t.TempDir(), "client.exe")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", client, "./go").CombinedOutput(); err != nil {
			t.Fatalf("building: %v\n%s", err, out)
		}
		completes(t, client, recording, url)
	})

	t.Run("python", func(t *testing.T) {
		python := ""
		for _, name := range []string{"python3", "/usr/bin/python3"} {
			if exec.CommandContext(t.Context(), name, "-c", "import websockets").Run() == nil {
				python = name
			}
		}
		if python == "" {
			t.Skip("there is no python3 with the websockets package")
		}
		completes(t, python, filepath.Join("python", "client.py"), recording, url)
	})
}

// completes runs a client and holds it to having seen its conversation
// completed.
func completes(t *testing.T, argv ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !regexp.MustCompile(`(?m)^conversation c_\w+ is completed`).Match(out) {
		t.Errorf("saw no completed conversation\n%s", out)
	}
}

// startHost runs a host without apps until the test ends, and returns the URL
// of its stream.
func startHost(t *testing.T) string {
	t.Helper()
	c := config.Default()
	c.Listen, c.Operators.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = t.TempDir()
	h, err := host.New(t.Context(), host.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve() }() // ends with Shutdown, below
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "ws://" + h.Addr().String() + "/v1/stream"
}

// quietWAV is silence of length d: 16-bit mono PCM at 8 kHz.
func quietWAV(d time.Duration) []byte {
	const rate = 8000
	n := uint32(2 * rate * int(d/time.Millisecond) / 1000)
	le := binary.LittleEndian
	b := []byte("RIFF")
	b = le.AppendUint32(b, 36+n)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 1) // channel
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, 2*rate)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, n)
	return append(b, make([]byte, n)...)
}
