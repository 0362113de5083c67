package host_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/auricle-dev/auricle/"

// mayImport says, for each top-level folder or package of ours, what else of
// ours it may import. The longest matching prefix counts.
var mayImport = map[string][]string{
	"cmd/auricle/webhooks/guest": {"cmd/auricle/webhooks/work", "sdk"}, // a module
	"cmd/auricle/webhooks/work":  {"sdk/event"},

	"cmd":                 {"cmd", "host", "plugins", "sdk/client", "sdk/event", "sdk/wire"},
	"host":                {"host", "plugins", "sdk/event", "sdk/space", "sdk/wire"},
	"host/api":            {"host/apps", "host/auth", "host/cluster", "host/config", "host/dispatch", "host/jobs", "host/origins", "host/replays", "host/store", "host/tools", "host/users", "plugins", "sdk/event", "sdk/space"},
	"host/mcp":            {"host/tools"},
	"host/tools":          {"host/apps", "host/dispatch", "plugins", "sdk/event"},
	"host/auth":           {"host/config", "sdk/event"},
	"host/stream":         {"host/apps", "host/audio", "host/auth", "host/clock", "host/config", "host/conversation", "host/dispatch", "host/origins", "host/omi", "host/stream/telephone", "sdk/event", "sdk/wire"},
	"host/conversation":   {"host/apps", "host/audio", "host/clock", "host/config", "host/dispatch", "host/jobs", "host/store", "plugins", "sdk/event", "sdk/wire"},
	"host/jobs":           {"host/apps", "host/dispatch", "host/store", "plugins", "sdk/event"},
	"host/dispatch":       {"host/apps", "host/audio", "plugins", "sdk/event"},
	"host/replays":        {"host/apps", "plugins"},
	"host/audio":          {"plugins"},
	"host/apps":           {"host/bridge", "host/config", "host/fetch", "host/reach", "plugins", "sdk/event", "sdk/space"},
	"host/bridge":         {},
	"host/bridge/app":     {"sdk"},
	"host/clock":          {},
	"host/store":          {"host/audio", "host/store/internal", "sdk/event"},
	"host/store/internal": {},
	"host/cluster":        {"host/store"},
	"host/users":          {"host/store"},
	"host/omi":            {"sdk/event"},
	"host/integrations":   {"host/apps", "host/config", "host/conversation", "host/omi", "host/store", "sdk/event"},
	"host/handover":       {},
	"host/origins":        {},
	"host/certificates":   {"host/config"},
	"host/config":         {"host/origins", "host/reach", "sdk/event"},
	"host/reach":          {},
	"host/fetch":          {"host/config", "host/reach", "sdk/event"},
	"plugins":             {"plugins", "sdk/event"},
	"sdk":                 {"sdk"},
	"sdk/event":           {},
	"sdk/space":           {"sdk/event"},
	"sdk/wire":            {"sdk/event"},
	"sdk/client":          {"sdk/event", "sdk/wire"},
	"examples":            {"examples", "sdk"},

	"host/stream/telephone": {"host/audio"},
}

func TestImportsPointOneWay(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("reading go list's answer: %v", err)
		}
		packages++
		from := strings.TrimPrefix(p.ImportPath, module)
		allowed, ok := rule(from)
		if !ok {
			t.Errorf("package %s has no rule; add one to mayImport", from)
			continue
		}
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && !slices.ContainsFunc(allowed, func(a string) bool { return within(to, a) }) {
				t.Errorf("%s imports %s; it may import only %v of ours", from, to, allowed)
			}
		}
	}
	if packages < 10 {
		t.Fatalf("saw %d packages only", packages)
	}
}

// TestImportRulesRefuse holds the rules themselves to what they must refuse.
func TestImportRulesRefuse(t *testing.T) {
	for _, bad := range []struct{ from, to string }{
		{"plugins", "host/apps"},
		{"plugins/internal/meter", "host"},
		{"sdk", "plugins"},
		{"sdk/event", "sdk"},
		{"sdk/wire", "sdk"},
		{"sdk/wire", "host/audio"},
		{"sdk/wire", "sdk/client"},
		{"sdk/client", "host/stream"},
		{"sdk/apptest", "host/apps"},
		{"host/dispatch", "host/conversation"},
		{"host/apps", "host/dispatch"},
		{"host/audio", "host/apps"},
		{"host", "cmd/auricle"},
		{"host/bridge/app", "host/config"},
		{"examples/apps/keywords", "host"},
	} {
		allowed, ok := rule(bad.from)
		if !ok || slices.ContainsFunc(allowed, func(a string) bool { return within(bad.to, a) }) {
			t.Errorf("%s may import %s by the rules %v", bad.from, bad.to, allowed)
		}
	}
}

// rule returns what the package may import by the longest matching prefix.
func rule(pkg string) (allowed []string, ok bool) {
	best := ""
	for prefix, a := range mayImport {
		if within(pkg, prefix) && len(prefix) >= len(best) {
			best, allowed, ok = prefix, a, true
		}
	}
	return allowed, ok
}

// within reports whether pkg is folder or lies below it.
func within(pkg, folder string) bool {
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}
