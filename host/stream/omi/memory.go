package omi

import (
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// Memory is a conversation as Omi's clients know it. What this host does not
// make of one, as a title, is empty.
type Memory struct {
	ID         string     `json:"id"`
	CreatedAt  time.Time  `json:"created_at"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt time.Time  `json:"finished_at"`
	Language   string     `json:"language,omitempty"`
	Source     string     `json:"source"`
	Status     string     `json:"status"` // "in_progress", "processing" or "completed"
	Structured Structured `json:"structured"`
	Segments   []Segment  `json:"transcript_segments"`
	Photos     []any      `json:"photos"`
	Apps       []any      `json:"apps_response"`
	Discarded  bool       `json:"discarded"`
}

// Structured is what a memory is about.
type Structured struct {
	Title       string `json:"title"`
	Overview    string `json:"overview"`
	Emoji       string `json:"emoji"`
	Category    string `json:"category"`
	ActionItems []any  `json:"action_items"`
	Events      []any  `json:"events"`
}

// MemoryOf returns a conversation as a Memory of a status.
func MemoryOf(c event.Conversation, status string) Memory {
	m := Memory{
		ID: c.ID, CreatedAt: c.StartedAt, StartedAt: c.StartedAt, FinishedAt: c.CompletedAt,
		Language: c.Language, Source: "omi", Status: status,
		Structured: Structured{Emoji: "🧠", Category: "other", ActionItems: []any{}, Events: []any{}},
		Segments:   []Segment{}, Photos: []any{}, Apps: []any{},
	}
	for _, s := range c.Segments {
		speaker, id, user, start, end := s.Speaker, s.ID, s.IsUser, s.Start, s.End
		m.Segments = append(m.Segments, rawSegment{ID: &id, Text: &s.Text, Speaker: &speaker, IsUser: &user, Start: &start, End: &end}.segment())
	}
	return m
}
