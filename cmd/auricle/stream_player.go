package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"syscall"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

const (
	playEndTimeout   = 60 * time.Second // for the host to close after end
	playBreakTimeout = 10 * time.Second // the same after an interruption
	playFrame        = 100 * time.Millisecond
	playBufferBytes  = 64 << 20 // at full speed, an acknowledgement a second must not hold it up
)

// asFastAsItGoes is the speed that waits for nothing but the host.
var asFastAsItGoes = math.Inf(1)

// playOptions say what to play, to which host, and how fast.
type playOptions struct {
	URL      string      // of the host's stream, for example ws://127.0.0.1:7080/v1/stream
	TLS      *tls.Config // of a wss URL; nil: certificates are checked the usual way
	UID      string
	Language string
	Source   string
	Metadata map[string]string

	Audio    io.Reader       // the sound, as Format says; nil when there is none
	Format   audio.Format    // of Audio
	Segments []event.Segment // in order of End

	Speed float64       // times real time; 0 means 1, asFastAsItGoes does not wait
	Frame time.Duration // of sound in one message; 0 means 100 ms

	// RetryFor is for how long a stream that was lost, or that a host refuses
	// for now, is tried again; 0: not at all. A host that never answered is not
	// tried again.
	RetryFor time.Duration

	// OnMessage is called with each message of the host, in their order, by
	// one goroutine: while it runs, nothing is read. nil ignores them.
	OnMessage func(client.Message)
	// OnRetry is called before a stream is tried again, by another goroutine
	// than OnMessage. nil ignores it.
	OnRetry func(client.Retry)
	// OnSend is called after something was handed to the client, with how far
	// the playing has come in the recording's own time; by another goroutine
	// than OnMessage.
	OnSend func(position time.Duration)
}

// playResult says what became of a playing. It is filled as far as the playing
// came, also when play returns an error.
type playResult struct {
	client.Stats
	Outputs   int // notifications included
	Gaps      int
	Errors    int                  // that the host sent
	Completed []event.Conversation // in the order of completion
	Elapsed   time.Duration
}

// Unacked says what was sent and never acknowledged, "" when nothing was.
func (r *playResult) Unacked() string {
	var what string
	if n := r.AudioBytes - r.AckedAudio; n > 0 {
		what = fmt.Sprintf("%d bytes of audio", n)
	}
	if n := r.Transcripts - r.Acked - r.Refused; n > 0 {
		if what != "" {
			what += " and "
		}
		what += counted(n, "transcript message")
	}
	return what
}

// play plays a conversation to a host: it starts a stream, sends sound and
// transcript when they would have come live (a frame when it has been heard, a
// segment when it has been said), sends end, and returns when the host has
// closed the stream. A stream that is lost is resumed.
//
// It returns nil only when the host closed with 1000 after end. When ctx is
// cancelled it stops playing, ends the conversation properly (bounded by 10 s)
// and returns an error that wraps ctx.Err().
func play(ctx context.Context, o playOptions) (playResult, error) {
	begun := time.Now()
	p := &player{o: o}
	co := client.Options{
		URL: o.URL, UID: o.UID, Language: o.Language, Source: o.Source, Metadata: o.Metadata,
		BufferBytes: playBufferBytes, OnMessage: p.note, OnRetry: p.retry, TLS: o.TLS,
	}
	if o.Audio != nil {
		co.Audio = &wire.Format{Codec: string(o.Format.Codec), Rate: o.Format.Rate, Channels: o.Format.Channels}
	}
	c, err := client.New(co)
	if err != nil {
		return playResult{}, err
	}
	err = p.run(ctx, c)
	err = errors.Join(err, c.Close())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result.Stats, p.result.Elapsed = c.Stats(), time.Since(begun)
	return p.result, err
}

// player is one running play.
type player struct {
	o      playOptions
	lostAt time.Time // when the stream was lost; belongs to retry

	mu     sync.Mutex // guards what follows
	result playResult
}

// run sends everything and waits for the host to close.
func (p *player) run(ctx context.Context, c *client.Client) error {
	_, err := c.WaitReady(ctx)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", ctx.Err())
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s; is the host running? start it with \"auricle serve\"", p.o.URL)
	case err != nil:
		return fmt.Errorf("waiting for ready: %w", hostError(err))
	}
	position, err := p.sendAll(ctx, c)
	interrupted := err != nil && ctx.Err() != nil
	if err != nil && !interrupted {
		return fmt.Errorf("playing: %w", hostError(err))
	}
	limit := playEndTimeout + p.o.RetryFor
	if !interrupted {
		err = end(ctx, c, limit)
		interrupted = err != nil && ctx.Err() != nil
	}
	if interrupted { // it ends the playing, not the end
		limit = playBreakTimeout
		err = end(context.WithoutCancel(ctx), c, limit)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the host did not close the stream within %v of end", limit)
	case err != nil:
		return fmt.Errorf("waiting for the end: %w", hostError(err))
	case interrupted:
		return fmt.Errorf("interrupted at %s; what was sent until then is completed: %w", clock(position), ctx.Err())
	}
	return nil
}

