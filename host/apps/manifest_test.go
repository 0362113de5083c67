package apps_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/sdk/event"
)

var goodManifests = []string{
	receives, allCaps,
	`{"name":"a","version":"1","events":{"audio":{"every_ms":100}}}`,
	`{"name":"a.b-c_9","version":"1","events":{"audio":{"every_ms":10000}},"homepage":"https://example.org/x","author":"A. Uthor","description":"Does\nthings."}`,
	`{"name":"a","version":"1","events":{"conversation":{}},"state":"fresh","limits":{"fuel":1000000000,"wall_ms":5000,"memory_bytes":268435456}}`,
	`{"name":"a","version":"1","events":{"conversation":{}},"settings":true}`,
	`{"name":"a","version":"1","events":{"audio":{"latest":true}},"capabilities":[{"name":"http","reason":"x","hosts":["*"]}]}`,
	`{"name":"a","version":"1","events":{"conversation":{}},"limits":{"conversation_wall_ms":30000},"capabilities":[{"name":"http","reason":"x","hosts":["api.example.com","*.example.org:8443","http://10.0.0.5:8080"]}]}`,
	`{"name":"a","version":"1","events":{"conversation":{}},"settings":{"$defs":{"w":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/w"}}}}`,
}

var badManifests = []struct{ name, manifest, want string }{
	{"nothing", ``, "ends too early"},
	{"null", `null`, "name \"\" must be"},
	{"a list", `[]`, "want an object"},
	{"unknown field", `{"name":"a","version":"1","events":{"transcript":{}},"extra":1}`, `unknown field "extra"`},
	{"field of another case", `{"Name":"a","version":"1","events":{"transcript":{}}}`, `unknown field "Name"`},
	{"unknown inner field", `{"name":"a","version":"1","events":{"transcript":{"every_ms":5}}}`, `unknown field "every_ms" at /events/transcript`},
	{"an event of later", `{"name":"a","version":"1","events":{"tools":[]}}`, `unknown field "tools" at /events`},
	{"field twice", `{"name":"a","name":"b","version":"1","events":{"transcript":{}}}`, `"name" is there twice`},
	{"twice in the schema", `{"name":"a","version":"1","events":{"transcript":{}},"settings":{"a":1,"a":2}}`, `"a" is there twice at /settings`},
	{"wrong kind", `{"name":7,"version":"1","events":{"transcript":{}}}`, `number at /name does not fit, want a string`},
	{"trailing", receives + `{}`, "something follows"},
	{"bad UTF-8", "{\"name\":\"\xff\"}", "UTF-8"},
	{"name", `{"name":"9a","version":"1","events":{"transcript":{}}}`, `name "9a" must be`},
	{"long name", `{"name":"` + strings.Repeat("a", 65) + `","version":"1","events":{"transcript":{}}}`, "must be 1 to 64"},
	{"no version", `{"name":"a","version":" ","events":{"transcript":{}}}`, "version is missing"},
	{"escape in version", `{"name":"a","version":"1\u001b[0m","events":{"transcript":{}}}`, "version has control characters"},
	{"long description", `{"name":"a","version":"1","description":"` + strings.Repeat("a", 2049) + `","events":{"transcript":{}}}`, "description has 2049 bytes"},
	{"homepage", `{"name":"a","version":"1","homepage":"javascript:alert(1)","events":{"transcript":{}}}`, "homepage must be"},
	{"no events", `{"name":"a","version":"1","events":{}}`, "never be called"},
	{"short piece", `{"name":"a","version":"1","events":{"audio":{"every_ms":99}}}`, "every_ms is 99"},
	{"long piece", `{"name":"a","version":"1","events":{"audio":{"every_ms":10001}}}`, "every_ms is 10001"},
	{"unknown capability", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"fly","reason":"x"}]}`, `capabilities[0]: unknown capability "fly" (known: audio, transcript, conversation, tools, notify, http, storage)`},
	{"capability twice", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"notify","reason":"x"},{"name":"notify","reason":"x"}]}`, "notify is there twice"},
	{"capability without its event", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"audio","reason":"x"}]}`, "events does not name it"},
	{"no reason", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"notify","reason":""}]}`, "reason is missing"},
	{"every host, and others", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"http","reason":"x","hosts":["*","a.example.com"]}]}`, `capabilities[0]: hosts has "*", which is every host, and others`},
	{"every host without encryption", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"http","reason":"x","hosts":["http://*"]}]}`, "ASCII letters"},
	{"state", `{"name":"a","version":"1","events":{"transcript":{}},"state":"forever"}`, `state "forever" is unknown`},
	{"fuel", `{"name":"a","version":"1","events":{"transcript":{}},"limits":{"fuel":1000000001}}`, "limits.fuel"},
	{"negative fuel", `{"name":"a","version":"1","events":{"transcript":{}},"limits":{"fuel":-1}}`, "want a whole number from 0"},
	{"http without hosts", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"http","reason":"x"}]}`, "capabilities[0]: hosts is missing"},
	{"hosts of another", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"notify","reason":"x","hosts":["a.example.com"]}]}`, "hosts belong to http"},
	{"a host twice", `{"name":"a","version":"1","events":{"transcript":{}},"capabilities":[{"name":"http","reason":"x","hosts":["a.example.com","A.example.com:443"]}]}`, "hosts[1]: a.example.com is there twice"},
	{"conversation's wall", `{"name":"a","version":"1","events":{"transcript":{}},"limits":{"conversation_wall_ms":30001}}`, "limits.conversation_wall_ms is 30001, an app may suggest 0 to 30000"},
	{"wall", `{"name":"a","version":"1","events":{"transcript":{}},"limits":{"wall_ms":-1}}`, "limits.wall_ms"},
	{"memory", `{"name":"a","version":"1","events":{"transcript":{}},"limits":{"memory_bytes":5000000000}}`, "limits.memory_bytes"},
	{"no schema", `{"name":"a","version":"1","events":{"transcript":{}},"settings":{"type":"thing"}}`, "settings is no JSON Schema"},
	{"schema that is text", `{"name":"a","version":"1","events":{"transcript":{}},"settings":"x"}`, "settings is no JSON Schema"},
	{"schema elsewhere", `{"name":"a","version":"1","events":{"transcript":{}},"settings":{"$ref":"https://example.org/s.json"}}`, "may refer only to itself"},
	{"schema in a file", `{"name":"a","version":"1","events":{"transcript":{}},"settings":{"$ref":"file:///etc/passwd"}}`, "may refer only to itself"},
	{"metaschema elsewhere", `{"name":"a","version":"1","events":{"transcript":{}},"settings":{"$schema":"https://example.org/meta"}}`, "may refer only to itself"},
	{"schema nested deep", `{"name":"a","version":"1","events":{"transcript":{}},"settings":` + strings.Repeat(`{"not":`, 70) + "true" + strings.Repeat("}", 71), "nested deeper than 64"},
}

