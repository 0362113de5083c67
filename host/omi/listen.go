package omi

import "encoding/json"

// A Message is what a client of /v4/listen sends as text: SuggestedTranscript or
// SpeakerAssigned.
type Message any

// SuggestedTranscript is from the client's own speech-to-text.
type SuggestedTranscript struct{ Segments []Segment }

// SpeakerAssigned says who spoke segments.
type SpeakerAssigned struct {
	Speaker    int
	PersonID   string // "user": the device's own
	PersonName string
	Segments   []string
}

// DecodeMessage reads a text message. Errors are *Error; what Omi has and this
// host has not, as image_chunk, is CodeUnknownType.
func DecodeMessage(b []byte) (Message, error) {
	var m struct {
		Type     *string         `json:"type"`
		Segments json.RawMessage `json:"segments"`
	}
	if err := object(b, "a message", &m); err != nil {
		return nil, err
	}
	switch t := deref(m.Type); t {
	case "suggested_transcript":
		return decodeSuggested(b)
	case "speaker_assigned":
		return decodeAssigned(b)
	case "":
		return nil, fault(CodeBadMessage, "the message has no type")
	case "image_chunk":
		return nil, fault(CodeUnknownType, "image_chunk is not taken: this host has no use for images")
	default:
		return nil, fault(CodeUnknownType, "there is no message of type %+.64q; send suggested_transcript or speaker_assigned", t)
	}
}

func decodeSuggested(b []byte) (Message, error) {
	var m struct {
		Segments []rawSegment `json:"segments"`
		Provider *string      `json:"stt_provider"`
	}
	if err := object(b, "suggested_transcript", &m); err != nil {
		return nil, err
	}
	segs := segments(m.Segments)
	if m.Provider != nil {
		for i := range segs {
			segs[i].Provider = m.Provider
		}
	}
	return SuggestedTranscript{segs}, nil
}

func decodeAssigned(b []byte) (Message, error) {
	var m struct {
		Speaker    *int     `json:"speaker_id"`
		PersonID   *string  `json:"person_id"`
		PersonName *string  `json:"person_name"`
		Segments   []string `json:"segment_ids"`
	}
	if err := object(b, "speaker_assigned", &m); err != nil {
		return nil, err
	}
	if err := checkID("speaker_assigned", "person_id", deref(m.PersonID)); err != nil {
		return nil, err
	}
	if len(deref(m.PersonName)) > MaxIDBytes {
		return nil, fault(CodeBadMessage, "speaker_assigned: person_name is %d bytes, must be %d at most", len(*m.PersonName), MaxIDBytes)
	}
	if len(m.Segments) == 0 {
		return nil, fault(CodeBadMessage, "speaker_assigned: segment_ids is empty")
	}
	return SpeakerAssigned{deref(m.Speaker), *m.PersonID, deref(m.PersonName), m.Segments}, nil
}
