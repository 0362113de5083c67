package integrations

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/auricle-dev/auricle/host/omi"
	"github.com/auricle-dev/auricle/host/store"
)

// The bounds of a list.
const (
	defaultLimit = 100
	maxLimit     = 1000
	maxOffset    = 10_000 // conversations before it are read all the same
)

// page reads limit and offset. When they are no good it answers and reports
// false.
func (c *call) page() (limit, offset int, ok bool) {
	if limit, ok = c.number("limit", defaultLimit, 1, maxLimit); !ok {
		return 0, 0, false
	}
	offset, ok = c.number("offset", 0, 0, maxOffset)
	return limit, offset, ok
}

// number reads a whole number of the query.
func (c *call) number(name string, missing, least, most int) (int, bool) {
	text := c.q.Get(name)
	if text == "" {
		return missing, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		invalid(c.w, "query", name, fmt.Sprintf("a whole number from %d to %d is needed", least, most))
		return 0, false
	}
	return n, true
}

// day reads a time of the query: ISO 8601, or a day, which stands for its
// beginning, or for its end.
func (c *call) day(name string, end bool) (t time.Time, ok bool) {
	text := c.q.Get(name)
	if text == "" {
		return time.Time{}, true
	}
	if d, err := time.Parse(time.DateOnly, text); err == nil {
		if end {
			d = d.AddDate(0, 0, 1).Add(-time.Microsecond)
		}
		return d, true
	}
	if t, ok = parseTime(text); !ok {
		refuse(c.w, http.StatusBadRequest, fmt.Sprintf("Invalid %s format. Use ISO format (YYYY-MM-DDTHH:MM:SS.sssZ) or YYYY-MM-DD", name))
	}
	return t, ok
}

// readConversations answers GET …/conversations. It answers as it reads: a
// thousand conversations are not held at once.
func (h *handler) readConversations(c *call) {
	limit, offset, ok := c.page()
	if !ok {
		return
	}
	most, ok := c.number("max_transcript_segments", 100, -1, 1000)
	if !ok {
		return
	}
	after, ok := c.day("start_date", false)
	if !ok {
		return
	}
	before, ok := c.day("end_date", true)
	if !ok {
		return
	}
	if s := c.q["statuses"]; len(s) > 0 && !slices.Contains(s, "completed") {
		limit = 0 // there are no others
	}
	began, cursor := false, ""
	begin := func() {
		if !began {
			began = true
			header(c.w)
			c.w.WriteHeader(http.StatusOK)
			_, _ = c.w.Write([]byte(`{"conversations":[`)) // a client that has gone is noticed by the context
		}
	}
	for written := 0; written < limit; {
		page, err := h.o.Store.Conversations(c.r.Context(), c.uid, store.MaxPage, cursor)
		if err != nil {
			if !began {
				h.failStore(c, err)
				return
			}
			h.o.Logger.Warn("a list of conversations was cut short", "app", c.app.Name, "error", err)
			panic(http.ErrAbortHandler) // so that nobody takes it for whole
		}
		begin()
		var out bytes.Buffer
		for _, r := range page.Conversations {
			if !after.IsZero() && r.StartedAt.Before(after) || !before.IsZero() && r.StartedAt.After(before) {
				continue
			}
			if offset > 0 {
				offset--
				continue
			}
			if written == limit {
				break
			}
			item := omi.MemoryOf(r.Conversation, "completed", r.Outputs)
			if most >= 0 && len(item.Segments) > most {
				item.Segments = item.Segments[:most]
			}
			b, err := json.Marshal(item)
			if err != nil {
				panic(err) // of our own types
			}
			if written > 0 {
				out.WriteByte(',')
			}
			out.Write(b)
			written++
		}
		_, _ = c.w.Write(out.Bytes())
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	begin()
	_, _ = c.w.Write([]byte("]}\n"))
}

// memory is one in Omi's shape.
type memory struct {
	ID        string    `json:"id"`
	UID       string    `json:"uid"`
	Content   string    `json:"content"`
	Category  string    `json:"category"`
	Tags      []string  `json:"tags"`
	AppID     string    `json:"app_id"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// readMemories answers GET …/memories.
func (h *handler) readMemories(c *call) {
	limit, offset, ok := c.page()
	if !ok {
		return
	}
	all, err := h.o.Store.Memories(c.r.Context(), c.uid)
	if err != nil {
		h.failStore(c, err)
		return
	}
	all = all[min(offset, len(all)):]
	out := []memory{}
	for _, m := range all[:min(limit, len(all))] {
		tags := m.Tags
		if tags == nil {
			tags = []string{}
		}
		out = append(out, memory{ID: m.ID, UID: c.uid, Content: m.Content, Category: "other", Tags: tags, AppID: m.App, CreatedAt: m.CreatedAt, UpdatedAt: m.CreatedAt})
	}
	respond(c.w, http.StatusOK, map[string][]memory{"memories": out})
}
