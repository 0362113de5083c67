// Package apptest runs an app against events in an ordinary go test.
//
// # Usage
//
// Run calls the handlers in the test's own process, where a debugger, the race
// detector and coverage work. RunModule gives the same events to the built
// module, through the auricle command, under the host's real limits. Both
// return a Report. Each does both:
//
//	func TestSpeaksUp(t *testing.T) {
//		apptest.Each(t, apptest.Registered(t), ".", func(t *testing.T, run apptest.RunFunc) {
//			r := run(t, apptest.Options{Settings: map[string]any{"words": []string{"budget"}}},
//				apptest.Say("Ann", "The budget is tight."))
//			r.OK(t)
//			if got := r.Notifications(); len(got) != 1 {
//				t.Errorf("got notifications %q, want one", got)
//			}
//		})
//	}
//
// Events are made by hand from package event's types, by Say, Sine and Pieces,
// or from a recorded conversation by Conversation.
//
// # What a run in-process is not
//
// It has no sandbox: fuel isn't counted, memory isn't limited, a handler that
// never returns can't be stopped (the test fails after Options.Timeout), and
// variables keep their values from one event to the next, also of another
// session, of an app without state, and after a panic; an event says Restarted
// when the test sets it. Settings are not checked against the schema. RunModule
// does all of that.
//
// It imports nothing but the standard library, sdk and sdk/event.
package apptest
