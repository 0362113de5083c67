package apps_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
)

// toolManifest is the manifest of an app with tools.
func toolManifest(tools string) []byte {
	return []byte(`{"name":"a","version":"1","events":{"tools":` + tools + `}}`)
}

func TestToolManifests(t *testing.T) {
	tool := func(parameters string) string {
		return `[{"name":"find","description":"finds","parameters":` + parameters + `}]`
	}
	for _, good := range []string{
		tool(`{"type":"object"}`),
		tool(`{"type":"object","properties":{"a":{"$ref":"#/$defs/w"},"b":{"$ref":"#/$defs/w"}},"$defs":{"w":{"type":"string"}}}`),
		`[{"name":"a_1","description":"d","parameters":{"type":"object"},"status_message":"Working"},{"name":"b","description":"d","parameters":{"type":"object"}}]`,
	} {
		if _, err := apps.DecodeManifest(toolManifest(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	// Each definition stands for two of the next: 2^30 parts in a few lines.
	var doubling strings.Builder
	for i := range 30 {
		fmt.Fprintf(&doubling, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	for _, bad := range []struct{ reason, tools, want string }{
		{"a list of none says nothing", `[]`, "events.tools is empty"},
		{"upper case", `[{"name":"Find","description":"d","parameters":{"type":"object"}}]`, `name "Find" must be`},
		{"a '-' would part app and tool twice", `[{"name":"a-b","description":"d","parameters":{"type":"object"}}]`, `name "a-b" must be`},
		{"too long for MCP beside the app's", `[{"name":"` + strings.Repeat("a", 64) + `","description":"d","parameters":{"type":"object"}}]`, "must be 1 to 63"},
		{"twice", `[{"name":"a","description":"d","parameters":{"type":"object"}},{"name":"a","description":"d","parameters":{"type":"object"}}]`, "is there twice"},
		{"a model could not know when to call it", `[{"name":"a","description":" ","parameters":{"type":"object"}}]`, "description is missing"},
		{"no schema", `[{"name":"a","description":"d"}]`, "parameters: missing"},
		{"arguments are an object", tool(`{"type":"string"}`), `"type": "object" is needed`},
		{"not a schema", tool(`{"type":"object","properties":7}`), "parameters"},
		{"another's schema", tool(`{"type":"object","properties":{"a":{"$ref":"https://example.org/s"}}}`), "refer only to parts of its own"},
		{"a file", tool(`{"type":"object","$ref":"file:///etc/passwd"}`), "refer only to parts of its own"},
		{"without end", tool(`{"type":"object","properties":{"a":{"$ref":"#/$defs/w"}},"$defs":{"w":{"properties":{"a":{"$ref":"#/$defs/w"}}}}}`), "refers to itself"},
		{"more than could be checked", tool(`{"type":"object","$ref":"#/$defs/d0","$defs":{` + doubling.String() + `"d30":{}}}`), "more than 2000 parts"},
		{"nowhere", tool(`{"type":"object","$ref":"#/$defs/none"}`), "which is not in it"},
		{"another base", tool(`{"type":"object","$id":"https://example.org/"}`), "$id is not taken"},
		{"large", tool(`{"type":"object","description":"` + strings.Repeat("a", 16<<10) + `"}`), "at most 16384 are taken"},
		{"unknown field", `[{"name":"a","description":"d","parameters":{"type":"object"},"endpoint":"x"}]`, `unknown field "endpoint"`},
	} {
		if _, err := apps.DecodeManifest(toolManifest(bad.tools)); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: error %v, want …%s…", bad.reason, err, bad.want)
		}
	}
}

const checkedSchema = `{"type":"object","properties":{"text":{"type":"string","minLength":2},"n":{"type":"integer","multipleOf":2}},"required":["text"],"additionalProperties":false}`

var argumentCases = []struct{ reason, arguments, want string }{
	{"good", `{"text":"milk"}`, ""},
	{"good, with white space", " {\n\"text\": \"milk\", \"n\": 4 } ", ""},
	{"nothing", ``, "arguments.text is missing"},
	{"no JSON", `{`, "ends too early"},
	{"a list", `[]`, "not a JSON object"},
	{"null", `null`, "not a JSON object"},
	{"two values", `{"text":"milk"} {}`, "something follows"},
	{"which of them would the app read?", `{"text":"milk","text":"m"}`, `"text" is there twice`},
	{"not UTF-8", "{\"text\":\"\xff\xfe\"}", "UTF-8"},
	{"kind", `{"text":7}`, "arguments.text is a number, must be a string"},
	{"short", `{"text":"m"}`, "arguments.text: "},
	{"unknown", `{"text":"milk","Text":"x"}`, "arguments.Text is no argument of this tool"},
	{"a number that takes all memory to write out", `{"text":"milk","n":1e999999999}`, "arguments"},
	{"deep", `{"text":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`, "nested deeper than 64"},
	{"large", `{"text":"` + strings.Repeat("m", 64<<10) + `"}`, "at most 65536 are taken"},
}

func TestChecksArguments(t *testing.T) {
	a := apps.ForArguments(t, checkedSchema)
	for _, c := range argumentCases {
		got, err := a.CheckArguments("find", []byte(c.arguments))
		var wrong *apps.ArgumentsError
		switch {
		case c.want == "":
			if err != nil || strings.ContainsAny(string(got), " \n") {
				t.Errorf("%s: got %s, error %v", c.reason, got, err)
			}
		case !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: error %v, want …%s…", c.reason, err, c.want)
		}
	}
	if _, err := a.CheckArguments("lose", nil); err == nil {
		t.Error("a tool that is not there: no error")
	}
}

// FuzzArguments checks that arguments that are taken are one JSON object, that
// they are taken again and unchanged, and that all else is an *ArgumentsError.
func FuzzArguments(f *testing.F) {
	for _, c := range argumentCases {
		f.Add([]byte(c.arguments))
	}
	a := apps.ForArguments(f, checkedSchema)
	f.Fuzz(func(t *testing.T, arguments []byte) {
		got, err := a.CheckArguments("find", arguments)
		if err != nil {
			var wrong *apps.ArgumentsError
			if !errors.As(err, &wrong) || len(wrong.Violations) == 0 {
				t.Fatalf("error %v names no violation", err)
			}
			return
		}
		again, err := a.CheckArguments("find", got)
		if err != nil || string(again) != string(got) || got[0] != '{' {
			t.Fatalf("got %s, then %s, error %v", got, again, err)
		}
	})
}
