package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestReloadPrintsWhatBecameOfTheApps(t *testing.T) {
	s := startServe(t, `data_dir = "data"`)
	reload := func(hcl string) (code int, stdout, stderr string) {
		t.Helper()
		if err := os.WriteFile(s.file, []byte(hcl), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		code = run(t.Context(), []string{"reload", "-url", s.operators}, nil, &out, &errs)
		return code, out.String(), errs.String()
	}
	code, stdout, stderr := reload(`
data_dir  = "data"
log_level = "debug"
drain     = "5s"
app "wait" {
  module = "` + waitGuest(t) + `"
  grant  = ["conversation", "notify"]
}`)
	if want := "added    wait\napplied  log_level\nrestart  drain, at the next start (" + s.file + ":4:13)\n"; code != exitOK || stdout != want || !strings.Contains(stderr, "7:29: warning: ") {
		t.Errorf("exit code %d\n%s%s\nwant\n%sand a warning", code, stdout, stderr, want)
	}
	code, stdout, stderr = reload(`app "wait" {}`)
	want := s.file + `:1:1: app "wait": module is missing; `
	if code != exitFault || stdout != "" || !strings.HasPrefix(stderr, want) || !strings.HasSuffix(stderr, "422 Unprocessable Entity: the configuration has faults; nothing was changed (bad_configuration)\n") {
		t.Errorf("exit code %d\n%s%s\nwant %s", code, stdout, stderr, want)
	}
}
