package wasmtest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// SpecificationDir returns where wazero's module keeps the WebAssembly
// specification's tests.
func SpecificationDir() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		return "", err
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest"), nil
}

// SpecificationTest is one file of them, as wast2json writes it.
type SpecificationTest struct {
	Name string // "v2/br_if"
	file string
}

// SpecificationTests returns those in dir of the versions and proposals that
// the engine offers.
func SpecificationTests(dir string) (tests []SpecificationTest, err error) {
	for _, suite := range []string{"v1", "v2", "extended-const", "tail-call"} {
		files, err := filepath.Glob(filepath.Join(dir, suite, "testdata", "*.json"))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("no tests in %s: %w", filepath.Join(dir, suite), err)
		}
		for _, file := range files {
			later := filepath.Join(dir, "v2", "testdata", filepath.Base(file))
			if _, err := os.Stat(later); suite == "v1" && err == nil {
				continue // the same, and more, is in v2
			}
			tests = append(tests, SpecificationTest{suite + "/" + strings.TrimSuffix(filepath.Base(file), ".json"), file})
		}
	}
	return tests, nil
}

// Command is a line of a test.
type Command struct {
	Type, Name, Filename, As, Text string
	Line                           int
	Action                         struct {
		Type, Module, Field string
		Args                []Value
	}
	Expected []Value
}

// Value is an argument or a result.
type Value struct {
	Type     string
	LaneType string `json:"lane_type"`
	Value    any
}

// Commands returns the test's lines.
func (s SpecificationTest) Commands() ([]Command, error) {
	raw, err := os.ReadFile(s.file)
	if err != nil {
		return nil, err
	}
	var test struct{ Commands []Command }
	err = json.Unmarshal(raw, &test)
	return test.Commands, err
}

// IsText reports whether a command's module has no binary.
func (c Command) IsText() bool { return strings.HasSuffix(c.Filename, ".wat") }

// Binary returns a command's module, nil if it has none.
func (s SpecificationTest) Binary(c Command) ([]byte, error) {
	if c.Filename == "" || c.IsText() {
		return nil, nil
	}
	return os.ReadFile(filepath.Join(filepath.Dir(s.file), c.Filename))
}

// At says where a command is, for messages.
func (s SpecificationTest) At(c Command) string {
	return fmt.Sprintf("%s:%d: %s %s", filepath.Base(s.file), c.Line, c.Type, c.Action.Field)
}
