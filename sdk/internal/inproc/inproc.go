// Package inproc is the door by which sdk/apptest runs an app inside a test's
// process. Package sdk fills the functions in when it is not built for Wasm;
// a module contains none of it. It is internal: authors use apptest.
package inproc

import "github.com/auricle-dev/auricle/sdk/event"

// Host does for an app in-process what the imports of auricle_v1 do for a
// module. An invocation calls it from the handler's goroutine and from those
// that the handler starts.
type Host interface {
	Emit(data []byte) int32       // one JSON output; 0 is ok
	Call(request []byte) []byte   // an event.Request; returns an event.Response
	Log(level int32, text string) // 0 trace … 4 error
	Settings() []byte             // JSON; empty when there are none
}

// Handle calls app's handler with one event, as auricle_v1_handle does. App is
// an sdk.App, payload the event's wire form. Text is what a module would pass
// to error_write.
var Handle func(app any, kind event.Kind, payload []byte, h Host) (code int32, text string)

// Manifest returns app's manifest. App is an sdk.App; the error says all that
// is wrong with it.
var Manifest func(app any) (event.Manifest, error)

// Registered returns the sdk.App that was registered, or nil.
var Registered func() any
