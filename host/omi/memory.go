package omi

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// MetadataApp is the key of event.Conversation.Metadata under which the app
// stands that brought a conversation.
const MetadataApp = "app"

// Memory is a conversation as Omi's clients and apps know it.
type Memory struct {
	ID         string     `json:"id"`
	CreatedAt  time.Time  `json:"created_at"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt time.Time  `json:"finished_at"`
	Language   string     `json:"language,omitempty"`
	Source     string     `json:"source"` // "omi" where the client said nothing
	Status     string     `json:"status"` // "in_progress", "processing" or "completed"
	AppID      string     `json:"app_id,omitempty"`
	Structured Structured `json:"structured"`
	Segments   []Segment  `json:"transcript_segments"`
	Photos     []any      `json:"photos"`
	Apps       []any      `json:"apps_response"`
	Discarded  bool       `json:"discarded"`
}

// Structured is what was made of a conversation; empty where nobody made
// anything.
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

// MemoryOf returns a conversation as a Memory of a status. What was made of it is
// taken from the outputs of apps on it: the last one that has a title.
func MemoryOf(c event.Conversation, status string, outputs []event.Output) Memory {
	m := Memory{
		ID: c.ID, CreatedAt: c.StartedAt, StartedAt: c.StartedAt, FinishedAt: c.CompletedAt,
		Language: c.Language, Source: c.Source, Status: status, AppID: c.Metadata[MetadataApp],
		Structured: structured(outputs), Segments: []Segment{}, Photos: []any{}, Apps: []any{},
	}
	if m.Source == "" {
		m.Source = "omi"
	}
	for _, s := range c.Segments {
		n, name := speaker(s.Speaker)
		m.Segments = append(m.Segments, Segment{
			ID: s.ID, Text: s.Text, Speaker: fmt.Sprintf(speakerPrefix+"%02d", n), SpeakerID: n, Name: name,
			IsUser: s.IsUser, Start: s.Start, End: s.End, Translated: []any{}, Processed: true,
		})
	}
	return m
}

const speakerPrefix = "SPEAKER_"

// speaker returns the number of a speaker, and the name unless that only says
// the number. A name has the same number everywhere, also in what the webhook
// bridge posts: 10,000 or more, where it meets none that clients count from 0.
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
