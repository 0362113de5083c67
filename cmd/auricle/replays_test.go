package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/replays"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

func TestReplaysAreListedAndFetched(t *testing.T) {
	kept, err := replays.Open(replays.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var files [2][]byte
	for i, app := range []string{"notes", "words\x1b[31m"} {
		r := &apps.Recording{
			Invocation: "i_" + strings.Repeat(string(rune('0'+i)), 26), App: app, Version: "1.0.0", Kind: event.KindTranscript,
			At: time.Date(2026, 3, 1, 12, i, 0, 0, time.UTC), Payload: []byte("{}"), Settings: []byte("{}"),
			Limits: plugins.Limits{Fuel: 1, Wall: time.Second}, MemoryLimit: 1 << 20, State: event.StateFresh, Outcome: plugins.Trap,
		}
		if files[i], err = r.Encode(); err != nil || !kept.Keep(r) {
			t.Fatal(err)
		}
	}
	if err := kept.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Options{Gatherer: prometheus.NewRegistry(), Replays: kept}))
	defer server.Close()
	zeroes := "i_" + strings.Repeat("0", 26)
	to := filepath.Join(t.TempDir(), "failure.json")
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string // regular expressions
	}{
		{"list", exitOK, `(?s)^i_1{26}  2026-03-0\d [\d:]{8}  transcript +trap  .*words.x1b\[31m 1.0.0\ni_0{26}  [^\n]* notes 1.0.0\n$`, `^$`},
		{"list -app notes -limit 1", exitOK, `^i_0{26}  [^\n]*\n$`, `^$`},
		{"list -app none", exitOK, `^$`, `^$`},
		{"list -json -app notes", exitOK, `^{\n  "replays": \[\n    {\n      "invocation": "i_0{26}",`, `^$`},
		{"list -limit 0", exitFault, `^$`, `^auricle replays list: http://[\d.:]+ refused: 400 Bad Request: limit "0" is not a number from 1 to 100 \(bad_limit\)\n$`},
		{"get " + zeroes, exitOK, "^" + regexp.QuoteMeta(string(files[0])) + "$", `^$`},
		{"get -o " + to + " " + zeroes, exitOK, `^$`, `^$`},
		{"get i_2", exitFault, `^$`, `no recording of this invocation`},
		{"get", exitUsage, `^$`, `auricle replays get: `},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"replays"}, strings.Fields(c.args)...)
		args = append(args[:2:2], append([]string{"-url", server.URL}, args[2:]...)...)
		code := run(t.Context(), args, nil, &stdout, &stderr)
		if code != c.code || !regexp.MustCompile(c.stdout).Match(stdout.Bytes()) || !regexp.MustCompile(c.stderr).Match(stderr.Bytes()) {
			t.Errorf("%s: exit code %d\n%s%s", c.args, code, stdout.Bytes(), stderr.Bytes())
		}
	}
	info, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(to); err != nil || !bytes.Equal(b, files[0]) || info.Mode() != 0o600 {
		t.Errorf("fetched %q with mode %v (%v)", b, info.Mode(), err)
	}
	for address, want := range map[string]string{
		"127.0.0.1:1": "nothing listens at http://127.0.0.1:1; is the host running?", "ftp://a": "is not the URL of a host", "http://": "is not the URL of a host",
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), []string{"replays", "list", "-url", address}, nil, &stderr, &stderr); code == exitOK || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit code %d, %s", address, code, stderr.Bytes())
		}
	}
}
