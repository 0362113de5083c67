package jobs

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Why a job waits, besides the outcomes of attempts and dispatch's reasons.
const reasonRecovered = "recovered" // the host that should have run it died or left

// deferPause is how long a job waits that was put off for no known time.
const deferPause = 2 * time.Second

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

// Start has every app that is due run, or finds what is missing of that, and
// settles the conversation. The channel closes when every due app has had its
// first answer, which is stored and delivered, or when the host shuts down
// before that.
func (j *Jobs) Start(w Work) <-chan struct{} {
	l := &ledger{jobs: j, w: w, done: make(chan struct{})}
	if w.Boxes == nil || w.Held.Completed {
		l.due.Store(1)
		l.w.Conversation.Segments = nil // a job reads them when it runs
		j.writers.add(l.recover)
		return l.done
	}
	l.due.Store(int64(1 + len(w.Held.Due))) // one is the boxes' own
	boxes := w.Boxes.Complete(w.Conversation, w.Held.Due, l.answer)
	select {
	case <-boxes:
		l.answered(true)
	default:
		j.work.Go(func() { // ends when dispatch has answered, which its Drain sees to
			<-boxes
			l.answered(true)
		})
	}
	return l.done
}

// ledger counts what is missing of one conversation's work.
type ledger struct {
	jobs *Jobs
	w    Work
	due  atomic.Int64
	open atomic.Bool // something is not in the store and won't be: never settled here
	done chan struct{}
}

// answered takes in that one of those who are due has been dealt with; stored
// says that its result or record is kept.
func (l *ledger) answered(stored bool) {
	if !stored {
		l.open.Store(true)
	}
	if l.due.Add(-1) > 0 {
		return
	}
	close(l.done)
	if !l.open.Load() {
		l.jobs.writers.add(l.settle)
	}
}

// settle says that nothing is missing.
func (l *ledger) settle() {
	p := l.w.Held.Part
	p.Conversation.Segments = nil
	err := l.jobs.store("settle", func(ctx context.Context) error {
		return l.jobs.o.Store.Settle(ctx, p, l.w.Held.Revision)
	})
	if err != nil {
		// Whoever finds it unsettled sees that nothing is missing, and settles it.
		l.jobs.log.Debug("a conversation was not settled", "conversation", p.Conversation.ID, "error", err)
	}
}

// answer deals with a due app's first attempt.
func (l *ledger) answer(a dispatch.Attempt) {
	if a.Deferred == dispatch.ReasonShutdown {
		l.answered(false) // unsettled, it is run at the next start
		return
	}
	l.jobs.writers.add(func() { l.answered(l.jobs.first(&l.w, a)) })
}

// first stores what became of a first attempt, and reports whether it did.
func (j *Jobs) first(w *Work, a dispatch.Attempt) bool {
	c := &w.Conversation
	job := store.Job{
		App: a.App, Conversation: c.ID, UID: c.UID, Session: c.Session, Since: time.Now().UTC(),
	}
	if j.finish(&job, &a, w.Deliver) {
		return true
	}
	if ended(a) {
		return false
	}
	j.next(&job, a)
	return j.create(job, w.Deliver)
}

// ended reports whether an app's work was done by an attempt.
func ended(a dispatch.Attempt) bool { return a.Deferred == "" && a.Invocation.Outcome == plugins.OK }

// finish stores an attempt's result, if it is one, and delivers it if it counts.
// It reports false when there is none, and when the store won't have it: a is
// then a fault of the host's, or unchanged when Jobs gave up.
func (j *Jobs) finish(job *store.Job, a *dispatch.Attempt, deliver func(apps.Invocation)) bool {
	if !ended(*a) {
		return false
	}
	inv, first := a.Invocation, false
	err := j.store("result", func(ctx context.Context) (err error) {
		first, err = j.o.Store.FinishJob(ctx, job.Conversation, store.Result{
			App: inv.App, Event: inv.Kind.String(), Invocation: inv.ID, Outcome: string(inv.Outcome),
			Attempt: job.Attempts + 1, Outputs: inv.Outputs,
		})
		return err
	})
	switch {
	case err != nil && j.ctx.Err() != nil:
		j.lose("result", job, err)
		return false
	case err != nil:
		a.Deferred = dispatch.ReasonHostError
		a.Invocation.Err = "the store can't keep its result: " + err.Error()
		return false
	}
	j.metrics.attempts.WithLabelValues(job.App, string(inv.Outcome)).Inc()
	if !first {
		j.metrics.results.WithLabelValues(resultDuplicate).Inc()
		j.log.Info("an app's result was there already; this one is let go", "app", job.App, "conversation", job.Conversation, "invocation", inv.ID)
		return true
	}
	j.metrics.results.WithLabelValues(resultFirst).Inc()
	if deliver != nil {
		deliver(inv)
	}
	return true
}

