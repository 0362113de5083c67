package event

import "encoding/json"

// Manifest is what a module says about itself, written by
// auricle_v1_manifest through manifest_write as JSON.
type Manifest struct {
	Name         string              `json:"name"`    // lower-case letters, digits, '-', '_', '.'; begins with a letter
	Version      string              `json:"version"` // as the author counts, for example "1.2.0"
	Description  string              `json:"description,omitempty"`
	Author       string              `json:"author,omitempty"`
	Homepage     string              `json:"homepage,omitempty"`
	Events       Events              `json:"events"`
	Capabilities []CapabilityRequest `json:"capabilities,omitempty"`
	State        State               `json:"state,omitempty"`    // what it asks for; empty means StateFresh
	Limits       *Limits             `json:"limits,omitempty"`   // what the author suggests; the operator's limits win
	Settings     json.RawMessage     `json:"settings,omitempty"` // JSON Schema (2020-12) of the operator's settings
}

// Events says which events an app handles. Handling a kind asks for the
// receiving capability of the same name, so it need not be listed again in
// Capabilities.
type Events struct {
	Audio        *AudioEvents `json:"audio,omitempty"`
	Transcript   *struct{}    `json:"transcript,omitempty"`
	Conversation *struct{}    `json:"conversation,omitempty"`
}

// Kinds returns the kinds of event that e names, in order of Kind.
func (e Events) Kinds() []Kind {
	var ks []Kind
	if e.Audio != nil {
		ks = append(ks, KindAudio)
	}
	if e.Transcript != nil {
		ks = append(ks, KindTranscript)
	}
	if e.Conversation != nil {
		ks = append(ks, KindConversation)
	}
	return ks
}

// AudioEvents asks for audio in pieces of EveryMillis.
type AudioEvents struct {
	EveryMillis int `json:"every_ms,omitempty"` // 100 to 10,000 ms; 0 means DefaultAudioMillis
	// Latest says that an app that lags wants the newest whole piece of a
	// conversation and none of those before it, which then count as dropped.
	Latest bool `json:"latest,omitempty"`
}

// The length of a piece of audio, in ms.
const (
	DefaultAudioMillis = 1000
	MinAudioMillis     = 100
	MaxAudioMillis     = 10_000
)

// CapabilityRequest is one capability that an app wants, and why, in words
// for the operator and the user.
type CapabilityRequest struct {
	Name     Capability `json:"name"`
	Reason   string     `json:"reason"`
	Optional bool       `json:"optional,omitempty"` // the app works without it
	// Hosts are what an app calls by the capability http, which alone has them:
	// "api.example.com", "*.example.com" for every name below it,
	// "api.example.com:8443"; with "http://" before it, without encryption. "*",
	// alone, asks for those that the operator names, who must name some.
	Hosts []string `json:"hosts,omitempty"`
}

// State says how long an instance's memory lives.
type State string

// The states. StateFresh is the default: nothing is left of one invocation
// when the next begins. With StateSession, which the operator must grant, the
// memory of one invocation is there at the next of the same session, and of no
// other; an event that begins without it says so by its Restarted.
const (
	StateFresh   State = "fresh"
	StateSession State = "session"
)

// Limits bound one invocation. Zero leaves a limit at its default.
type Limits struct {
	Fuel        uint64 `json:"fuel,omitempty"`         // units of fuel
	WallMillis  int64  `json:"wall_ms,omitempty"`      // ms
	MemoryBytes int64  `json:"memory_bytes,omitempty"` // bytes
	// ConversationWallMillis bounds a completed conversation's event in the place
	// of WallMillis, in ms: time for web services to answer.
	ConversationWallMillis int64 `json:"conversation_wall_ms,omitempty"`
}

// Wants returns every capability that m asks for, receiving ones implied by
// Events first, each once.
func (m *Manifest) Wants() []CapabilityRequest {
	var ws []CapabilityRequest
	seen := map[Capability]bool{}
	for _, k := range m.Events.Kinds() {
		c := Capability(k.String())
		w := CapabilityRequest{Name: c, Reason: "handles " + k.String() + " events"}
		for _, r := range m.Capabilities {
			if r.Name == c {
				w = r
			}
		}
		seen[c] = true
		ws = append(ws, w)
	}
	for _, r := range m.Capabilities {
		if !seen[r.Name] {
			seen[r.Name] = true
			ws = append(ws, r)
		}
	}
	return ws
}
