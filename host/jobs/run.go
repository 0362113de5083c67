package jobs

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
)

const (
	maxClaimed = 32 // attempts of jobs under way at once, of all apps

	// How often is looked at again what says by nothing that it has changed:
	// whether a host is alive, and whether an app is installed or has room.
	aliveEvery     = 5 * time.Second
	installedEvery = 30 * time.Second
	roomEvery      = time.Second

	// followPause is between two tries to follow the records.
	followPause = 2 * time.Second
)

// Run follows the jobs in the store and runs those that are due, until ctx ends
// or Stop is called; attempts under way go on. Call it once.
func (j *Jobs) Run(ctx context.Context) {
	j.work.Add(1)
	defer j.work.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(j.claims, cancel)()
	refill := make(chan struct{}, 1)
	var following sync.WaitGroup
	following.Go(func() { j.follow(ctx, refill) }) // ends with ctx; waited for below
	defer following.Wait()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-j.wake:
		}
		claims, next, roomy := j.take(time.Now())
		for _, c := range claims {
			j.work.Go(func() { j.attempt(c) }) // ends once dispatch has answered; Close waits for it
		}
		if roomy {
			select {
			case refill <- struct{}{}:
			default:
			}
		}
		timer.Reset(next)
	}
}

// follow keeps the table as the store is. From refill it learns that jobs that
// found no room would find some now.
func (j *Jobs) follow(ctx context.Context, refill <-chan struct{}) {
	for ctx.Err() == nil {
		j.mu.Lock()
		j.table.follow()
		j.mu.Unlock()
		once, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		var watching sync.WaitGroup
		watching.Go(func() { // ends with ended
			select {
			case <-refill:
				cancel()
			case <-ended:
			}
		})
		err := j.o.Store.FollowJobs(once, j.apply)
		close(ended)
		watching.Wait()
		refilling := once.Err() != nil
		cancel()
		if ctx.Err() != nil || refilling {
			continue
		}
		j.log.Warn("following the jobs in the store; trying again", "error", err)
		pause(ctx, jittered(followPause))
	}
}

// apply takes in a change that the store tells of.
func (j *Jobs) apply(c store.JobChange) {
	j.mu.Lock()
	had := j.table.partial()
	news := c.Synced
	if c.Synced {
		j.table.synced()
	} else {
		news = j.table.apply(c)
	}
	full := j.table.partial() && !had
	known, dead := len(j.table.entries), j.table.dead
	j.mu.Unlock()
	if c.Synced {
		j.loadOnce.Do(func() {
			close(j.loaded)
			j.log.Info("jobs loaded", "live", known-dead, "dead", dead)
		})
	}
	if full {
		j.log.Warn("the store has more jobs than are kept in memory; the rest waits until there is room", "loaded", j.o.Loaded)
	}
	if news {
		j.Wake()
	}
}

