package wire_test

import (
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// wireCases are messages and their text frames: what Encode writes, what the
// decoders read, and seeds of the fuzz tests.
var wireCases = []struct {
	name    string
	message wire.Message
	wire    string
}{
	{"start", &wire.Start{UID: "ada", Audio: &wire.Format{Codec: "pcm_mulaw", Rate: 8000, Channels: 2}, Language: "en", Source: "pendant", Metadata: map[string]string{"room": "3"}},
		`{"type":"start","uid":"ada","audio":{"codec":"pcm_mulaw","rate":8000,"channels":2},"language":"en","source":"pendant","metadata":{"room":"3"}}`},
	{"start without audio", &wire.Start{UID: "ada"}, `{"type":"start","uid":"ada"}`},
	{"start that resumes", &wire.Start{UID: "ada", Session: "s_1"}, `{"type":"start","uid":"ada","session":"s_1"}`},
	{"transcript", &wire.Transcript{Seq: 7, Segments: []event.Segment{{ID: "1", Text: "Hi \"there\" ☺", Speaker: "A", IsUser: true, Start: 0.25, End: 1}}},
		`{"type":"transcript","seq":7,"segments":[{"id":"1","text":"Hi \"there\" ☺","speaker":"A","is_user":true,"start":0.25,"end":1}]}`},
	{"finish", &wire.Finish{}, `{"type":"finish"}`},
	{"end", &wire.End{}, `{"type":"end"}`},
	{"keepalive", &wire.Keepalive{}, `{"type":"keepalive"}`},
	{"ready", &wire.Ready{Session: "s_1", Conversation: "c_1", Audio: "discarded",
		Apps:   []wire.App{{Name: "keywords", Version: "1.0.0", Capabilities: []event.Capability{"transcript", "notify"}}},
		Limits: wire.Limits{MessageBytes: 1, OutputQueueBytes: 2, SegmentTextBytes: 3, SegmentsPerMessage: 4, SilenceMillis: 5, AudioRate: 1.5, AudioBurstMillis: 6, IdleMillis: 7, StreamsPerUser: 8, Sessions: 9}},
		`{"type":"ready","session":"s_1","conversation":"c_1","audio":"discarded","apps":[{"name":"keywords","version":"1.0.0","capabilities":["transcript","notify"]}],"received":{"audio_bytes":0,"seq":0},"limits":{"message_bytes":1,"output_queue_bytes":2,"segment_text_bytes":3,"segments_per_message":4,"silence_ms":5,"audio_rate":1.5,"audio_burst_ms":6,"idle_ms":7,"streams_per_user":8,"sessions":9}}`},
	{"apps", &wire.Apps{Audio: "buffered", Apps: []wire.App{{Name: "loudness", Version: "1.0.0", Capabilities: []event.Capability{"audio"}}}},
		`{"type":"apps","audio":"buffered","apps":[{"name":"loudness","version":"1.0.0","capabilities":["audio"]}]}`},
	{"ack", &wire.Ack{Seq: 7, AudioBytes: 3200}, `{"type":"ack","seq":7,"audio_bytes":3200}`},
	{"output", &wire.Output{Output: event.Output{App: "keywords", Conversation: "c_1", Event: "transcript", Invocation: "i_1", Kind: "notification", Data: []byte(`{"text":"Budget"}`), At: time.Unix(0, 0).UTC()}},
		`{"type":"output","app":"keywords","conversation":"c_1","event":"transcript","invocation":"i_1","kind":"notification","data":{"text":"Budget"},"at":"1970-01-01T00:00:00Z"}`},
	{"conversation", &wire.Conversation{ID: "c_1", State: "open"}, `{"type":"conversation","id":"c_1","state":"open"}`},
	{"conversation, completed", &wire.Conversation{ID: "c_1", State: "completed", Conversation: &event.Conversation{ID: "c_1", Session: "s_1", UID: "ada", StartedAt: time.Unix(0, 0).UTC(), CompletedAt: time.Unix(60, 0).UTC(), Reason: "finish", Segments: []event.Segment{}}},
		`{"type":"conversation","id":"c_1","state":"completed","conversation":{"id":"c_1","session":"s_1","uid":"ada","started_at":"1970-01-01T00:00:00Z","completed_at":"1970-01-01T00:01:00Z","reason":"finish","audio_ms":0,"segments":[]}}`},
	{"conversation, too large", &wire.Conversation{ID: "c_1", State: "completed", Omitted: true}, `{"type":"conversation","id":"c_1","state":"completed","omitted":true}`},
	{"gap", &wire.Gap{App: "loudness", Event: "audio", Bytes: 320, Reason: "buffer_full"}, `{"type":"gap","app":"loudness","event":"audio","bytes":320,"reason":"buffer_full"}`},
	{"error about a seq", &wire.Error{Code: "bad_segment", Message: "no", Ref: &wire.Ref{Seq: 7}}, `{"type":"error","code":"bad_segment","message":"no","fatal":false,"ref":7}`},
	{"error about a type", &wire.Error{Code: "bad_start", Message: "no", Fatal: true, Ref: &wire.Ref{Type: "start"}}, `{"type":"error","code":"bad_start","message":"no","fatal":true,"ref":"start"}`},
	{"error about nothing", &wire.Error{Code: "store_unavailable", Message: "no"}, `{"type":"error","code":"store_unavailable","message":"no","fatal":false}`},
	{"closing", &wire.Closing{Code: "shutting_down", Message: "bye", RetryAfterMillis: 1000}, `{"type":"closing","code":"shutting_down","message":"bye","retry_after_ms":1000}`},
}

// fromClient reports whether a client sends m.
func fromClient(m wire.Message) bool {
	switch m.(type) {
	case *wire.Start, *wire.Transcript, *wire.Finish, *wire.End, *wire.Keepalive:
		return true
	}
	return false
}

func TestMessagesOnTheWire(t *testing.T) {
	for _, c := range wireCases {
		t.Run(c.name, func(t *testing.T) {
			b, err := wire.Encode(c.message)
			if err != nil || string(b) != c.wire {
				t.Errorf("Encode: got %s, %v\nwant %s", b, err, c.wire)
			}
			decode := wire.DecodeHost
			if fromClient(c.message) {
				decode = wire.DecodeClient
			}
			m, err := decode([]byte(c.wire))
			if err != nil || !reflect.DeepEqual(m, c.message) {
				t.Errorf("decoding: got %+v, %v\nwant %+v", m, err, c.message)
			}
		})
	}
}

// badWire are text frames that DecodeClient refuses.
var badWire = []struct{ name, wire, code, want string }{
	{"empty", ``, "bad_json", "unexpected end"},
	{"no JSON", `start`, "bad_json", "invalid character 's'"},
	{"array", `[]`, "bad_message", "JSON object"},
	{"null", `null`, "bad_message", "JSON object"},
	{"no type", `{"uid":"ada"}`, "bad_message", `no "type"`},
	{"type is a number", `{"type":1}`, "bad_message", `type is the number "1"`},
	{"type is empty", `{"type":""}`, "unknown_type", `type ""`},
	{"type in capitals", `{"type":"START"}`, "unknown_type", `"START"`},
	{"one of the host's types", `{"type":"ready"}`, "unknown_type", `"ready"`},
	{"type twice", `{"type":"end","type":"end"}`, "bad_message", `"type" is given twice`},
	{"field twice", `{"type":"start","uid":"a","uid":"b"}`, "bad_message", `"uid" is given twice`},
	{"field twice, once escaped", `{"type":"start","uid":"a","\u0075id":"b"}`, "bad_message", `"uid" is given twice`},
	{"name in capitals", `{"type":"start","UID":"a"}`, "bad_message", `no field "UID"`},
	{"field of another message", `{"type":"finish","seq":1}`, "bad_message", `finish: there is no field "seq"`},
	{"null", `{"type":"start","uid":null}`, "bad_message", "uid is null; give a string"},
	{"audio is a string", `{"type":"start","uid":"a","audio":"pcm"}`, "bad_message", "audio is a string; give an object"},
	{"rate is a string", `{"type":"start","audio":{"rate":"8000"}}`, "bad_message", "audio.rate is a string; give a whole number"},
	{"rate is a fraction", `{"type":"start","audio":{"rate":8000.5}}`, "bad_message", "audio.rate is the number"},
	{"rate is huge", `{"type":"start","audio":{"rate":1e99}}`, "bad_message", "audio.rate is the number"},
	{"unknown in audio", `{"type":"start","audio":{"bits":16}}`, "bad_message", `no field "audio.bits"`},
	{"metadata is not strings", `{"type":"start","metadata":{"a":1}}`, "bad_message", "metadata.a is the number"},
	{"too much metadata", `{"type":"start","metadata":{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":"","j":"","k":"","l":"","m":"","n":"","o":"","p":"","q":""}}`, "bad_message", "more than 16"},
	{"seq is negative", `{"type":"transcript","seq":-1}`, "bad_message", "seq is the number"},
	{"segments is an object", `{"type":"transcript","segments":{}}`, "bad_message", "segments is an object; give an array"},
	{"segment is a string", `{"type":"transcript","segments":["hi"]}`, "bad_message", "segments[0] is a string"},
	{"segment without an end", `{"type":"transcript","segments":[{"id":"1","text":"","start":0}]}`, "bad_message", "segments[0].end is missing"},
	{"wrong kind, deep", `{"type":"transcript","segments":[{"id":"1","text":"","start":0,"end":0},{"id":"2","text":"","start":"0"}]}`, "bad_message", "segments[1].start is a string; give a number"},
	{"number out of range", `{"type":"transcript","segments":[{"start":1e999}]}`, "bad_message", "segments[0].start is the number"},
	{"deep nesting", `{"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `,"type":"end"}`, "bad_message", `no field "x"`},
	{"deeper nesting", strings.Repeat("[", 100_000), "bad_json", "depth"},
	{"not UTF-8", "{\"type\":\"end\xff\"}", "bad_json", "not UTF-8"},
	{"a long name", `{"type":"end","` + strings.Repeat("n", 1000) + `":1}`, "bad_message", "nnn\"…; remove"},
}

func TestBadMessagesAreNamed(t *testing.T) {
	for _, b := range badWire {
		t.Run(b.name, func(t *testing.T) {
			m, err := wire.DecodeClient([]byte(b.wire))
			var bad *wire.MessageError
			if !errors.As(err, &bad) || bad.Code != b.code || !strings.Contains(bad.Message, b.want) {
				t.Fatalf("got %+v, %v; want %s that says %q", m, err, b.code, b.want)
			}
			if len(bad.Message) > 300 {
				t.Errorf("the message is %d bytes long", len(bad.Message))
			}
		})
	}
}

func TestTheTypeNeedNotComeFirst(t *testing.T) {
	m, err := wire.DecodeClient([]byte(`{"metadata":{"type":"end"},"uid":"ada","type":"start"}`))
	if s, ok := m.(*wire.Start); err != nil || !ok || s.Metadata["type"] != "end" {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestAClientSkipsWhatItDoesNotKnow(t *testing.T) {
	m, err := wire.DecodeHost([]byte(`{"type":"ack","seq":1,"audio_bytes":2,"new":{}}`))
	if err != nil || *m.(*wire.Ack) != (wire.Ack{Seq: 1, AudioBytes: 2}) {
		t.Errorf("got %+v, %v", m, err)
	}
	var unknown *wire.UnknownTypeError
	if _, err := wire.DecodeHost([]byte(`{"type":"new"}`)); !errors.As(err, &unknown) || unknown.MessageType != "new" {
		t.Errorf("got %v", err)
	}
}

// FuzzDecodeClient holds DecodeClient to: no panic; an error that is a
// *MessageError; memory in proportion to the frame; and what it took, encoded
// and decoded again, is the same.
func FuzzDecodeClient(f *testing.F) {
	for _, c := range wireCases {
		f.Add([]byte(c.wire))
	}
	for _, b := range badWire {
		f.Add([]byte(b.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := wire.DecodeClient(b)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<10+100*uint64(len(b)) {
			t.Errorf("decoding %d bytes took %d bytes", len(b), took)
		}
		if err != nil {
			var bad *wire.MessageError
			if !errors.As(err, &bad) || bad.Code == "" || bad.Message == "" {
				t.Errorf("got the error %v", err)
			}
			return
		}
		frame, err := wire.Encode(m)
		if err != nil {
			t.Fatalf("encoding %+v: %v", m, err)
		}
		again, err := wire.DecodeClient(frame)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%s decoded to %+v, and that encoded as %s to %+v, %v", b, m, frame, again, err)
		}
	})
}

// FuzzDecodeHost holds DecodeHost to not panicking.
func FuzzDecodeHost(f *testing.F) {
	for _, c := range wireCases {
		f.Add([]byte(c.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.DecodeHost(b)
		if (m == nil) == (err == nil) {
			t.Errorf("got %v, %v", m, err)
		}
	})
}
