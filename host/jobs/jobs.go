package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The defaults of Options.
const (
	DefaultAttempts = 5
	DefaultOver     = 10 * time.Minute
	DefaultLoaded   = 100_000
)

// MaxAttempts is the most that Options.Attempts may be.
const MaxAttempts = 20

// Store is what Jobs need of what lasts; *store.Store is one.
type Store interface {
	Conversation(ctx context.Context, id string) (store.Record, error)
	Settle(ctx context.Context, h store.Part, after store.Revision) error
	FinishJob(ctx context.Context, conversation string, r store.Result) (first bool, err error)
	Finished(ctx context.Context, conversation string) ([]string, error)
	PutJob(ctx context.Context, j store.Job, after store.Revision) (store.Revision, error)
	DropJob(ctx context.Context, app, conversation string, after store.Revision) error
	FollowJobs(ctx context.Context, f func(store.JobChange)) error
	Jobs(ctx context.Context, conversation string) ([]store.Job, error)
}

// Dispatch runs the attempts; see DispatchTo.
type Dispatch interface {
	Open(o dispatch.SessionOptions) Boxes
	Room(app string) dispatch.Room
	Lacks(uid, app string) string // why a user's conversations do not go to an app; "" when they do
}

// Boxes are mailboxes of a session of which nobody else knows.
type Boxes interface {
	Mailboxes
	Close()
}

// DispatchTo makes d the Dispatch of Options.
func DispatchTo(d *dispatch.Dispatcher) Dispatch { return dispatcher{d} }

type dispatcher struct{ *dispatch.Dispatcher }

func (d dispatcher) Open(o dispatch.SessionOptions) Boxes { return d.Dispatcher.Open(o) }

// Options configure Jobs. Store, Dispatch and Apps are required.
type Options struct {
	Store    Store
	Dispatch Dispatch
	Apps     func() *apps.Set // what is installed now

	// HostID names this host among those that share the store. What a record says
	// is running on a host of this name, and is not, may be claimed.
	HostID string

	// Share returns how many of the perApp invocations of one app at once this
	// host may use for jobs; nil: all of them. Alive reports whether another host
	// is; nil: there is none. Both are called often and must not block, nor call
	// Jobs.
	Share func(perApp int) int
	Alive func(host string) bool

	Attempts int           // 1 to MaxAttempts; 0 means 5
	Over     time.Duration // the waits between them, in all; 0 means 10 min
	Loaded   int           // jobs in memory that are not dead, and as many that are; 0 means 100,000

	Logger     hclog.Logger          // nil discards
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Jobs is the work of apps on completed conversations. It owns its writes and
// attempts. In a host's life: 1 New 2 Run, and Start for what is found
// unfinished and for what completes 3 Stop 4 dispatch drains 5 Close, before the
// store closes.
type Jobs struct {
	o       Options
	log     hclog.Logger
	policy  policy
	metrics *metrics
	writers *writers

	ctx    context.Context // ends when Close gives up
	cancel context.CancelFunc
	wake   chan struct{}  // has a value when the table is to be looked at
	work   sync.WaitGroup // attempts, and those who wait for a session's mailboxes

	claims context.Context // ends when no further job is claimed
	stop   context.CancelFunc

	loaded   chan struct{} // closed once all jobs that there were have been told of
	loadOnce sync.Once

	mu    sync.Mutex // guards table
	table *table
}

// New returns Jobs ready for Start and Run. It fails when a number in o is out
// of range or the metrics can't be registered.
func New(o Options) (*Jobs, error) {
	var bad []error
	if o.Store == nil || o.Dispatch == nil || o.Apps == nil {
		bad = append(bad, errors.New("jobs: Options needs a Store, a Dispatch and Apps"))
	}
	if o.Attempts < 0 || o.Attempts > MaxAttempts {
		bad = append(bad, fmt.Errorf("jobs: %d attempts; 1 to %d are possible", o.Attempts, MaxAttempts))
	}
	if o.Over < 0 || o.Loaded < 0 {
		bad = append(bad, fmt.Errorf("jobs: %v of waits and %d jobs in memory must not be negative", o.Over, o.Loaded))
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	o.Attempts = cmp.Or(o.Attempts, DefaultAttempts)
	o.Over = cmp.Or(o.Over, DefaultOver)
	o.Loaded = cmp.Or(o.Loaded, DefaultLoaded)
	if o.Share == nil {
		o.Share = func(perApp int) int { return perApp }
	}
	if o.Alive == nil {
		o.Alive = func(string) bool { return false }
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	j := &Jobs{
		o: o, log: o.Logger,
		policy:  policy{attempts: o.Attempts, over: o.Over},
		metrics: newMetrics(),
		wake:    make(chan struct{}, 1),
		loaded:  make(chan struct{}),
		table:   newTable(o.Loaded),
	}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	j.claims, j.stop = context.WithCancel(j.ctx)
	j.writers = newWriters(j.metrics.writing)
	if o.Registerer != nil {
		if err := j.metrics.register(o.Registerer, j); err != nil {
			j.cancel()
			return nil, fmt.Errorf("registering the metrics of jobs: %w", err)
		}
	}
	return j, nil
}

// Due returns the names of the apps for which the completion of one of uid's
// conversations makes work due, in the configuration's order.
func (j *Jobs) Due(uid string) []string {
	var due []string
	for _, a := range j.o.Apps().All() {
		if a.Holds(event.CapConversation) && j.o.Dispatch.Lacks(uid, a.Name) == "" {
			due = append(due, a.Name)
		}
	}
	return due
}

// Wake has what waits looked at again at once: apps were installed or removed,
// or a host came or went.
func (j *Jobs) Wake() {
	select {
	case j.wake <- struct{}{}:
	default: // it will be looked at anyway
	}
}

// Stop has no further job claimed, so that dispatch can drain. What is claimed
// goes on, and so does Start.
func (j *Jobs) Stop() { j.stop() }

// Close waits until what runs has ended and is written. When ctx ends first it
// gives up what is not written, and says of how much in the error; the next
// host finds it unsettled and does it again. Call it once dispatch has drained,
// and before the store closes.
func (j *Jobs) Close(ctx context.Context) error {
	j.stop()
	stop := context.AfterFunc(ctx, j.cancel)
	defer stop()
	j.work.Wait() // bounded by dispatch's drain and, for the store, by j.ctx
	j.writers.wait()
	j.cancel()
	if n := j.metrics.lost.Load(); n > 0 {
		return fmt.Errorf("%d results and records of jobs were not written; that work is done again at the next start: %w", n, ctx.Err())
	}
	return nil
}
