package omi

import (
	"encoding/binary"
	"encoding/json"
	"math"
)

// The types of the frames of /v1/trigger/listen: the first 4 bytes of each,
// little-endian.
const (
	TypeHeartbeat     = 100
	TypeAudio         = 101
	TypeTranscript    = 102
	TypeConversation  = 103
	TypeProcess       = 104
	TypeSpeakerSample = 105

	TypeProcessed = 201 // to the client, answers TypeProcess
	TypeAssigned  = 205 // to the client, answers TypeSpeakerSample; not Omi's own, whose client lets it go
)

// A Frame is what a client of the pusher sends: Heartbeat, Audio, Transcript,
// Conversation, Process or SpeakerSample.
type Frame any

// Heartbeat says that the client is alive.
type Heartbeat struct{}

// Audio is PCM, signed 16-bit little-endian, mono, at the rate that the request
// named.
type Audio struct {
	Timestamp float64 // Unix time of the first sample, in seconds
	PCM       []byte  // of the frame's own bytes
}

// Transcript is what was said, new or changed.
type Transcript struct {
	Segments     []Segment
	Conversation string // to which they belong; "" is the current one
}

// Conversation names the one to which what follows belongs.
type Conversation struct{ ID string }

// Process asks to complete a conversation, and is answered.
type Process struct {
	Conversation string
	Language     string // "" where it is not told
}

// SpeakerSample says who spoke segments, so that samples of the voice can be
// taken from them.
type SpeakerSample struct {
	Person       string
	Conversation string
	Segments     []string
}

// DecodeFrame reads a frame. Errors are *Error. An Audio's bytes are b's.
func DecodeFrame(b []byte) (Frame, error) {
	if len(b) < 4 {
		return nil, fault(CodeShortFrame, "a frame of %d bytes has no type, which takes 4", len(b))
	}
	body := b[4:]
	switch t := binary.LittleEndian.Uint32(b); t {
	case TypeHeartbeat:
		return Heartbeat{}, nil
	case TypeAudio:
		if len(body) < 8 {
			return nil, fault(CodeShortFrame, "a frame of audio has %d bytes of its timestamp, which takes 8", len(body))
		}
		return Audio{math.Float64frombits(binary.LittleEndian.Uint64(body)), body[8:]}, nil
	case TypeTranscript:
		return decodeTranscript(body)
	case TypeConversation:
		if err := checkID("a conversation's frame", "the id", string(body)); err != nil {
			return nil, err
		}
		return Conversation{string(body)}, nil
	case TypeProcess:
		return decodeProcess(body)
	case TypeSpeakerSample:
		return decodeSample(body)
	default:
		return nil, fault(CodeUnknownType, "there is no frame of type %d", t)
	}
}

func decodeTranscript(b []byte) (Frame, error) {
	var m struct {
		Segments     []rawSegment `json:"segments"`
		Conversation *string      `json:"memory_id"`
	}
	if err := object(b, "a transcript", &m); err != nil {
		return nil, err
	}
	if id := deref(m.Conversation); len(id) > MaxIDBytes {
		return nil, checkID("a transcript", "memory_id", id)
	}
	return Transcript{segments(m.Segments), deref(m.Conversation)}, nil
}

func decodeProcess(b []byte) (Frame, error) {
	var m struct {
		Conversation *string `json:"conversation_id"`
		Language     *string `json:"language"`
	}
	if err := object(b, "a process request", &m); err != nil {
		return nil, err
	}
	if err := checkID("a process request", "conversation_id", deref(m.Conversation)); err != nil {
		return nil, err
	}
	return Process{*m.Conversation, deref(m.Language)}, nil
}

func decodeSample(b []byte) (Frame, error) {
	const what = "a speaker sample request"
	var m struct {
		Person       *string  `json:"person_id"`
		Conversation *string  `json:"conversation_id"`
		Segments     []string `json:"segment_ids"`
	}
	if err := object(b, what, &m); err != nil {
		return nil, err
	}
	if err := checkID(what, "person_id", deref(m.Person)); err != nil {
		return nil, err
	}
	if err := checkID(what, "conversation_id", deref(m.Conversation)); err != nil {
		return nil, err
	}
	if len(m.Segments) == 0 {
		return nil, fault(CodeBadMessage, "%s: segment_ids is empty", what)
	}
	return SpeakerSample{*m.Person, *m.Conversation, m.Segments}, nil
}

// Processed returns the frame that answers a Process: fault is "" when the
// conversation is completed.
func Processed(conversation, fault string) []byte {
	return answer(TypeProcessed, struct {
		Conversation string `json:"conversation_id"`
		Success      bool   `json:"success,omitempty"`
		Error        string `json:"error,omitempty"`
	}{conversation, fault == "", fault})
}

// Assigned returns the frame that answers a SpeakerSample: how many segments
// are now said to be the person's, or why none is.
func Assigned(r SpeakerSample, n int, fault string) []byte {
	return answer(TypeAssigned, struct {
		Conversation string `json:"conversation_id"`
		Person       string `json:"person_id"`
		Assigned     int    `json:"assigned"`
		Error        string `json:"error,omitempty"`
	}{r.Conversation, r.Person, n, fault})
}

func answer(kind uint32, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(binary.LittleEndian.AppendUint32(nil, kind), b...)
}
