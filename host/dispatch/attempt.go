package dispatch

import (
	"time"

	"github.com/auricle-dev/auricle/host/apps"
)

// Attempt is what became of one app's turn at a completed conversation: it ran,
// or it was put off and Deferred says why.
type Attempt struct {
	App     string
	Module  string // SHA-256 of the module that ran, lower-case hex; empty when none did
	Version string // of the app, likewise

	// Invocation is what ran; with ReasonHostError it says what went wrong.
	Invocation apps.Invocation

	// Deferred is empty when the app ran and its outcome says something of it,
	// otherwise why not: one of the Reason constants.
	Deferred string
	Until    time.Time // with ReasonBreakerOpen: when the app may be called again
}
