package stream_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// asyncAPI is docs/asyncapi.yaml.
type asyncAPI struct {
	doc      map[string]any
	schemas  map[string]*jsonschema.Schema // by name
	payloads map[string]string             // the schema's name, by message
}

var loadAsyncAPI = sync.OnceValues(func() (*asyncAPI, error) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "asyncapi.yaml"))
	if err != nil {
		return nil, err
	}
	a := &asyncAPI{schemas: make(map[string]*jsonschema.Schema), payloads: make(map[string]string)}
	if err := yaml.Unmarshal(b, &a.doc); err != nil {
		return nil, err
	}
	if b, err = json.Marshal(a.doc); err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("asyncapi.json", doc); err != nil {
		return nil, err
	}
	for name := range at(a.doc, "components", "schemas").(map[string]any) {
		if a.schemas[name], err = c.Compile("asyncapi.json#/components/schemas/" + name); err != nil {
			return nil, err
		}
	}
	for name := range at(a.doc, "components", "messages").(map[string]any) {
		ref, _ := at(a.doc, "components", "messages", name, "payload", "$ref").(string)
		a.payloads[name] = strings.TrimPrefix(ref, "#/components/schemas/")
	}
	return a, nil
})

// at follows names into a document; nil when there is no such place.
func at(v any, names ...string) any {
	for _, n := range names {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[n]
	}
	return v
}

func theAsyncAPI(t testing.TB) *asyncAPI {
	t.Helper()
	a, err := loadAsyncAPI()
	if err != nil {
		t.Fatalf("docs/asyncapi.yaml: %v", err)
	}
	return a
}

// check validates a text frame against the schema of its type, one of types.
func (a *asyncAPI) check(frame []byte, types []string) (string, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(frame))
	if err != nil {
		return "", err
	}
	name, _ := at(v, "type").(string)
	s := a.schemas[a.payloads[name]]
	if s == nil || !slices.Contains(types, name) {
		return name, fmt.Errorf("no message of type %q", name)
	}
	return name, s.Validate(v)
}

// operation returns the messages that one side sends.
func (a *asyncAPI) operation(name string) (types []string) {
	refs, _ := at(a.doc, "operations", name, "messages").([]any)
	for _, r := range refs {
		ref, _ := at(r, "$ref").(string)
		types = append(types, strings.TrimPrefix(ref, "#/channels/stream/messages/"))
	}
	return types
}

func TestAsyncAPIRefersToNothingThatIsMissing(t *testing.T) {
	a := theAsyncAPI(t)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && at(a.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...) == nil {
				t.Errorf("there is no %s", ref)
			}
			for _, w := range v {
				walk(w)
			}
		case []any:
			for _, w := range v {
				walk(w)
			}
		}
	}
	walk(a.doc)
	if got := slices.Sorted(slices.Values(a.operation("fromClient"))); !slices.Equal(got, slices.Sorted(slices.Values(append([]string{"audio"}, wire.ClientTypes...)))) {
		t.Errorf("fromClient has %v", got)
	}
	both := append(a.operation("fromClient"), a.operation("toClient")...)
	for name := range at(a.doc, "channels", "stream", "messages").(map[string]any) {
		if !slices.Contains(both, name) {
			t.Errorf("nobody sends %s", name)
		}
	}
}

