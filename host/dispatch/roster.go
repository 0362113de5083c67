package dispatch

import (
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/event"
)

// roster is who is in a session. It is never changed: another one takes its
// place.
type roster struct {
	mailboxes []*mailbox
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
// app where there is one.
func (s *Session) fit(lanes []*lane) {
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return
	}
	old := s.roster.Load()
	next := &roster{buffer: old.buffer}
	var dropped [][]Gap // by each of next.mailboxes
	for _, l := range lanes {
		t := l.now()
		if !t.app.Serves(s.o.UID) {
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
		dropped = append(dropped, m.fit(next.buffer, piece, t.app.Holds(event.CapTranscript)))
		next.mailboxes = append(next.mailboxes, m)
	}
	if len(next.listeners) == 0 {
		next.buffer = nil // what its readers had still to take is told with their mailboxes
	}
	s.roster.Store(next)
	s.mu.Unlock()
	for i, m := range next.mailboxes {
		m.tell(dropped[i])
	}
	for _, m := range old.mailboxes {
		if next.of(m.lane) == nil {
			m.close(ReasonNotInstalled)
		}
	}
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
