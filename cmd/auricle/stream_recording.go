package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/wav"
	"github.com/auricle-dev/auricle/sdk/event"
)

// transcriptName is the file that makes a directory a recorded conversation;
// examples/conversations/README.md describes its format.
const transcriptName = "transcript.json"

// recording is a conversation to be played: sound, a transcript, or both.
// Close closes the sound.
type recording struct {
	Name     string // for people
	Language string
	Metadata map[string]string
	Segments []event.Segment // in order of End
	Audio    *wav.File       // nil when there is none
}

// openRecording opens what path names: a directory with a transcript.json, a
// transcript file (with the sound it names), or a WAV file alone.
func openRecording(path string) (*recording, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		file := filepath.Join(path, transcriptName)
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s: no %s in this directory; name a WAV or a transcript file, or a directory that holds a conversation", path, transcriptName)
		}
		path = file
	}
	if strings.EqualFold(filepath.Ext(path), ".json") {
		return openTranscript(path)
	}
	rec := &recording{Name: filepath.Base(path)}
	rec.Audio, err = wav.Open(path)
	return rec, err
}

// openRecordingParts opens a recording whose parts are named apart. Either
// path may be empty; sound named by wavPath replaces the transcript's own.
func openRecordingParts(path, transcriptPath, wavPath string) (*recording, error) {
	if path == "" {
		path, transcriptPath = transcriptPath, ""
	}
	if path == "" {
		path, wavPath = wavPath, ""
	}
	rec, err := openRecording(path)
	if err != nil {
		return nil, err
	}
	if transcriptPath != "" {
		t, err := readTranscript(transcriptPath)
		if err != nil {
			return nil, errors.Join(err, rec.Close())
		}
		rec.Language, rec.Metadata, rec.Segments = t.Language, t.Metadata, t.Segments
	}
	if wavPath != "" {
		w, err := wav.Open(wavPath)
		if err = errors.Join(err, rec.Close()); err != nil {
			return nil, err
		}
		rec.Audio = w
	}
	return rec, nil
}

// Close closes the sound.
func (r *recording) Close() error {
	if r.Audio == nil {
		return nil
	}
	return r.Audio.Close()
}

// Duration is how long the recording takes in real time.
func (r *recording) Duration() time.Duration {
	var d time.Duration
	if r.Audio != nil {
		d = r.Audio.Duration()
	}
	if n := len(r.Segments); n > 0 {
		d = max(d, seconds(r.Segments[n-1].End))
	}
	return d
}

// seconds converts a segment's time.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// transcriptFile is a transcript.json.
type transcriptFile struct {
	Language string            `json:"language"`
	Audio    string            `json:"audio"` // a WAV file beside the transcript; "" for none
	Metadata map[string]string `json:"metadata"`
	Segments []event.Segment   `json:"segments"`
}

// openTranscript opens the transcript at path and the sound that it names.
func openTranscript(path string) (*recording, error) {
	t, err := readTranscript(path)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	rec := &recording{Name: filepath.Base(path), Language: t.Language, Metadata: t.Metadata, Segments: t.Segments}
	if filepath.Base(path) == transcriptName {
		if abs, err := filepath.Abs(dir); err == nil {
			rec.Name = filepath.Base(abs)
		}
	}
	if t.Audio == "" {
		return rec, nil
	}
	if !filepath.IsLocal(t.Audio) {
		return nil, fmt.Errorf("%s: audio %q is not a path below the transcript's directory", path, t.Audio)
	}
	rec.Audio, err = wav.Open(filepath.Join(dir, t.Audio))
	return rec, err
}

// maxTranscriptBytes bounds a transcript file; a day of talk is about 2 MB.
const maxTranscriptBytes = 32 << 20

// readTranscript reads and checks a transcript file. Its segments come back in
// order of End.
func readTranscript(path string) (*transcriptFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxTranscriptBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(b) > maxTranscriptBytes {
		return nil, fmt.Errorf("%s: larger than %d MiB; is it a transcript?", path, maxTranscriptBytes>>20)
	}
	var t transcriptFile
	if err := decodeStrict(b, &t); err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	seen := map[string]bool{}
	for i, s := range t.Segments {
		var fault string
		switch {
		case s.ID == "":
			fault = "has no id"
		case seen[s.ID]:
			fault = "has an id that an earlier one has"
		case math.IsNaN(s.Start) || s.Start < 0 || s.End < s.Start || s.End > 1e6:
			fault = fmt.Sprintf("goes from %v to %v s; it must begin at 0 or later, and end no earlier than it begins", s.Start, s.End)
		}
		if fault != "" {
			return nil, fmt.Errorf("%s: segment %d (%q) %s", path, i+1, s.ID, fault)
		}
		seen[s.ID] = true
	}
	slices.SortStableFunc(t.Segments, func(a, b event.Segment) int {
		switch {
		case a.End < b.End:
			return -1
		case a.End > b.End:
			return 1
		}
		return 0
	})
	return &t, nil
}

// jsonError is a fault in JSON, with its place.
type jsonError struct {
	Line, Column int // from 1
	Err          error
}

// Error begins with the place, so that a file's name and a colon can stand
// before it.
func (e *jsonError) Error() string { return fmt.Sprintf("%d:%d: %v", e.Line, e.Column, e.Err) }

func (e *jsonError) Unwrap() error { return e.Err }

// decodeStrict decodes the one JSON value in b into v, and refuses unknown
// fields and anything after it. Its errors are *jsonError.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	at := d.InputOffset()
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		err = errors.New("something follows the JSON value")
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
		err = fmt.Errorf("%q must be %s, not %s", kind.Field, jsonKind(kind.Type.Kind().String()), kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		at, err = int64(len(b)), errors.New("the JSON ends too early")
	default:
		err = errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	before := b[:min(max(at, 0), int64(len(b)))]
	return &jsonError{
		Line:   1 + bytes.Count(before, []byte("\n")),
		Column: len(before) - bytes.LastIndexByte(before, '\n'),
		Err:    err,
	}
}

// jsonKind names a Go kind as JSON does.
func jsonKind(kind string) string {
	switch {
	case kind == "struct" || kind == "map":
		return "an object"
	case kind == "slice":
		return "an array"
	case kind == "bool":
		return "true or false"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"), strings.HasPrefix(kind, "float"):
		return "a number"
	}
	return "a " + kind
}
