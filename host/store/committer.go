package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The bounds of group commit.
const (
	maxBatchMessages = 256
	maxBatchBytes    = 8 << 20

	// minBatch is the least that is written as a batch, and minBatchOnDisk
	// where the server first sets a batch down on disk, which costs as much as
	// this many syncs.
	minBatch       = 2
	minBatchOnDisk = 8

	// queueLength is how many writes wait for the batch before theirs; a
	// caller that finds the queue full waits for room.
	queueLength = 1024

	// batchInterval is between the beginnings of two batches at least. Each
	// costs the server a millisecond of a processor besides its messages, so
	// that more of them, each smaller, are slower where processors are busy.
	batchInterval = 4 * time.Millisecond

	// maxSingle is how many messages of a stream are written one by one at a
	// time, after the batch that they were in was refused.
	maxSingle = maxBatchMessages
)

// Headers of a batch, and of a write that says what it goes on from.
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
	headerExpect      = jetstream.ExpectedLastSubjSeqHeader
)

// conflict says that a message was not written because its subject's last one
// was not what was expected: last, or none when that is nil.
type conflict struct{ last *stored }

func (c *conflict) Error() string {
	if c.last == nil {
		return "the record is gone"
	}
	return fmt.Sprintf("the record is at revision %d", c.last.Seq)
}

// A write is a message on its way into a stream. It is written only while its
// subject's last message has the sequence that is expected.
type write struct {
	ctx    context.Context // the caller's: who gave up is not written any more, if it can be helped
	m      *nats.Msg
	id     string // what tells this write from others of the same subject
	expect uint64
	state  atomic.Int32
	done   chan written // holds one
}

// The states of a write.
const (
	writeQueued int32 = iota
	writeTaken        // it may be written at any time
	writeLeft         // its caller left before it was taken: it never is
)

// written is what became of a write.
type written struct {
	seq uint64
	err error
}

// committer writes the messages of one stream, those that wait together in one
// batch, which costs one sync. It owns one goroutine, and one for each message
// that is written by itself; close waits for them.
type committer struct {
	stream  string
	name    string // in ids of batches
	connect func(context.Context) (*backend, error)
	room    func() error
	metrics *metrics

	queue   chan *write
	single  chan struct{} // a place for each message that is written by itself
	stop    context.CancelFunc
	running sync.WaitGroup
}