// take claims, in the table, the jobs that may run now. It returns when to look
// again at the latest, and whether jobs that are not loaded would find room.
func (j *Jobs) take(now time.Time) (claims []claim, next time.Duration, roomy bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.table
	if j.claims.Err() != nil {
		return nil, installedEvery, false
	}
	next = installedEvery
	t.orphans(func(host string) bool { return host == j.o.HostID || !j.o.Alive(host) })
	if len(t.running) > 0 {
		next = aliveEvery
	}
	t.turn++
	for i := range t.queues {
		q := t.queues[(t.turn+i)%len(t.queues)]
		if q.Len() == 0 {
			continue
		}
		if wait := q.entries[0].due.Sub(now); wait > 0 && !q.missing {
			next = min(next, wait)
			continue
		}
		room := j.o.Dispatch.Room(q.app)
		if missing := room.Deferred == dispatch.ReasonNotInstalled; q.missing != missing {
			q.missing = missing
			q.reset()
		}
		most := room.Runs
		if most > 1 {
			most = max(1, j.o.Share(most))
		}
		switch {
		case room.Runs > 0:
		case room.Deferred == dispatch.ReasonBreakerOpen:
			next = min(next, max(room.Until.Sub(now), 0))
		case room.Deferred == dispatch.ReasonQueueFull:
			next = min(next, roomEvery)
		}
		var without, off []*entry // their user has not the app any more, or nobody has; or it was switched off
		for q.missing && q.Len() > 0 && !q.entries[0].due.After(now) {
			without = append(without, heap.Pop(q).(*entry))
		}
		for q.Len() > 0 && q.running < most && t.claimed < maxClaimed && !q.entries[0].due.After(now) {
			e := heap.Pop(q).(*entry)
			switch j.o.Dispatch.Lacks(e.UID, e.App) {
			case "":
			case dispatch.ReasonSwitchedOff:
				off = append(off, e)
				continue
			default:
				without = append(without, e)
				continue
			}
			q.running++
			t.claimed++
			claims = append(claims, t.hold(e))
		}
		for _, e := range without {
			t.push(e, now.Add(installedEvery))
		}
		j.note(without, store.JobWaiting, dispatch.ReasonNotInstalled, now.UTC())
		j.note(off, store.JobDead, dispatch.ReasonSwitchedOff, time.Time{})
		if q.Len() > 0 && q.running < most && t.claimed < maxClaimed {
			next = min(next, q.entries[0].due.Sub(now))
		}
	}
	return claims, next, t.roomy()
}

// note has the records of an app that is not installed, or not for their users,
// say so, once each. What a user has switched off is not to run any more: it is a
// dead letter then, which says why and which an operator can have run after all.
// The caller holds mu.
func (j *Jobs) note(es []*entry, state store.JobState, reason string, next time.Time) {
	for _, e := range es {
		if e.Reason == reason && e.State == state {
			continue
		}
		c := j.table.hold(e)
		j.writers.add(func() {
			job, after := c.job, c.after
			revision, err := after, j.load(&job, c.attempted)
			if err == nil {
				job.State, job.Host, job.Reason, job.Next = state, "", reason, next
				err = j.once(func(ctx context.Context) (err error) {
					revision, err = j.o.Store.PutJob(ctx, job, after)
					return err
				})
			}
			switch {
			case err == nil:
				if state == store.JobDead {
					j.metrics.deadLetters.WithLabelValues(job.App, reason).Inc()
					j.log.Info("an app's work on a conversation is given up: its user has switched the app off", "app", job.App, "conversation", job.Conversation)
				}
			case errors.Is(err, errGone):
			case errors.Is(err, store.ErrFenced):
				err = j.fenced(&job)
			default:
				pause(j.ctx, jittered(followPause))
			}
			j.release(e, job, after, revision, err)
		})
	}
}

// errStale says that a record was read that is not the one the table knows.
var errStale = errors.New("the job's record is another one than was told")

// errGone says that a job's record is no more.
var errGone = errors.New("the job's record is gone")

// fenced tells, of a record that somebody else has written, whether it is still
// there: who follows is told of the last change only, and not that one is gone
// of which it was never told.
func (j *Jobs) fenced(job *store.Job) error {
	err := store.ErrFenced
	// An error of the read changes nothing: the follower tells, most likely.
	_ = j.once(func(ctx context.Context) error {
		recorded, readErr := j.o.Store.Jobs(ctx, job.Conversation)
		if readErr == nil && !slices.ContainsFunc(recorded, func(r store.Job) bool { return r.App == job.App }) {
			err = errGone
		}
		return readErr
	})
	return err
}

// load fills in what the table does not keep of a record.
func (j *Jobs) load(job *store.Job, attempted bool) error {
	if !attempted {
		return nil
	}
	return j.once(func(ctx context.Context) error {
		recorded, err := j.o.Store.Jobs(ctx, job.Conversation)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(recorded, func(r store.Job) bool { return r.App == job.App })
		if i < 0 {
			return errGone
		}
		// One that is newer is told apart by the write, too, which is then fenced.
		if r := recorded[i]; r.State != job.State || r.Attempts != job.Attempts {
			return errStale
		}
		job.Last = recorded[i].Last
		return nil
	})
}

