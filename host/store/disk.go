package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrUnavailable says that the store takes no writes, and what has to happen
// for it to take them again; what was acknowledged is kept. Nothing of a write
// that got it was acknowledged, and it may be repeated.
var ErrUnavailable = errors.New("the store takes no writes")

// DefaultReserve is how much of the data directory's disk has to be free for
// writes to be taken, in bytes.
const DefaultReserve = 64 << 20

const (
	// diskInterval is how often the disk is looked at, busyDiskInterval how
	// often while there are writes.
	diskInterval     = time.Second
	busyDiskInterval = 100 * time.Millisecond

	// probeBytes is written to see whether the disk takes it.
	probeBytes = 2 << 20

	// maxReopenWait bounds the wait before the server is started again after it
	// failed once more.
	maxReopenWait = 30 * time.Second
)

// disk is what a Store knows of the disk under the embedded server.
type disk struct {
	looked atomic.Int64  // when, as Unix ns
	look   chan struct{} // holds one while the disk is to be looked at

	mu       sync.Mutex // guards both
	refusing error      // why no write is taken, wraps ErrUnavailable; nil: they are
	down     error      // why nothing can be read either; nil: it can
}

// refused returns why no write is taken, or nil.
func (d *disk) refused() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refusing
}

// unreadable returns why nothing can be read, or nil.
func (d *disk) unreadable() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.down
}

// written notes that there is a write, and has the disk looked at when that was
// not done for a while.
func (d *disk) written() {
	now := time.Now().UnixNano()
	last := d.looked.Load()
	if now-last < int64(busyDiskInterval) || !d.looked.CompareAndSwap(last, now) {
		return
	}
	d.lookSoon()
}

// lookSoon has the disk looked at.
func (d *disk) lookSoon() {
	select {
	case d.look <- struct{}{}:
	default: // it is going to be
	}
}

// set notes why no write is taken and why nothing can be read, and reports
// whether writes were taken before.
func (d *disk) set(refusing, down error) (taken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken = d.refusing == nil
	d.refusing, d.down = refusing, down
	return taken
}

// keepDisk watches the disk and the embedded server, until ctx ends. Writes are
// refused while less than the reserve is free. The server does not recover from
// a write that failed: it is started anew once the disk takes writes.
func (s *Store) keepDisk(ctx context.Context) {
	tick := time.NewTicker(diskInterval)
	defer tick.Stop()
	var r reopening
	for {
		b, _ := s.current()
		s.lookAtDisk(ctx, b, &r)
		b, _ = s.current() // it may have been replaced
		select {
		case <-tick.C:
		case <-s.disk.look:
		case <-b.server.log.alarm:
		case <-ctx.Done():
			return
		}
	}
}

// reopening is how far starting a server anew is.
type reopening struct {
	failed error         // why it is to be; nil: it runs
	last   time.Time     // when it was, successfully or not
	wait   time.Duration // how long after that it may be again
}

// note notes that the server failed.
func (r *reopening) note(err error) {
	r.failed = err
	// Soon, but not for ever soon where it does not help.
	if time.Since(r.last) > 2*maxReopenWait {
		r.wait = 0
	}
}

// try reports whether the server is to be started anew now.
func (r *reopening) try() bool {
	if time.Since(r.last) < r.wait {
		return false
	}
	r.last = time.Now()
	r.wait = min(max(2*r.wait, diskInterval), maxReopenWait)
	return true
}

// lookAtDisk lets writes be taken, or not, by what is found.
func (s *Store) lookAtDisk(ctx context.Context, b *backend, r *reopening) {
	if r.failed == nil {
		if err := b.server.sound(); err != nil {
			r.note(err)
		}
	}
	if err := s.room(r.failed != nil); err != nil {
		s.refuse(err)
		if r.failed != nil {
			b.fail(err) // who waits for the server's answer gets none
		}
		return
	}
	if r.failed != nil {
		err := fmt.Errorf("%w: the embedded server failed, and is started anew: %w", ErrUnavailable, r.failed)
		s.refuse(err)
		b.fail(err)
		if !r.try() {
			return
		}
		if err := s.reopen(ctx, b); err != nil {
			if ctx.Err() == nil {
				s.refuseAll(err)
			}
			return
		}
		r.failed = nil
	}
	s.take()
}

