package store

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// following says what to follow of a stream and whom to tell. Its functions
// are called one at a time.
type following struct {
	stream string
	config func() jetstream.OrderedConsumerConfig

	begin   func()                            // the stream is followed from the beginning, also again after the connection broke
	message func(m jetstream.Msg, seq uint64) // in the stream's order
	synced  func()                            // what was there at begin has been told
	tick    func()                            // nothing came for a while; nil: nobody wants to know
	every   time.Duration                     // that while
}

// lastOfEachSubject follows what every subject holds now.
func lastOfEachSubject() jetstream.OrderedConsumerConfig {
	return jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}
}

// follow tells of a stream's messages until ctx ends, which is no error, or
// the store closes.
func (s *Store) follow(ctx context.Context, f following) error {
	ctx, end, err := s.attend(ctx)
	if err != nil {
		return err
	}
	defer end()
	for wait := backoff(0); ; {
		b, err := s.connected(ctx)
		if err == nil {
			began := time.Now()
			err = b.follow(ctx, f)
			if time.Since(began) > time.Duration(maxBackoff) {
				wait = 0
			}
		}
		if s.closing.Err() != nil {
			return ErrClosed
		}
		if ctx.Err() != nil {
			return nil
		}
		s.log.Debug("following a stream again", "stream", f.stream, "error", err)
		if wait.wait(ctx) == nil {
			wait = wait.next()
		}
	}
}

// follow tells of a stream's messages until ctx ends or the connection breaks.
func (b *backend) follow(ctx context.Context, f following) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(b.link.life(), func() { cancel(errInterrupted) })()

	start, done := context.WithTimeout(ctx, DefaultTimeout)
	defer done()
	state, err := b.state(start, f.stream)
	if err != nil {
		return err
	}
	consumer, err := b.stream[f.stream].OrderedConsumer(start, f.config())
	if err != nil {
		return err
	}
	left := consumer.CachedInfo().NumPending
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()

	f.begin()
	synced := left == 0
	if synced {
		f.synced()
	}
	for {
		m, err := next(ctx, messages, f.every)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, context.DeadlineExceeded):
			f.tick()
			continue
		case err != nil:
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		// What comes after the state was read is no part of what was there.
		if !synced && meta.Sequence.Stream > state.LastSeq {
			synced = true
			f.synced()
		}
		f.message(m, meta.Sequence.Stream)
		if !synced && meta.NumPending == 0 {
			synced = true
			f.synced()
		}
	}
}

// next waits for the next message, for at most the time given unless that is
// 0.
func next(ctx context.Context, messages jetstream.MessagesContext, most time.Duration) (jetstream.Msg, error) {
	if most != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	return messages.Next(jetstream.NextContext(ctx))
}
