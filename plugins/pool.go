package plugins

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// acquire returns an instance in the image's state for inv, and must be followed
// by yield or close. Where there was no time to make one, late says so.
func (m *Module) acquire(ctx context.Context, inv *Invocation) (in *instance, late *RunError, err error) {
	wall := inv.Limits.Wall
	if t := inv.Tape; t != nil && t.replaying {
		if wall = m.initLimits.Wall; t.lateAt(deadline{}) {
			return nil, &RunError{Outcome: DeadlineExceeded, Message: "the wall-clock limit passed before there was an instance"}, nil
		}
	}
	m.mu.Lock()
	n := len(m.idle)
	if n == 0 {
		m.mu.Unlock()
		m.engine.keeper.want(m)
		in, err := m.make(ctx, wall)
		if errors.As(err, &late) && late.Outcome == DeadlineExceeded {
			late.Message += " while initialising, needed for a new instance because " + m.unmakeable
			if inv.Tape != nil {
				inv.Tape.late(deadline{})
			}
			return nil, late, nil
		}
		return in, nil, err
	}
	in = m.idle[n-1]
	m.idle[n-1] = nil
	m.idle = m.idle[:n-1]
	m.idleBytes -= in.bytes()
	m.mu.Unlock()
	if n <= m.engine.o.SpareInstances {
		m.engine.keeper.want(m)
	}
	return in, nil, nil
}

// yield takes an instance back after a run. If its state is fit for it, the
// instance is restored at once, so that nothing of what it heard stays behind,
// and kept while there is room; otherwise it is closed.
func (m *Module) yield(in *instance, fit bool) {
	if !fit || !in.restore() || !m.keep(in) {
		in.close()
	}
}

// keep adds an instance that is as its image to the idle ones, if there is
// room.
func (m *Module) keep(in *instance) bool {
	in.idleSince = time.Now()
	takes := in.bytes()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.idle) >= m.engine.o.IdleInstances || m.idleBytes+takes > m.engine.o.IdleBytes {
		return false
	}
	m.idle = append(m.idle, in)
	m.idleBytes += takes
	return true
}

// spare makes instances until there are as many idle as Options.SpareInstances
// says.
func (m *Module) spare(ctx context.Context) error {
	for {
		m.mu.Lock()
		enough := len(m.idle) >= m.engine.o.SpareInstances
		m.mu.Unlock()
		if enough || ctx.Err() != nil {
			return nil
		}
		in, err := m.make(ctx, m.initLimits.Wall)
		if err != nil {
			return err
		}
		if !m.keep(in) {
			in.close()
			return nil
		}
	}
}

// trim gives back the memory of what nobody has used since before: idle
// instances are closed, but for the spare ones, which keep no pages of their
// own, and sessions are parked.
func (m *Module) trim(before time.Time) {
	m.mu.Lock()
	old := 0 // they lie in the order of their last use
	for old < len(m.idle) && m.idle[old].idleSince.Before(before) {
		old++
	}
	spare := min(old, max(0, m.engine.o.SpareInstances-(len(m.idle)-old)))
	unused := slices.Clone(m.idle[:old])
	m.idle = slices.Delete(m.idle, 0, old)
	for _, in := range unused {
		m.idleBytes -= in.bytes()
	}
	sessions := slices.Collect(maps.Keys(m.sessions))
	m.mu.Unlock()

	for i, in := range unused {
		if i < old-spare {
			in.close()
			continue
		}
		in.mem.discard()
		in.functions = nil
		if !m.keep(in) {
			in.close()
		}
	}
	for _, s := range sessions {
		s.parkIfIdle(before)
	}
}
