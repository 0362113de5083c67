// Command guest is the Wasm form of the apps of "auricle bench webhook": one
// module, that its settings make one of them.
package main

import (
	"encoding/json"
	"errors"

	"github.com/auricle-dev/auricle/cmd/auricle/webhooks/work"
	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	learn()
	sdk.Register(sdk.App{
		Name: "bench-webhook", Version: "1.0.0",
		Description: "Does what a webhook of the bench does.",
		Wants: []sdk.Want{
			sdk.Receive(event.CapTranscript, "to work on what is said"),
			sdk.Receive(event.CapConversation, "to work on the whole of it"),
		},
		Settings: `{
			"type": "object",
			"properties": {
				"task": {"description": "What the app does.", "enum": ["keywords", "talktime", "promises", "greeting"]},
				"hang": {"description": "Whether it never returns.", "type": "boolean"}
			},
			"required": ["task"],
			"additionalProperties": false
		}`,
		OnTranscript: func(ctx *sdk.Context, e *event.Transcript) error {
			said, err := do(ctx, e.Segments)
			if err != nil {
				return err
			}
			var a liveAnswer
			a.Notification.Prompt = said
			return ctx.Emit(a)
		},
		OnConversation: func(ctx *sdk.Context, e *event.Conversation) error {
			said, err := do(ctx, e.Segments)
			if err != nil {
				return err
			}
			return ctx.Emit(completedAnswer{said})
		},
	})
}

// The forms are those in which the webhooks answer.
type (
	liveAnswer struct {
		Notification struct {
			Prompt string `json:"prompt"`
		} `json:"notification"`
	}
	completedAnswer struct {
		Message string `json:"message"`
	}
)

// settings say which of the apps this is.
type settings struct {
	Task work.Task `json:"task"`
	Hang bool      `json:"hang"`
}

// learn has package json meet the types before the image is taken, once instead
// of in each invocation (docs/authors.md, "Fresh state").
func learn() {
	err := json.Unmarshal([]byte(`{"task":"","hang":false}`), new(settings))
	_, live := json.Marshal(liveAnswer{})
	_, completed := json.Marshal(completedAnswer{})
	if err := errors.Join(err, live, completed); err != nil {
		panic(err)
	}
}

func do(ctx *sdk.Context, segments []event.Segment) (string, error) {
	var s settings
	if err := ctx.Settings(&s); err != nil {
		return "", err
	}
	if s.Hang {
		hang()
	}
	return work.Do(s.Task, segments)
}

// hang computes for ever: all that a module can do, as it has nothing to wait for.
func hang() {
	for n := 1; n != 0; n += 2 { // odd, so never 0
	}
}

func main() {}
