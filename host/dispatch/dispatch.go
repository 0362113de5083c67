// Package dispatch decides which app gets which event, and when.
//
// The way of the data: a [Session] takes a user's transcripts, audio and
// completed conversations and puts each as an event into the mailbox of every
// app of that user that holds the capability. A mailbox is the queue of one
// app in one session: its events run in order and one at a time, one event a
// pool task, after which the mailbox goes to the back of the queue so that no
// session starves another. All mailboxes run on one pool; each app has a
// subpool of it, its bulkhead, so that it can never take every worker. What an
// invocation gave goes back through SessionOptions.Deliver, on the worker,
// before the mailbox's next event begins.
//
// Realtime events (audio, transcript) are bounded and may be dropped: each
// drop is counted by app and reason and told through SessionOptions.Gap.
// Conversation events are run once, or put off: each is answered with what
// became of it (see Session.Complete). Whoever hands them over keeps them, and
// tries again; nothing here outlasts the process.
//
// A call of a tool (Dispatcher.Call) has a caller who waits: it belongs to no
// session, takes its turn behind the mailboxes that wait, and is not put off.
//
// A mailbox holds what an app with state "session" keeps for its session. Its
// events share that, conversation events included. It is given back when the
// session is closed and the mailbox's last event has run.
//
// [Dispatcher.Replace] changes the apps while sessions are open, and
// [Dispatcher.Refit] those that one user has. A lane, the
// share of the pool that an app has by its name, outlasts the app's versions.
//
// Bounds and policies:
//
//	queue                     bound                                when full
//	transcript in a mailbox   1,000 segments, 256 KiB a            the oldest segments are dropped,
//	                          conversation; 64 conversations       then the oldest conversation's: "mailbox_full"
//	audio of a session, at    Options.AudioBuffer                  the oldest bytes are dropped: "buffer_full";
//	each rate that apps want                                       of an app that wants the latest, all but the newest
//	                                                               piece when its turn comes: "superseded"
//	mailboxes waiting for     Options.Queue                        transcripts are dropped: "queue_full"; audio stays
//	a worker, an app                                               in its buffer; conversation events wait
//	conversation events       Options.Queue an app                 they are put off: "queue_full"
//	calls of tools            with the mailboxes, Options.Queue    they are refused: "queue_full"
//	state of sessions         the app's memory limit for each      the invocation ends memory_exceeded
//
// Concurrency: every method may be called concurrently. Transcript, Audio,
// EndAudio, Complete and Close take short locks only and never wait for an
// app. An invocation that waits for a web service lends its worker to others,
// but not its place in its app's bulkhead. Deliver, Gap and Complete's answer are called with no lock held.
// Goroutines are the pool's; Drain waits for all of them.
//
// Lock order: Dispatcher.mu or Session.mu, then mailbox.mu, then audio.Track's, then audio.Buffer's, then lane.mu,
// then tally.mu, stats.mu, places.mu. None is held during an invocation or a callback.
//
// It may import host/apps, host/audio and plugins. It neither stores
// conversations nor speaks to clients, and it does not sandbox: apps.App does.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
)

// The defaults of Options.
const (
	DefaultWorkers = 32
	DefaultQueue   = 1024
)

// Options say how a Dispatcher works. Apps is required.
type Options struct {
	Apps        *apps.Set
	Workers     int                   // invocations running at once; 0 means 32
	Queue       int                   // mailboxes waiting for a worker, and conversation events waiting in them, per app; 0 means 1,024
	PerApp      int                   // bulkhead: invocations of one app at once; 0 means a quarter of Workers, at least 1
	Choices     Choices               // which apps users have switched on or off; nil: none
	AudioBuffer int64                 // bytes, per session with an audio app and rate that such apps want; 0 means audio.DefaultBufferBytes
	Logger      hclog.Logger          // nil discards
	Registerer  prometheus.Registerer // nil: metrics are counted but not registered
}

