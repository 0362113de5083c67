package integrations

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// outputEvent is event.Output.Event of what no event has caused.
const outputEvent = "integration"

// notify answers POST …/notification?uid=&message=. It says how many streams of
// the user's were told; none is no error, as a phone that is off is none.
func (h *handler) notify(c *call) {
	now := time.Now()
	limit := allowances[config.ActionNotify]
	head := c.w.Header()
	head.Set("X-RateLimit-Limit", strconv.Itoa(limit.burst))
	head.Set("X-RateLimit-Remaining", strconv.Itoa(h.limits.left(c.app.Name, config.ActionNotify, c.uid, now)))
	head.Set("X-RateLimit-Reset", strconv.Itoa(seconds(limit.each)))
	text := strings.TrimSpace(c.q.Get("message"))
	if n := utf8.RuneCountInString(text); n < event.NotifyMinChars || n > event.NotifyMaxChars || !utf8.ValidString(text) {
		invalid(c.w, "query", "message", fmt.Sprintf("a notification has %d to %d characters, this one %d", event.NotifyMinChars, event.NotifyMaxChars, n))
		return
	}
	if wait := c.app.TakeNotification(c.uid, now); wait > 0 {
		tooMany(c.w, wait, "Rate limit exceeded. At most one notification in 30 seconds for an app and user")
		return
	}
	data, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		panic(err) // a string
	}
	streams := h.o.Sessions.Notify(c.uid, event.Output{
		App: c.app.Name, Event: outputEvent, Invocation: apps.NewInvocationID(), Kind: event.OutputNotification, Data: data, At: now.UTC(),
	})
	respond(c.w, http.StatusOK, struct {
		Status  string `json:"status"`
		Streams int    `json:"streams"`
	}{"Ok", streams})
}
