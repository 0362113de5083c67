package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"auricle": main})
}

// TestScripts runs the command as a user would: one script of
// testdata/script for each behaviour.
func TestScripts(t *testing.T) {
	repo, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{
		"REPO":           repo,
		"CONVERSATION":   filepath.Join(repo, "examples", "conversations", "budget-meeting"),
		"XDG_CACHE_HOME": t.TempDir(), // shared: a module is compiled once for all scripts
	}
	// Scripts get a home of their own, but build with the caches of this test.
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatalf("go env %s: %v", name, err)
		}
		vars[name] = strings.TrimSpace(string(out))
	}
	vars["APPS"] = buildApps(t, repo, "examples/apps/keywords", "examples/apps/minutes", "examples/apps/runaway", "sdk/testdata/guests/dice", "sdk/testdata/guests/lookup")
	vars["RECORDINGS"] = recordDice(t, filepath.Join(vars["APPS"], "dice.wasm"), filepath.Join(vars["XDG_CACHE_HOME"], "auricle", "compiled"))
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for name, value := range vars {
				env.Setenv(name, value)
			}
			return nil
		},
	})
}

// buildApps builds apps, and returns the directory of their modules.
func buildApps(t *testing.T, repo string, folders ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range folders {
		name := filepath.Base(folder)
		var said bytes.Buffer
		args := []string{"app", "build", "-no-check", "-o", filepath.Join(dir, name+".wasm"), filepath.Join(repo, folder)}
		if code := run(t.Context(), args, nil, &said, &said); code != exitOK {
			t.Fatalf("building %s: exit code %d\n%s", name, code, said.Bytes())
		}
	}
	return dir
}
