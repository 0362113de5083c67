package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

type id struct{ app, conversation string }

type record struct {
	job      store.Job
	revision store.Revision
}

// memory is what hosts share in tests with virtual time: the records of a
// store, by compare-and-set.
type memory struct {
	mu            sync.Mutex
	revision      store.Revision
	conversations map[string]event.Conversation
	open          map[string]store.Revision // unsettled
	results       map[id]store.Result
	jobs          map[id]record
	changes       []store.JobChange
	more          chan struct{} // closed when changes grows
	written       []string      // what PutJob wrote: "app conversation state reason attempts"
}

func newMemory() *memory {
	return &memory{
		conversations: map[string]event.Conversation{}, open: map[string]store.Revision{},
		results: map[id]store.Result{}, jobs: map[id]record{}, more: make(chan struct{}),
	}
}

// add makes a conversation complete and its work due to the apps.
func (m *memory) add(conversation string, due ...string) jobs.Work {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := event.Conversation{ID: conversation, Session: "s_" + conversation, UID: "u", Language: "en"}
	m.conversations[conversation] = c
	m.revision++
	m.open[conversation] = m.revision
	return jobs.Work{Conversation: c, Held: store.Held{
		Part:     store.Part{Conversation: c, Closing: true, Due: due},
		Revision: m.revision,
	}}
}

func (m *memory) settled(conversation string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, open := m.open[conversation]
	return !open
}

// job returns a record; its State is empty when there is none.
func (m *memory) job(app, conversation string) store.Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.jobs[id{app, conversation}].job
}

// result returns an app's result; it is empty when there is none.
func (m *memory) result(app, conversation string) store.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.results[id{app, conversation}]
}

// puts returns what PutJob wrote.
func (m *memory) puts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.written)
}

// recorded returns what is in the store as "app conversation state reason".
func (m *memory) recorded() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, r := range m.jobs {
		out = append(out, fmt.Sprintf("%s %s %s %s", r.job.App, r.job.Conversation, r.job.State, r.job.Reason))
	}
	slices.Sort(out)
	return out
}

// invocations returns which invocation's result counts, by app and conversation.
func (m *memory) invocations() map[id]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[id]string{}
	for k, r := range m.results {
		out[k] = r.Invocation
	}
	return out
}

func (m *memory) tell(c store.JobChange) {
	m.changes = append(m.changes, c)
	close(m.more)
	m.more = make(chan struct{})
}

// connection is one host's way to a memory.
type connection struct {
	*memory
	broken atomic.Bool // every call fails
	deaf   bool        // nothing is told
}

var errBroken = errors.New("the store is away")

