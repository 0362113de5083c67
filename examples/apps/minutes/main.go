// Minutes is an Auricle app: it writes the minutes of a completed English
// conversation, out of its own sentences, offline.
package main

import (
	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "minutes", Version: "1.0.0",
		Description:    "Writes minutes: title, overview, decisions, deadlines, and who does what by when.",
		Author:         "The Auricle authors",
		Wants:          []sdk.Want{sdk.Receive(event.CapConversation, "to write the minutes once the conversation is over")},
		OnConversation: onConversation,
	})
}

// minutes are what the app emits for a conversation.
type minutes struct {
	Title       string     `json:"title"`
	Overview    string     `json:"overview"`
	Topics      []string   `json:"topics"`       // what was talked of most, first things first
	Decisions   []decision `json:"decisions"`    // in the order they were taken
	ActionItems []action   `json:"action_items"` // in the order they came up
	Deadlines   []deadline `json:"deadlines"`
	Speakers    []share    `json:"speakers"` // who spoke most first
}

// decision is something that was settled.
type decision struct {
	Description string `json:"description"`
	Quote       string `json:"quote"`   // the sentence that says so
	Segment     string `json:"segment"` // id of the segment in which it begins
}

// action is something that someone is to do.
type action struct {
	Description string `json:"description"`
	Who         string `json:"who"`  // a name; "everyone" for "we", "" when unknown
	When        string `json:"when"` // as it was said; "" when nothing was
	Quote       string `json:"quote"`
	Segment     string `json:"segment"`
}

// deadline is a date that something was said to be due.
type deadline struct {
	What    string `json:"what"`
	When    string `json:"when"`
	Segment string `json:"segment"`
}

func onConversation(ctx *sdk.Context, e *event.Conversation) error {
	return ctx.Emit(write(e))
}

// write returns the minutes of c.
func write(c *event.Conversation) minutes {
	talk := transcribe(c.Segments)
	words := count(talk)
	m := minutes{Speakers: shares(c.Segments), Topics: words.topics(5)}
	m.ActionItems, m.Decisions = agreed(talk)
	m.Deadlines = deadlines(talk)
	m.Title = title(m.Topics)
	m.Overview = overview(talk, words, m)
	return m
}

func main() {}
