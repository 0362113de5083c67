package sdk_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/apptest"
	"github.com/auricle-dev/auricle/sdk/event"
)

// in makes an event of a session of a user.
func in(uid, session, text string) *event.Transcript {
	e := order(text)
	e.UID, e.Session = uid, session
	return e
}

func TestPackageVariablesAreTheSessions(t *testing.T) {
	path := apptest.Build(t, "testdata/guests/counter")
	tone := apptest.Pieces(t, 16_000, apptest.Sine(16_000, 440, 0.5, time.Second), time.Second)[0]
	for _, c := range []struct {
		name   string
		events []apptest.Event
		want   []string // the output, or the outcome
	}{
		{"kept", []apptest.Event{order("x"), order("x"), tone, &event.Conversation{}},
			[]string{"[false]", "[false,false]", "[false,false,false]", "[false,false,false,false]"}},
		{"not shared", []apptest.Event{in("ann", "s1", "x"), in("ann", "s2", "x"), in("bert", "s1", "x"), in("ann", "s1", "x")},
			[]string{"[false]", "[false]", "[false]", "[false,false]"}},
		{"told by the test", []apptest.Event{&event.Transcript{Restarted: true, Segments: order("x").Segments}, &event.Audio{Restarted: true}, &event.Conversation{Restarted: true}},
			[]string{"[true]", "[true,true]", "[true,true,true]"}},
		{"error keeps it", []apptest.Event{order("x"), order("error"), order("x")},
			[]string{"[false]", "app_error", "[false,false,false]"}},
		{"panic takes it", []apptest.Event{order("x"), order("panic"), order("x"), order("x")},
			[]string{"[false]", "app_error", "restarted [true]", "[true,false]"}},
		{"spent fuel takes it", []apptest.Event{order("x"), order("loop"), tone, tone},
			[]string{"[false]", "fuel_exhausted", "restarted [true]", "[true,false]"}},
		{"memory takes it", []apptest.Event{order("x"), order("fill"), &event.Conversation{}, order("x")},
			[]string{"[false]", "memory_exceeded", "restarted [true]", "[true,false]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, res := range apptest.RunModule(t, path, apptest.Options{}, c.events...).Results {
				said := string(res.Outcome)
				if res.Outcome == apptest.OK {
					said = string(res.Outputs[0])
				} else {
					t.Log(res.Error)
				}
				if res.Restarted {
					said = fmt.Sprint("restarted ", said)
				}
				got = append(got, said)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}
