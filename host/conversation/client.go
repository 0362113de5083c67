package conversation

import (
	"fmt"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// Client is a session's way to speak to the attached stream. No method may
// block or call the Attachment: what can't be sent is the stream's own affair
// (it closes itself).
type Client interface {
	// Ready is told first, and once, before Sessions.Start returns.
	Ready(r Ready)
	// Conversation tells of a conversation's state. c is whole and never changed
	// when the state is wire.StateCompleted, otherwise nil. It is nil too when the
	// conversation was completed while no stream was attached.
	Conversation(id string, state wire.State, c *event.Conversation)
	// Ack says that every accepted transcript up to seq is on synced disk and
	// that audioBytes bytes of audio were taken since the session began.
	Ack(seq uint64, audioBytes int64)
	// Apps says that the user has other apps now, or other versions of them, and
	// what becomes of the session's audio: both as in Ready.
	Apps(audio string, as []*apps.App)
	// Output passes on what an app made.
	Output(o event.Output)
	// Gap passes on what was dropped for an app.
	Gap(g dispatch.Gap)
	// Warn tells the client of trouble that leaves the stream as it is.
	Warn(w *InputError)
	// Superseded says, at last, that a newer stream of the session, here or on
	// another host, has taken its place.
	Superseded()
	// Failed says, at last, that the host has let go of the session by a fault of
	// its own. What was acknowledged is kept; the session can be resumed.
	Failed()
}

// Ready is a session as a stream finds it.
type Ready struct {
	Session      string
	Conversation string        // to which what is sent next belongs
	Audio        string        // "buffered" for apps that may have it, "discarded" when none may, "none" when the session has no audio
	Format       *audio.Format // what the session's audio is; nil when it has none
	Apps         []*apps.App   // of the session's user
	Seq          uint64        // of the last transcript taken
	AudioBytes   int64         // taken since the session began
}

// InputError is something a client sent that was refused, whole, with nothing
// else changed; the session goes on.
type InputError struct {
	Code    string // one of those of wire.Error
	Message string // what is wrong and what to do; fit for the client
	Seq     uint64 // the refused transcript's seq; 0 when it was something else
}

// Error returns the code and the message.
func (e *InputError) Error() string { return e.Code + ": " + e.Message }

func refuse(code string, seq uint64, format string, args ...any) *InputError {
	return &InputError{Code: code, Seq: seq, Message: fmt.Sprintf(format, args...)}
}
