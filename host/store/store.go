package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
)

// The errors that a caller may have to tell apart, beside ErrFenced.
var (
	ErrNotFound  = errors.New("no such conversation")
	ErrLocked    = errors.New("data directory in use by another host")
	ErrBadCursor = errors.New("bad cursor")
	ErrClosed    = errors.New("store closed")
	ErrBadID     = errors.New("bad id")    // an id, uid or name that can't be kept under; repeating won't help
	ErrTooLarge  = errors.New("too large") // one segment, result or job over MaxMessageBytes; repeating won't help
	ErrNotShared = errors.New("no other host uses this store")
)

// The defaults of Options.
const (
	// DefaultTimeout bounds an operation whose context has no deadline.
	DefaultTimeout = 10 * time.Second

	// DefaultSessionMemory is how long what a session was told is kept once
	// its conversation is settled.
	DefaultSessionMemory = 10 * time.Minute

	// DefaultHostTTL is how long a host counts as alive after it last said so.
	DefaultHostTTL = 15 * time.Second
)

// MaxMessageBytes is the most that one message of the store holds. A
// completed conversation may be larger, it is kept in parts, and so may the
// segments given to Append together; a single segment, a Result or a Job may
// not. A cluster whose servers take less has its own, lower limit.
const MaxMessageBytes = 4 << 20