func TestAsyncAPIHasTheCloseCodes(t *testing.T) {
	a := theAsyncAPI(t)
	var got []wire.CloseCode
	for _, c := range at(a.doc, "channels", "stream", "x-close-codes").([]any) {
		got = append(got, wire.CloseCode{Code: at(c, "code").(int), Reason: at(c, "reason").(string), Retry: at(c, "retry").(bool)})
	}
	want := slices.SortedFunc(slices.Values(wire.CloseCodes), func(a, b wire.CloseCode) int { return a.Code - b.Code })
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// TestAsyncAPIHasTheFields compares each type's fields with its schema's.
func TestAsyncAPIHasTheFields(t *testing.T) {
	a := theAsyncAPI(t)
	for name, of := range map[string]struct {
		value      any
		fromClient bool
		optional   []string // of the client's, though they are always written
		absent     []string // that no message has
	}{
		"Start":      {value: wire.Start{}, fromClient: true},
		"Format":     {value: wire.Format{}, fromClient: true},
		"Transcript": {value: wire.Transcript{}, fromClient: true},
		"Segment":    {value: event.Segment{}, fromClient: true, optional: []string{"is_user"}},
		"Finish":     {value: wire.Finish{}, fromClient: true},
		"End":        {value: wire.End{}, fromClient: true},
		"Keepalive":  {value: wire.Keepalive{}, fromClient: true},

		"Ready":                 {value: wire.Ready{}},
		"Apps":                  {value: wire.Apps{}},
		"App":                   {value: wire.App{}},
		"Received":              {value: wire.Received{}},
		"Limits":                {value: wire.Limits{}},
		"Ack":                   {value: wire.Ack{}},
		"Output":                {value: wire.Output{}},
		"Conversation":          {value: wire.Conversation{}},
		"CompletedConversation": {value: event.Conversation{}, absent: []string{"restarted"}}, // an app's event has it
		"CompletedSegment":      {value: event.Segment{}},
		"Gap":                   {value: wire.Gap{}},
		"Error":                 {value: wire.Error{}},
		"Closing":               {value: wire.Closing{}},
	} {
		var fields, required []string
		if slices.Contains(slices.Collect(maps.Values(a.payloads)), name) {
			fields, required = []string{"type"}, []string{"type"}
		}
		for _, f := range reflect.VisibleFields(reflect.TypeOf(of.value)) {
			tag, ok := f.Tag.Lookup("json")
			field, options, _ := strings.Cut(tag, ",")
			if !ok || slices.Contains(of.absent, field) {
				continue
			}
			fields = append(fields, field)
			if options != "omitempty" && !slices.Contains(of.optional, field) {
				required = append(required, field)
			}
		}
		schema := at(a.doc, "components", "schemas", name)
		properties, _ := at(schema, "properties").(map[string]any)
		if got, want := slices.Sorted(maps.Keys(properties)), slices.Sorted(slices.Values(fields)); !slices.Equal(got, want) {
			t.Errorf("%s has the fields %v, the message %v", name, got, want)
		}
		var got []string
		for _, r := range at(schema, "required").([]any) {
			got = append(got, r.(string))
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(required))) {
			t.Errorf("%s requires %v, of the message these are always there: %v", name, got, required)
		}
		// Clients are read strictly; a newer host may say more.
		if strict := at(schema, "additionalProperties") == false; strict != of.fromClient {
			t.Errorf("%s takes no other fields: %v", name, strict)
		}
	}
	names := slices.Sorted(maps.Keys(a.schemas))
	if len(names) != 20 {
		t.Errorf("there are %d schemas, and 20 types: %v", len(names), names)
	}
}

// badForBoth are text frames that neither the schemas nor a host take.
var badForBoth = []struct{ why, frame string }{
	{"a type of the host's", `{"type":"ready"}`},
	{"no type", `{"uid":"ada"}`},
	{"a type in capitals", `{"type":"END"}`},
	{"a field of another message", `{"type":"finish","seq":1}`},
	{"a field that is not known", `{"type":"keepalive","at":1}`},
	{"a name in capitals", `{"type":"start","uid":"ada","Audio":{}}`},
	{"null", `{"type":"start","uid":"ada","audio":null}`},
	{"uid is a number", `{"type":"start","uid":7}`},
	{"audio is a string", `{"type":"start","uid":"ada","audio":"pcm_s16le"}`},
	{"rate is a string", `{"type":"start","uid":"ada","audio":{"codec":"pcm_s16le","rate":"8000","channels":1}}`},
	{"rate is a fraction", `{"type":"start","uid":"ada","audio":{"codec":"pcm_s16le","rate":8000.5,"channels":1}}`},
	{"audio has a field that is not known", `{"type":"start","uid":"ada","audio":{"codec":"pcm_s16le","rate":8000,"channels":1,"bits":16}}`},
	{"metadata is no strings", `{"type":"start","uid":"ada","metadata":{"room":3}}`},
	{"too much metadata", `{"type":"start","uid":"ada","metadata":{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":"","j":"","k":"","l":"","m":"","n":"","o":"","p":"","q":""}}`},
	{"seq is negative", `{"type":"transcript","seq":-1,"segments":[{"id":"1","text":"","start":0,"end":0}]}`},
	{"segments is an object", `{"type":"transcript","seq":1,"segments":{}}`},
	{"a segment is a string", `{"type":"transcript","seq":1,"segments":["hi"]}`},
	{"a segment without an id", `{"type":"transcript","seq":1,"segments":[{"text":"","start":0,"end":0}]}`},
	{"a segment without text", `{"type":"transcript","seq":1,"segments":[{"id":"1","start":0,"end":0}]}`},
	{"a segment without a start", `{"type":"transcript","seq":1,"segments":[{"id":"1","text":"","end":0}]}`},
	{"a segment without an end", `{"type":"transcript","seq":1,"segments":[{"id":"1","text":"","start":0}]}`},
	{"a segment's time is a string", `{"type":"transcript","seq":1,"segments":[{"id":"1","text":"","start":"0","end":0}]}`},
	{"a segment with a field that is not known", `{"type":"transcript","seq":1,"segments":[{"id":"1","text":"","start":0,"end":0,"lang":"en"}]}`},
}

