package config_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/config"
)

// shipped is the configuration that comes with the host.
const shipped = "../../config.hcl"

// variables returns the names of all environment variables, sorted.
func variables() []string {
	var names []string
	for _, k := range config.Reference() {
		if k.Env() != "" {
			names = append(names, k.Env())
		}
	}
	slices.Sort(names)
	return names
}

func TestEveryKeyIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range config.Reference() {
		for _, name := range []string{k.Path, k.Env(), k.Flag()} {
			if name != "" && seen[name] && name != k.Path { // a flag may be called as its own key
				t.Errorf("%s: %s is another key's too", k.Path, name)
			}
			seen[name] = true
		}
		if k.Doc == "" || k.Kind == "" {
			t.Errorf("%s: no doc or no kind", k.Path)
		}
		if inApp := strings.HasPrefix(k.Path, "app.") || strings.HasPrefix(k.Path, "auth.token."); inApp != (k.Env() == "") || inApp != (k.Flag() == "") {
			t.Errorf("%s: variable %q, flag %q", k.Path, k.Env(), k.Flag())
		}
		if (k.Kind == config.Whole || k.Kind == config.Duration || k.Kind == config.Size) && k.Min >= k.Max {
			t.Errorf("%s: bounds %d to %d", k.Path, k.Min, k.Max)
		}
	}
}

func TestShippedFileIsSound(t *testing.T) {
	c, ps := config.Load(config.LoadOptions{Path: shipped})
	if len(ps) > 0 {
		t.Fatalf("problems:\n%v", ps)
	}
	var names []string
	for _, a := range c.Apps {
		names = append(names, a.Name)
		if want := "../../build/apps/" + a.Name + ".wasm"; a.Module != want {
			t.Errorf("app %s: module %s, want %s", a.Name, a.Module, want)
		}
	}
	if want := []string{"keywords", "loudness", "minutes", "runaway"}; !slices.Equal(names, want) {
		t.Errorf("apps %v, want %v", names, want)
	}
}

// What the shipped file says about a key is true: it names every key with its
// bounds, and the values that it shows commented out are the defaults.
func TestShippedFileDocumentsEveryKey(t *testing.T) {
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range config.Reference() {
		at := locate(text, k.Path)
		if at == nil {
			t.Errorf("%s is not there", k.Path)
			continue
		}
		comment := commentBefore(string(text[:at[0]]))
		if !strings.Contains(comment, "efault") && !k.Required {
			t.Errorf("%s: no default in its comment:\n%s", k.Path, comment)
		}
		if k.Default != "" && !strings.Contains(comment, k.Default) {
			t.Errorf("%s: default %s is not in its comment:\n%s", k.Path, k.Default, comment)
		}
		words := []string{k.Bounds()}
		switch k.Kind {
		case config.Choice, config.List:
			words = k.Choices
		case config.Whole:
			words = strings.Fields(k.Bounds())
		}
		for _, w := range words {
			w = strings.Replace(w, "1e15", "1000000000000000", 1)
			if !strings.Contains(comment, w) {
				t.Errorf("%s: %q is not in its comment:\n%s", k.Path, w, comment)
			}
		}
	}

	bare, _ := config.Load(config.LoadOptions{Path: shipped})
	uncommented := regexp.MustCompile(`(?m)^( *)# ([a-z0-9_]+ = )`).ReplaceAll(text, []byte("$1$2"))
	full, ps := config.Load(config.LoadOptions{Path: shipped, Source: uncommented})
	if len(ps) > 0 {
		t.Fatalf("problems with every key in force:\n%v", ps)
	}
	for _, k := range config.Reference() {
		if k.Env() != "" && full.Pos[k.Path].File != shipped {
			t.Errorf("%s: from %v, want it from the file", k.Path, full.Pos[k.Path])
		}
	}
	bare.Pos, full.Pos, bare.Apps, full.Apps = nil, nil, nil, nil
	if !reflect.DeepEqual(bare, full) {
		t.Errorf("what is commented out is not the default:\n%+v\n%+v", full, bare)
	}
}

// locate returns where the key at path stands, commented out or not: nil when
// it does not.
func locate(text []byte, path string) []int {
	blocks := strings.Split(path, ".")
	name := blocks[len(blocks)-1]
	from := 0
	for _, b := range blocks[:len(blocks)-1] {
		at := regexp.MustCompile(`(?m)^ *(?:# *)?` + b + `( "[A-Za-z]+")? \{`).FindIndex(text[from:])
		if at == nil {
			return nil
		}
		from += at[1]
	}
	at := regexp.MustCompile(`(?m)^ *(# *)?` + name + ` *=`).FindIndex(text[from:])
	if at == nil {
		return nil
	}
	return []int{from + at[0], from + at[1]}
}

// commentBefore returns the comment at the end of text, on one line.
func commentBefore(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	first := len(lines)
	for first > 0 && strings.HasPrefix(strings.TrimSpace(lines[first-1]), "#") {
		first--
	}
	var words []string
	for _, l := range lines[first:] {
		words = append(words, strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(l), "#")))
	}
	return strings.Join(words, " ")
}