func (c *connection) call(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.broken.Load() {
		return errBroken
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return f()
}

func (c *connection) Conversation(ctx context.Context, name string) (r store.Record, err error) {
	err = c.call(ctx, func() error {
		found, ok := c.conversations[name]
		if !ok {
			return store.ErrNotFound
		}
		r.Conversation = found
		return nil
	})
	return r, err
}

func (c *connection) Settle(ctx context.Context, p store.Part, after store.Revision) error {
	return c.call(ctx, func() error {
		if len(p.Conversation.Segments) > 0 {
			return errors.New("settled with segments")
		}
		if c.open[p.Conversation.ID] != after {
			return store.ErrFenced
		}
		delete(c.open, p.Conversation.ID)
		return nil
	})
}

func (c *connection) FinishJob(ctx context.Context, conversation string, r store.Result) (first bool, err error) {
	err = c.call(ctx, func() error {
		k := id{r.App, conversation}
		if had, ok := c.results[k]; ok {
			first = had.Invocation == r.Invocation
			return nil
		}
		c.results[k], first = r, true
		return nil
	})
	return first, err
}

func (c *connection) Finished(ctx context.Context, conversation string) (names []string, err error) {
	err = c.call(ctx, func() error {
		for k := range c.results {
			if k.conversation == conversation {
				names = append(names, k.app)
			}
		}
		return nil
	})
	return names, err
}

func (c *connection) PutJob(ctx context.Context, j store.Job, after store.Revision) (revision store.Revision, err error) {
	err = c.call(ctx, func() error {
		k := id{j.App, j.Conversation}
		if c.jobs[k].revision != after {
			return store.ErrFenced
		}
		c.revision++
		revision = c.revision
		c.jobs[k] = record{j, revision}
		c.written = append(c.written, fmt.Sprintf("%s %s %s %s %d", j.App, j.Conversation, j.State, j.Reason, j.Attempts))
		c.tell(store.JobChange{Job: j, Revision: revision})
		return nil
	})
	return revision, err
}

func (c *connection) DropJob(ctx context.Context, app, conversation string, after store.Revision) error {
	return c.call(ctx, func() error {
		k := id{app, conversation}
		if r, ok := c.jobs[k]; !ok || r.revision != after {
			return store.ErrFenced
		}
		delete(c.jobs, k)
		c.revision++
		c.tell(store.JobChange{Job: store.Job{App: app, Conversation: conversation}, Revision: c.revision, Gone: true})
		return nil
	})
}

func (c *connection) Jobs(ctx context.Context, conversation string) (js []store.Job, err error) {
	err = c.call(ctx, func() error {
		for k, r := range c.jobs {
			if k.conversation == conversation {
				js = append(js, r.job)
			}
		}
		return nil
	})
	return js, err
}

func (c *connection) FollowJobs(ctx context.Context, f func(store.JobChange)) error {
	if c.deaf {
		f(store.JobChange{Synced: true})
		<-ctx.Done()
		return ctx.Err()
	}
	c.mu.Lock()
	at := len(c.changes)
	var all []store.JobChange
	for _, r := range c.jobs {
		all = append(all, store.JobChange{Job: r.job, Revision: r.revision})
	}
	c.mu.Unlock()
	for _, change := range append(all, store.JobChange{Synced: true}) {
		f(change)
	}
	for {
		c.mu.Lock()
		changes, more := c.changes[at:], c.more
		c.mu.Unlock()
		for _, change := range changes {
			f(change)
		}
		at += len(changes)
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fakeDispatch runs what a test gives in place of apps.
type fakeDispatch struct {
	does func(app, conversation string, n int) dispatch.Attempt // n counts an app's calls for a conversation, from 1

	mu      sync.Mutex
	rooms   map[string]dispatch.Room // other than perApp
	without string                   // the user who has no apps
	off     string                   // the user who has switched them all off
	calls   map[id][]time.Time
	options []dispatch.SessionOptions
	running map[string]int
	most    map[string]int
	n       int
}

const perApp = 8

func newDispatch(does func(app, conversation string, n int) dispatch.Attempt) *fakeDispatch {
	return &fakeDispatch{
		does: does, rooms: map[string]dispatch.Room{}, calls: map[id][]time.Time{},
		running: map[string]int{}, most: map[string]int{},
	}
}

func (d *fakeDispatch) set(app string, r *dispatch.Room) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.rooms, app)
	if r != nil {
		d.rooms[app] = *r
	}
}

func (d *fakeDispatch) Room(app string) dispatch.Room {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r, ok := d.rooms[app]; ok {
		return r
	}
	return dispatch.Room{Runs: perApp}
}

func (d *fakeDispatch) Lacks(uid, _ string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch uid {
	case d.without:
		return dispatch.ReasonNotInstalled
	case d.off:
		return dispatch.ReasonSwitchedOff
	}
	return ""
}

func (d *fakeDispatch) Open(o dispatch.SessionOptions) jobs.Boxes {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.options = append(d.options, o)
	return d
}

func (d *fakeDispatch) Close() {}

func (d *fakeDispatch) Complete(c event.Conversation, due []string, answer func(dispatch.Attempt)) <-chan struct{} {
	var wg sync.WaitGroup
	for _, app := range due {
		wg.Go(func() { answer(d.call(app, c.ID)) })
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	return done
}

func (d *fakeDispatch) call(app, conversation string) dispatch.Attempt {
	k := id{app, conversation}
	d.mu.Lock()
	d.n++
	name := fmt.Sprintf("i_%d", d.n)
	d.calls[k] = append(d.calls[k], time.Now())
	n := len(d.calls[k])
	d.running[app]++
	d.most[app] = max(d.most[app], d.running[app])
	d.mu.Unlock()
	a := d.does(app, conversation, n)
	d.mu.Lock()
	d.running[app]--
	d.mu.Unlock()
	a.App, a.Invocation.App, a.Invocation.ID, a.Invocation.Conversation = app, app, name, conversation
	a.Invocation.Kind = event.KindConversation
	return a
}

// called returns when an app was called for a conversation.
func (d *fakeDispatch) called(app, conversation string) []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls[id{app, conversation}])
}

func (d *fakeDispatch) total() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for c := range maps.Values(d.calls) {
		n += len(c)
	}
	return n
}

func ended(o plugins.Outcome) dispatch.Attempt {
	a := dispatch.Attempt{Module: "sum", Version: "1.0.0", Invocation: apps.Invocation{Outcome: o, At: time.Now()}}
	if o != plugins.OK {
		a.Invocation.Err = "it failed"
	}
	return a
}

func deferred(reason string) dispatch.Attempt { return dispatch.Attempt{Deferred: reason} }

// in answers in turn, then ok.
func in(turn ...dispatch.Attempt) func(string, string, int) dispatch.Attempt {
	return func(_, _ string, n int) dispatch.Attempt {
		if n <= len(turn) {
			return turn[n-1]
		}
		return ended(plugins.OK)
	}
}

// host is Jobs with what it needs.
type host struct {
	*jobs.Jobs
	store    *connection
	dispatch *fakeDispatch
	stop     context.CancelFunc

	mu        sync.Mutex
	delivered []string // invocation ids
}

// start starts Jobs in a synctest bubble; the test must close it.
func start(t *testing.T, m *memory, d *fakeDispatch, o jobs.Options) *host {
	t.Helper()
	h := &host{store: &connection{memory: m}, dispatch: d}
	return h.start(t, o)
}

func (h *host) start(t *testing.T, o jobs.Options) *host {
	t.Helper()
	o.Store, o.Dispatch = h.store, h.dispatch
	if o.Apps == nil {
		o.Apps = func() *apps.Set { return &apps.Set{} }
	}
	var err error
	if h.Jobs, err = jobs.New(o); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, h.stop = context.WithCancel(t.Context())
	go h.Run(ctx)
	synctest.Wait()
	return h
}

func (h *host) close(t *testing.T) {
	t.Helper()
	h.stop()
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	synctest.Wait()
}

func (h *host) deliver(inv apps.Invocation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.delivered = append(h.delivered, inv.ID)
}

func (h *host) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.delivered)
}

// begin has a conversation's work begin in a session's mailboxes.
func (h *host) begin(w jobs.Work) <-chan struct{} {
	w.Boxes, w.Deliver = h.dispatch, h.deliver
	return h.Start(w)
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
