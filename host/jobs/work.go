package jobs

import (
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Work is a conversation that the store holds as completed, and whose apps'
// work begins.
type Work struct {
	Conversation event.Conversation

	// Held is its last append: Held.Due are the apps, Held.Part and
	// Held.Revision are settled when each of them has been answered.
	Held store.Held

	// Boxes are the mailboxes of the session that it was said in. Nil, or with
	// Held.Completed, it is what another host, or this one's earlier life, left:
	// what is missing is found in the store and becomes Jobs.
	Boxes Mailboxes

	// Deliver gets each app's result that counts, after it is stored. It is
	// called on a goroutine of Jobs and must not block. Nil discards.
	Deliver func(apps.Invocation)
}

// Mailboxes run the first attempts; *dispatch.Session is one. See its Complete.
type Mailboxes interface {
	Complete(c event.Conversation, due []string, answer func(dispatch.Attempt)) <-chan struct{}
}
