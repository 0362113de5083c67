// Package event holds what the host and its apps say to each other: events and
// their payloads, manifests, capabilities and effect requests. The host, the
// SDK and tests share these types, so that each format is written down once.
// The formats themselves are described in docs/abi.md.
//
// It imports nothing but the standard library, and nothing that a guest
// would pay for in size without using it.
package event

import (
	"encoding/json"
	"fmt"
	"time"
)

// Kind is the kind of an event, as passed to a module's auricle_v1_handle.
type Kind int32

// The kinds of event. Tool and Schedule are reserved: no host sends them yet.
const (
	KindAudio        Kind = 1 // binary payload, see Audio
	KindTranscript   Kind = 2 // JSON payload, see Transcript
	KindConversation Kind = 3 // JSON payload, see Conversation
	KindTool         Kind = 4
	KindSchedule     Kind = 5
)

// String returns the kind's name as it stands in manifests, configuration,
// metrics and messages, for example "transcript".
func (k Kind) String() string {
	switch k {
	case KindAudio:
		return "audio"
	case KindTranscript:
		return "transcript"
	case KindConversation:
		return "conversation"
	case KindTool:
		return "tool"
	case KindSchedule:
		return "schedule"
	}
	return fmt.Sprintf("kind(%d)", int32(k))
}

// Capability names something an app may receive or do. A manifest declares
// capabilities, the operator grants them, and the host acts only on those that
// are both.
type Capability string

// The capabilities that this host knows.
const (
	CapAudio        Capability = "audio"        // receive audio events
	CapTranscript   Capability = "transcript"   // receive transcript events
	CapConversation Capability = "conversation" // receive completed conversations
	CapTools        Capability = "tools"        // be called as a tool, by a chat or an agent
	CapNotify       Capability = "notify"       // send the user notifications
	CapHTTP         Capability = "http"         // call web services
	CapStorage      Capability = "storage"      // keep values for each user
)

// Capabilities lists every capability this host knows, receiving ones first.
var Capabilities = []Capability{CapAudio, CapTranscript, CapConversation, CapTools, CapNotify, CapHTTP, CapStorage}

// Receives reports whether c is one by which an app receives events.
func (c Capability) Receives() bool {
	return c == CapAudio || c == CapTranscript || c == CapConversation || c == CapTools
}

// Acts reports whether c is one by which an app acts through the host.
func (c Capability) Acts() bool { return c == CapNotify || c == CapHTTP || c == CapStorage }

// Segment is a piece of transcript.
type Segment struct {
	ID      string  `json:"id"`                // unique within its conversation; sending it again replaces it
	Text    string  `json:"text"`              // UTF-8
	Speaker string  `json:"speaker,omitempty"` // who speaks, as the client names them
	IsUser  bool    `json:"is_user"`           // whether the speaker is the user whose device this is
	Start   float64 `json:"start"`             // seconds from the conversation's start
	End     float64 `json:"end"`               // seconds from the conversation's start
}

// Transcript is the payload of a KindTranscript event: the segments that are
// new or changed since the app's last one. When an app lags, several are
// merged into one; each segment is then present once, in its newest form.
type Transcript struct {
	Session      string    `json:"session"`
	Conversation string    `json:"conversation"`
	UID          string    `json:"uid"`
	Language     string    `json:"language,omitempty"` // BCP 47, as the client declared it
	Segments     []Segment `json:"segments"`
	// Restarted says, to an app that keeps state for its session, that the state
	// of earlier events is lost and this one begins anew.
	Restarted bool `json:"restarted,omitempty"`
}

// Reason says why a conversation completed.
type Reason string

// The reasons for a completion.
const (
	ReasonFinish    Reason = "finish"    // the client sent finish
	ReasonEnd       Reason = "end"       // the client sent end
	ReasonSilence   Reason = "silence"   // nothing was said for the silence timeout
	ReasonLost      Reason = "lost"      // the stream was lost and did not come back within the grace period
	ReasonFull      Reason = "full"      // it reached the host's bound; the session goes on with a new one
	ReasonRecovered Reason = "recovered" // its host died or stopped, and nobody came back to it on the one that found it open
)

// Conversation is a completed conversation: the payload of a KindConversation
// event, and what the host keeps.
type Conversation struct {
	ID          string            `json:"id"`
	Session     string            `json:"session"`
	UID         string            `json:"uid"`
	Language    string            `json:"language,omitempty"`
	Source      string            `json:"source,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	StartedAt   time.Time         `json:"started_at"`
	CompletedAt time.Time         `json:"completed_at"`
	Reason      Reason            `json:"reason"`
	AudioMillis int64             `json:"audio_ms"` // audio received, in ms; the audio itself is not kept
	Segments    []Segment         `json:"segments"` // in order of Start
	// Restarted is as Transcript.Restarted; never set but in an event.
	Restarted bool `json:"restarted,omitempty"`
}

// OutputKind tells what an output is.
type OutputKind string

// The kinds of output.
const (
	OutputEmitted      OutputKind = "output"       // JSON that the app emitted
	OutputNotification OutputKind = "notification" // a notification: Data is {"text": …}
)

// Output is something an app produced for the user, as clients and stored
// conversations show it.
type Output struct {
	App          string          `json:"app"`
	Conversation string          `json:"conversation"`
	Event        string          `json:"event"`      // the kind of the event that caused it
	Invocation   string          `json:"invocation"` // id of the invocation that made it
	Kind         OutputKind      `json:"kind"`
	Data         json.RawMessage `json:"data"`
	At           time.Time       `json:"at"`
}

// Request is what a module passes to the call import: this as JSON, and right
// behind it Bytes raw bytes. Op selects the effect and with it the capability;
// the other fields belong to one op each.
type Request struct {
	Op    string       `json:"op"`
	Text  string       `json:"text,omitempty"`  // notify
	HTTP  *HTTPRequest `json:"http,omitempty"`  // http; the body follows the JSON
	Bytes int          `json:"bytes,omitempty"` // how many bytes follow the JSON
}

// The bounds of a Request and of a Response.
const (
	MaxRequestBytes = 64 << 10 // of the JSON
	MaxBodyBytes    = 1 << 20  // of what follows it
)

// OpNotify sends the user a notification; capability notify. Text is
// NotifyMinChars to NotifyMaxChars Unicode characters.
const OpNotify = "notify"

// The bounds of a notification's text, in Unicode characters.
const (
	NotifyMinChars = 5
	NotifyMaxChars = 150
)

// Response answers a Request; a module reads it with result_read: this as JSON,
// and right behind it Bytes raw bytes.
type Response struct {
	OK    bool           `json:"ok"`
	Error *ResponseError `json:"error,omitempty"`
	HTTP  *HTTPResponse  `json:"http,omitempty"`  // http; the body follows the JSON
	Bytes int            `json:"bytes,omitempty"` // how many bytes follow the JSON
}

// ResponseError says why a request was refused.
type ResponseError struct {
	Code    string `json:"code"` // one of the Code constants
	Message string `json:"message"`
}

// The codes of a refused request.
const (
	CodeBadRequest  = "bad_request"  // not the JSON that the op asks for
	CodeUnknownOp   = "unknown_op"   // this host has no such op
	CodeNotGranted  = "not_granted"  // the operator did not grant the capability
	CodeRateLimited = "rate_limited" // more than the host lets through: at most one notification per app and user in 30 s; calls of web services as configured
	CodeBadText     = "bad_text"     // a notification's text is too short or too long
)
