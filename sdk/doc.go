// Package sdk is what an Auricle app imports: an app is a Go program that the
// host runs as a sandboxed WebAssembly module, once for each event.
//
// # Usage
//
// Register the app in an init function, with a handler for each kind of event
// it wants, and leave main empty:
//
//	package main
//
//	import (
//		"strings"
//
//		"github.com/auricle-dev/auricle/sdk"
//		"github.com/auricle-dev/auricle/sdk/event"
//	)
//
//	func init() {
//		sdk.Register(sdk.App{
//			Name: "budget", Version: "1.0.0", Description: "Says when the budget comes up.",
//			Wants:        []sdk.Want{sdk.Notify("to tell you at once when the budget comes up")},
//			OnTranscript: onTranscript,
//		})
//	}
//
//	func onTranscript(ctx *sdk.Context, e *event.Transcript) error {
//		for _, s := range e.Segments {
//			if strings.Contains(s.Text, "budget") {
//				return ctx.Notify(s.Speaker + " spoke of the budget")
//			}
//		}
//		return nil
//	}
//
//	func main() {}
//
// Build it with the plain Go toolchain and try it without a host:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o budget.wasm .
//	auricle app run -conversation transcript.json budget.wasm
//
// Package apptest runs an app in an ordinary go test.
//
// # Invocations
//
// The host initialises a module once (package variables, then init functions),
// keeps an image of its memory, and starts every invocation from that image.
// So:
//
//   - Nothing that a handler stores in a variable is there at the next event,
//     unless the app asks for state; see State. Emit what should last.
//   - Work done in init is paid for once. Compile regular expressions and
//     build tables there.
//   - A clock or random number read in init is frozen in the image: every
//     invocation sees the same value. Read them in the handler. The generator
//     of math/rand is seeded before init, so it repeats itself in every
//     invocation; crypto/rand does not.
//   - A goroutine that a handler starts ends with the invocation. Wait for
//     what you need before returning.
//
// An invocation is bounded: fuel (instructions executed), wall time, memory,
// the size and number of its outputs, the size of its log. Past a bound the
// host ends it. Effects — what was emitted or stored, the notifications — take hold only
// when the handler returns nil; an error, a panic or a limit undoes them all.
//
// # State
//
// An app with State: event.StateSession keeps its memory from one event to the
// next of a session: what a user's client does from its start to its end, over
// one conversation or several. Package variables are then as the session's
// last event left them:
//
//	var words = map[string]int{} // this session's
//
//	func onTranscript(ctx *sdk.Context, e *event.Transcript) error {
//		if e.Restarted {
//			ctx.Warnf("counting from zero: what was counted so far is lost")
//		}
//		…
//	}
//
// A panic, and whatever the host stops (spent fuel, a missed deadline, too much
// memory, an exit), takes the state with it: the next event begins as the first
// did, and has Restarted set. So has the completed conversation of a session
// that an earlier host began. Memory is a cache, not a store: emit what must
// last.
//
// # Errors and panics
//
// An error from a handler is the outcome app_error with the error's text; so
// is a panic, with its message and the functions it came through. Either
// harms that one invocation only, but an app that fails five times in a row is
// given no events for half a minute.
//
// # Concurrency
//
// One invocation runs at a time in an instance, and Wasm has one thread:
// handlers need no locks. A Context may be used by goroutines of its own
// invocation.
//
// # Building for anything but Wasm
//
// The package compiles everywhere, so that go vet, editors and tests work;
// only a module built for wasip1 talks to a host. It imports nothing but the
// standard library and sdk/event.
package sdk
