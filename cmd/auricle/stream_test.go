package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// startHost runs a host with keywords, loudness and minutes until the test
// ends, and returns its address.
func startHost(t *testing.T) string {
	t.Helper()
	repo := filepath.Join("..", "..")
	modules := buildApps(t, repo, "examples/apps/keywords", "examples/apps/loudness", "examples/apps/minutes")
	c := config.Default()
	c.Listen, c.Operators.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = t.TempDir()
	app := func(name string, settings string, grant ...event.Capability) config.App {
		a := config.App{Name: name, Module: filepath.Join(modules, name+".wasm"), Grant: grant, Users: []string{"*"}}
		// A loaded machine must not make these tests fail.
		a.Limits.Wall = 30 * time.Second
		if settings != "" {
			a.Settings = json.RawMessage(settings)
		}
		return a
	}
	c.Apps = []config.App{
		app("keywords", `{"words":["budget","deadline"]}`, event.CapTranscript, event.CapNotify),
		app("loudness", "", event.CapAudio),
		app("minutes", "", event.CapConversation),
	}
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
	return h.Addr().String()
}

func TestStreamPlaysToAHost(t *testing.T) {
	addr := startHost(t)
	sample := filepath.Join("..", "..", "examples", "conversations", "budget-meeting")

	t.Run("for people", func(t *testing.T) {
		var out, said bytes.Buffer
		code := run(t.Context(), []string{"stream", "-addr", addr, "-uid", "ana", "-speed", "max", sample}, nil, &out, &said)
		if code != exitOK || said.Len() > 0 {
			t.Fatalf("exit code %d\n%s%s", code, out.Bytes(), said.Bytes())
		}
		for _, want := range []string{
			`(?m)^session s_\w+; audio is buffered; apps: keywords, loudness, minutes$`,
			`(?m)^ +\d:\d\d  conversation c_\w+ is completed: 18 segments, 2 speakers \(Ana, Ben\), 1:28 of audio; reason: end$`,
			`(?m)^ +\d:\d\d  keywords  \* .*budget`,
			`(?m)^ +\d:\d\d  loudness  .*rms_dbfs=-\d`,
			`(?m)^ +\d:\d\d  minutes   title: `,
			`(?m)^sent 2\.8 MB of audio and 18 segments in .* \(all acknowledged\); got \d+ outputs`,
		} {
			if !regexp.MustCompile(want).Match(out.Bytes()) {
				t.Errorf("no match for %s", want)
			}
		}
		if t.Failed() {
			t.Logf("%s", out.Bytes())
		}
	})

	t.Run("for programs", func(t *testing.T) {
		var out, said bytes.Buffer
		code := run(t.Context(), []string{"stream", "-addr", addr, "-uid", "ben", "-speed", "max", "-json", sample}, nil, &out, &said)
		if code != exitOK || said.Len() > 0 {
			t.Fatalf("exit code %d\n%s", code, said.Bytes())
		}
		types := map[string]int{}
		for line := range strings.Lines(out.String()) {
			var m struct{ Type string }
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			types[m.Type]++
		}
		if types["ready"] != 1 || types["ack"] == 0 || types["output"] == 0 || types["conversation"] < 2 {
			t.Errorf("got %v", types)
		}
	})

	t.Run("a transcript alone", func(t *testing.T) {
		var out, said bytes.Buffer
		code := run(t.Context(), []string{"stream", "-addr", addr, "-uid", "cleo", "-speed", "1000",
			"-transcript", filepath.Join("testdata", "talk.json")}, nil, &out, &said)
		if code != exitOK || !strings.Contains(out.String(), "audio is none") || !strings.Contains(out.String(), "2 segments, 1 speaker (Ana); reason: end") {
			t.Fatalf("exit code %d\n%s%s", code, out.Bytes(), said.Bytes())
		}
	})

	t.Run("a user that the host refuses", func(t *testing.T) {
		var out, said bytes.Buffer
		code := run(t.Context(), []string{"stream", "-addr", addr, "-uid", "no spaces", sample}, nil, &out, &said)
		if code != exitFault || !strings.Contains(said.String(), "the host closed the stream: 4500: ") || !strings.Contains(said.String(), "uid") {
			t.Fatalf("exit code %d\n%s%s", code, out.Bytes(), said.Bytes())
		}
	})
}
