// Package omi writes what this host keeps in the shapes that Omi's apps know, as
// the public sources of github.com/BasedHardware/omi have them
// (backend/models/integrations.py).
package omi

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Conversation is a completed conversation, which Omi called a memory once.
type Conversation struct {
	ID         string     `json:"id"`
	CreatedAt  time.Time  `json:"created_at"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt time.Time  `json:"finished_at"`
	Source     string     `json:"source"`
	Language   string     `json:"language,omitempty"`
	Status     string     `json:"status"` // always "completed"
	AppID      string     `json:"app_id,omitempty"`
	Structured Structured `json:"structured"`
	Segments   []Segment  `json:"transcript_segments"`
	Discarded  bool       `json:"discarded"`
}

// Structured is what was made of a conversation.
type Structured struct {
	Title       string       `json:"title"`
	Overview    string       `json:"overview"`
	Emoji       string       `json:"emoji"`
	Category    string       `json:"category"`
	ActionItems []ActionItem `json:"action_items"`
	Events      []any        `json:"events"` // always empty
}

// ActionItem is something to be done.
type ActionItem struct {
	Description string `json:"description"`
	Completed   bool   `json:"completed"`
}

// Segment is a piece of transcript.
type Segment struct {
	Text      string  `json:"text"`
	Speaker   string  `json:"speaker"`    // "SPEAKER_00" and so on
	SpeakerID int     `json:"speaker_id"` // the number in it
	Name      string  `json:"speaker_name,omitempty"`
	IsUser    bool    `json:"is_user"`
	Start     float64 `json:"start"` // seconds from the conversation's start
	End       float64 `json:"end"`
}

// MetadataApp is the key of event.Conversation.Metadata under which the app
// stands that brought a conversation.
const MetadataApp = "app"

// FromConversation returns a conversation in Omi's shape. What was made of it is
// taken from the outputs of apps on it: the last one that has a title.
func FromConversation(c event.Conversation, outputs []event.Output) Conversation {
	source := c.Source
	if source == "" {
		source = "omi"
	}
	return Conversation{
		ID: c.ID, CreatedAt: c.StartedAt, StartedAt: c.StartedAt, FinishedAt: c.CompletedAt,
		Source: source, Language: c.Language, Status: "completed", AppID: c.Metadata[MetadataApp],
		Structured: structured(outputs), Segments: segments(c.Segments),
	}
}

var omiSpeaker = regexp.MustCompile(`^SPEAKER_([0-9]{1,4})$`)

// segments numbers speakers in the order in which they first speak, unless they
// have Omi's numbers already.
func segments(in []event.Segment) []Segment {
	out := make([]Segment, 0, len(in))
	numbers := map[string]int{}
	for _, s := range in {
		if m := omiSpeaker.FindStringSubmatch(s.Speaker); m != nil {
			n := 0
			for _, digit := range m[1] {
				n = 10*n + int(digit-'0')
			}
			numbers[s.Speaker] = n
		}
	}
	used := map[int]bool{}
	for _, n := range numbers {
		used[n] = true
	}
	next := 0
	for _, s := range in {
		n, ok := numbers[s.Speaker]
		if !ok {
			for used[next] {
				next++
			}
			n = next
			numbers[s.Speaker], used[n] = n, true
		}
		o := Segment{Text: s.Text, Speaker: fmt.Sprintf("SPEAKER_%02d", n), SpeakerID: n, IsUser: s.IsUser, Start: s.Start, End: s.End}
		if o.Speaker != s.Speaker {
			o.Name = s.Speaker
		}
		out = append(out, o)
	}
	return out
}

// structured finds what an app has made of a conversation.
func structured(outputs []event.Output) Structured {
	st := Structured{Emoji: "🧠", Category: "other", ActionItems: []ActionItem{}, Events: []any{}}
	for i := len(outputs) - 1; i >= 0; i-- {
		o := outputs[i]
		if o.Kind != event.OutputEmitted || o.Event != event.KindConversation.String() {
			continue
		}
		var made struct {
			Title       string            `json:"title"`
			Overview    string            `json:"overview"`
			Emoji       string            `json:"emoji"`
			Category    string            `json:"category"`
			ActionItems []json.RawMessage `json:"action_items"`
		}
		if json.Unmarshal(o.Data, &made) != nil || made.Title == "" {
			continue // of another kind
		}
		st.Title, st.Overview = made.Title, made.Overview
		if made.Emoji != "" {
			st.Emoji = made.Emoji
		}
		if made.Category != "" {
			st.Category = made.Category
		}
		for _, raw := range made.ActionItems {
			if a, ok := actionItem(raw); ok {
				st.ActionItems = append(st.ActionItems, a)
			}
		}
		break
	}
	return st
}

// actionItem reads an action item: Omi's, one with a text, or text alone.
func actionItem(raw json.RawMessage) (ActionItem, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return ActionItem{Description: text}, text != ""
	}
	var item struct {
		Description string `json:"description"`
		Text        string `json:"text"`
		Completed   bool   `json:"completed"`
	}
	if json.Unmarshal(raw, &item) != nil {
		return ActionItem{}, false
	}
	if item.Description == "" {
		item.Description = item.Text
	}
	return ActionItem{Description: item.Description, Completed: item.Completed}, item.Description != ""
}