// Choices is what users have chosen about apps over what the configuration
// says. Choice is called often, also with locks held: it must be quick, and not
// call the Dispatcher.
type Choices interface {
	// Choice returns whether a user has switched an app on or off. ok is false
	// for a user who has not chosen, whom the configuration decides for.
	Choice(uid, app string) (on, ok bool)
}

// Dispatcher runs apps on events. It owns the pool; Drain ends it. Make one
// with New.
type Dispatcher struct {
	log     hclog.Logger
	options Options
	pool    pond.Pool
	places  places // Workers of them
	metrics *metrics

	ctx    context.Context // of every invocation
	cancel context.CancelFunc

	work     tally       // scheduled mailboxes, and items in them that are due
	draining atomic.Bool // no more realtime work is taken

	running, peak atomic.Int64 // invocations on a worker, now and at most; who waits for a web service is on none

	drainOnce sync.Once
	drained   chan struct{}
	drainErr  error // set before drained is closed

	lanes atomic.Pointer[[]*lane] // one for each app, in the configuration's order; changed with mu held only

	mu       sync.Mutex // guards all below
	sessions map[*Session]struct{}
	ofUser   map[string]*Session // by uid: the first of a list
	byName   map[string]*lane    // lanes, and those of apps that were installed before
}

// callee is what a Dispatcher needs of an installed app; *apps.App is one.
type callee interface {
	Serves(uid string) bool
	Holds(event.Capability) bool
	AudioPiece() time.Duration
	AudioRate() int
	AudioLatest() bool
	Invoke(context.Context, apps.Event) (apps.Invocation, error)
}

// entry is an app by its name. installed is nil for one that is no *apps.App.
type entry struct {
	name      string
	installed *apps.App
	app       callee
}

// New returns a Dispatcher for o.Apps. It fails when a number in o is out of
// range or the metrics can't be registered.
func New(o Options) (*Dispatcher, error) {
	if o.Apps == nil {
		return nil, errors.New("dispatch: Options.Apps is nil")
	}
	return open(o, entries(o.Apps.All()))
}

func entries(as []*apps.App) []entry {
	es := make([]entry, len(as))
	for i, a := range as {
		es[i] = entry{a.Name, a, a}
	}
	return es
}

func open(o Options, es []entry) (*Dispatcher, error) {
	var bad []error
	if o.Workers < 0 || o.Queue < 0 || o.PerApp < 0 {
		bad = append(bad, fmt.Errorf("dispatch: workers %d, queue %d and per-app share %d must not be negative", o.Workers, o.Queue, o.PerApp))
	}
	if o.Workers == 0 {
		o.Workers = DefaultWorkers
	}
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	if o.PerApp == 0 {
		o.PerApp = max(1, o.Workers/4)
	}
	if o.PerApp > o.Workers {
		bad = append(bad, fmt.Errorf("dispatch: an app's share of %d workers is more than the pool's %d; lower it or raise the pool's workers", o.PerApp, o.Workers))
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	d := &Dispatcher{
		log:      o.Logger,
		options:  o,
		drained:  make(chan struct{}),
		sessions: map[*Session]struct{}{},
		ofUser:   map[string]*Session{},
		byName:   map[string]*lane{},
		metrics:  newMetrics(),
	}
	d.lanes.Store(new([]*lane))
	d.ctx, d.cancel = context.WithCancel(context.Background())
	// The parent has no bound of its own: it holds at most PerApp tasks of each
	// subpool, and what a subpool has accepted must not be refused there. How many
	// of them run at once is for places to say.
	d.pool = pond.NewPool(0)
	d.places.free = o.Workers
	d.replace(es, nil)
	if o.Registerer != nil {
		if err := d.metrics.register(o.Registerer, d); err != nil {
			d.cancel()
			return nil, fmt.Errorf("registering dispatch metrics: %w", err)
		}
	}
	return d, nil
}

// runs counts n more invocations on a worker.
func (d *Dispatcher) runs(n int64) {
	now := d.running.Add(n)
	for peak := d.peak.Load(); now > peak && !d.peak.CompareAndSwap(peak, now); peak = d.peak.Load() {
	}
}

// lend is apps.Event.Lend.
func (d *Dispatcher) lend() (back func()) {
	d.runs(-1)
	d.places.give()
	return func() {
		d.places.retake()
		d.runs(1)
	}
}

// Room is what an app has room for.
type Room struct {
	Runs     int       // conversation events that may run at once: its share, 1 to probe a half-open breaker, or 0
	Deferred string    // with 0 Runs: why
	Until    time.Time // with ReasonBreakerOpen: when to ask again
}

// Room says what an app has room for, so that what would be put off need not be
// handed over.
func (d *Dispatcher) Room(app string) Room {
	if d.draining.Load() {
		return Room{Deferred: ReasonShutdown}
	}
	l := d.lane(app)
	if l == nil || !l.now().app.Holds(event.CapConversation) {
		return Room{Deferred: ReasonNotInstalled}
	}
	return l.room(time.Now())
}

// Lacks returns why a user's conversations do not go to an app: ReasonSwitchedOff
// or ReasonNotInstalled; "" when they do.
func (d *Dispatcher) Lacks(uid, app string) string {
	return d.lacks(uid, app, event.KindConversation)
}

func (d *Dispatcher) lacks(uid, app string, k event.Kind) string {
	l := d.lane(app)
	if l == nil {
		return ReasonNotInstalled
	}
	return l.now().lacks(l, uid, k)
}

// Has reports whether a user has an app, whatever it may receive.
func (d *Dispatcher) Has(uid, app string) bool {
	l := d.lane(app)
	return l != nil && l.without(l.now(), uid) == ""
}

// lane returns the lane of an app, nil if there never was one.
func (d *Dispatcher) lane(app string) *lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byName[app]
}

