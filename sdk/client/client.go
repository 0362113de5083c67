package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// Options say to which host, as whom, and what.
type Options struct {
	URL string // of the host's stream, for example wss://host.example/v1/stream
	UID string // whose audio it is; may be empty where the token says whose it is

	// Token is asked for a bearer token before each handshake, so that one that
	// expires can be renewed. nil sends none. An error is a failed attempt.
	Token func(ctx context.Context) (string, error)

	Audio    *wire.Format      // PCM of any kind, not Opus; nil: transcripts only
	Language string            // BCP 47
	Source   string            // the device or program
	Metadata map[string]string // kept with the conversation

	// BufferBytes bounds what is kept until the host has acknowledged it, audio
	// and transcripts together; when it is full, writing waits. 0 means 4 MiB:
	// 2 minutes of 16 kHz PCM.
	BufferBytes int

	// OnMessage is called with each message of the host, in their order, by one
	// goroutine: while it runs, nothing is read. It must not wait for the
	// client. nil ignores them.
	OnMessage func(Message)
	// OnRefused is called, before OnMessage, with a transcript that the host
	// did not take, and will not take as it is; by the same goroutine. Those
	// that come without it are counted only, see Stats.
	OnRefused func(segments []event.Segment, why *wire.Error)
	// OnRetry is called before the client waits to connect again. An error ends
	// the client with that error. nil tries for as long as it takes.
	OnRetry func(Retry) error

	TLS *tls.Config // of wss; nil: the system's roots
	// DialContext makes the connection; nil: a net.Dialer's, or by the proxy
	// that the environment names.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Jitter returns a time from 0 to most, to spread clients that lost their
	// host at once; nil: any, at random. Tests set it.
	Jitter func(most time.Duration) time.Duration
}

