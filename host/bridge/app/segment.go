package main

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/auricle-dev/auricle/sdk/event"
)

// segment is a piece of transcript as Omi's backend writes it. Its documents
// show speakerId, its code speaker_id; apps read either.
type segment struct {
	ID         string  `json:"id"`
	Text       string  `json:"text"`
	Speaker    string  `json:"speaker"` // "SPEAKER_00"
	SpeakerID  int     `json:"speaker_id"`
	SpeakerOld int     `json:"speakerId"`
	Name       string  `json:"speaker_name,omitempty"`
	IsUser     bool    `json:"is_user"`
	Person     *string `json:"person_id"` // always null: no host knows one
	Start      float64 `json:"start"`     // seconds
	End        float64 `json:"end"`       // seconds
}

const speakerPrefix = "SPEAKER_"

func segmentsOf(es []event.Segment) []segment {
	out := make([]segment, len(es))
	for i, e := range es {
		n, name := speaker(e.Speaker)
		out[i] = segment{
			ID: e.ID, Text: e.Text, Speaker: fmt.Sprintf(speakerPrefix+"%02d", n), SpeakerID: n, SpeakerOld: n, Name: name,
			IsUser: e.IsUser, Start: e.Start, End: e.End,
		}
	}
	return out
}

// speaker returns the number of a speaker, and the name unless that only says
// the number. A name has the same number in every payload: 10,000 or more, where
// it meets none that clients count from 0.
func speaker(s string) (n int, name string) {
	if s == "" {
		return 0, ""
	}
	if digits, ok := strings.CutPrefix(s, speakerPrefix); ok && len(digits) <= 4 {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return int(n), ""
		}
	}
	h := fnv.New32a()
	h.Write([]byte(s)) // which never fails
	return 10_000 + int(h.Sum32()%1_000_000), s
}

// merged puts segments that follow each other and are one speaker's together,
// as Omi's backend does.
func merged(ss []segment) []segment {
	var out []segment
	for _, s := range ss {
		if n := len(out); n > 0 && out[n-1].SpeakerID == s.SpeakerID && out[n-1].IsUser == s.IsUser {
			out[n-1].Text += " " + s.Text
			out[n-1].End = max(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}
