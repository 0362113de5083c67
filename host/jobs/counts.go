package jobs

import (
	"time"

	"github.com/auricle-dev/auricle/host/store"
)

// Counts says how many jobs there are, of all hosts that share the store but
// for Claimed, as far as they are in memory.
type Counts struct {
	Waiting int           // for their next attempt
	Running int           // on some host
	Dead    int           // letters
	Claimed int           // attempts under way on this host
	Lag     time.Duration // how long the one that is overdue longest has been due
	Partial bool          // the store has more than this host has in memory
}

// Counts returns how many jobs there are now.
func (j *Jobs) Counts() Counts {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	c := Counts{Claimed: j.table.claimed, Partial: j.table.partial()}
	for _, e := range j.table.entries {
		switch e.State {
		case store.JobDead:
			c.Dead++
		case store.JobRunning:
			c.Running++
		default:
			c.Waiting++
			c.Lag = max(c.Lag, now.Sub(e.due))
		}
	}
	return c
}
