package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSampleConversationIsSound(t *testing.T) {
	rec, err := openRecording(filepath.Join("..", "..", "examples", "conversations", "budget-meeting"))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	if rec.Audio == nil || rec.Duration() < time.Minute || rec.Audio.Bytes > 3<<20 {
		t.Fatalf("got %v of sound, want a minute at least, in 3 MiB at most", rec.Duration())
	}
	speakers := map[string]bool{}
	words := map[string]bool{}
	at := 0.0
	for _, s := range rec.Segments {
		speakers[s.Speaker] = true
		if s.Start < at || s.End > rec.Audio.Duration().Seconds() {
			t.Errorf("segment %s goes from %v to %v s, before %v or past the end of the sound", s.ID, s.Start, s.End, at)
		}
		at = s.End
		for _, w := range strings.Fields(strings.ToLower(s.Text)) {
			words[strings.Trim(w, ".,?")] = true
		}
	}
	if len(speakers) != 2 || !words["budget"] || !words["deadline"] {
		t.Errorf("got speakers %v; want two, who speak of a budget and a deadline", speakers)
	}
}

func TestBadTranscriptsSayWhereAndWhy(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"not JSON", "{\n  \"segments\": [,]\n}", "transcript.json:2:17: invalid character ','"},
		{"cut", `{"segments": [`, "transcript.json:1:15: the JSON ends too early"},
		{"empty", ``, "the JSON ends too early"},
		{"a wrong kind", `{"segments": [{"id": 1}]}`, `"segments.id" must be a string, not number`},
		{"an unknown field", `{"speakers": []}`, `unknown field "speakers"`},
		{"something after it", "{}\n{}", "something follows the JSON value"},
		{"no id", `{"segments": [{"text": "Hi"}]}`, `segment 1 ("") has no id`},
		{"the same id twice", `{"segments": [{"id": "a"}, {"id": "a"}]}`, `segment 2 ("a") has an id that an earlier one has`},
		{"ends before it begins", `{"segments": [{"id": "a", "start": 2, "end": 1}]}`, "goes from 2 to 1 s"},
		{"begins before the conversation", `{"segments": [{"id": "a", "start": -1}]}`, "goes from -1 to 0 s"},
		{"sound outside its directory", `{"audio": "../talk.wav"}`, `audio "../talk.wav" is not a path below`},
		{"sound that is missing", `{"audio": "talk.wav"}`, "talk.wav: no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, transcriptName), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := openRecording(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