func TestAsyncAPIAndDecodeClientRefuseTheSame(t *testing.T) {
	a := theAsyncAPI(t)
	for _, bad := range badForBoth {
		if m, err := wire.DecodeClient([]byte(bad.frame)); err == nil {
			t.Errorf("%s: DecodeClient took %+v", bad.why, m)
		}
		if _, err := a.check([]byte(bad.frame), wire.ClientTypes); err == nil {
			t.Errorf("%s: the schema takes %s", bad.why, bad.frame)
		}
	}
}

// TestAsyncAPIAndTheHostRefuseTheSameValues is about messages that decode, but
// whose values a host does not take.
func TestAsyncAPIAndTheHostRefuseTheSameValues(t *testing.T) {
	a := theAsyncAPI(t)
	long := strings.Repeat("x", 20_000)
	for _, bad := range []struct{ why, start, frame string }{
		{"an empty uid", `{"type":"start","uid":""}`, ""},
		{"a space in the uid", `{"type":"start","uid":"a b"}`, ""},
		{"a long uid", `{"type":"start","uid":"` + long[:129] + `"}`, ""},
		{"a long session", `{"type":"start","uid":"ada","session":"` + long[:129] + `"}`, ""},
		{"a long language", `{"type":"start","uid":"ada","language":"` + long[:65] + `"}`, ""},
		{"a long source", `{"type":"start","uid":"ada","source":"` + long[:129] + `"}`, ""},
		{"long metadata", `{"type":"start","uid":"ada","metadata":{"a":"` + long[:257] + `"}}`, ""},
		{"a long name in metadata", `{"type":"start","uid":"ada","metadata":{"` + long[:257] + `":"a"}}`, ""},
		{"a codec", `{"type":"start","uid":"ada","audio":{"codec":"aac","rate":8000,"channels":1}}`, ""},
		{"no codec", `{"type":"start","uid":"ada","audio":{"rate":8000,"channels":1}}`, ""},
		{"a rate", `{"type":"start","uid":"ada","audio":{"codec":"pcm_s16le","rate":7999,"channels":1}}`, ""},
		{"channels", `{"type":"start","uid":"ada","audio":{"codec":"pcm_s16le","rate":8000,"channels":3}}`, ""},
		{"no seq", "", `{"type":"transcript","segments":[{"id":"1","text":"","start":0,"end":0}]}`},
		{"seq 0", "", `{"type":"transcript","seq":0,"segments":[{"id":"1","text":"","start":0,"end":0}]}`},
		{"seq 2^53", "", `{"type":"transcript","seq":9007199254740992,"segments":[{"id":"1","text":"","start":0,"end":0}]}`},
		{"no segments", "", `{"type":"transcript","seq":1}`},
		{"empty segments", "", `{"type":"transcript","seq":1,"segments":[]}`},
		{"an empty id", "", `{"type":"transcript","seq":1,"segments":[{"id":"","text":"","start":0,"end":0}]}`},
		{"a long id", "", `{"type":"transcript","seq":1,"segments":[{"id":"` + long[:129] + `","text":"","start":0,"end":0}]}`},
		{"a long text", "", `{"type":"transcript","seq":1,"segments":[{"id":"1","text":"` + long + `","start":0,"end":0}]}`},
		{"a long speaker", "", `{"type":"transcript","seq":1,"segments":[{"id":"1","text":"","speaker":"` + long[:129] + `","start":0,"end":0}]}`},
		{"a time before the beginning", "", `{"type":"transcript","seq":1,"segments":[{"id":"1","text":"","start":-1,"end":0}]}`},
	} {
		t.Run(bad.why, func(t *testing.T) {
			w := newRig(t, rigOptions{}).dial()
			frame := bad.start
			if frame == "" {
				w.send(&wire.Start{UID: "ada"})
				frame = bad.frame
			}
			w.text(frame)
			read[*wire.Error](w)
			if _, err := wire.DecodeClient([]byte(frame)); err != nil {
				t.Errorf("it does not even decode: %v", err)
			}
			if _, err := a.check([]byte(frame), wire.ClientTypes); err == nil {
				t.Error("the schema takes it")
			}
		})
	}
}

