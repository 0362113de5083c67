// Probe is an app that does what the first segment's text tells it, for the
// tests of the guest's side of the interface.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "probe", Version: "0.1.0",
		Wants:        []sdk.Want{sdk.Optional(sdk.Notify("to be tested"))},
		Settings:     `{"type": "object", "properties": {"depth": {"type": "integer"}, "text": {"type": "string"}}}`,
		OnTranscript: onTranscript,
	})
}

// calls counts this instance's events.
var calls int

func onTranscript(ctx *sdk.Context, e *event.Transcript) error {
	calls++
	switch order, rest, _ := strings.Cut(e.Segments[0].Text, " "); order {
	case "echo":
		return ctx.Emit(e)
	case "calls":
		return ctx.Emit(calls)
	case "settings":
		s := struct {
			Depth int    `json:"depth"`
			Text  string `json:"text"`
		}{Depth: 7, Text: "default"}
		if err := ctx.Settings(&s); err != nil {
			return err
		}
		return ctx.Emit(s)
	case "notify":
		var codes []string
		for range 2 {
			var refused *sdk.Error
			switch err := ctx.Notify(rest); {
			case errors.As(err, &refused):
				codes = append(codes, refused.Code)
			case err != nil:
				return err
			default:
				codes = append(codes, "ok")
			}
		}
		return ctx.Emit(codes)
	case "error":
		if err := ctx.Emit("undone"); err != nil {
			return err
		}
		return fmt.Errorf("this went wrong: %s", rest)
	case "index":
		return ctx.Emit(e.Segments[len(e.Segments)+len(rest)])
	case "goroutine":
		c := make(chan string)
		go func() {
			time.Sleep(time.Millisecond)
			c <- rest
		}()
		return ctx.Emit(<-c)
	case "print":
		fmt.Println(rest)
		fmt.Fprintln(os.Stderr, rest)
		ctx.Debugf("%s", rest)
		return nil
	case "unmarshalable":
		return ctx.Emit(func() {})
	}
	return errors.New("no such order")
}

func main() {}
