package conversation

import (
	"context"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Store is what sessions need of what lasts; *store.Store is one.
type Store interface {
	Append(ctx context.Context, head store.Head, segs []event.Segment) error
	Complete(ctx context.Context, c event.Conversation) error
	AddResult(ctx context.Context, conversation string, r store.Result) error
	Unfinished(ctx context.Context) ([]event.Conversation, error)
}

// Dispatcher gives each session its mailboxes; see DispatchTo.
type Dispatcher interface {
	Open(o dispatch.SessionOptions) Mailboxes
}

// Mailboxes is what a session needs of its side of dispatch;
// *dispatch.Session is one. No method blocks.
type Mailboxes interface {
	Apps() []*apps.App
	WantsAudio() bool
	Transcript(t event.Transcript)
	Audio(conversation string, start int64, pcm []byte)
	EndAudio(conversation string)
	Complete(c event.Conversation, due []string, answer func(dispatch.Attempt)) <-chan struct{}
	Close()
}

var (
	_ Store     = (*store.Store)(nil)
	_ Mailboxes = (*dispatch.Session)(nil)
)

// complete hands a stored conversation to the apps of its user that may have
// it, and what they made of it to deliver.
func complete(boxes Mailboxes, c event.Conversation, deliver func(apps.Invocation)) <-chan struct{} {
	var due []string
	for _, a := range boxes.Apps() {
		if a.Holds(event.CapConversation) {
			due = append(due, a.Name)
		}
	}
	return boxes.Complete(c, due, func(a dispatch.Attempt) {
		if a.Deferred == "" {
			deliver(a.Invocation)
		}
	})
}

// DispatchTo makes d the Dispatcher of Options.
func DispatchTo(d *dispatch.Dispatcher) Dispatcher { return dispatcher{d} }

type dispatcher struct{ d *dispatch.Dispatcher }

func (d dispatcher) Open(o dispatch.SessionOptions) Mailboxes { return d.d.Open(o) }