// release gives e back to the table: as job, where that was written as
// revision. after is what was gone on from.
func (j *Jobs) release(e *entry, job store.Job, after, revision store.Revision, err error) {
	j.mu.Lock()
	if err == nil && revision > after {
		j.table.apply(store.JobChange{Job: job, Revision: revision})
	}
	j.table.release(e, max(after, revision), errors.Is(err, store.ErrFenced), errors.Is(err, errGone))
	j.mu.Unlock()
	if err != nil && !errors.Is(err, store.ErrFenced) && !errors.Is(err, errGone) {
		j.log.Warn("the store did not take a job's change", "app", job.App, "conversation", job.Conversation, "error", err)
	}
	j.Wake()
}

// attempt runs a job that take has claimed in the table.
func (j *Jobs) attempt(c claim) {
	job := c.job
	revision, err := j.run(&job, c)
	j.mu.Lock()
	j.table.claimed--
	j.table.queue(job.App).running--
	j.mu.Unlock()
	j.release(c.entry, job, c.after, revision, err)
}

// run claims a job in the store and does its work. It returns the revision of
// the record as job then is. ErrFenced says that the record is somebody else's,
// errGone that there is none any more.
func (j *Jobs) run(job *store.Job, c claim) (store.Revision, error) {
	if err := j.load(job, c.attempted); err != nil {
		if !errors.Is(err, errGone) {
			pause(j.ctx, jittered(followPause))
		}
		return c.after, err
	}
	before := *job
	job.State, job.Host, job.Next = store.JobRunning, j.o.HostID, time.Time{}
	var claimed store.Revision
	err := j.once(func(ctx context.Context) (err error) {
		claimed, err = j.o.Store.PutJob(ctx, *job, c.after)
		return err
	})
	if err != nil {
		*job = before
		if errors.Is(err, store.ErrFenced) {
			return c.after, j.fenced(job)
		}
		pause(j.ctx, jittered(followPause))
		return c.after, err
	}
	done, a := j.invoke(job)
	if done || j.finish(job, &a, c.deliver) {
		err := j.store("drop", func(ctx context.Context) error {
			return j.o.Store.DropJob(ctx, job.App, job.Conversation, claimed)
		})
		switch {
		case err == nil:
			err = errGone
		case inVain(err):
			err = j.fenced(job)
		}
		return claimed, err
	}
	if ended(a) { // and its result is not kept: the claim stays, to be found
		return claimed, j.ctx.Err()
	}
	j.next(job, a)
	revision := claimed
	err = j.store("record", func(ctx context.Context) error {
		r, err := j.o.Store.PutJob(ctx, *job, claimed)
		if err == nil {
			revision = r
		}
		return err
	})
	if errors.Is(err, store.ErrFenced) {
		err = j.fenced(job)
	}
	return revision, err
}

// invoke does the work of a claimed job. done says that nothing is to be done:
// its result is there.
func (j *Jobs) invoke(job *store.Job) (done bool, a dispatch.Attempt) {
	var c store.Record
	err := j.store("read", func(ctx context.Context) error {
		finished, err := j.o.Store.Finished(ctx, job.Conversation)
		if err != nil {
			return err
		}
		if done = slices.Contains(finished, job.App); done {
			return nil
		}
		c, err = j.o.Store.Conversation(ctx, job.Conversation)
		return err
	})
	switch {
	case done:
		return true, a
	case j.ctx.Err() != nil:
		return false, dispatch.Attempt{Deferred: dispatch.ReasonShutdown}
	case err != nil:
		return false, dispatch.Attempt{Deferred: dispatch.ReasonHostError, Invocation: apps.Invocation{
			ID: apps.NewInvocationID(), At: time.Now(), Err: "the conversation could not be read: " + err.Error(),
		}}
	}
	boxes := j.o.Dispatch.Open(dispatch.SessionOptions{UID: c.UID, ID: c.Session, Language: c.Language, Recovered: true})
	answer := make(chan dispatch.Attempt, 1)
	boxes.Complete(c.Conversation, []string{job.App}, func(a dispatch.Attempt) { answer <- a })
	boxes.Close()
	return false, <-answer // dispatch answers in any case, at its drain at the latest
}
