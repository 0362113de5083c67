// Command lookup is an app for tests: it fetches what a transcript says, and
// emits what came of it.
package main

import (
	"errors"
	"fmt"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/event"
)

func init() {
	sdk.Register(sdk.App{
		Name: "lookup", Version: "1.0.0", Description: "Fetches what is said.",
		Wants: []sdk.Want{sdk.HTTP("to look up what is said", "http://localhost:1", "*.example.com")},
		OnTranscript: func(ctx *sdk.Context, e *event.Transcript) error {
			for _, s := range e.Segments {
				r, err := ctx.Fetch(sdk.FetchRequest{URL: s.Text})
				if no, ok := errors.AsType[*sdk.Error](err); ok {
					err = ctx.Emit(no.Code)
				} else if err == nil {
					err = ctx.Emit(fmt.Sprint(r.Status, " ", string(r.Body)))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	})
}

func main() {}
