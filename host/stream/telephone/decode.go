package telephone

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// message is a frame of any vendor's; each uses its own names.
type message struct {
	Event string `json:"event"`

	TwilioStream string `json:"streamSid"`
	TelnyxStream string `json:"stream_id"`
	PlivoStream  string `json:"streamId"` // but in start

	Start *struct {
		TwilioCall  string `json:"callSid"`
		TelnyxCall  string `json:"call_control_id"`
		PlivoCall   string `json:"callId"`
		PlivoStream string `json:"streamId"`

		Tracks []string `json:"tracks"` // Twilio, Plivo

		Format       *mediaFormat `json:"mediaFormat"`  // Twilio, Plivo
		TelnyxFormat *mediaFormat `json:"media_format"` // Telnyx

		TwilioParameters map[string]json.RawMessage `json:"customParameters"`  // Twilio
		TelnyxParameters map[string]json.RawMessage `json:"custom_parameters"` // Telnyx
	} `json:"start"`

	ExtraHeaders json.RawMessage `json:"extra_headers"` // Plivo, beside start

	Media *struct {
		Track   *string `json:"track"`
		Chunk   number  `json:"chunk"`
		Payload *string `json:"payload"`
	} `json:"media"`
}

// Decode decodes one frame. An event that is unknown is none of its errors, which
// are *Error; a frame with a bad payload is told with its event.
func (v Vendor) Decode(b []byte) (Frame, error) {
	var m message
	if first := bytes.TrimLeft(b, " \t\r\n"); len(first) == 0 || first[0] != '{' {
		return Frame{}, fault(CodeBadMessage, "", "the frame is no JSON object; a telephone stream has nothing else")
	}
	if !utf8.Valid(b) {
		return Frame{}, fault(CodeBadMessage, "", "the frame is no UTF-8")
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return Frame{}, fault(CodeBadMessage, cut(m.Event), "the frame can't be read: %s", reason(err))
	}
	if m.Event == "" {
		return Frame{}, fault(CodeBadMessage, "", "the frame has no event")
	}
	f := Frame{Event: m.Event}
	switch v {
	case Twilio:
		f.Stream = m.TwilioStream
	case Telnyx:
		f.Stream = m.TelnyxStream
	case Plivo:
		f.Stream = m.PlivoStream
		if m.Start != nil && f.Stream == "" {
			f.Stream = m.Start.PlivoStream
		}
	default:
		return Frame{}, fault(CodeBadMessage, "", "there is no vendor %.64q", string(v))
	}
	if len(f.Stream) > MaxName {
		return Frame{}, fault(CodeBadMessage, cut(f.Event), "%s: the stream's id is %d bytes; at most %d are taken", cut(f.Event), len(f.Stream), MaxName)
	}
	var err error
	switch f.Event {
	case EventStart:
		f.Start, err = v.start(&m, f.Stream)
	case EventMedia:
		f.Media, err = media(&m)
	}
	if err != nil {
		return Frame{Event: f.Event, Stream: f.Stream}, err
	}
	return f, nil
}

// start reads a start frame.
func (v Vendor) start(m *message, stream string) (*Start, error) {
	if m.Start == nil {
		return nil, fault(CodeBadMessage, EventStart, "start: the object start is missing")
	}
	if stream == "" {
		name := map[Vendor]string{Twilio: "streamSid", Telnyx: "stream_id", Plivo: "start.streamId"}[v]
		return nil, fault(CodeBadMessage, EventStart, "start: %s is missing", name)
	}
	s := &Start{Tracks: m.Start.Tracks}
	var format *mediaFormat
	var err error
	switch v {
	case Twilio:
		s.Call, format = m.Start.TwilioCall, m.Start.Format
		s.Parameters, err = parameters("start.customParameters", m.Start.TwilioParameters)
	case Telnyx:
		s.Call, format = m.Start.TelnyxCall, m.Start.TelnyxFormat
		s.Parameters, err = parameters("start.custom_parameters", m.Start.TelnyxParameters)
	case Plivo:
		s.Call, format = m.Start.PlivoCall, m.Start.Format
		s.Parameters, err = extraHeaders(m.ExtraHeaders)
	}
	if err != nil {
		return nil, err
	}
	if len(s.Call) > MaxName {
		return nil, fault(CodeBadStart, EventStart, "start: the call's id is %d bytes; at most %d are taken", len(s.Call), MaxName)
	}
	for _, t := range s.Tracks {
		if t != Inbound && t != Outbound {
			return nil, fault(CodeBadStart, EventStart, "start: there is no track %+.64q; inbound and outbound are known", t)
		}
	}
	if s.Format, err = v.format(format); err != nil {
		return nil, err
	}
	return s, nil
}

// media reads a media frame.
func media(m *message) (*Media, error) {
	if m.Media == nil || m.Media.Payload == nil {
		return nil, fault(CodeBadMessage, EventMedia, "media: media.payload is missing")
	}
	f := &Media{Chunk: uint64(m.Media.Chunk)}
	if t := m.Media.Track; t != nil {
		if f.Track = *t; f.Track != Inbound && f.Track != Outbound {
			return nil, fault(CodeBadMessage, EventMedia, "media: there is no track %+.64q; inbound and outbound are known", f.Track)
		}
	}
	text := *m.Media.Payload
	if n := base64.StdEncoding.DecodedLen(len(text)); n > MaxPayload+2 {
		return nil, fault(CodePayloadTooLarge, EventMedia, "media: the payload is some %d bytes; at most %d are taken", n, MaxPayload)
	}
	// The decoder would let line breaks be.
	if strings.ContainsAny(text, "\r\n") {
		return nil, fault(CodeBadPayload, EventMedia, "media: the payload has line breaks; base64 of RFC 4648 has none")
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fault(CodeBadPayload, EventMedia, "media: the payload is no base64: %v", err)
	}
	if len(payload) > MaxPayload {
		return nil, fault(CodePayloadTooLarge, EventMedia, "media: the payload is %d bytes; at most %d are taken", len(payload), MaxPayload)
	}
	f.Payload = payload
	return f, nil
}

// reason says what is wrong with a frame's JSON without quoting any of it.
func reason(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		field := kind.Field
		if field == "" {
			field = "it"
		}
		return field + " is of the wrong kind"
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return "it is no JSON"
	}
	return err.Error()
}

// cut bounds an event's name for messages.
func cut(event string) string {
	const most = 32
	if len(event) > most {
		return strings.ToValidUTF8(event[:most], "") + "…"
	}
	return event
}
