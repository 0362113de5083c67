package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func talk() *event.Conversation {
	return &event.Conversation{
		ID: "c_1", Session: "s_1", UID: "u 1", Language: "en", Source: "pendant",
		StartedAt: at("2024-07-21T22:34:43.384323456Z"), CompletedAt: at("2024-07-22T01:45:59.5+02:00"),
		Segments: []event.Segment{
			{ID: "a", Text: `Is it <"done">?`, Speaker: "SPEAKER_00", IsUser: true, Start: 0, End: 1.5},
			{ID: "b", Text: "Yes.", Speaker: "Ann", Start: 1.5, End: 2.25},
		},
	}
}

// The shape is that of Omi's models, to the field: an app that checks it strictly
// takes it.
func TestMemoryHasOmisShape(t *testing.T) {
	b, err := memoryOf(talk(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := speaker("Ann")
	want := fmt.Sprintf(`{
	  "id": "c_1", "created_at": "2024-07-21T23:45:59.500000+00:00",
	  "started_at": "2024-07-21T22:34:43.384323+00:00", "finished_at": "2024-07-21T22:34:45.634323+00:00",
	  "source": "pendant", "language": "en",
	  "structured": {"title": "", "overview": "", "emoji": "🧠", "category": "other", "action_items": [], "events": []},
	  "transcript_segments": [
	    {"id": "a", "text": "Is it <\"done\">?", "speaker": "SPEAKER_00", "speaker_id": 0, "speakerId": 0, "is_user": true, "person_id": null, "start": 0, "end": 1.5},
	    {"id": "b", "text": "Yes.", "speaker": "SPEAKER_%d", "speaker_id": %d, "speakerId": %d, "speaker_name": "Ann", "is_user": false, "person_id": null, "start": 1.5, "end": 2.25}
	  ],
	  "apps_response": [], "apps_results": [], "plugins_results": [], "photos": [],
	  "geolocation": null, "external_data": null, "discarded": false, "visibility": "private", "status": "completed"
	}`, n, n, n)
	same(t, b, want)
}

func TestLiveTranscriptHasOmisShape(t *testing.T) {
	b, err := liveOf(&event.Transcript{Session: "s_1", UID: "u", Segments: []event.Segment{{ID: "a", Text: "Hello.", Start: 1, End: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, b, `{"session_id": "s_1", "segments": [
	  {"id": "a", "text": "Hello.", "speaker": "SPEAKER_00", "speaker_id": 0, "speakerId": 0, "is_user": false, "person_id": null, "start": 1, "end": 2}]}`)
}

func same(t *testing.T, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestSpeakersKeepTheirNumbers(t *testing.T) {
	for _, c := range []struct {
		speaker string
		n       int // -1: some of 10,000 and more
		name    string
	}{
		{"", 0, ""},
		{"SPEAKER_00", 0, ""},
		{"SPEAKER_7", 7, ""},
		{"SPEAKER_9999", 9999, ""},
		{"SPEAKER_10000", -1, "SPEAKER_10000"}, // where names begin
		{"SPEAKER_", -1, "SPEAKER_"},
		{"SPEAKER_-1", -1, "SPEAKER_-1"},
		{"Ann", -1, "Ann"},
		{"Зоя", -1, "Зоя"},
	} {
		n, name := speaker(c.speaker)
		again, _ := speaker(c.speaker)
		if name != c.name || n != again || c.n >= 0 && n != c.n || c.n < 0 && n < 10_000 {
			t.Errorf("%q: %d and %q, then %d; want %d and %q", c.speaker, n, name, again, c.n, c.name)
		}
	}
}

// A conversation that is too large is posted with what each speaker said in one
// piece, as Omi's backend does; one that is still too large is not.
func TestLongConversationsAreMerged(t *testing.T) {
	c := talk()
	c.Segments = nil
	for i := range 600 {
		c.Segments = append(c.Segments, event.Segment{ID: fmt.Sprint(i), Text: "word", Speaker: fmt.Sprintf("SPEAKER_%02d", i/100), Start: float64(i), End: float64(i) + 0.5})
	}
	b, err := memoryOf(c, 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	var m memory
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Segments) != 6 || m.Segments[5].ID != "500" || m.Segments[5].Start != 500 || m.Segments[5].End != 599.5 || strings.Count(m.Segments[5].Text, "word") != 100 {
		t.Errorf("%d segments, the last %+v", len(m.Segments), m.Segments[len(m.Segments)-1])
	}
	if _, err := memoryOf(c, 1000); err == nil || !strings.Contains(err.Error(), "at most 1000 can be posted") {
		t.Errorf("got %v, want an error that names the bound", err)
	}
}

func TestTargetKeepsTheQueryAndEscapes(t *testing.T) {
	for _, c := range []struct{ hook, want string }{
		{"https://a.example/hook", "https://a.example/hook?uid=u+%26%3F%231"},
		{"https://a.example", "https://a.example?uid=u+%26%3F%231"},
		{"https://a.example/hook?", "https://a.example/hook?uid=u+%26%3F%231"},
		{"https://a.example/h%2Fk?b=2&a=%20", "https://a.example/h%2Fk?b=2&a=%20&uid=u+%26%3F%231"},
		{"https://a.example/hook?flag&#part", "https://a.example/hook?flag&uid=u+%26%3F%231"},
	} {
		if got, err := target(c.hook, "uid", "u &?#1"); err != nil || got != c.want {
			t.Errorf("%s: got %s %v, want %s", c.hook, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "/hook", "https://a b/", "https:///x"} {
		if got, err := target(bad); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestIdempotencyKeyIsOfAppAndConversation(t *testing.T) {
	key := idempotencyKey("notes", "c_1")
	if len(key) != 32 || key != idempotencyKey("notes", "c_1") || key == idempotencyKey("notes", "c_2") || key == idempotencyKey("note", "sc_1") {
		t.Errorf("key %q", key)
	}
}
