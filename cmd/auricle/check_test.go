package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckRefusesEveryBadFile(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "host", "config", "testdata", "bad", "*.hcl"))
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d bad files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), []string{"check", "-config", file}, nil, &stdout, &stderr); code != exitFault {
				t.Errorf("exit code %d, want %d", code, exitFault)
			}
			if stdout.Len() > 0 {
				t.Errorf("printed %q; want problems on standard error only", stdout.String())
			}
			for line := range strings.Lines(stderr.String()) {
				if !strings.HasPrefix(line, file+":") {
					t.Errorf("%q does not begin with its place", line)
				}
			}
		})
	}
}
