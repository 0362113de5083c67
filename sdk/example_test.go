package sdk_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// An app that speaks up when someone mentions a word that the operator chose.
// In a module, an init function gives it to Register.
var mentions = sdk.App{
	Name: "mentions", Version: "1.0.0", Description: "Says when a word is mentioned.",
	Wants:        []sdk.Want{sdk.Notify("to tell you when the word is mentioned")},
	Settings:     `{"type": "object", "properties": {"word": {"type": "string"}}}`,
	OnTranscript: mentioned,
}

func mentioned(ctx *sdk.Context, e *event.Transcript) error {
	s := struct {
		Word string `json:"word"`
	}{Word: "budget"} // the default
	if err := ctx.Settings(&s); err != nil {
		return err
	}
	for _, seg := range e.Segments {
		if !strings.Contains(strings.ToLower(seg.Text), s.Word) {
			continue
		}
		err := ctx.Notify(fmt.Sprintf("%s mentioned the %s", seg.Speaker, s.Word))
		if err != nil && !errors.Is(err, sdk.ErrRateLimited) {
			return err
		}
	}
	return nil
}

// Example runs an app against an event as a test does. In a test, t is the one
// that it was given.
func Example() {
	t := new(testing.T)
	r := apptest.Run(t, mentions, apptest.Options{}, apptest.Say("Ann", "Hello.", "The budget is tight."))
	fmt.Println(r.Results[0].Outcome, r.Notifications())
	// Output: ok [Ann mentioned the budget]
}