// current returns the lanes of the installed apps, in the configuration's order.
func (d *Dispatcher) current() []*lane { return *d.lanes.Load() }

// missing answers for an app that a session does not have.
func (d *Dispatcher) missing(to *answers, uid, app string) {
	reason := d.Lacks(uid, app)
	if reason == "" {
		reason = ReasonNotInstalled // it has come this moment, and is found when it is tried again
	}
	to.call(Attempt{App: app, Deferred: reason})
	to.give()
}

// Drain ends the Dispatcher: it takes no more realtime work, and runs what is
// waiting until ctx ends. Then running invocations are cancelled, and each
// conversation event not yet run is answered as deferred (ReasonShutdown). It
// returns once nothing runs any more: nil when all had run, otherwise an error
// that wraps ctx's. A second call waits for the first and returns the same.
//
// Afterwards Transcript and Audio drop what they get (reason "shutdown"), and
// Complete defers at once.
func (d *Dispatcher) Drain(ctx context.Context) error {
	d.drainOnce.Do(func() {
		defer close(d.drained)
		d.drainErr = d.drain(ctx)
	})
	<-d.drained
	return d.drainErr
}

func (d *Dispatcher) drain(ctx context.Context) error {
	d.draining.Store(true)
	err := d.work.wait(ctx)
	// With what runs cancelled the rest is bounded by the invocations' own
	// handling of that.
	d.cancel()
	if err != nil {
		_ = d.work.wait(context.Background())
	}
	// No task is left, and pond's workers end where their queue is empty. Its
	// Stop would only add a task to pond's process-wide pool to say so.
	if err != nil {
		return fmt.Errorf("draining: what ran was cancelled and what waited was not run: %w", err)
	}
	return nil
}

// tally counts work that must end before a Dispatcher may. It closes when it
// is waited for and nothing is left.
type tally struct {
	mu     sync.Mutex // guards all below
	n      int
	closed bool
	idle   chan struct{} // non-nil while someone waits; closed when n reaches 0
}

// enter counts one more piece of work. It reports false, counting nothing,
// once the tally has closed.
func (t *tally) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.n++
	return true
}

func (t *tally) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	if t.n == 0 && t.idle != nil {
		t.closed = true
		close(t.idle)
		t.idle = nil
	}
}

// wait returns nil once nothing is left, having closed the tally, or ctx.Err().
func (t *tally) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.n == 0 {
		t.closed = true
	}
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
