package dispatch

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/event"
)

// roster is who is in a session. It is never changed: another one takes its
// place.
type roster struct {
	mailboxes []*mailbox
	tenants   []*tenant     // whose they are, one for each
	listeners []*mailbox    // those with a reader of buffer
	buffer    *audio.Buffer // nil without a listener
}

// of returns the mailbox of a lane, nil if there is none.
func (r *roster) of(l *lane) *mailbox {
	for _, m := range r.mailboxes {
		if m.lane == l {
			return m
		}
	}
	return nil
}

// named returns the mailbox of an app, nil if there is none.
func (r *roster) named(app string) *mailbox {
	for _, m := range r.mailboxes {
		if m.lane.name == app {
			return m
		}
	}
	return nil
}

// fit gives the session a mailbox for each app that its user has now, and takes
// away the others. Those of apps that stay go on, with another version of their
// app where there is one. It reports whether anything is different then.
func (s *Session) fit() (changed bool) {
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return false
	}
	old := s.roster.Load()
	next := &roster{buffer: old.buffer}
	type dropped struct {
		m    *mailbox
		gaps []Gap
		over bool
	}
	var drops []dropped
	for _, l := range *s.d.lanes.Load() {
		t := l.now()
		if l.without(t, s.o.UID) != "" {
			continue
		}
		m := old.of(l)
		if m == nil {
			m = &mailbox{lane: l, session: s}
		}
		piece := 0
		if s.o.Rate > 0 && t.app.Holds(event.CapAudio) {
			piece = pieceBytes(t.app.AudioPiece(), s.o.Rate)
			if next.buffer == nil {
				next.buffer = audio.NewBuffer(s.d.options.AudioBuffer)
			}
			next.listeners = append(next.listeners, m)
		}
		drops = append(drops, dropped{m: m, gaps: m.fit(next.buffer, piece, t.app.AudioLatest(), t.app.Holds(event.CapTranscript))})
		next.mailboxes, next.tenants = append(next.mailboxes, m), append(next.tenants, t)
	}
	if len(next.listeners) == 0 {
		next.buffer = nil // what its readers had still to take is told with their mailboxes
	}
	s.roster.Store(next)
	for _, m := range old.mailboxes {
		if next.of(m.lane) != nil {
			continue
		}
		reason := m.lane.without(m.lane.now(), s.o.UID)
		if reason == "" {
			reason = ReasonNotInstalled // it has come back this moment, and whoever brought it fits again
		}
		d := dropped{m: m}
		d.gaps, d.over = m.shut(reason)
		drops = append(drops, d)
	}
	s.mu.Unlock()
	for _, d := range drops {
		d.m.tell(d.gaps)
		d.m.giveBack(d.over)
	}
	return (old.buffer == nil) != (next.buffer == nil) || !slices.Equal(old.tenants, next.tenants)
}

// refit is fit for a session that is open: whoever has it is told.
func (s *Session) refit() {
	if !s.fit() || s.o.Changed == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.d.log.Error("panic, a fault of the host's: please report it", "while", "telling of other apps", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	s.o.Changed()
}

func pieceBytes(d time.Duration, rate int) int {
	samples := int64(d) * int64(rate) / int64(time.Second)
	return int(max(samples, 1)) * audio.SampleBytes
}

// Apps returns the apps of this session's user, in the configuration's order.
func (s *Session) Apps() []*apps.App {
	var as []*apps.App
	for _, m := range s.roster.Load().mailboxes {
		if t := m.lane.now(); t.installed != nil {
			as = append(as, t.installed)
		}
	}
	return as
}
