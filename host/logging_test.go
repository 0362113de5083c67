package host_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogCallsPairKeysWithValues does what hclog's own vet tool does, which is
// not published as a module: a log call with a key that has no value prints
// EXTRA_VALUE_AT_END instead of what was meant.
func TestLogCallsPairKeysWithValues(t *testing.T) {
	calls := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		n, bad := unpairedLogCalls(t, path, nil)
		calls += n
		for _, pos := range bad {
			t.Errorf("%s: log call with a key that has no value", pos)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if calls == 0 {
		t.Fatal("found no log call at all")
	}
}

func TestUnpairedLogCallIsFound(t *testing.T) {
	const src = `package p
import "github.com/hashicorp/go-hclog"
func f(log hclog.Logger) { log.Info("one", "key"); log.Info("two", "key", 1) }`
	if n, bad := unpairedLogCalls(t, "p.go", src); n != 2 || len(bad) != 1 || bad[0].Line != 3 {
		t.Errorf("got %d calls, unpaired at %v; want 2 calls, one unpaired on line 3", n, bad)
	}
}

// unpairedLogCalls counts the hclog calls of one file and returns where those
// stand whose keys and values do not pair up.
func unpairedLogCalls(t *testing.T, path string, src any) (calls int, bad []token.Position) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("parsing %s: %v", path, err)
	}
	usesHclog := false
	for _, imp := range f.Imports {
		usesHclog = usesHclog || imp.Path.Value == `"github.com/hashicorp/go-hclog"`
	}
	if !usesHclog {
		return 0, nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || call.Ellipsis.IsValid() {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch method.Sel.Name {
		case "Trace", "Debug", "Info", "Warn", "Error":
		default:
			return true
		}
		if !isLogger(method.X) {
			return true
		}
		calls++
		if len(call.Args)%2 == 0 {
			bad = append(bad, files.Position(call.Pos()))
		}
		return true
	})
	return calls, bad
}

// isLogger tells by its name whether x is a logger: log, logger, x.log, x.logger, x.Logger.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name == "log" || x.Name == "logger"
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "log") || strings.EqualFold(x.Sel.Name, "logger")
	}
	return false
}
