package integrations

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/omi"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// source is event.Conversation.Source of what an app's server has brought, as
// Omi's backend has it.
const source = "external_integration"

// defaultLength is how long a conversation is that has no end, as at Omi's.
const defaultLength = 5 * time.Minute

// newConversation is the body of POST …/user/conversations. Fields that it does
// not know are skipped, as Omi's backend does.
type newConversation struct {
	StartedAt  *omiTime `json:"started_at"`
	FinishedAt *omiTime `json:"finished_at"`
	Text       string   `json:"text"`
	TextSource string   `json:"text_source"`
	TextSpec   string   `json:"text_source_spec"`
	Language   string   `json:"language"`
}

// createConversation answers POST …/user/conversations.
func (h *handler) createConversation(c *call) {
	var body newConversation
	if !c.read(&body) {
		return
	}
	segments := split(body.Text)
	if len(segments) == 0 {
		invalid(c.w, "body", "text", "what was said is needed")
		return
	}
	started := time.Now().UTC()
	if body.StartedAt != nil {
		started = body.StartedAt.Time
	}
	finished := started.Add(defaultLength)
	if body.FinishedAt != nil {
		finished = body.FinishedAt.Time
	}
	if finished.Before(started) {
		invalid(c.w, "body", "finished_at", "it is before started_at")
		return
	}
	spread(segments, finished.Sub(started))
	metadata := map[string]string{omi.MetadataApp: c.app.Name}
	for name, value := range map[string]string{"text_source": body.TextSource, "text_source_spec": body.TextSpec} {
		if len(value) > maxMetadataBytes {
			invalid(c.w, "body", name, fmt.Sprintf("at most %d bytes", maxMetadataBytes))
			return
		}
		if value != "" {
			metadata[name] = value
		}
	}
	if len(body.Language) > maxLanguageBytes {
		invalid(c.w, "body", "language", fmt.Sprintf("at most %d bytes", maxLanguageBytes))
		return
	}
	id, err := h.o.Sessions.Import(c.r.Context(), event.Conversation{
		UID: c.uid, Language: body.Language, Source: source, Metadata: metadata,
		StartedAt: started, CompletedAt: finished, Segments: segments,
	})
	if err != nil {
		h.failStore(c, err)
		return
	}
	// Omi's backend says nothing yet; what it may say one day is this.
	respond(c.w, http.StatusOK, map[string]string{"conversation_id": id})
}

const (
	maxMetadataBytes = 256
	maxLanguageBytes = 64
)

// split makes segments of a text, one of each line, of a long one several.
func split(text string) []event.Segment {
	var out []event.Segment
	for line := range strings.Lines(text) {
		for line = strings.TrimSpace(line); line != ""; {
			n := len(line)
			if n > conversation.MaxSegmentTextBytes {
				n = conversation.MaxSegmentTextBytes
				for !utf8.RuneStart(line[n]) {
					n--
				}
			}
			out = append(out, event.Segment{ID: fmt.Sprintf("t%d", len(out)+1), Text: line[:n]})
			line = line[n:]
		}
	}
	return out
}

// spread gives segments times, by their length.
func spread(segments []event.Segment, length time.Duration) {
	all := 0
	for _, s := range segments {
		all += len(s.Text)
	}
	at := 0
	second := func(n int) float64 {
		return math.Round(length.Seconds()*float64(n)/float64(all)*1000) / 1000
	}
	for i := range segments {
		s := &segments[i]
		s.Start = second(at)
		at += len(s.Text)
		s.End = second(at)
	}
}

// newMemories is the body of POST …/user/memories.
type newMemories struct {
	Text       string `json:"text"`
	TextSource string `json:"text_source"`
	TextSpec   string `json:"text_source_spec"`
	Memories   []struct {
		Content string   `json:"content"`
		Tags    []string `json:"tags"`
	} `json:"memories"`
}

// createMemories answers POST …/user/memories. Omi's backend has a language model
// find facts in text; here text that comes without explicit memories is kept as
// one.
func (h *handler) createMemories(c *call) {
	var body newMemories
	if !c.read(&body) {
		return
	}
	from := body.TextSource
	if body.TextSpec != "" {
		from = strings.Trim(from+": "+body.TextSpec, ": ")
	}
	now := time.Now().UTC()
	var ms []store.Memory
	add := func(content string, tags []string) string {
		content = strings.TrimSpace(content)
		switch {
		case content == "":
			return "Either text or explicit memories(facts) are required and cannot be empty"
		case len(content) > store.MaxMemoryBytes:
			return fmt.Sprintf("a memory has at most %d bytes, this one %d", store.MaxMemoryBytes, len(content))
		case len(tags) > maxTags:
			return fmt.Sprintf("a memory has at most %d tags, this one %d", maxTags, len(tags))
		}
		for _, t := range tags {
			if len(t) > maxMetadataBytes {
				return fmt.Sprintf("a tag has at most %d bytes", maxMetadataBytes)
			}
		}
		ms = append(ms, store.Memory{App: c.app.Name, Content: content, Tags: tags, Source: from, CreatedAt: now})
		return ""
	}
	if len(from) > 2*maxMetadataBytes {
		invalid(c.w, "body", "text_source_spec", fmt.Sprintf("at most %d bytes", maxMetadataBytes))
		return
	}
	if len(body.Memories) > store.MaxMemories {
		invalid(c.w, "body", "memories", fmt.Sprintf("at most %d at once", store.MaxMemories))
		return
	}
	for _, m := range body.Memories {
		if fault := add(m.Content, m.Tags); fault != "" {
			invalid(c.w, "body", "memories", fault)
			return
		}
	}
	if len(ms) == 0 {
		if fault := add(body.Text, nil); fault != "" {
			invalid(c.w, "body", "text", fault)
			return
		}
	}
	if err := h.o.Store.AddMemories(c.r.Context(), c.uid, ms); err != nil {
		h.failStore(c, err)
		return
	}
	respond(c.w, http.StatusOK, struct{}{})
}

const maxTags = 32

// read decodes the body. When it can't, it answers and reports false.
func (c *call) read(into any) bool {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBodyBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(c.w, http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is larger than %d bytes", maxBodyBytes))
		return false
	case err != nil:
		refuse(c.w, http.StatusBadRequest, "The body could not be read")
		return false
	}
	if err := decode(b, into); err != nil {
		invalid(c.w, "body", "", err.Error())
		return false
	}
	return true
}

// decode reads a JSON object into a struct. Fields that it does not know are
// skipped.
func decode(b []byte, into any) error {
	if !utf8.Valid(b) {
		return errors.New("it is not UTF-8")
	}
	if t := strings.TrimLeft(string(b[:min(len(b), 64)]), " \t\r\n"); !strings.HasPrefix(t, "{") {
		return errors.New("a JSON object is needed")
	}
	if err := json.Unmarshal(b, into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return fmt.Errorf("%s is a %s, which it can't be", kind.Field, kind.Value)
		}
		return fmt.Errorf("it is not the JSON that is needed: %w", err)
	}
	return nil
}

// omiTime is a time as Python writes it: ISO 8601, in UTC where it has no zone.
type omiTime struct{ time.Time }

// UnmarshalJSON reads a time, or null for none.
func (t *omiTime) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("a time is text, such as 2026-01-02T15:04:05Z")
	}
	parsed, ok := parseTime(s)
	if !ok {
		return fmt.Errorf("%.40q is no time; write it such as 2026-01-02T15:04:05Z", s)
	}
	t.Time = parsed
	return nil
}

// parseTime reads ISO 8601.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 && t.Year() < 10_000 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
