package main

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func TestCommandsTrustTheCertificatesTheyAreGiven(t *testing.T) {
	upgraded := make(chan struct{}, 2)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsWebSocketUpgrade(r) {
			upgraded <- struct{}{}
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		w.Write([]byte(`{"jobs":[]}`))
	}))
	defer server.Close()
	dir := t.TempDir()
	ca, empty, talk := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "empty.pem"), filepath.Join(dir, "talk.json")
	for path, b := range map[string][]byte{
		ca:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		empty: []byte("nothing"),
		talk:  []byte(`{"segments":[{"id":"1","text":"That is all.","start":0,"end":1}]}`),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wss := "wss" + strings.TrimPrefix(server.URL, "https")
	for _, c := range []struct {
		args []string
		ok   bool
		want string // on stderr
	}{
		{[]string{"jobs", "list", "-url", server.URL, "-ca", ca}, true, ""},
		{[]string{"jobs", "list", "-url", server.URL}, false, "certificate"},
		{[]string{"jobs", "list", "-url", server.URL, "-ca", empty}, false, "has no certificate"},
		{[]string{"jobs", "list", "-url", server.URL, "-ca", empty + "x"}, false, "no such file"},
		{[]string{"stream", "-addr", wss, "-ca", ca, "-transcript", talk}, false, "refused the stream: 418"},
		{[]string{"stream", "-addr", wss, "-transcript", talk}, false, "certificate"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), c.args, nil, &out, &errs)
		if (code == exitOK) != c.ok || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: exit code %d\n%s%s\nwant %q", c.args, code, out.String(), errs.String(), c.want)
		}
	}
	if len(upgraded) != 1 {
		t.Errorf("%d streams came through, want the one that trusts", len(upgraded))
	}
}