// end ends the conversation and waits for the host, for a time.
func end(ctx context.Context, c *client.Client, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.End(ctx)
}

// sendAll sends sound and transcript, each when it is due, and returns how far
// it came. The error is ctx.Err() when ctx ended.
func (p *player) sendAll(ctx context.Context, c *client.Client) (position time.Duration, err error) {
	pace := newPacer(p.o.Speed)
	defer pace.stop()
	var frame []byte
	if p.o.Audio != nil {
		length := p.o.Frame
		if length <= 0 {
			length = playFrame
		}
		samples := max(int64(length)*int64(p.o.Format.Rate)/int64(time.Second), 1)
		frame = make([]byte, samples*int64(p.o.Format.FrameBytes()))
	}

	segments := p.o.Segments
	heard := int64(0) // bytes of sound
	for sound := frame != nil; sound || len(segments) > 0; {
		if len(segments) > 0 && (!sound || seconds(segments[0].End) <= position) {
			position = max(position, seconds(segments[0].End))
			if err := pace.wait(ctx, c.Done(), position); err != nil {
				return position, err
			}
			if err := c.Transcript(ctx, segments[:1]); err != nil {
				return position, err
			}
			segments = segments[1:]
		} else {
			n, err := io.ReadFull(p.o.Audio, frame)
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				sound = false
			} else if err != nil {
				return position, fmt.Errorf("reading the sound: %w", err)
			}
			if n == 0 {
				continue
			}
			heard += int64(n)
			position = p.o.Format.Duration(heard)
			if err := pace.wait(ctx, c.Done(), position); err != nil {
				return position, err
			}
			if _, err := c.WriteAudio(ctx, frame[:n]); err != nil {
				return position, err
			}
		}
		if p.o.OnSend != nil {
			p.o.OnSend(position)
		}
	}
	return position, nil
}

// retry says whether a stream is worth another try.
func (p *player) retry(r client.Retry) error {
	_, answered := errors.AsType[*client.RefusedError](r.Err)
	if !r.Ready && !answered {
		return r.Err
	}
	if r.Attempt == 1 {
		p.lostAt = time.Now()
	}
	if time.Since(p.lostAt)+r.In > p.o.RetryFor {
		return r.Err
	}
	if p.o.OnRetry != nil {
		p.o.OnRetry(r)
	}
	return nil
}

// hostError is err with what the host said made fit for a terminal.
func hostError(err error) error {
	if refused, ok := errors.AsType[*client.RefusedError](err); ok {
		e := *refused
		e.Message, e.Code = printable(e.Message), printable(e.Code)
		return &e
	}
	if closed, ok := errors.AsType[*client.ClosedError](err); ok {
		e := *closed
		e.Message, e.Reason = printable(e.Message), printable(e.Reason)
		return &e
	}
	return err
}

// note keeps what the result tells about a message, and passes it on.
func (p *player) note(m client.Message) {
	p.mu.Lock()
	r := &p.result
	switch m := m.Message.(type) {
	case *wire.Output:
		r.Outputs++
	case *wire.Gap:
		r.Gaps++
	case *wire.Error:
		r.Errors++
	case *wire.Conversation:
		if m.Conversation != nil {
			r.Completed = append(r.Completed, *m.Conversation)
		}
	}
	p.mu.Unlock()
	if p.o.OnMessage != nil {
		p.o.OnMessage(m)
	}
}

// pacer turns the recording's time into waiting.
type pacer struct {
	begin time.Time
	speed float64
	timer *time.Timer
}

func newPacer(speed float64) *pacer {
	if speed == 0 {
		speed = 1
	}
	return &pacer{begin: time.Now(), speed: speed, timer: time.NewTimer(0)}
}

// wait returns when the position in the recording is due, ctx.Err() when ctx
// ends before. It does not wait any longer once over is closed.
func (p *pacer) wait(ctx context.Context, over <-chan struct{}, position time.Duration) error {
	if err := ctx.Err(); err != nil || p.speed == asFastAsItGoes {
		return err
	}
	due := p.begin.Add(time.Duration(float64(position) / p.speed))
	p.timer.Reset(time.Until(due))
	select {
	case <-p.timer.C:
		return nil
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pacer) stop() { p.timer.Stop() }
