// Keywords is an Auricle app: it notifies the user when a watched word is
// spoken, and emits every find for the client.
package main

import (
	"errors"
	"fmt"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "keywords", Version: "1.0.0",
		Description: "Says when a watched word is spoken.",
		Author:      "The Auricle authors",
		Wants: []sdk.Want{
			sdk.Receive(event.CapTranscript, "to look for the watched words in what is said"),
			sdk.Notify("to tell you at once when a watched word is spoken"),
		},
		Settings: `{
			"type": "object",
			"properties": {
				"words": {
					"description": "Words or phrases to watch for; case does not matter.",
					"type": "array", "minItems": 1, "maxItems": 100,
					"items": {"type": "string", "minLength": 1, "maxLength": 60}
				}
			},
			"required": ["words"],
			"additionalProperties": false
		}`,
		OnTranscript: onTranscript,
	})
}

// settings are what an operator may set.
type settings struct {
	Words []string `json:"words"`
}

// found is what the app emits for a watched word in a segment.
type found struct {
	Word    string  `json:"word"`    // as the settings have it
	Segment string  `json:"segment"` // id of the segment
	Speaker string  `json:"speaker"` // as the client names them
	At      float64 `json:"at"`      // seconds from the conversation's start to the segment's
}

// maxFinds is how much the host lets an invocation emit, with a notification
// beside it. A burst of segments with more finds has its first ones emitted.
const maxFinds = 63

func onTranscript(ctx *sdk.Context, e *event.Transcript) error {
	var s settings
	if err := ctx.Settings(&s); err != nil {
		return err
	}
	watch, err := newWatch(s.Words)
	if err != nil {
		return err
	}
	finds := 0
	for _, seg := range e.Segments {
		for _, m := range watch.find(seg.Text) {
			if finds == maxFinds {
				ctx.Warnf("more than %d finds in one event; the rest are left out", maxFinds)
				return nil
			}
			finds++
			if err := ctx.Emit(found{Word: m.word, Segment: seg.ID, Speaker: seg.Speaker, At: seg.Start}); err != nil {
				return err
			}
			if finds > 1 {
				continue // one notification says enough; the host allows one in 30 s
			}
			if err := notify(ctx, seg, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// notify tells the user who said the word. That the last notification was a
// moment ago is no fault: the find is emitted anyway.
func notify(ctx *sdk.Context, seg event.Segment, m match) error {
	err := ctx.Notify(message(seg, m))
	if errors.Is(err, sdk.ErrRateLimited) {
		ctx.Debugf("no notification of segment %s: the last one was less than 30 s ago", seg.ID)
		return nil
	}
	return err
}

// message says who said what, in 5 to 150 characters.
func message(seg event.Segment, m match) string {
	who := "Someone"
	switch {
	case seg.IsUser:
		who = "You"
	case seg.Speaker != "":
		who = cut(seg.Speaker, 40)
	}
	head := fmt.Sprintf("%s said “%s”: ", who, cut(m.word, 40))
	return head + snippet(seg.Text, m.start, m.end, event.NotifyMaxChars-len([]rune(head)))
}

func main() {}
