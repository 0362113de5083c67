package jobs

import (
	"time"

	"github.com/auricle-dev/auricle/host/store"
)

// Counts says how many jobs there are, of all hosts that share the store, as
// far as they are in memory.
type Counts struct {
	Waiting int           // for their next attempt
	Running int           // on some host
	Dead    int           // letters
	Oldest  time.Duration // age of the oldest that is not dead
	Lag     time.Duration // how long the one that is overdue longest has been due
	Partial bool          // the store has more than this host has in memory
}

// Counts returns how many jobs there are now.
func (j *Jobs) Counts() Counts {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	c := Counts{Partial: j.table.partial()}
	for _, e := range j.table.entries {
		switch e.State {
		case store.JobDead:
			c.Dead++
			continue
		case store.JobRunning:
			c.Running++
		default:
			c.Waiting++
			c.Lag = max(c.Lag, now.Sub(e.due))
		}
		c.Oldest = max(c.Oldest, now.Sub(e.Since))
	}
	return c
}

// Claimed returns how many attempts of jobs are under way on this host. It is
// cheap.
func (j *Jobs) Claimed() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.table.claimed
}
