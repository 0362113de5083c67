// Runaway is an Auricle app that misbehaves, in the way its settings say. It
// is there to be stopped.
package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "runaway", Version: "1.0.0",
		Description: "Misbehaves on purpose, to show that it harms only itself.",
		Author:      "The Auricle authors",
		Settings: `{
			"type": "object",
			"properties": {
				"mode": {
					"description": "How it misbehaves. Default loop.",
					"enum": ["loop", "allocate", "recurse", "flood", "log", "trap", "panic", "sleep"]
				}
			},
			"additionalProperties": false
		}`,
		Wants: []sdk.Want{
			sdk.Optional(sdk.Receive(event.CapTranscript, "to misbehave while people talk")),
			sdk.Optional(sdk.Receive(event.CapConversation, "to misbehave once a conversation is complete")),
		},
		OnTranscript:   func(ctx *sdk.Context, _ *event.Transcript) error { return misbehave(ctx) },
		OnConversation: func(ctx *sdk.Context, _ *event.Conversation) error { return misbehave(ctx) },
	})
}

// settings are what an operator may set.
type settings struct {
	Mode string `json:"mode"`
}

func misbehave(ctx *sdk.Context) error {
	s := settings{Mode: "loop"}
	if err := ctx.Settings(&s); err != nil {
		return err
	}
	run, err := mode(s.Mode)
	if err != nil {
		return err
	}
	ctx.Infof("about to %s", s.Mode)
	run(ctx)
	return fmt.Errorf("mode %q came back, which it never should", s.Mode)
}

// mode returns the misbehaviour of that name.
func mode(name string) (func(*sdk.Context), error) {
	run, ok := modes[name]
	if !ok {
		return nil, fmt.Errorf("settings: no mode %q; the modes are %s", name, strings.Join(slices.Sorted(maps.Keys(modes)), ", "))
	}
	return run, nil
}

func main() {}
