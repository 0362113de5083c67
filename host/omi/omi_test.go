package omi_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/auricle-dev/auricle/host/omi"
)

func frame(kind uint32, body string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, kind), body...)
}

// frames are of each type, as Omi's backend makes them.
var frames = []struct {
	name  string
	bytes []byte
	want  omi.Frame
	least int // bytes that it takes; fewer is an error
}{
	{"heartbeat", frame(100, ""), omi.Heartbeat{}, 4},
	{"audio", frame(101, string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(1700000000.25)))+"\x01\x02"), omi.Audio{Timestamp: 1700000000.25, PCM: []byte{1, 2}}, 12},
	{"transcript", frame(102, `{"segments": [{"id": "a", "text": "hi", "speaker": "SPEAKER_03", "speaker_id": 3, "is_user": true, "person_id": null, "start": 1.5, "end": 2, "translations": []}], "memory_id": "m"}`),
		omi.Transcript{Conversation: "m", Segments: []omi.Segment{{ID: "a", Text: "hi", Speaker: "SPEAKER_03", SpeakerID: 3, IsUser: true, Start: 1.5, End: 2, Translated: []any{}, Processed: true}}}, 0},
	{"transcript of nothing", frame(102, `{"segments": null, "memory_id": null}`), omi.Transcript{Segments: []omi.Segment{}}, 0},
	{"segment without anything", frame(102, `{"segments": [{}]}`), omi.Transcript{Segments: []omi.Segment{{Speaker: "SPEAKER_00", Translated: []any{}, Processed: true}}}, 0},
	{"conversation", frame(103, "c-1"), omi.Conversation{ID: "c-1"}, 5},
	{"process", frame(104, `{"conversation_id": "c-1", "language": "en"}`), omi.Process{Conversation: "c-1", Language: "en"}, 0},
	{"speaker sample", frame(105, `{"person_id": "p", "conversation_id": "c-1", "segment_ids": ["a", "b"]}`), omi.SpeakerSample{Person: "p", Conversation: "c-1", Segments: []string{"a", "b"}}, 0},
}

func TestFramesAreRead(t *testing.T) {
	for _, f := range frames {
		got, err := omi.DecodeFrame(f.bytes)
		if err != nil || !reflect.DeepEqual(got, f.want) {
			t.Errorf("%s: got %+v, %v; want %+v", f.name, got, err, f.want)
		}
	}
}

// Each frame is cut short at every length. What is left is refused by name, but
// where it is shorter audio or a shorter id.
func TestFramesThatAreCutShort(t *testing.T) {
	for _, f := range frames {
		least := f.least
		if least == 0 {
			least = len(f.bytes)
		}
		for n := range f.bytes {
			got, err := omi.DecodeFrame(f.bytes[:n:n])
			var bad *omi.Error
			switch {
			case n >= least && err != nil:
				t.Errorf("%s of %d bytes: %v", f.name, n, err)
			case n < least && (!errors.As(err, &bad) || bad.Code == "" || bad.Message == ""):
				t.Errorf("%s of %d bytes: got %+v, %v; want a named error", f.name, n, got, err)
			case n < 4 && bad.Code != omi.CodeShortFrame:
				t.Errorf("%s of %d bytes: %v", f.name, n, bad)
			}
		}
	}
}

func TestAnswersAreOmis(t *testing.T) {
	for want, got := range map[string][]byte{
		`201 {"conversation_id":"c","success":true}`:                                              omi.Processed("c", ""),
		`201 {"conversation_id":"c","error":"conversation_not_found"}`:                            omi.Processed("c", "conversation_not_found"),
		`205 {"conversation_id":"c","person_id":"p","assigned":2}`:                                omi.Assigned(omi.SpeakerSample{Conversation: "c", Person: "p"}, 2, ""),
		`205 {"conversation_id":"c","person_id":"p","assigned":0,"error":"unknown_conversation"}`: omi.Assigned(omi.SpeakerSample{Conversation: "c", Person: "p"}, 0, "unknown_conversation"),
	} {
		if text := fmt.Sprint(binary.LittleEndian.Uint32(got), " ", string(got[4:])); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
}

// sound fails unless what was decoded keeps what the host relies on.
func sound(t *testing.T, segs []omi.Segment) {
	t.Helper()
	for _, s := range segs {
		if !(s.Start >= 0) || !(s.End >= s.Start) || math.IsInf(s.End, 0) || s.Speaker == "" || s.Translated == nil {
			t.Errorf("got %+v", s)
		}
	}
	if _, err := json.Marshal(segs); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeFrame(f *testing.F) {
	for _, s := range frames {
		f.Add(s.bytes)
		f.Add(s.bytes[:len(s.bytes)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := omi.DecodeFrame(b)
		var bad *omi.Error
		if err != nil && (!errors.As(err, &bad) || bad.Code == "") {
			t.Fatalf("an error without a name: %v", err)
		}
		switch m := got.(type) {
		case omi.Audio:
			if len(m.PCM) != len(b)-12 {
				t.Errorf("%d bytes of audio in a frame of %d", len(m.PCM), len(b))
			}
		case omi.Transcript:
			sound(t, m.Segments)
		case omi.Conversation:
			if m.ID == "" || len(m.ID) > omi.MaxIDBytes {
				t.Errorf("got %q", m.ID)
			}
		case omi.Process:
			if m.Conversation == "" || len(m.Conversation) > omi.MaxIDBytes {
				t.Errorf("got %q", m.Conversation)
			}
		case omi.SpeakerSample:
			if m.Person == "" || m.Conversation == "" || len(m.Segments) == 0 {
				t.Errorf("got %+v", m)
			}
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	f.Add([]byte(`{"type":"suggested_transcript","segments":[{"id":"1","text":"hi","start":0,"end":1}],"stt_provider":"x"}`))
	f.Add([]byte(`{"type":"speaker_assigned","speaker_id":1,"person_id":"p","person_name":"Ada","segment_ids":["1"]}`))
	f.Add([]byte(`{"type":"image_chunk"}`))
	f.Add([]byte(`ping`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := omi.DecodeMessage(b)
		var bad *omi.Error
		if err != nil && (!errors.As(err, &bad) || bad.Code == "") {
			t.Fatalf("an error without a name: %v", err)
		}
		switch m := got.(type) {
		case omi.SuggestedTranscript:
			sound(t, m.Segments)
		case omi.SpeakerAssigned:
			if m.PersonID == "" || len(m.Segments) == 0 {
				t.Errorf("got %+v", m)
			}
		}
	})
}