// newCommitter starts a committer. connect returns the backend once it is
// connected; room returns why there is none for a batch, or nil.
func newCommitter(stream, name string, connect func(context.Context) (*backend, error), room func() error, m *metrics) *committer {
	c := &committer{
		stream: stream, name: name, connect: connect, room: room, metrics: m,
		queue: make(chan *write, queueLength), single: make(chan struct{}, maxSingle),
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.running.Go(func() { c.run(ctx) }) // ends at stop
	return c
}

// close ends the committer. No caller may be waiting any more.
func (c *committer) close() {
	c.stop()
	c.running.Wait()
}

// put writes w and returns its sequence. On an error that wraps a *conflict or
// errNotWritten nothing was written; on any other it is not known.
func (c *committer) put(w *write) (uint64, error) {
	w.done = make(chan written, 1)
	select {
	case c.queue <- w:
	case <-w.ctx.Done():
		return 0, fmt.Errorf("%w: %w", errNotWritten, context.Cause(w.ctx))
	}
	select {
	case r := <-w.done:
		return r.seq, r.err
	case <-w.ctx.Done():
		if w.state.CompareAndSwap(writeQueued, writeLeft) {
			return 0, fmt.Errorf("%w: %w", errNotWritten, context.Cause(w.ctx))
		}
		select {
		case r := <-w.done:
			return r.seq, r.err
		default:
			return 0, context.Cause(w.ctx)
		}
	}
}

// errNotWritten says that a caller gave up before its message was sent.
var errNotWritten = errors.New("not written")

// run writes what comes, a batch at a time, until ctx ends.
func (c *committer) run(ctx context.Context) {
	var next *write    // taken, but of no batch yet
	var last time.Time // when the last batch began
	for {
		// Nothing is taken that can't be sent: its caller can still leave.
		b, err := c.connect(ctx)
		if err != nil {
			return
		}
		if next == nil {
			select {
			case next = <-c.queue:
			case <-ctx.Done():
				return
			}
			if left := batchInterval - time.Since(last); left > 0 && pause(ctx, left) != nil {
				return
			}
			if !next.state.CompareAndSwap(writeQueued, writeTaken) {
				next = nil
				continue
			}
		}
		last = time.Now()
		var batch []*write
		batch, next = c.collect(next)
		if err := c.room(); err != nil {
			for _, w := range batch {
				w.done <- written{err: fmt.Errorf("%w: %w", errNotWritten, err)}
			}
			continue
		}
		c.commit(ctx, b, batch)
	}
}

// collect takes what waits behind first and fits into one batch with it; and
// what was taken but did not fit.
func (c *committer) collect(first *write) (batch []*write, left *write) {
	batch = append(batch, first)
	size := first.m.Size()
	var subjects map[string]bool // a batch may go on from a subject's last message once
	for len(batch) < maxBatchMessages {
		var w *write
		select {
		case w = <-c.queue:
		default:
			return batch, nil
		}
		if !w.state.CompareAndSwap(writeQueued, writeTaken) {
			continue
		}
		if subjects == nil {
			subjects = map[string]bool{first.m.Subject: true}
		}
		size += w.m.Size()
		if size > maxBatchBytes || subjects[w.m.Subject] {
			return batch, w
		}
		subjects[w.m.Subject] = true
		batch = append(batch, w)
	}
	return batch, nil
}

// commit writes a batch: together, or side by side where it is too small for
// that to pay. What could not be written is tried again by itself, so that
// only those fail that have to.
func (c *committer) commit(ctx context.Context, b *backend, batch []*write) {
	if len(batch) < b.minBatch {
		errs := make([]error, len(batch))
		var wg sync.WaitGroup
		for i, w := range batch[1:] {
			wg.Go(func() { errs[i+1] = c.first(ctx, b, w) })
		}
		errs[0] = c.first(ctx, b, batch[0])
		wg.Wait()
		for i, w := range batch {
			if errs[i] != nil {
				c.again(w, errs[i])
			}
		}
		return
	}
	began := time.Now()
	last, err := c.together(ctx, b, batch)
	c.metrics.committed(c.stream, len(batch), time.Since(began))
	if err == nil {
		for i, w := range batch {
			w.done <- written{seq: last + 1 + uint64(i) - uint64(len(batch))}
		}
		return
	}
	if b.server != nil && isIncomplete(err) {
		_ = b.server.staging.again(c.stream) // if it fails, so will the next batch
	}
	c.metrics.commitsRefused.WithLabelValues(c.stream).Inc()
	for _, w := range batch {
		for _, h := range []string{headerBatchID, headerBatchSeq, headerBatchCommit} {
			w.m.Header.Del(h)
		}
		c.again(w, nil) // it had no attempt by itself yet
	}
}

// first tries once to write one message by itself.
func (c *committer) first(ctx context.Context, b *backend, w *write) error {
	began := time.Now()
	seq, err := b.publish(ctx, w.m)
	c.metrics.committed(c.stream, 1, time.Since(began))
	if err == nil {
		w.done <- written{seq: seq}
	}
	return err
}

// again writes one message by itself while others go on. attempt is the error
// of the attempt that has been made, or nil.
func (c *committer) again(w *write, attempt error) {
	c.single <- struct{}{}
	c.running.Go(func() { // ends with the caller's context at the latest
		w.done <- c.alone(w, attempt)
		<-c.single
	})
}

// together sends a batch and waits for its answer: the sequence of its last
// message.
func (c *committer) together(ctx context.Context, b *backend, batch []*write) (uint64, error) {
	id := c.name + strconv.FormatUint(batches.Add(1), 36)
	for i, w := range batch {
		w.m.Header.Set(headerBatchID, id)
		w.m.Header.Set(headerBatchSeq, strconv.Itoa(i+1))
	}
	last := batch[len(batch)-1].m
	last.Header.Set(headerBatchCommit, "1")
	for _, w := range batch[:len(batch)-1] {
		if err := b.conn.PublishMsg(w.m); err != nil {
			return 0, err
		}
	}
	return b.publish(ctx, last)
}

// batches counts them, for their ids.
var batches atomic.Uint64

// alone writes one message by itself, again where it is not known whether it
// was written, until its caller gives up. attempt is the error of the attempt
// that has been made, or nil.
func (c *committer) alone(w *write, attempt error) written {
	for wait := backoff(0); ; {
		b, err := c.connect(w.ctx)
		if err != nil {
			return written{err: because(err, attempt)}
		}
		if attempt == nil {
			var seq uint64
			if seq, attempt = b.publish(w.ctx, w.m); attempt == nil {
				return written{seq: seq}
			}
		}
		var api *jetstream.APIError
		switch {
		case isMismatch(attempt):
			last, err := b.fromLeader(w.ctx, c.stream, leaderRequest{LastFor: w.m.Subject})
			// After a write that failed the server may tell of what it has in
			// memory alone.
			if err := b.sound(c.stream); err != nil {
				return written{err: err}
			}
			switch {
			case err != nil: // asked again
			case last != nil && last.Header.Get(headerWrite) == w.id:
				return written{seq: last.Seq} // an earlier attempt arrived
			case last == nil && w.expect == 0, last != nil && last.Seq == w.expect:
				// Another write of this subject was under way, and failed.
			default:
				return written{err: &conflict{last}}
			}
		case errors.Is(attempt, ErrUnavailable):
			return written{err: attempt}
		case errors.As(attempt, &api) && api.ErrorCode != codeNotAvailable:
			return written{err: attempt}
		}
		if err := wait.wait(w.ctx); err != nil {
			return written{err: because(err, attempt)}
		}
		wait, attempt = wait.next(), nil
	}
}

// because returns err, and with it why there was something to wait for.
func because(err, attempt error) error {
	if attempt == nil || errors.Is(err, attempt) {
		return err
	}
	return fmt.Errorf("%w: %w", err, attempt)
}

// isIncomplete reports whether a batch was refused because the server could not
// set it down.
func isIncomplete(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeIncompleteBatch
}

// isMismatch reports whether a message was refused because its subject's last
// one was not what was expected.
func isMismatch(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
