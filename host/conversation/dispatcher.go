package conversation

import (
	"context"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Store is what sessions need of what lasts; *store.Store is one.
type Store interface {
	Append(ctx context.Context, p store.Part, after store.Revision) (store.Revision, error)
	Complete(ctx context.Context, c event.Conversation, due []string) error
	Settle(ctx context.Context, h store.Part, after store.Revision) error
	AddResult(ctx context.Context, conversation string, r store.Result) error
	Session(ctx context.Context, session string) ([]store.Held, error)
	Unfinished(ctx context.Context) ([]store.Held, error)
	Named(ctx context.Context, name string) (event.Conversation, error)
	Shared() bool // other hosts may use it too
}

// Jobs sees to the apps' work on completed conversations; *jobs.Jobs is one.
type Jobs interface {
	Due(uid string) []string
	Start(w jobs.Work) <-chan struct{}
}

// Dispatcher gives each session its mailboxes; see DispatchTo.
type Dispatcher interface {
	Open(o dispatch.SessionOptions) Mailboxes
}

// Mailboxes is what a session needs of its side of dispatch;
// *dispatch.Session is one. No method blocks.
type Mailboxes interface {
	jobs.Mailboxes // a completed conversation goes there through Jobs

	Apps() []*apps.App
	WantsAudio() bool
	Transcript(t event.Transcript)
	Audio(conversation string, start int64, pcm []byte)
	EndAudio(conversation string)
	Close()
}

var (
	_ Store     = (*store.Store)(nil)
	_ Jobs      = (*jobs.Jobs)(nil)
	_ Mailboxes = (*dispatch.Session)(nil)
)

// DispatchTo makes d the Dispatcher of Options.
func DispatchTo(d *dispatch.Dispatcher) Dispatcher { return dispatcher{d} }

type dispatcher struct{ d *dispatch.Dispatcher }

func (d dispatcher) Open(o dispatch.SessionOptions) Mailboxes { return d.d.Open(o) }
