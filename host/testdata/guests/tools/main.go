// Tools is an app for tests: a tool for each way in which a call ends.
package main

import (
	"errors"
	"fmt"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

var calls int // of this state: fresh ones have none before

func init() {
	anything := `{"type": "object"}`
	sdk.Register(sdk.App{
		Name: "odd-tools", Version: "1.0.0", Description: "Ends calls in every way.",
		Wants: []sdk.Want{sdk.Optional(sdk.Notify("to try it"))},
		Tools: []sdk.Tool{
			{Name: "echo", Description: "Answers what it was called with.", Parameters: `{"type":"object","properties":{"text":{"type":"string","minLength":2}},"required":["text"],"additionalProperties":false}`,
				Status: "Echoing", Handle: func(_ *sdk.Context, c *event.ToolCall) (any, error) {
					calls++
					return map[string]any{"uid": c.UID, "arguments": c.Arguments, "calls": calls}, nil
				}},
			{Name: "text", Description: "Answers text.", Parameters: anything, Handle: func(*sdk.Context, *event.ToolCall) (any, error) { return "plain words", nil }},
			{Name: "nothing", Description: "Answers null.", Parameters: anything, Handle: func(*sdk.Context, *event.ToolCall) (any, error) { return nil, nil }},
			{Name: "fail", Description: "Fails.", Parameters: anything, Handle: func(*sdk.Context, *event.ToolCall) (any, error) {
				return nil, errors.New("there is no such note; list them first")
			}},
			{Name: "panic", Description: "Panics.", Parameters: anything, Handle: func(*sdk.Context, *event.ToolCall) (any, error) {
				panic("the secret inside")
			}},
			{Name: "spin", Description: "Never returns.", Parameters: anything, Handle: func(*sdk.Context, *event.ToolCall) (any, error) {
				for {
					calls++
				}
			}},
			{Name: "twice", Description: "Emits besides.", Parameters: anything, Handle: func(ctx *sdk.Context, _ *event.ToolCall) (any, error) {
				return 1, ctx.Emit(2)
			}},
			{Name: "notify", Description: "Notifies.", Parameters: anything, Handle: func(ctx *sdk.Context, _ *event.ToolCall) (any, error) {
				return fmt.Sprint(errors.Is(ctx.Notify("hello there"), sdk.ErrWrongEvent)), nil
			}},
		},
	})
}

func main() {}