// Options say where a Store is and whom it tells.
type Options struct {
	Dir  string // the embedded server's data directory; made when missing. Not looked at with NATS
	NATS *NATS  // the servers of a cluster; nil: the embedded one

	// Salvage lets a damaged data directory be opened: the damaged files are set
	// aside in its folder "damaged" and what can be read of them is used. Without
	// it Open refuses the directory and changes nothing. It has no effect with
	// NATS.
	Salvage bool

	// HostID tells this host from others that share the store. It must be
	// given with NATS, fit to be a conversation's id, and no other host's.
	HostID string

	Retention     Retention     // its zero removes nothing
	SessionMemory time.Duration // 0: DefaultSessionMemory; a second or more
	HostTTL       time.Duration // 0: DefaultHostTTL; a second or more

	// Reserve is how many bytes of the disk that holds Dir have to be free for
	// writes to be taken: below, they fail with ErrUnavailable. 0:
	// DefaultReserve. It has no effect with NATS.
	Reserve int64

	Logger     hclog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// check returns what is wrong with o, after setting the defaults.
func (o *Options) check() error {
	if o.SessionMemory == 0 {
		o.SessionMemory = DefaultSessionMemory
	}
	if o.HostTTL == 0 {
		o.HostTTL = DefaultHostTTL
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.SessionMemory < time.Second {
		return fmt.Errorf("session memory of %v, must be a second or more", o.SessionMemory)
	}
	if o.Reserve < 0 {
		return fmt.Errorf("reserve of %d bytes, must not be negative", o.Reserve)
	}
	if o.HostTTL < time.Second {
		return fmt.Errorf("host TTL of %v, must be a second or more", o.HostTTL)
	}
	for what, l := range map[string]Limit{"conversations": o.Retention.Conversations, "outputs": o.Retention.Outputs, "dead letters": o.Retention.DeadLetters} {
		if l.Age < 0 || l.Bytes < 0 {
			return fmt.Errorf("retention of %s: age %v and %d bytes, neither may be negative", what, l.Age, l.Bytes)
		}
	}
	if o.NATS != nil {
		return checkID("host id", o.HostID)
	}
	if o.Dir == "" {
		return errors.New("no data directory given")
	}
	dir, err := filepath.Abs(o.Dir)
	o.Dir = dir
	return err
}

// place names where the store is, for messages.
func (o *Options) place() string {
	if o.NATS != nil {
		return "at " + o.NATS.names()
	}
	return "in " + o.Dir
}

// Store keeps conversations and the work on them in a data directory or in a
// NATS cluster.
//
// It owns the embedded server, the connection, and the goroutines that write
// batches, follow other hosts and remove what is too old. Close waits for the
// operations under way, ends all of these and unlocks the directory; after it
// every operation returns ErrClosed.
type Store struct {
	options Options
	log     hclog.Logger
	metrics *metrics
	lock    *dirLock // nil: a cluster
	index   *index

	name       string        // begins the names of writes and batches; no other Store's
	writes     atomic.Uint64 // counts them
	maxMessage atomic.Int64  // bytes of one message's body
	committers map[string]*committer
	unsure     unsure
	legacy     legacy
	ledger     ledger
	holders    holders
	disk       disk          // of the embedded server
	noting     chan struct{} // held while a memory is added
	mostNotes  int           // MaxMemoryNotes

	backendMu sync.Mutex    // guards the next two
	backend   *backend      // nil before the first was opened
	replaced  chan struct{} // closed when backend is another

	closing context.Context // ends when operations under way must stop
	stop    context.CancelFunc
	owned   sync.WaitGroup // goroutines that end when closing does

	mu      sync.Mutex // guards closed, and running against Add after Wait
	closed  bool
	running sync.WaitGroup // operations under way
	done    chan struct{}  // closed when Close has finished
	err     error          // what Close returned, once done is closed

	failedMu sync.Mutex // guards failed
	failed   error      // the last write's error; nil when it succeeded
}

// Open opens the data directory, making it if need be, and starts the store
// in it; or it connects to the cluster. ctx bounds the start. Without a
// deadline the server has DefaultTimeout times six, and checking the files before
// it starts as long as it takes: all of them are read.
//
// The error wraps ErrLocked when another process has the directory, and a
// *DamageError when its files are damaged and o.Salvage is not set; otherwise
// it names the directory or the servers and why they can't be used.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s := &Store{
		options: o, ledger: ledger{unused: o.NATS != nil}, log: o.Logger, metrics: newMetrics(), name: rand.Text()[:12] + ".",
		index: newIndex(), committers: map[string]*committer{}, replaced: make(chan struct{}), done: make(chan struct{}),
		disk: disk{look: make(chan struct{}, 1)}, noting: make(chan struct{}, 1), mostNotes: MaxMemoryNotes,
	}
	s.closing, s.stop = context.WithCancel(context.Background())
	// From here on whatever has been opened is closed again on failure.
	fail := func(err error) (*Store, error) {
		s.stop()
		return nil, errors.Join(err, s.release())
	}
	began := time.Now()
	if o.NATS == nil {
		var err error
		if s.lock, err = lockDir(o.Dir); err != nil {
			return fail(err)
		}
		if err := prepare(ctx, o.Dir, o.Salvage, s.log); err != nil {
			return fail(fmt.Errorf("opening the store %s: %w", o.place(), err))
		}
	}
	ctx, cancel := withDeadline(ctx, 6*DefaultTimeout)
	defer cancel()
	b, err := openBackend(ctx, &s.options, s.log.Named("nats"))
	if err != nil {
		return fail(fmt.Errorf("opening the store %s: %w", o.place(), err))
	}
	s.use(b)
	for _, stream := range diskStreams {
		s.committers[stream] = newCommitter(stream, s.name, s.connected, s.roomForBatch, s.metrics)
	}
	if err := s.startIndex(ctx, b); err != nil {
		return fail(fmt.Errorf("opening the store %s: listing conversations: %w", o.place(), err))
	}
	if err := s.metrics.register(o.Registerer, s.committers); err != nil {
		return fail(fmt.Errorf("opening the store %s: registering metrics: %w", o.place(), err))
	}
	s.owned.Go(func() { s.keepRetention(s.closing) })
	if b.server != nil {
		s.owned.Go(func() { s.keepDisk(s.closing) })
	}
	s.log.Info("store open", "where", o.place(), "conversations", s.index.len(), "took", time.Since(began).Round(time.Millisecond))
	return s, nil
}

// use makes b the backend.
func (s *Store) use(b *backend) {
	s.maxMessage.Store(int64(b.maxMessage))
	s.backendMu.Lock()
	defer s.backendMu.Unlock()
	s.backend = b
	close(s.replaced)
	s.replaced = make(chan struct{})
}

// current returns the backend, connected or not.
func (s *Store) current() (b *backend, replaced <-chan struct{}) {
	s.backendMu.Lock()
	defer s.backendMu.Unlock()
	return s.backend, s.replaced
}

// connected returns the backend once it is connected, or ctx's error.
func (s *Store) connected(ctx context.Context) (*backend, error) {
	for {
		b, replaced := s.current()
		if b.link.life().Err() == nil {
			return b, nil
		}
		select {
		case <-b.link.standing():
		case <-replaced:
		case <-ctx.Done():
			return nil, because(context.Cause(ctx), b.ready())
		}
	}
}

// Shared reports whether other hosts may use the same store.
func (s *Store) Shared() bool { return s.options.NATS != nil }

