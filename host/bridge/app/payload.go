package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// memory is a conversation as Omi's backend posts it. What this host does not
// make of a conversation has the value that Omi's models have for nothing.
type memory struct {
	ID         string     `json:"id"`
	CreatedAt  string     `json:"created_at"`
	StartedAt  string     `json:"started_at"`
	FinishedAt string     `json:"finished_at"`
	Source     string     `json:"source"`
	Language   *string    `json:"language"`
	Structured structured `json:"structured"`
	Segments   []segment  `json:"transcript_segments"`

	// The results of other apps, under the names of the documents, of the code
	// and of the code before it.
	AppsResponse   []struct{} `json:"apps_response"`
	AppsResults    []struct{} `json:"apps_results"`
	PluginsResults []struct{} `json:"plugins_results"`

	Photos       []struct{} `json:"photos"`
	Geolocation  *struct{}  `json:"geolocation"`
	ExternalData *struct{}  `json:"external_data"`
	Discarded    bool       `json:"discarded"`
	Visibility   string     `json:"visibility"`
	Status       string     `json:"status"`
}

// structured is what a language model makes of a conversation at Omi.
type structured struct {
	Title       string     `json:"title"`
	Overview    string     `json:"overview"`
	Emoji       string     `json:"emoji"`
	Category    string     `json:"category"`
	ActionItems []struct{} `json:"action_items"`
	Events      []struct{} `json:"events"`
}

// live is what is posted of a live transcript.
type live struct {
	Session  string    `json:"session_id"`
	Segments []segment `json:"segments"`
}

// memoryOf returns a conversation's payload, of most bytes: where it would be
// larger, what a speaker said without being interrupted is one segment.
func memoryOf(c *event.Conversation, most int) ([]byte, error) {
	m := memory{
		ID: c.ID, CreatedAt: stamp(c.CompletedAt), StartedAt: stamp(c.StartedAt), FinishedAt: stamp(finished(c)),
		Source:       "omi",
		Structured:   structured{Emoji: "🧠", Category: "other", ActionItems: []struct{}{}, Events: []struct{}{}},
		Segments:     segmentsOf(c.Segments),
		AppsResponse: []struct{}{}, AppsResults: []struct{}{}, PluginsResults: []struct{}{}, Photos: []struct{}{},
		Visibility: "private", Status: "completed",
	}
	if c.Source != "" {
		m.Source = c.Source
	}
	if c.Language != "" {
		m.Language = &c.Language
	}
	b, err := encode(m)
	if err != nil || len(b) <= most {
		return b, err
	}
	m.Segments = merged(m.Segments)
	if b, err = encode(m); err == nil && len(b) > most {
		return nil, fmt.Errorf("webhook not called: the conversation takes %d bytes, at most %d can be posted", len(b), most)
	}
	return b, err
}

// liveOf returns a live transcript's payload.
func liveOf(t *event.Transcript) ([]byte, error) {
	return encode(live{Session: t.Session, Segments: segmentsOf(t.Segments)})
}

// finished returns when the last word was said, or, where that is not known,
// when the conversation was completed.
func finished(c *event.Conversation) time.Time {
	var last float64 // seconds
	for _, s := range c.Segments {
		last = max(last, s.End)
	}
	at := c.StartedAt.Add(time.Duration(last * float64(time.Second)))
	if last == 0 || at.After(c.CompletedAt) {
		return c.CompletedAt
	}
	return at
}

// stamp writes a time as Python's isoformat does, which apps read again with
// fromisoformat: before Python 3.11 that takes neither Z nor nanoseconds.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") + "+00:00" }

// encode returns v as JSON, with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
