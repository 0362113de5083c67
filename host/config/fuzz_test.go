package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/config"
)

// FuzzLoad holds, for any file: Load returns; every problem stands at a place
// within the file and prints as one line; what is accepted is within the
// bounds, written here a second time.
func FuzzLoad(f *testing.F) {
	for _, dir := range []string{"testdata/good", "testdata/bad", "testdata/warned"} {
		files, err := filepath.Glob(dir + "/*.hcl")
		if err != nil || len(files) == 0 {
			f.Fatalf("files of %s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	src, err := os.ReadFile(shipped)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)

	f.Fuzz(func(t *testing.T, src []byte) {
		if src == nil {
			src = []byte{}
		}
		c, ps := config.Load(config.LoadOptions{Path: "config.hcl", Source: src})
		lines := bytes.Split(src, []byte("\n"))
		for _, p := range ps {
			if p.Pos.File != "config.hcl" || p.Pos.Line < 1 || p.Pos.Line > len(lines) {
				t.Errorf("problem outside the %d lines: %v", len(lines), p)
			} else if most := len(lines[p.Pos.Line-1]) + 1; p.Pos.Column < 1 || p.Pos.Column > most {
				t.Errorf("problem outside the line of %d bytes: %v", most-1, p)
			}
			if p.What == "" || p.Do == "" || strings.ContainsAny(p.String(), "\n\x1b") {
				t.Errorf("problem that does not say what and what to do in a line: %q", p)
			}
		}
		if ps.Err() == nil {
			within(t, c)
		}
	})
}

// within checks a Config that was accepted.
func within(t *testing.T, c config.Config) {
	t.Helper()
	check := func(ok bool, what string) {
		t.Helper()
		if !ok {
			t.Errorf("accepted with %s out of bounds: %+v", what, c)
		}
	}
	check(c.Listen != "" && c.DataDir != "", "listen or data_dir")
	check(c.Drain >= 0 && c.Drain <= time.Hour, "drain")
	check(c.Pool.Workers >= 1 && c.Pool.Workers <= 4096, "workers")
	check(c.Pool.Queue >= 1 && c.Pool.Queue <= 1e6, "queue")
	check(c.Pool.PerApp >= 0 && c.Pool.PerApp <= 4096, "per_app")
	check(c.Conversation.Silence >= 2*time.Second && c.Conversation.Silence <= 4*time.Hour, "silence")
	check(c.Conversation.Grace >= 0 && c.Conversation.Grace <= time.Hour, "grace")
	check(c.Stream.MaxMessageBytes >= 4<<10 && c.Stream.MaxMessageBytes <= 16<<20, "max_message")
	check(c.Stream.OutputQueueBytes >= 64<<10 && c.Stream.OutputQueueBytes <= 256<<20, "output_queue")
	check(c.Stream.StartTimeout >= 100*time.Millisecond && c.Stream.StartTimeout <= 5*time.Minute, "start_timeout")
	check(c.Stream.PingInterval >= 100*time.Millisecond && c.Stream.PongTimeout > c.Stream.PingInterval, "pings")
	check(c.Audio.BufferBytes >= 64<<10 && c.Audio.BufferBytes <= 1<<30, "buffer")
	names := map[string]bool{}
	for _, a := range c.Apps {
		check(a.Name != "" && !names[a.Name], "an app's name")
		names[a.Name] = true
		check((a.Module == "") == (a.Webhook != nil), "module")
		check(a.SHA256 == "" || len(a.SHA256) == 64, "sha256")
		check(a.Settings == nil || json.Valid(a.Settings), "settings")
		check(len(a.Grant) == len(a.Pos.Grants), "grants' positions")
		check(a.Limits.Fuel <= 1e15 && a.Limits.Wall >= 0 && a.Limits.Wall <= 10*time.Minute, "limits")
		check(a.Limits.MemoryBytes == 0 || a.Limits.MemoryBytes >= 64<<10 && a.Limits.MemoryBytes <= 4<<30, "memory")
	}
}