// Close waits for the operations under way, those still running when ctx ends
// are cut off with ErrClosed, then ends the store's own goroutines and the
// server, and unlocks the directory. Further calls wait for the first and
// return what it returned.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.done
		return s.err
	}
	s.closed = true
	s.mu.Unlock()

	// Ends when the last operation does; waited for right below.
	idle := make(chan struct{})
	go func() {
		s.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	s.stop()
	<-idle

	s.metrics.unregister()
	s.err = s.release()
	s.log.Info("store closed")
	close(s.done)
	return s.err
}

// release ends the goroutines and the backend, and unlocks the directory,
// whichever there are. stop was called.
func (s *Store) release() error {
	s.owned.Wait()
	for _, c := range s.committers {
		c.close()
	}
	if b, _ := s.current(); b != nil {
		b.close()
		if b.server != nil {
			if err := writeStopped(s.options.Dir); err != nil {
				s.log.Warn("could not note that the store was closed; the next start knows less of what it may find damaged", "error", err)
			}
		}
	}
	if s.lock != nil {
		return s.lock.unlock()
	}
	return nil
}

// Ready returns nil when the store takes writes, otherwise why it does not:
// it is closed, the disk is full, the server stopped or can't be reached, or
// the last write failed.
func (s *Store) Ready() error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if err := s.disk.refused(); err != nil {
		return err
	}
	b, _ := s.current()
	if err := b.ready(); err != nil {
		return err
	}
	s.failedMu.Lock()
	defer s.failedMu.Unlock()
	if s.failed != nil {
		return fmt.Errorf("the last write to the store failed: %w", s.failed)
	}
	return nil
}

// read runs one reading operation: refused once closed, bounded in time, its
// error counted and wrapped with what it was doing, for example "reading c_1".
// f is called again where the connection broke.
func (s *Store) read(ctx context.Context, o operation, doing string, f func(context.Context, *backend) error) error {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := s.disk.unreadable(); err != nil {
		return s.outcome(o, doing, err)
	}
	return s.outcome(o, doing, s.ask(ctx, f))
}

// ask calls f with the backend once that is connected, and again where the
// connection broke meanwhile or a cluster was choosing a leader. f must be one
// that can be repeated.
func (s *Store) ask(ctx context.Context, f func(context.Context, *backend) error) error {
	for wait := backoff(0); ; wait = wait.next() {
		b, err := s.connected(ctx)
		if err != nil {
			return err
		}
		link := b.link.life()
		attempt, cancel := context.WithCancel(ctx)
		unhook := context.AfterFunc(link, cancel)
		err = f(attempt, b)
		unhook()
		cancel()
		if err == nil || ctx.Err() != nil || link.Err() == nil && !(s.Shared() && leaderless(err)) || wait.wait(ctx) != nil {
			return err
		}
	}
}

// write runs one writing operation: as read, timed, and remembered for Ready.
func (s *Store) write(ctx context.Context, o operation, doing string, f func(context.Context) error) error {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := s.disk.refused(); err != nil {
		return s.outcome(o, doing, err)
	}
	s.disk.written()
	began := time.Now()
	err = s.outcome(o, doing, f(ctx))
	if err == nil {
		s.metrics.writes.WithLabelValues(string(o)).Observe(time.Since(began).Seconds())
	}
	// A caller who gave up, came too late, or asked for what can't be kept,
	// says nothing of the store.
	for _, mild := range []error{context.Canceled, ErrClosed, ErrBadID, ErrTooLarge, ErrTooManyChoices, ErrTooManyValues, ErrTooManyMemories, ErrFenced, ErrUnavailable} {
		if errors.Is(err, mild) {
			return err
		}
	}
	s.failedMu.Lock()
	s.failed = err
	s.failedMu.Unlock()
	return err
}

// begin admits an operation. The context it returns ends with the caller's,
// at the deadline, or when Close can't wait any longer.
func (s *Store) begin(ctx context.Context) (context.Context, func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	s.running.Add(1)
	ctx, cancel := withDeadline(ctx, DefaultTimeout)
	unhook := context.AfterFunc(s.closing, cancel)
	return ctx, func() {
		unhook()
		cancel()
		s.running.Done()
	}, nil
}

// outcome counts and wraps an operation's error.
func (s *Store) outcome(o operation, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrBadCursor):
		return err
	case errors.Is(err, ErrFenced):
		return fmt.Errorf("%s: %w", doing, err)
	case s.closing.Err() != nil:
		return fmt.Errorf("%s: %w", doing, ErrClosed)
	}
	s.metrics.errors.WithLabelValues(string(o)).Inc()
	return fmt.Errorf("%s: %w", doing, err)
}

// withDeadline gives ctx a deadline when it has none.
func withDeadline(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