// refuse lets no write be taken, because of err.
func (s *Store) refuse(err error) {
	if s.disk.set(err, s.disk.unreadable()) {
		s.log.Error("the store takes no writes", "error", err)
	}
}

// refuseAll lets nothing be done, because of err.
func (s *Store) refuseAll(err error) {
	err = fmt.Errorf("%w: starting the embedded server anew: %w", ErrUnavailable, err)
	s.disk.set(err, err)
	s.log.Error("the store can't be opened again", "error", err)
}

// take lets writes be taken. A write that failed says nothing of those to come
// once the disk takes some.
func (s *Store) take() {
	taken := s.disk.set(nil, nil)
	if !taken {
		s.log.Info("the store takes writes again")
	}
	s.failedMu.Lock()
	defer s.failedMu.Unlock()
	if s.failed != nil && (!taken || tryWrite(s.options.Dir) == nil) {
		s.failed = nil
	}
}

// room returns why there is too little room for writes, or nil. With probe, or
// while writes are refused, it tries to write, and asks for a quarter more than
// the reserve, so that it does not change its mind all the time.
func (s *Store) room(probe bool) error {
	need := s.options.Reserve
	refusing := s.disk.refused() != nil
	if refusing {
		need += need / 4
	}
	if err := s.free(need); err != nil || !probe && !refusing {
		return err
	}
	if err := tryWrite(s.options.Dir); err != nil {
		return fmt.Errorf("%w: writing to the disk of %s: %w", ErrUnavailable, s.options.Dir, err)
	}
	return nil
}

// free returns why not so many bytes of the disk are free, or nil.
func (s *Store) free(need int64) error {
	dir := s.options.Dir
	free, known, err := freeBytes(dir)
	if err != nil {
		return fmt.Errorf("%w: looking at the disk of %s: %w", ErrUnavailable, dir, err)
	}
	if !known {
		return nil
	}
	s.metrics.diskFree.Set(float64(free))
	if free < need {
		return fmt.Errorf("%w: the disk of %s is full: %s are free, %s have to be; make room for %s or more",
			ErrUnavailable, dir, megabytes(free), megabytes(need), megabytes(need-free))
	}
	return nil
}

// roomForBatch returns why there is too little room for a batch at this very
// moment, or nil. It is asked before each: a batch that the disk cuts short
// where it lets go of older messages leaves the server (2.15.2) waiting for its
// own lock, which nothing but another process mends.
func (s *Store) roomForBatch() error {
	if s.options.NATS != nil {
		return nil
	}
	err := s.free(s.options.Reserve)
	if err != nil {
		s.disk.lookSoon() // and what is found is said
	}
	return err
}

// megabytes rounds up, for people.
func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n+50_000)/1e6) }

// tryWrite writes and syncs a file in dir, and removes it.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// reopen replaces the backend old by one over a server that was started anew.
// Files that are damaged it leaves as they are, and closed.
func (s *Store) reopen(ctx context.Context, old *backend) error {
	began := time.Now()
	old.close()
	if err := prepare(ctx, s.options.Dir, false, s.log); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 6*DefaultTimeout)
	defer cancel()
	b, err := openBackend(ctx, &s.options, s.log.Named("nats"))
	if err != nil {
		return err
	}
	subjects, err := b.subjects(ctx, streamConversations, subjectConversations)
	if err != nil {
		b.close()
		return err
	}
	s.index.fill(subjects)
	s.use(b)
	s.log.Info("the store was opened again", "conversations", s.index.len(), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// sound returns what a server that runs can't do any more, or nil: it has
// stopped, or a stream does not take what is written since a write failed.
func (e *embedded) sound() error {
	if err := e.ready(); err != nil {
		return err
	}
	for _, stream := range diskStreams {
		if err := e.soundStream(stream); err != nil {
			return err
		}
	}
	return nil
}

// soundStream returns why a stream takes no writes since one failed, or nil. It
// waits for a write that is under way.
func (e *embedded) soundStream(stream string) error {
	for {
		h := e.server.Healthz(&server.HealthzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Stream: stream, Details: true})
		asked := true
		for _, err := range h.Errors {
			if err.Type != server.HealthzErrorConn {
				return errors.New(err.Error)
			}
			// It took longer than a millisecond to look whether the server runs,
			// which it does; the stream was not looked at.
			asked = false
		}
		if asked {
			return nil
		}
		if err := e.ready(); err != nil {
			return err
		}
	}
}
