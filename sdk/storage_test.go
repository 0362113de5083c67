package sdk_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
	keeper "github.com/auricle-dev/auricle/sdk/testdata/guests/keeper/app"
)

func TestAppStoresValues(t *testing.T) {
	apptest.Each(t, keeper.App, "testdata/guests/keeper", func(t *testing.T, run apptest.RunFunc) {
		for _, c := range []struct {
			name   string
			events []apptest.Event
			want   []string // what was emitted, or the outcome
		}{
			{"its own writes, and what it wrote before", []apptest.Event{order("get a; put a 1; get a"), order("get a; put a; get a; delete a; get a"), order("get a")},
				[]string{"not found, =1", "=1, =, not found", "not found"}},
			{"a failure leaves nothing", []apptest.Event{order("put a 1; add n 5"), order("put a 2; add n 1; fail"), order("delete a; panic"), order("get a; get n")},
				[]string{"5", "app_error", "app_error", "=1, =5"}},
			{"each user's own", []apptest.Event{in("ann", "s", "put a 1"), in("bert", "s", "get a"), in("ann", "t", "get a")},
				[]string{"", "not found", "=1"}},
			{"counting", []apptest.Event{order("add n 3; add n -5; get n; put n x; add n 1")}, []string{"3, -2, =-2, no number"}},
			{"in order, in pages", []apptest.Event{order("put b; put a/2 é; put a/1; put a/3"), order("list a/; list a/ a/2; list")},
				[]string{"", "[{a/1 0} {a/2 2}] true, [{a/3 0}] false, [{a/1 0} {a/2 2}] true"}},
			{"quota and keys", []apptest.Event{order("fill a 204800; fill b 204800; put " + strings.Repeat("k", event.MaxKeyBytes+1)), order("list")},
				[]string{"quota, bad key", "[{a 204800}] false"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				var got []string
				for _, res := range run(t, apptest.Options{}, c.events...).Results {
					said := string(res.Outcome)
					if res.Outcome == apptest.OK {
						if err := json.Unmarshal(res.Outputs[0], &said); err != nil {
							t.Fatal(err)
						}
					} else {
						t.Log(res.Error)
					}
					got = append(got, said)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("got  %q\nwant %q", got, c.want)
				}
			})
		}
	})
}

func TestStorageThatIsNotGranted(t *testing.T) {
	app := keeper.App
	app.Wants = []sdk.Want{sdk.Optional(sdk.Storage("to remember"))}
	r := apptest.Run(t, app, apptest.Options{Ungranted: []event.Capability{event.CapStorage}}, order("put a 1; get a; list"))
	if got := string(r.Results[0].Outputs[0]); got != `"not granted, not granted, not granted"` {
		t.Errorf("got %s", got)
	}
}
