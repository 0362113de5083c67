package dispatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// fakeApp is an app whose invocations a test answers: by does, or one at a
// time through release. It notes what it was called with.
type fakeApp struct {
	name    string
	caps    []event.Capability
	piece   time.Duration
	latest  bool
	users   []string // empty: everyone
	does    func(ctx context.Context, ev apps.Event) (plugins.Outcome, error)
	release chan plugins.Outcome // used when does is nil; nil too: ok at once

	mu      sync.Mutex
	calls   []apps.Event
	now     int
	most    int            // invocations at once
	running map[string]int // by session
	overlap bool           // two of one session ran at once
}

func (f *fakeApp) Serves(uid string) bool {
	return len(f.users) == 0 || slices.Contains(f.users, uid)
}
func (f *fakeApp) Holds(c event.Capability) bool { return slices.Contains(f.caps, c) }

func (f *fakeApp) AudioPiece() time.Duration {
	if f.piece == 0 {
		return time.Second
	}
	return f.piece
}

func (f *fakeApp) AudioLatest() bool { return f.latest }

func (f *fakeApp) Invoke(ctx context.Context, ev apps.Event) (apps.Invocation, error) {
	f.mu.Lock()
	f.calls = append(f.calls, ev)
	f.now++
	f.most = max(f.most, f.now)
	if f.running == nil {
		f.running = map[string]int{}
	}
	f.running[ev.Session]++
	f.overlap = f.overlap || f.running[ev.Session] > 1
	id := fmt.Sprintf("i_%s_%d", f.name, len(f.calls))
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now--
		f.running[ev.Session]--
		f.mu.Unlock()
	}()
	o, err := plugins.OK, error(nil)
	switch {
	case f.does != nil:
		o, err = f.does(ctx, ev)
	case f.release != nil:
		select {
		case o = <-f.release:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	inv := apps.Invocation{
		ID: id, App: f.name, Kind: ev.Kind, UID: ev.UID, Session: ev.Session, Conversation: ev.Conversation,
		Outcome: o, Fuel: 100, FuelLimit: 1000, Wall: time.Millisecond,
	}
	if o != plugins.OK {
		inv.Err = "it failed"
	}
	return inv, err
}

// called returns what the app was called with so far.
func (f *fakeApp) called() []apps.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fakeApp) count(k event.Kind) int {
	n := 0
	for _, ev := range f.called() {
		if ev.Kind == k {
			n++
		}
	}
	return n
}

// transcripts returns the segment texts of each transcript event, joined.
func (f *fakeApp) transcripts(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, ev := range f.called() {
		if ev.Kind != event.KindTranscript {
			continue
		}
		var tr event.Transcript
		if err := json.Unmarshal(ev.Payload, &tr); err != nil {
			t.Fatalf("transcript payload: %v", err)
		}
		s := ""
		for i, seg := range tr.Segments {
			if i > 0 {
				s += " "
			}
			s += seg.Text
		}
		out = append(out, s)
	}
	return out
}

// pieces returns the audio events so far.
func (f *fakeApp) pieces(t *testing.T) []event.Audio {
	t.Helper()
	var out []event.Audio
	for _, ev := range f.called() {
		if ev.Kind != event.KindAudio {
			continue
		}
		var a event.Audio
		if err := a.UnmarshalBinary(ev.Payload); err != nil {
			t.Fatalf("audio payload: %v", err)
		}
		out = append(out, a)
	}
	return out
}

// listener is a session's Deliver and Gap, and whom its apps answer for a
// conversation.
type listener struct {
	mu   sync.Mutex
	invs []apps.Invocation // with a realtime event, or for a conversation
	put  []dispatch.Attempt
	gaps []dispatch.Gap
}

// complete hands a conversation to the apps named by due.
func (l *listener) complete(s *dispatch.Session, id string, due ...string) <-chan struct{} {
	return s.Complete(event.Conversation{ID: id, UID: "u"}, due, l.answer)
}

func (l *listener) answer(a dispatch.Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.Deferred != "" {
		l.put = append(l.put, a)
		return
	}
	l.invs = append(l.invs, a.Invocation)
}

// putOff returns the attempts that were deferred, as "app reason".
func (l *listener) putOff() (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.put {
		out = append(out, a.App+" "+a.Deferred)
	}
	return out
}

func (l *listener) deliver(i apps.Invocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.invs = append(l.invs, i)
}

func (l *listener) gap(g dispatch.Gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps = append(l.gaps, g)
}

func (l *listener) invocations() []apps.Invocation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.invs)
}

func (l *listener) got() []dispatch.Gap {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.gaps)
}

func (l *listener) options(uid, id string) dispatch.SessionOptions {
	return dispatch.SessionOptions{UID: uid, ID: id, Language: "en", Deliver: l.deliver, Gap: l.gap}
}

// start returns a Dispatcher of fakes. It is drained at the test's end.
func start(t *testing.T, o dispatch.Options, fakes ...*fakeApp) *dispatch.Dispatcher {
	t.Helper()
	var names []string
	var cs []dispatch.Callee
	for _, f := range fakes {
		names, cs = append(names, f.name), append(cs, f)
	}
	d, err := dispatch.NewWith(o, names, cs)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// drain ends d at the end of a synctest bubble: whatever still runs is
// cancelled.
func drain(t *testing.T, d *dispatch.Dispatcher) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = d.Drain(ctx) // what a test left over was given up, which is not its matter
}

func say(conversation string, idText ...string) event.Transcript {
	t := event.Transcript{Conversation: conversation}
	for i := 0; i < len(idText); i += 2 {
		t.Segments = append(t.Segments, event.Segment{ID: idText[i], Text: idText[i+1]})
	}
	return t
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func appStats(t *testing.T, d *dispatch.Dispatcher, name string) dispatch.AppStats {
	t.Helper()
	for _, s := range d.Stats() {
		if s.App == name {
			return s
		}
	}
	t.Fatalf("no stats of app %q", name)
	return dispatch.AppStats{}
}
