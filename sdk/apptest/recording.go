package apptest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Recording is a recorded conversation: its transcript, and its audio if there
// is any.
type Recording struct {
	Language string            `json:"language"`
	Metadata map[string]string `json:"metadata"`
	Audio    string            `json:"audio"` // name of a WAV file beside the transcript; "" means none
	Segments []event.Segment   `json:"segments"`

	dir string
}

// Conversation reads the transcript of a recorded conversation, a JSON file
// such as those in examples/conversations. It fails the test when it can't.
func Conversation(t testing.TB, path string) *Recording {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("reading a conversation: %v", err)
	}
	r := &Recording{dir: filepath.Dir(path)}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(r); err != nil {
		t.Fatalf("reading the conversation %s: %v", path, err)
	}
	if len(r.Segments) == 0 {
		t.Fatalf("the conversation %s has no segments", path)
	}
	return r
}

// Transcripts returns a transcript event for every n segments, as a client
// would send them one after the other.
func (r *Recording) Transcripts(n int) []Event {
	n = max(n, 1)
	var events []Event
	for at := 0; at < len(r.Segments); at += n {
		events = append(events, &event.Transcript{
			Language: r.Language, Segments: r.Segments[at:min(at+n, len(r.Segments))],
		})
	}
	return events
}

// Completed returns the conversation as it is once completed.
func (r *Recording) Completed() *event.Conversation {
	last := r.Segments[len(r.Segments)-1]
	return &event.Conversation{
		Language: r.Language, Metadata: r.Metadata, Source: "apptest", Segments: r.Segments,
		AudioMillis: seconds(last.End).Milliseconds(),
	}
}

// Pieces returns the recording's audio in events of every. It fails the test
// when there is no audio.
func (r *Recording) Pieces(t testing.TB, every time.Duration) []Event {
	t.Helper()
	if r.Audio == "" {
		t.Fatal("the recording has no audio")
	}
	path := filepath.Join(r.dir, r.Audio)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("reading the recording's audio: %v", err)
	}
	rate, pcm, err := parseWAV(b)
	if err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
	return Pieces(t, rate, pcm, every)
}