func TestManifests(t *testing.T) {
	for _, m := range goodManifests {
		if _, err := apps.DecodeManifest([]byte(m)); err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
	for _, c := range badManifests {
		if _, err := apps.DecodeManifest([]byte(c.manifest)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want …%s…", c.name, err, c.want)
		}
	}
	if _, err := apps.DecodeManifest(make([]byte, 256<<10+1)); err == nil || !strings.Contains(err.Error(), "at most 262144") {
		t.Errorf("large: %v", err)
	}
}

// FuzzManifest: what is accepted can be written and read again as the same,
// and is within the bounds.
func FuzzManifest(f *testing.F) {
	for _, m := range goodManifests {
		f.Add([]byte(m))
	}
	for _, c := range badManifests {
		f.Add([]byte(c.manifest))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := apps.DecodeManifest(b)
		if err != nil {
			if text := apps.Printable(err.Error()); !utf8.ValidString(text) {
				t.Errorf("error %q", text)
			}
			return
		}
		if len(m.Wants()) == 0 {
			t.Error("it wants nothing")
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("writing %+v: %v", m, err)
		}
		m2, err := apps.DecodeManifest(again)
		if err != nil {
			t.Fatalf("reading %s again: %v", again, err)
		}
		third, err := json.Marshal(m2)
		if err != nil || string(third) != string(again) {
			t.Errorf("%s became %s (%v)", again, third, err)
		}
	})
}

// FuzzRequest: a request is answered by ok and one notification that a client
// can show, or by an error with a code; and an emitted output is JSON still.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		`{"op":"notify","text":"Time to go"}`, `{"op":"notify","text":"\u0000\ud800 x"}`, `{"op":"fetch"}`, `{}`, `[]`, `{"op":"notify","op":"x"}`,
		`{"op":"notify","text":"12345"} `, `{"OP":"notify"}`, `{"op":null,"text":null}`, "{\"op\":\"\xff\"}", `{"a":[1e999,-0,"\u2028"]}`, `"x"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		resp, outs, err := apps.Answer(b, event.CapNotify)
		if err != nil {
			t.Fatalf("ended the invocation: %v", err)
		}
		switch {
		case resp.OK:
			var n struct{ Text string }
			if len(outs) != 1 || resp.Error != nil || json.Unmarshal(outs[0].Data, &n) != nil {
				t.Fatalf("ok with %v and %s", resp.Error, outs)
			}
			if c := utf8.RuneCountInString(n.Text); c < event.NotifyMinChars || c > event.NotifyMaxChars || n.Text != strings.TrimSpace(n.Text) {
				t.Errorf("notification %q", n.Text)
			}
		case resp.Error == nil || resp.Error.Code == "" || resp.Error.Message == "" || len(outs) != 0:
			t.Errorf("answer %+v with %d outputs", resp, len(outs))
		}
		data, err := apps.CompactStrict(b)
		if err != nil {
			return
		}
		var before, after any
		if !json.Valid(data) || len(data) > len(b) {
			t.Fatalf("output %q of %q", data, b)
		}
		if json.Unmarshal(b, &before) == nil && (json.Unmarshal(data, &after) != nil || !reflect.DeepEqual(before, after)) {
			t.Errorf("output %q of %q", data, b)
		}
	})
}