// Token returns an Options.Token that is the same for ever.
func Token(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

const defaultBufferBytes = 4 << 20

// audioMessage bounds one message of audio, and so what has to be sent again
// when a connection breaks in the middle of it: 1 s of 16 kHz PCM.
const audioMessage = 32 << 10

// Message is a message of the host, and the frame as it came.
type Message struct {
	wire.Message // nil when it is of a type that this version does not know
	Raw          []byte
}

// Stats count what became of what was written.
type Stats struct {
	Session     string // the current one; "" before the first ready
	Connections int    // that got as far as ready
	Sessions    int    // that were begun; more than 1 when one could not be resumed

	AudioBytes  int64 // written
	AckedAudio  int64 // bytes of it that the host has acknowledged
	LostAudio   int64 // bytes of it that a host had acknowledged and lost when it died
	Transcripts int   // written
	Acked       int   // transcripts that are on the host's synced disk
	Refused     int   // transcripts that the host did not take
	Buffered    int   // bytes in the buffer, its bookkeeping included
}

// Client is a stream to a host that outlives its connections. It owns its
// goroutines; Close ends them. End, or Close, must be called.
//
// 1 connect  2 start  3 ready  4 send and receive, then either 5 lost: wait,
// and again from 1; or 6 end: the host closes with 1000, and the client is over.
type Client struct {
	o      Options
	pace   pacer // belongs to run
	cancel context.CancelFunc
	done   chan struct{} // closed when run is over
	err    error         // why; nil after End. Valid once done is closed
	wake   chan struct{} // holds at most one signal: there is something to send

	mu      sync.Mutex // guards what follows; never held across a call of the network's or the caller's
	queue   queue
	stats   Stats
	ready   *wire.Ready   // of the last stream; nil before the first
	ending  bool          // End was called
	changed chan struct{} // closed, and made anew, when ready comes or the buffer shrinks
}

// New checks the options and begins to connect; it waits for nothing. The error
// says which option can't be.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, fmt.Errorf("URL %q is no stream's; write it like wss://host.example/v1/stream", o.URL)
	}
	if o.Audio != nil {
		f := *o.Audio // the caller's may change
		if o.Audio = &f; f.Rate < 1 || f.Channels < 1 {
			return nil, fmt.Errorf("an audio format of %d Hz and %d channels can't be; give both", f.Rate, f.Channels)
		}
		if f.Codec == wire.Opus {
			return nil, errors.New("this client sends PCM only: it cuts audio where it likes, and Opus takes one packet in each message (docs/clients.md)")
		}
	}
	if o.BufferBytes <= 0 {
		o.BufferBytes = defaultBufferBytes
	}
	if o.Jitter == nil {
		o.Jitter = anyUpTo
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{
		o: o, pace: newPacer(o.Audio), cancel: cancel,
		done: make(chan struct{}), wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	go c.run(ctx) // ends by End, Close or an error that trying again can't mend; Close and End wait for it by done
	return c, nil
}

// WaitReady waits for the host's first ready, and returns the latest. The error
// is ctx's, or why the client is over.
func (c *Client) WaitReady(ctx context.Context) (*wire.Ready, error) {
	var r *wire.Ready
	err := c.await(ctx, func() bool { r = c.ready; return r != nil })
	return r, err
}

// WriteAudio takes audio in the declared format: whole samples of every
// channel, any number. It copies pcm, and waits while the buffer is full; n is
// how much was taken when ctx ended before all was. The other errors are
// ErrNoAudio, ErrEnded, ErrClosed, or why the client is over.
func (c *Client) WriteAudio(ctx context.Context, pcm []byte) (n int, err error) {
	if c.o.Audio == nil {
		return 0, ErrNoAudio
	}
	if len(pcm)%c.pace.frame != 0 {
		return 0, fmt.Errorf("%d bytes of audio are not whole samples; write a multiple of %d", len(pcm), c.pace.frame)
	}
	most := max(c.pace.whole(min(audioMessage, c.o.BufferBytes/2-itemBytes)), c.pace.frame)
	for n < len(pcm) {
		piece := slices.Clone(pcm[n:min(n+most, len(pcm))])
		if err := c.write(ctx, len(piece), func() { c.queue.addAudio(piece) }); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

// Transcript takes segments of the client's own speech-to-text, which travel
// in one message. It numbers it, and waits while the buffer is full. The errors
// are ErrTooLarge, ErrEnded, ErrClosed, ctx's, what JSON can't say, or why the
// client is over. Whether the host takes the segments is told by OnRefused.
func (c *Client) Transcript(ctx context.Context, segments []event.Segment) error {
	b, err := json.Marshal(segments)
	if err != nil {
		return fmt.Errorf("encoding segments: %w", err)
	}
	segments = slices.Clone(segments)
	if most := c.messageBytes() - transcriptBytes; len(b) > most || len(b)+itemBytes > c.o.BufferBytes {
		return fmt.Errorf("%d segments of %d bytes: %w; write fewer at once", len(segments), len(b), ErrTooLarge)
	}
	return c.write(ctx, len(b), func() {
		c.queue.addTranscript(segments, len(b))
		c.stats.Transcripts++
	})
}

// transcriptBytes is what a transcript message has around its segments.
const transcriptBytes = len(`{"type":"transcript","seq":9007199254740992,"segments":}`)

// messageBytes returns how large a message may be.
func (c *Client) messageBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready != nil && c.ready.Limits.MessageBytes > 0 {
		return int(min(c.ready.Limits.MessageBytes, 1<<30))
	}
	return 1 << 20 // hosts' default
}

// Finish asks to complete the conversation, after what was written before. What
// is written afterwards belongs to the next. A conversation in which nothing
// was said stays open, which the host tells by an error.
func (c *Client) Finish(ctx context.Context) error {
	return c.write(ctx, 0, c.queue.addFinish)
}

// End sends what was written, has the conversation completed, and waits until
// the host has sent what is due and closed the stream; then the client is over.
// The stream is told to end only once every transcript is acknowledged. When
// ctx ends before, its error is returned, and the client goes on; so End may be
// called again, or Close. The other errors are why the client is over: none
// after an earlier End.
func (c *Client) End(ctx context.Context) error {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.signal()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close lets go of the stream, and of what was not sent, and waits for the
// client's goroutines. The session stays open at the host for its grace period,
// and what it has is then completed. Methods return ErrClosed afterwards.
func (c *Client) Close() error {
	c.cancel()
	<-c.done
	return nil
}

// Done returns a channel that is closed when the client is over: after End, Close,
// or an error that trying again can't mend, which End returns.
func (c *Client) Done() <-chan struct{} { return c.done }

// Stats returns the counts as they are now.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.AudioBytes, s.AckedAudio, s.LostAudio = c.queue.written, c.queue.acked, c.queue.lost
	s.Acked = s.Transcripts - s.Refused - c.queue.transcripts
	s.Buffered = c.queue.cost
	return s
}

// write puts something of the given length into the buffer once there is room.
// add is called with mu held.
func (c *Client) write(ctx context.Context, length int, add func()) error {
	var ended bool
	err := c.await(ctx, func() bool {
		if ended = c.ending; ended {
			return true
		}
		// What is larger than the buffer waits until it is empty.
		if c.queue.cost > 0 && c.queue.cost+length+itemBytes > c.o.BufferBytes {
			return false
		}
		add()
		return true
	})
	if err == nil && ended {
		return ErrEnded
	}
	c.signal()
	return err
}

// await waits until is, called with mu held, returns true. The error is ctx's,
// or why the client is over.
func (c *Client) await(ctx context.Context, is func() bool) error {
	for {
		select {
		case <-c.done:
			if c.err == nil {
				return ErrEnded
			}
			return c.err
		default:
		}
		c.mu.Lock()
		ok, changed := is(), c.changed
		c.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tell wakes those who await. mu is held.
func (c *Client) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// signal wakes the sender.
func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run keeps a stream until there is nothing more to do or to hope for.
func (c *Client) run(ctx context.Context) {
	defer close(c.done)
	c.err = c.keep(ctx)
	c.cancel()
}

func (c *Client) keep(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for attempt := 1; ; attempt++ {
		progress, err := c.stream(ctx)
		var refused *RefusedError
		var closed *ClosedError
		switch {
		case ctx.Err() != nil:
			return ErrClosed
		case err == nil:
			return nil
		case errors.Is(err, errExpired):
			if c.expired() {
				return nil
			}
			attempt--
			continue // at once: a new session is no repetition
		case errors.As(err, &refused) && !refused.retryable():
			return err
		case errors.As(err, &closed) && !wire.MayRetry(closed.Code):
			return closed
		}
		if progress {
			attempt = 1
		}
		var asked time.Duration
		if refused != nil {
			asked = refused.RetryAfter
		}
		if l, ok := errors.AsType[*lostError](err); ok {
			asked, err = l.retryAfter, l.error
		}
		in := wait(attempt, asked, c.o.Jitter)
		if c.o.OnRetry != nil {
			c.mu.Lock()
			r := Retry{Err: err, Attempt: attempt, In: in, Ready: c.ready != nil}
			c.mu.Unlock()
			if err := c.o.OnRetry(r); err != nil {
				return err
			}
		}
		timer.Reset(in)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ErrClosed
		}
	}
}

// expired goes on without the session, which the host does not know any more.
// It reports whether that is as it should be: the client was told to end, and
// every transcript is safe, so the host has ended the session.
func (c *Client) expired() (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending && c.queue.transcripts == 0 && c.queue.head() == nil {
		return true
	}
	c.stats.Session = ""
	c.queue.restart()
	return false
}
