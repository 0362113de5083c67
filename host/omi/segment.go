package omi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// MaxIDBytes is the longest id of a conversation, person or segment.
const MaxIDBytes = 128

// Segment is a piece of a transcript, as Omi has it.
type Segment struct {
	ID         string  `json:"id"` // "" where the client leaves it to the server
	Text       string  `json:"text"`
	Speaker    string  `json:"speaker"`                // "SPEAKER_00"
	SpeakerID  int     `json:"speaker_id"`             // the number in Speaker
	Name       string  `json:"speaker_name,omitempty"` // of what the server sends, where the speaker has one
	IsUser     bool    `json:"is_user"`
	PersonID   *string `json:"person_id"` // nil: nobody who is known
	Start      float64 `json:"start"`     // seconds
	End        float64 `json:"end"`
	Translated []any   `json:"translations"`             // of what the server sends; never nil there
	Processed  bool    `json:"speech_profile_processed"` // likewise
	Provider   *string `json:"stt_provider"`
}

// rawSegment is a Segment as it comes: Omi leaves out or sends null for what it
// does not know.
type rawSegment struct {
	ID        *string  `json:"id"`
	Text      *string  `json:"text"`
	Speaker   *string  `json:"speaker"`
	SpeakerID *int     `json:"speaker_id"`
	IsUser    *bool    `json:"is_user"`
	PersonID  *string  `json:"person_id"`
	Start     *float64 `json:"start"`
	End       *float64 `json:"end"`
	Provider  *string  `json:"stt_provider"`
}

// segment returns a raw segment with Omi's own defaults: no negative times, an
// end that is not before the start, a speaker that has both name and number.
func (r rawSegment) segment() Segment {
	s := Segment{
		ID: deref(r.ID), Text: deref(r.Text), Speaker: deref(r.Speaker), IsUser: deref(r.IsUser), PersonID: r.PersonID,
		Start: math.Max(0, deref(r.Start)), Translated: []any{}, Processed: true, Provider: r.Provider,
	}
	s.End = math.Max(s.Start, deref(r.End))
	switch {
	case r.SpeakerID != nil:
		s.SpeakerID = *r.SpeakerID
		if s.Speaker == "" {
			s.Speaker = fmt.Sprintf("SPEAKER_%02d", s.SpeakerID)
		}
	case s.Speaker == "":
		s.Speaker = "SPEAKER_00"
	default:
		if _, err := fmt.Sscanf(s.Speaker, "SPEAKER_%d", &s.SpeakerID); err != nil {
			s.SpeakerID = 0
		}
	}
	return s
}

func segments(raw []rawSegment) []Segment {
	segs := make([]Segment, len(raw))
	for i, r := range raw {
		segs[i] = r.segment()
	}
	return segs
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// object reads b, which must be one JSON object, into v.
func object(b []byte, what string, v any) error {
	if !utf8.Valid(b) {
		return fault(CodeBadJSON, "%s is not UTF-8", what)
	}
	if trimmed := bytes.TrimLeft(b, " \t\r\n"); json.Valid(b) && trimmed[0] != '{' {
		return fault(CodeBadMessage, "%s is JSON, but no object", what)
	}
	err := json.Unmarshal(b, v)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return fault(CodeBadMessage, "%s: %s is a %s", what, kind.Field, kind.Value)
	case err != nil:
		return fault(CodeBadJSON, "%s is not JSON: %v", what, err)
	}
	return nil
}

// checkID returns an error unless id is given and short enough.
func checkID(what, field, id string) error {
	if id == "" || len(id) > MaxIDBytes || !utf8.ValidString(id) {
		return fault(CodeBadMessage, "%s: %s is %d bytes of UTF-8, must be 1 to %d", what, field, len(id), MaxIDBytes)
	}
	return nil
}
