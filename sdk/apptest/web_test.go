package apptest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// looker emits what came of fetching the URLs that a transcript says.
var looker = sdk.App{
	Name: "looker", Version: "1.0.0",
	Wants: []sdk.Want{sdk.Optional(sdk.HTTP("to look things up", "api.example.com", "*.example.org:8443"))},
	OnTranscript: func(ctx *sdk.Context, e *event.Transcript) error {
		r, err := ctx.Fetch(sdk.FetchRequest{Method: "POST", URL: e.Segments[0].Text, Header: map[string]string{"X-A": "b"}, Body: []byte("ask\x00")})
		for name, is := range map[string]error{
			"host_not_granted": sdk.ErrHostNotGranted, "timeout": sdk.ErrTimeout, "connect_failed": sdk.ErrConnectFailed, "not_granted": sdk.ErrNotGranted,
		} {
			if errors.Is(err, is) {
				return ctx.Emit(name)
			}
		}
		if err != nil {
			return err
		}
		return ctx.Emit(fmt.Sprintf("%d %v %s %s", r.Status, r.OK(), r.Get("content-TYPE"), r.Body))
	},
}

func TestFetchIsAnsweredByTheTest(t *testing.T) {
	web := func(r sdk.FetchRequest) (*sdk.FetchResponse, error) {
		switch r.URL {
		case "https://api.example.com/slow":
			return nil, sdk.ErrTimeout
		case "https://api.example.com/gone":
			return nil, errors.New("no such host")
		}
		return &sdk.FetchResponse{Status: 201, Header: map[string]string{"Content-Type": "text/plain"}, Body: []byte(r.Method + " " + r.Header["X-A"] + string(r.Body))}, nil
	}
	for _, row := range []struct{ url, want string }{
		{"https://api.example.com/x", `"201 true text/plain POST bask\u0000"`},
		{"https://a.example.org:8443/", `"201 true text/plain POST bask\u0000"`},
		{"https://example.org:8443/", `"host_not_granted"`},
		{"http://api.example.com/x", `"host_not_granted"`},
		{"https://api.example.com:444/x", `"host_not_granted"`},
		{"https://api.example.com/slow", `"timeout"`},
		{"https://api.example.com/gone", `"connect_failed"`},
	} {
		r := apptest.Run(t, looker, apptest.Options{Web: web}, &event.Transcript{Segments: []event.Segment{{ID: "1", Text: row.url}}})
		if res := r.Results[0]; res.Outcome != apptest.OK || string(res.Outputs[0]) != row.want {
			t.Errorf("%s: %s %s %s, want %s", row.url, res.Outcome, res.Error, res.Outputs, row.want)
		}
	}
	r := apptest.Run(t, looker, apptest.Options{Web: web, Ungranted: []event.Capability{event.CapHTTP}},
		&event.Transcript{Segments: []event.Segment{{ID: "1", Text: "https://api.example.com/x"}}})
	if got := string(r.Results[0].Outputs[0]); got != `"not_granted"` {
		t.Errorf("ungranted: %s", got)
	}
}
