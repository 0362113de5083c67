// Package apps holds the installed apps: an app is a module with the manifest
// it wrote about itself, the operator's grant, limits and settings.
//
// The way of the data: Load reads each configured module, lets the engine load
// it, has it write its manifest and checks that against the grant and the
// settings; every fault becomes a config.Problem at the place in the operator's
// file that can mend it. App.Invoke then calls a module with one event. What the
// module asks for meanwhile, through the functions of HostModule, is gathered
// as effects of that invocation, which take hold, as Invocation.Outputs, only
// when it ends ok; otherwise they are discarded.
//
// An app whose manifest asks for state "session", and whose operator grants it,
// keeps its memory from one event of a session to the next in a SessionState,
// which dispatch holds for each session.
//
// An app that holds storage keeps values for each user, in a Storage: an
// invocation works on a space.View of them, whose changes are made last when it
// has ended ok, before that is told.
//
// Set.Plan loads what a new configuration changes while the others run, and
// Change.Apply puts it in force: an app that has not changed stays the same App.
//
// With a Keeper, each invocation is recorded on a plugins.Tape, and one that the
// Keeper wants is handed over to it as a Recording, with the event, settings,
// limits and what came of it. Replay runs a Recording again.
//
// Modules are not trusted. Pointers are checked by the engine; JSON is decoded
// strictly (valid UTF-8, no unknown or repeated fields, nothing behind it,
// nested at most 64 deep); sizes and counts are bounded; text that a module
// wrote is made fit for one line of a log or a page. A function called at the
// wrong time (manifest_write while handling an event, emit while writing the
// manifest, any while initialising) ends the invocation as app_error.
//
// A settings schema's "default" values describe; they are not filled in. The
// schema may not refer to anything outside of itself.
//
// Concurrency: a Set and its Apps are safe for concurrent use after Load; a
// SessionState is for one call at a time.
//
// It may import host/bridge, host/config, host/fetch, host/reach, plugins, sdk/event
// and sdk/space. It queues nothing and
// retries nothing (dispatch does), and does not sandbox by itself (plugins
// does).
package apps
