package jobs

import (
	"container/heap"
	"slices"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/store"
)

// key names a job.
type key struct{ app, conversation string }

// entry is a job as the table knows it. What became of its last attempt stays
// in the store.
type entry struct {
	store.Job // without Last
	attempted bool
	revision  store.Revision
	told      int // by which following

	busy   bool      // somebody here works on it: it is in no queue
	fenced bool      // somebody else has written it since: it waits for the follower
	due    time.Time // when it may run
	place  int       // in its queue; -1 when it is in none

	deliver func(apps.Invocation) // the client that may still be there; nil: none
}

// queue are an app's jobs that may run now or later, those due first on top.
type queue struct {
	app     string
	entries []*entry
	running int  // attempts under way here
	missing bool // the app was not installed when it was last looked at
}

// Len, Less, Swap, Push and Pop are heap.Interface's.
func (q *queue) Len() int           { return len(q.entries) }
func (q *queue) Less(i, j int) bool { return q.entries[i].due.Before(q.entries[j].due) }
func (q *queue) Swap(i, j int) {
	q.entries[i], q.entries[j] = q.entries[j], q.entries[i]
	q.entries[i].place, q.entries[j].place = i, j
}
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(q.entries)
	q.entries = append(q.entries, e)
}
func (q *queue) Pop() any {
	last := len(q.entries) - 1
	e := q.entries[last]
	q.entries[last] = nil
	q.entries = q.entries[:last]
	e.place = -1
	return e
}

// reset makes every job due when its record says.
func (q *queue) reset() {
	for _, e := range q.entries {
		e.due = e.Next
	}
	heap.Init(q)
}

// table is what is known of the jobs. It is not safe for concurrent use.
type table struct {
	most    int // entries that are live, and as many that are dead
	entries map[key]*entry
	dead    int                 // of entries
	running map[*entry]struct{} // said to run, not here
	queues  []*queue            // in the order in which apps turned up
	byApp   map[string]*queue
	turn    int // the queue that is looked at first
	claimed int // attempts under way here, of all apps

	following int  // counts the times that the jobs were told from the beginning
	moreLive  bool // the store has more jobs than there was room for
	moreDead  bool
}

func newTable(most int) *table {
	return &table{most: most, entries: map[key]*entry{}, running: map[*entry]struct{}{}, byApp: map[string]*queue{}}
}

// partial reports whether the store has jobs that are not in the table.
func (t *table) partial() bool { return t.moreLive || t.moreDead }

// roomy reports whether jobs that are not in the table would find room.
func (t *table) roomy() bool {
	return t.moreLive && len(t.entries)-t.dead <= t.most*3/4 || t.moreDead && t.dead <= t.most*3/4
}

// follow begins a new following.
func (t *table) follow() {
	t.following++
	t.moreLive, t.moreDead = false, false
}

// synced removes what this following has not told: it went while nobody
// listened.
func (t *table) synced() {
	for _, e := range t.entries {
		if e.told < t.following && !e.busy {
			t.remove(e)
		}
	}
}

// apply takes in a change and reports whether the table had not seen it.
func (t *table) apply(c store.JobChange) bool {
	k := key{c.Job.App, c.Job.Conversation}
	e := t.entries[k]
	switch {
	case c.Gone:
		if e == nil || c.Revision != 0 && c.Revision <= e.revision {
			return false
		}
		t.remove(e)
		return true
	case e == nil:
		if dead := c.Job.State == store.JobDead; dead && t.dead >= t.most || !dead && len(t.entries)-t.dead >= t.most {
			t.moreDead = t.moreDead || dead
			t.moreLive = t.moreLive || !dead
			return false
		}
		e = &entry{place: -1}
		t.entries[k] = e
	case c.Revision <= e.revision:
		e.told = t.following
		return false
	default:
		t.leave(e)
	}
	e.Job, e.attempted = c.Job, c.Job.Last != nil
	e.Job.Last = nil
	e.revision, e.told, e.fenced = c.Revision, t.following, false
	if e.State == store.JobDead {
		t.dead++
		e.deliver = nil
	}
	t.enter(e)
	return true
}

// remove forgets e.
func (t *table) remove(e *entry) {
	t.leave(e)
	delete(t.entries, key{e.App, e.Conversation})
}

// leave takes e out of where its state had put it.
func (t *table) leave(e *entry) {
	if e.State == store.JobDead {
		t.dead--
	}
	t.withdraw(e)
}

// withdraw takes e out of the queues.
func (t *table) withdraw(e *entry) {
	delete(t.running, e)
	if e.place >= 0 {
		heap.Remove(t.byApp[e.App], e.place)
	}
}

// enter puts e where it is found when something is to be done with it.
func (t *table) enter(e *entry) {
	if e.busy || e.fenced {
		return
	}
	switch e.State {
	case store.JobWaiting:
		t.push(e, e.Next)
	case store.JobRunning:
		t.running[e] = struct{}{}
	}
}

// push has e run when it is due.
func (t *table) push(e *entry, due time.Time) {
	e.due = due
	heap.Push(t.queue(e.App), e)
}

func (t *table) queue(app string) *queue {
	q := t.byApp[app]
	if q == nil {
		q = &queue{app: app}
		t.byApp[app] = q
		t.queues = append(t.queues, q)
	}
	return q
}

// claim is what was known of an entry when it was taken up. Only with that may
// its record be gone on from: what is told meanwhile is another's doing.
type claim struct {
	entry     *entry
	job       store.Job
	after     store.Revision
	attempted bool
	deliver   func(apps.Invocation)
}

// hold makes e busy, out of every queue.
func (t *table) hold(e *entry) claim {
	e.busy = true
	t.withdraw(e)
	return claim{e, e.Job, e.revision, e.attempted, e.deliver}
}

// release ends what hold began. at is the newest revision that was written here
// or gone on from: with lost set, somebody else has written the record since,
// and with gone there is none any more.
func (t *table) release(e *entry, at store.Revision, lost, gone bool) {
	e.busy = false
	if t.entries[key{e.App, e.Conversation}] != e {
		return
	}
	if news := e.revision > at; !news && gone {
		t.remove(e)
		return
	} else if !news {
		e.fenced = lost
	}
	t.enter(e)
}

// orphans puts what runs on no host that is alive among what waits.
func (t *table) orphans(alone func(host string) bool) {
	for e := range t.running {
		if alone(e.Host) {
			delete(t.running, e)
			t.push(e, time.Time{})
		}
	}
}

// keys returns the entries that match accepts, newest conversation first, each
// conversation's in the order of the apps' names.
func (t *table) keys(match func(*entry) bool) []key {
	var ks []key
	for k, e := range t.entries {
		if match(e) {
			ks = append(ks, k)
		}
	}
	slices.SortFunc(ks, compareKeys)
	return ks
}
