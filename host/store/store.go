package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
)

// The errors that a caller may have to tell apart.
var (
	ErrNotFound  = errors.New("no such conversation")
	ErrLocked    = errors.New("data directory in use by another host")
	ErrBadCursor = errors.New("bad cursor")
	ErrClosed    = errors.New("store closed")
	ErrBadID     = errors.New("bad id")    // an id or uid that can't be kept under; repeating won't help
	ErrTooLarge  = errors.New("too large") // one segment or result over MaxMessageBytes; repeating won't help
)

// DefaultTimeout bounds an operation whose context has no deadline.
const DefaultTimeout = 10 * time.Second

// MaxMessageBytes is the most that one message of the store holds. A
// completed conversation may be larger, it is kept in parts, and so may the
// segments given to Append together; a single segment or a Result may not.
const MaxMessageBytes = 4 << 20

// Options say where a Store is and whom it tells.
type Options struct {
	Dir        string                // the data directory; made when missing
	Salvage    bool                  // damaged files are set aside and what can be read of them is used
	Logger     hclog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are not registered
}

// Store keeps conversations in a data directory.
//
// It owns the embedded server and its connection to it. Close waits for the
// operations under way, stops the server and unlocks the directory; after it
// every operation returns ErrClosed.
type Store struct {
	log     hclog.Logger
	dir     string
	metrics *metrics
	lock    *dirLock
	server  *embedded
	index   *index

	closing context.Context // ends when operations under way must stop
	stop    context.CancelFunc

	mu      sync.Mutex // guards closed, and running against Add after Wait
	closed  bool
	running sync.WaitGroup // operations under way
	done    chan struct{}  // closed when Close has finished
	err     error          // what Close returned, once done is closed

	failedMu sync.Mutex // guards failed
	failed   error      // the last write's error; nil when it succeeded
}

// Open opens the data directory, making it if need be, and starts the store
// in it. ctx bounds the start, by DefaultTimeout times six when it has no
// deadline: a directory that was not closed has to be read through.
//
// The error wraps ErrLocked when another process has the directory, and a
// *DamageError when its files are damaged and o.Salvage is not set; otherwise it
// names the directory and why it can't be used.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("opening the store: no data directory given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", o.Dir, err)
	}
	log := o.Logger
	if log == nil {
		log = hclog.NewNullLogger()
	}
	ctx, cancel := withDeadline(ctx, 6*DefaultTimeout)
	defer cancel()

	s := &Store{log: log, dir: dir, metrics: newMetrics(), done: make(chan struct{})}
	s.closing, s.stop = context.WithCancel(context.Background())
	// From here on whatever has been opened is closed again on failure.
	fail := func(err error) (*Store, error) {
		s.stop()
		return nil, errors.Join(err, s.release())
	}
	if s.lock, err = lockDir(dir); err != nil {
		return fail(err)
	}
	began := time.Now()
	if err := prepare(ctx, dir, o.Salvage, log); err != nil {
		return fail(fmt.Errorf("opening the store in %s: %w", dir, err))
	}
	if s.server, err = startEmbedded(ctx, dir, log.Named("nats")); err != nil {
		return fail(fmt.Errorf("opening the store in %s: %w", dir, err))
	}
	subjects, err := s.server.subjects(ctx, streamConversations, subjectConversations)
	if err != nil {
		return fail(fmt.Errorf("opening the store in %s: listing conversations: %w", dir, err))
	}
	s.index = newIndex(subjects)
	if err := s.metrics.register(o.Registerer); err != nil {
		return fail(fmt.Errorf("opening the store in %s: registering metrics: %w", dir, err))
	}
	log.Info("store open", "dir", dir, "conversations", s.index.len(), "took", time.Since(began).Round(time.Millisecond))
	return s, nil
}

// Close waits for the operations under way, those still running when ctx ends
// are cut off with ErrClosed, then stops the server and unlocks the
// directory. Further calls wait for the first and return what it returned.
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

// release stops the server and unlocks the directory, whichever there are.
func (s *Store) release() error {
	if s.server != nil {
		s.server.close()
		if err := writeStopped(s.dir); err != nil {
			s.log.Warn("could not note that the store was closed; the next start knows less of what it may find damaged", "error", err)
		}
	}
	if s.lock != nil {
		return s.lock.unlock()
	}
	return nil
}

// Ready returns nil when the store takes writes, otherwise why it does not:
// it is closed, the embedded server stopped, or the last write failed.
func (s *Store) Ready() error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if err := s.server.ready(); err != nil {
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
func (s *Store) read(ctx context.Context, o operation, doing string, f func(context.Context) error) error {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return s.outcome(o, doing, f(ctx))
}

// write runs one writing operation: as read, timed, and remembered for Ready.
func (s *Store) write(ctx context.Context, o operation, doing string, f func(context.Context) error) error {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	began := time.Now()
	err = s.outcome(o, doing, f(ctx))
	if err == nil {
		s.metrics.writes.WithLabelValues(string(o)).Observe(time.Since(began).Seconds())
	}
	// A caller who gave up, or asked for what can't be kept, says nothing of the store.
	if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrBadID) && !errors.Is(err, ErrTooLarge) {
		s.failedMu.Lock()
		s.failed = err
		s.failedMu.Unlock()
	}
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
