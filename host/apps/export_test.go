package apps

import (
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
)

// NotifySlots are one app's notification slots.
type NotifySlots = notifySlots

// Reserve is reserve.
func (n *notifySlots) Reserve(uid string, now time.Time) bool { return n.reserve(uid, now) }

// Settle is settle.
func (n *notifySlots) Settle(uid string, now time.Time, sent bool) { n.settle(uid, now, sent) }

// Users is how many users are remembered.
func (n *notifySlots) Users() int { return len(n.users) }

// MaxNotified bounds Users.
const MaxNotified = maxNotified

// Answer answers a guest's request as an app that holds held would have it.
func Answer(b []byte, held ...event.Capability) (event.Response, []event.Output, error) {
	g := &guest{app: &App{Name: "fuzz", held: held, slots: &notifySlots{}}, moment: handling, outputBytes: maxOutputBytes}
	resp, err := g.request(b, time.Now())
	var outs []event.Output
	for _, e := range g.effects {
		outs = append(outs, event.Output{Kind: e.kind, Data: e.data})
	}
	return resp, outs, err
}

// CompactStrict is what becomes of an emitted output.
func CompactStrict(b []byte) ([]byte, error) { return compactStrict(b) }

// Printable is what becomes of text of a module's.
func Printable(s string) string { return printable(s) }

// The bounds that tests go up to.
const (
	MaxEffectBytes = maxEffectBytes
	MaxEffects     = maxEffects
	MaxLogBytes    = maxLogBytes
	MaxErrorBytes  = maxErrorBytes
	NotifyEvery    = notifyEvery
)