// next makes job what it is after an attempt that did not end ok, or was none.
func (j *Jobs) next(job *store.Job, a dispatch.Attempt) {
	now := time.Now().UTC()
	job.State, job.Host = store.JobWaiting, ""
	reason := a.Deferred
	switch a.Deferred {
	case "":
		reason = string(a.Invocation.Outcome)
	case dispatch.ReasonHostError:
	case dispatch.ReasonShutdown:
		job.Next = now // for another host, and its reason stays
		return
	case dispatch.ReasonNotInstalled, dispatch.ReasonSwitchedOff: // Run finds that it is so
		job.Reason, job.Next = reason, now
		return
	default:
		job.Reason, job.Next = reason, now.Add(jittered(deferPause))
		if a.Until.After(now) {
			job.Next = a.Until.UTC()
		}
		return
	}
	job.Attempts++
	job.Reason, job.Last = reason, attempt(reason, a)
	j.metrics.attempts.WithLabelValues(job.App, reason).Inc()
	log := j.log.With("app", job.App, "conversation", job.Conversation, "reason", reason, "attempts", job.Attempts)
	if job.Attempts < j.policy.most(reason) {
		job.Next = now.Add(jittered(j.policy.wait(job.Attempts)))
		log.Debug("an app's work on a conversation failed and waits for its next attempt", "next", job.Next)
		return
	}
	job.State, job.Next = store.JobDead, time.Time{}
	j.metrics.deadLetters.WithLabelValues(job.App, reason).Inc()
	log.Error("an app's work on a conversation failed for the last time: a dead letter", "invocation", a.Invocation.ID)
}

// attempt returns what is kept of an attempt that did not end ok.
func attempt(outcome string, a dispatch.Attempt) *store.Attempt {
	inv := a.Invocation
	kept := &store.Attempt{
		Invocation: inv.ID, Module: a.Module, Version: a.Version, At: inv.At.UTC(),
		Outcome: outcome, Error: inv.Err, Stack: inv.Stack, LogCut: inv.LogCut,
		Fuel: inv.Fuel, FuelLimit: inv.FuelLimit, WallMicros: inv.Wall.Microseconds(), Replay: inv.Replay,
	}
	for _, line := range inv.Log {
		kept.Log = append(kept.Log, store.LogLine{Level: line.Level, Text: line.Text})
	}
	return kept
}

// create writes a new record, and reports whether there is one then. deliver
// gets what comes of it while this host knows.
func (j *Jobs) create(job store.Job, deliver func(apps.Invocation)) bool {
	k := key{job.App, job.Conversation}
	if deliver != nil {
		j.mu.Lock()
		j.table.expected[k] = deliver // it may be told of, and run, before PutJob returns
		j.mu.Unlock()
	}
	var revision store.Revision
	err := j.store("record", func(ctx context.Context) (err error) {
		revision, err = j.o.Store.PutJob(ctx, job, 0)
		return err
	})
	j.mu.Lock()
	if err == nil {
		j.table.apply(store.JobChange{Job: job, Revision: revision})
	}
	delete(j.table.expected, k)
	j.mu.Unlock()
	switch {
	case errors.Is(err, store.ErrFenced): // there is one: another host has taken over
		return true
	case err != nil:
		j.lose("record", &job, err)
		return false
	}
	j.Wake()
	return true
}

// lose counts a write that is given up.
func (j *Jobs) lose(what string, job *store.Job, err error) {
	j.metrics.lost.Add(1)
	j.log.Error("not written", "what", what, "app", job.App, "conversation", job.Conversation, "error", err)
}

// recover makes Jobs of what is missing of work that somebody else had begun.
func (l *ledger) recover() {
	j, c := l.jobs, &l.w.Conversation
	var have []string
	err := j.store("recover", func(ctx context.Context) error {
		finished, err := j.o.Store.Finished(ctx, c.ID)
		if err != nil {
			return err
		}
		recorded, err := j.o.Store.Jobs(ctx, c.ID)
		if err != nil {
			return err
		}
		have = finished
		for _, job := range recorded {
			have = append(have, job.App)
		}
		return nil
	})
	if err != nil {
		j.log.Error("what is missing of a conversation's work could not be found out", "conversation", c.ID, "error", err)
		l.answered(false)
		return
	}
	stored := true
	for _, app := range l.w.Held.Due {
		if slices.Contains(have, app) {
			continue
		}
		now := time.Now().UTC()
		stored = j.create(store.Job{
			App: app, Conversation: c.ID, UID: c.UID, Session: c.Session,
			State: store.JobWaiting, Since: now, Next: now, Reason: reasonRecovered,
		}, l.w.Deliver) && stored
	}
	l.answered(stored)
}