// TestAsyncAPITakesWhatRealStreamsSay has streams say each of the protocol's
// messages, and holds every one against its schema.
func TestAsyncAPITakesWhatRealStreamsSay(t *testing.T) {
	a := theAsyncAPI(t)
	r := newRig(t, rigOptions{wantsAudio: true, config: config.Stream{OutputQueueBytes: 1 << 20}})
	seen := map[string]bool{}
	send := func(w *client, m wire.Message) {
		t.Helper()
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		name, err := a.check(b, a.operation("fromClient"))
		if err != nil {
			t.Errorf("a client says %s: %v", b, err)
		}
		seen[name] = true
		w.text(string(b))
	}
	// until reads up to a message for which is returns true; nil: up to the close.
	until := func(w *client, is func(wire.Message) bool) {
		t.Helper()
		for {
			_, b, err := w.ReadMessage()
			if err != nil {
				if is == nil && websocket.IsCloseError(err, 1000, 4001) {
					return
				}
				t.Fatal(err)
			}
			name, err := a.check(b, a.operation("toClient"))
			if err != nil {
				t.Errorf("the host says %s: %v", b, err)
			}
			seen[name] = true
			if m, err := wire.DecodeHost(b); err != nil {
				t.Fatal(err)
			} else if is != nil && is(m) {
				return
			}
		}
	}
	is := func(state wire.State) func(wire.Message) bool {
		return func(m wire.Message) bool {
			c, ok := m.(*wire.Conversation)
			return ok && c.State == state
		}
	}
	ready := new(wire.Ready)
	isReady := func(m wire.Message) (ok bool) {
		if r, is := m.(*wire.Ready); is {
			ready, ok = r, true
		}
		return ok
	}
	isError := func(m wire.Message) bool { _, ok := m.(*wire.Error); return ok }
	segments := []event.Segment{{ID: "1", Text: "The budget is due.", Speaker: "A", IsUser: true, Start: 0.2, End: 1.6}}

	w := r.dial()
	send(w, &wire.Start{UID: "ada", Audio: pcm16k, Language: "en", Source: "test", Metadata: map[string]string{"room": "3"}})
	until(w, isReady)
	w.audio(3200)
	send(w, &wire.Transcript{Seq: 1, Segments: segments})
	send(w, gapTranscript(2))
	send(w, &wire.Transcript{Seq: 3, Segments: []event.Segment{{ID: "b", Text: "apps"}}})
	until(w, func(m wire.Message) bool { _, ok := m.(*wire.Apps); return ok })
	send(w, &wire.Keepalive{})
	send(w, &wire.Finish{})
	until(w, is(wire.StateCompleted))
	send(w, &wire.Finish{}) // of nothing: an error that names it
	until(w, isError)
	send(w, &wire.Transcript{Seq: 4, Segments: []event.Segment{{ID: "2", Start: 1}}}) // it ends before it starts: an error that names the seq
	until(w, isError)
	w.cut()

	w = r.dial()
	send(w, &wire.Start{UID: "ada", Session: ready.Session, Audio: pcm16k})
	until(w, isReady) // and then the conversation that was completed, which may be told again
	send(w, &wire.End{})
	until(w, nil)

	w = r.dial()
	send(w, &wire.Start{UID: "ben"})
	until(w, isReady)
	shut := make(chan error, 1)
	go func() { shut <- r.server.Shutdown(t.Context()) }()
	until(w, nil)
	if err := <-shut; err != nil {
		t.Error(err)
	}

	for name := range a.payloads {
		if !seen[name] && name != "audio" {
			t.Errorf("no stream said %s", name)
		}
	}
}
