package apps

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/config"
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

// now answers at once.
type now struct{}

func (now) Context() context.Context { return context.Background() }

func (now) Charge(uint64) error { return nil }

func (now) Answer(_ string, live func() ([]byte, error)) ([]byte, error) { return live() }

// Answer answers a guest's request as an app that holds held would have it.
func Answer(b []byte, held ...event.Capability) (event.Response, []event.Output, error) {
	g := &guest{app: &App{Name: "fuzz", held: held, slots: &notifySlots{}, storage: newStorage(&MemoryStorage{})}, moment: handling, outputBytes: maxOutputBytes}
	request, rest := splitJSON(b)
	err := g.call(now{}, request, rest)
	var resp event.Response
	if err == nil {
		head, _ := splitJSON(g.result)
		err = json.Unmarshal(head, &resp)
	}
	var outs []event.Output
	for _, e := range g.effects {
		outs = append(outs, event.Output{Kind: e.kind, Data: e.data})
	}
	return resp, outs, err
}

// StoreIn has an app's values kept in s, as Set.KeepValues does.
func StoreIn(a *App, s Storage) { a.storage = newStorage(s) }

// LimitNotifications limits the rate of an app's notifications as Load does.
func LimitNotifications(a *App) { a.slots = &notifySlots{} }

// Resum returns a recording's file with the sum that it should have; one that
// can't be read as it is.
func Resum(file []byte) []byte {
	var b recordingBody
	if decodeStrict(file, &b) != nil {
		return file
	}
	var err error
	if b.Sum, err = b.sum(); err != nil {
		return file
	}
	if again, err := b.encode(); err == nil {
		return again
	}
	return file
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

// ForArguments returns an app that has a tool "find" with a schema, and no
// module.
func ForArguments(t testing.TB, schema string) *App {
	a := &App{Name: "a"}
	a.Manifest.Events.Tools = []event.Tool{{Name: "find", Description: "finds", Parameters: json.RawMessage(schema)}}
	if err := a.compileTools(); err != nil {
		t.Fatal(err)
	}
	return a
}

// Limited is an app of which only the limits matter.
func Limited(m event.Manifest, l config.AppLimits) *App {
	return &App{Manifest: m, config: config.App{Limits: l}}
}
