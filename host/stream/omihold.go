package stream

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/omi"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// omiHold is a pusher's hold on the session that is one of its conversations,
// and its client.
type omiHold struct {
	*conversation.Attachment
	p           *pusher
	name        string
	seq         uint64 // of the last transcript; the host numbers them, as Omi does not
	otherFormat bool
}

var _ conversation.Client = (*omiHold)(nil)

// Ready says how far the session is.
func (h *omiHold) Ready(r conversation.Ready) {
	h.seq = r.Seq
	h.otherFormat = r.Format == nil || *r.Format != h.p.format
}

// Failed closes the stream by a fault of the host's: the next finds the session.
func (h *omiHold) Failed() { client{h.p.st}.Failed() }

// What else a session has to say, Omi's protocol has no words for.

func (h *omiHold) Conversation(string, wire.State, *event.Conversation) {}
func (h *omiHold) Ack(uint64, int64)                                    {}
func (h *omiHold) Apps(string, []*apps.App)                             {}
func (h *omiHold) Output(event.Output)                                  {}
func (h *omiHold) Gap(dispatch.Gap)                                     {}
func (h *omiHold) Warn(*conversation.InputError)                        {}

// Superseded leaves the stream as it is: it may have other conversations, and
// takes this one back with what it sends next.
func (h *omiHold) Superseded() {}

// spoken returns Omi's segments as the host's.
func spoken(segs []omi.Segment) []event.Segment {
	out := make([]event.Segment, len(segs))
	for i, s := range segs {
		if s.ID == "" {
			s.ID = "o_" + strings.ToLower(ulid.Make().String())
		}
		out[i] = event.Segment{ID: s.ID, Text: s.Text, Speaker: s.Speaker, IsUser: s.IsUser, Start: s.Start, End: s.End}
	}
	return out
}

// omiLanguage returns a language of Omi's as BCP 47: "" where it is to be found
// out.
func omiLanguage(l string) string {
	if l == "multi" || l == "auto" || len(l) > wire.MaxLanguageBytes {
		return ""
	}
	return l
}

// query reads the query of a request, and keeps what is wrong with it.
type query struct {
	values url.Values
	fault  *refusal
}

func readQuery(r *http.Request) *query {
	q := &query{}
	var err error
	if q.values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		q.fail(codeBadQuery, "the query string can't be read: %v", err)
	}
	return q
}

// fail notes what is wrong; the first counts.
func (q *query) fail(code, format string, args ...any) {
	if q.fault == nil {
		q.fault = &refusal{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
	}
}

func (q *query) refusal() *refusal { return q.fault }

// uid returns the user.
func (q *query) uid(needed bool) string {
	uid := q.values.Get("uid")
	if uid == "" && !needed {
		return ""
	}
	if fault := checkStart(&wire.Start{UID: uid}); fault != "" {
		q.fail(codeBadQuery, "%s", strings.Replace(fault, "start has no uid", "the query has no uid", 1))
	}
	return uid
}

// number returns a whole number within bounds; without it is what the client
// means when it gives none.
func (q *query) number(key string, without, least, most int) int {
	text := q.values.Get(key)
	if text == "" {
		return without
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.fail(codeBadQuery, "%s is %+.32q; give a whole number from %d to %d", key, text, least, most)
	}
	return n
}
