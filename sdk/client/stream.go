package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/sdk/wire"
)

// The bounds of what a connection is waited for.
const (
	dialTimeout  = 10 * time.Second // to connect and be upgraded
	readyTimeout = 15 * time.Second // for ready after start
	writeTimeout = 30 * time.Second // for the host to take one message
	quietTimeout = 90 * time.Second // without a message or a ping: hosts ping every 20 s
	closeTimeout = time.Second      // for the reason of a close to be read, or our own close to be sent

	// maxHostMessage bounds one message of the host: a completed conversation
	// comes whole.
	maxHostMessage = 64 << 20
)

// errExpired says that the host knows no such session to resume.
var errExpired = errors.New("the session can't be resumed")

// lostError is a stream that may be had again, and when.
type lostError struct {
	error
	retryAfter time.Duration // what the host asked for
}

func (e *lostError) Unwrap() error { return e.error }

// stream is one connection, from the handshake until it is over. Its fields
// belong to the goroutine that reads, until over is closed.
type stream struct {
	c       *Client
	conn    *websocket.Conn
	resumes bool             // start named a session
	ready   chan wire.Limits // takes one value
	over    chan struct{}    // closed when reading has ended
	said    *ClosedError     // the last fatal error or closing message
	after   time.Duration    // that closing asked for
	ended   error            // why reading has ended
	begun   time.Time        // when ready came
	moved   bool             // something has arrived at the host
}

// stream connects and keeps the connection until it is over. It returns nil
// when the host has closed it with 1000 after end; progress reports whether
// something has arrived since the one before, or the stream lived for a while.
func (c *Client) stream(ctx context.Context) (progress bool, err error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return false, err
	}
	st := &stream{c: c, conn: conn, ready: make(chan wire.Limits, 1), over: make(chan struct{})}
	var wg sync.WaitGroup
	left := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(left)
		st.leave()
	})
	defer func() {
		if !stop() {
			<-left
		}
	}()
	start := c.start()
	st.resumes = start.Session != ""
	wg.Go(st.read) // ends when conn closes, below
	ended, err := st.send(ctx, start)
	if err != nil && ctx.Err() == nil {
		// Why the host closed says more than the write that failed for it.
		patience := time.NewTimer(closeTimeout)
		select {
		case <-st.over:
		case <-patience.C:
		}
		patience.Stop()
	}
	closeErr := conn.Close()
	wg.Wait()
	if ended && websocket.IsCloseError(st.ended, websocket.CloseNormalClosure) {
		return true, nil
	}
	progress = st.moved || !st.begun.IsZero() && time.Since(st.begun) >= steady
	return progress, st.why(errors.Join(err, closeErr))
}

// connect dials and upgrades.
func (c *Client) connect(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	header := http.Header{}
	if c.o.Token != nil {
		token, err := c.o.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("getting a token: %w", err)
		}
		header.Set("Authorization", "Bearer "+token)
	}
	d := websocket.Dialer{TLSClientConfig: c.o.TLS, NetDialContext: c.o.DialContext, WriteBufferSize: 4096, ReadBufferSize: 4096}
	if c.o.DialContext == nil {
		d.Proxy = http.ProxyFromEnvironment
	}
	conn, resp, err := d.DialContext(ctx, c.o.URL, header)
	if err == nil {
		conn.SetReadLimit(maxHostMessage)
		return conn, nil
	}
	if resp == nil {
		return nil, fmt.Errorf("connecting to %s: %w", c.o.URL, err)
	}
	refused := &RefusedError{URL: c.o.URL, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now())}
	var body struct {
		Error struct{ Code, Message string }
	}
	// The dialer has kept the first KiB of the body. What is not the host's JSON
	// came from something else, and its status has to do.
	if b, err := io.ReadAll(resp.Body); err == nil && json.Unmarshal(b, &body) == nil {
		refused.Code, refused.Message = body.Error.Code, body.Error.Message
	}
	return nil, refused
}

// start returns the first message.
func (c *Client) start() *wire.Start {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &wire.Start{UID: c.o.UID, Audio: c.o.Audio, Session: c.stats.Session,
		Language: c.o.Language, Source: c.o.Source, Metadata: c.o.Metadata}
}

// leave closes the connection of a client that is closed. It ends the reading
// and the writing.
func (st *stream) leave() {
	// The host is told that it was meant; if it can't be, it will notice.
	_ = st.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(closeTimeout))
	_ = st.conn.Close() // of which stream tells
}

// why says how a connection came to its end.
func (st *stream) why(sending error) error {
	closed := st.said
	var frame *websocket.CloseError
	var quiet net.Error
	switch {
	case errors.As(st.ended, &frame) && frame.Code != websocket.CloseAbnormalClosure:
		if closed == nil {
			closed = &ClosedError{}
		}
		closed.Code, closed.Reason = frame.Code, frame.Text
		if closed.Code == wire.CloseSessionExpired.Code && st.resumes {
			return errExpired
		}
		return &lostError{closed, st.after}
	case errors.As(st.ended, &quiet) && quiet.Timeout():
		return &lostError{fmt.Errorf("nothing came from the host for %v, not even a ping", quietTimeout), 0}
	case sending != nil && !errors.Is(sending, net.ErrClosed):
		return &lostError{fmt.Errorf("the connection to the host broke: %w", sending), st.after}
	}
	return &lostError{fmt.Errorf("the connection to the host broke: %w", st.ended), st.after}
}

// send sends start, waits for ready, and sends what the client has until the
// connection is over. ended reports whether end was sent.
func (st *stream) send(ctx context.Context, start *wire.Start) (ended bool, err error) {
	if err := st.message(start); err != nil {
		return false, err
	}
	timer := time.NewTimer(readyTimeout)
	defer timer.Stop()
	var limits wire.Limits
	select {
	case limits = <-st.ready:
	case <-st.over:
		return false, nil
	case <-timer.C:
		return false, fmt.Errorf("the host did not answer start within %v", readyTimeout)
	}
	c := st.c
	c.pace.hold(limits, time.Now())
	most := audioMessage
	if limits.MessageBytes > 0 {
		most = int(min(int64(most), limits.MessageBytes))
	}
	most = c.pace.most(most)
	idle := time.Duration(limits.IdleMillis) * time.Millisecond / 3 // well before the host closes; 0: never
	for err == nil {
		next := c.next(most, time.Now())
		switch {
		case next.pcm != nil:
			err = st.write(websocket.BinaryMessage, next.pcm)
			continue
		case next.message != nil:
			err = st.message(next.message)
			continue
		case next.end && !ended:
			ended = true
			err = st.message(&wire.End{})
			continue
		}
		quiet := next.in == 0 && idle > 0 && !ended
		if quiet {
			next.in = idle
		}
		var due <-chan time.Time
		if next.in > 0 {
			timer.Reset(next.in)
			due = timer.C
		}
		select {
		case <-c.wake:
		case <-due:
			if quiet {
				err = st.message(&wire.Keepalive{})
			}
		case <-st.over:
			return ended, nil
		case <-ctx.Done():
			return ended, nil
		}
	}
	return ended, err
}

// outgoing is what is to be sent next: one of a message, audio, and end, or
// nothing.
type outgoing struct {
	message wire.Message
	pcm     []byte
	end     bool          // all was sent, and all that has to be is acknowledged
	in      time.Duration // until audio may be sent; 0: nothing waits
}

// next takes what is to be sent next, audio in pieces of most.
func (c *Client) next(most int, now time.Time) outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.queue.head()
	if i == nil {
		return outgoing{end: c.ending && c.queue.transcripts == 0}
	}
	switch i.kind {
	case transcriptItem:
		i.sent, i.ever = 1, true
		return outgoing{message: &wire.Transcript{Seq: i.seq, Segments: i.segments}}
	case finishItem:
		i.sent, i.ever, i.again = 1, true, i.ever
		return outgoing{message: &wire.Finish{}}
	}
	pcm := i.pcm[i.sent:min(i.sent+most, len(i.pcm))]
	if in := c.pace.take(len(pcm), now); in > 0 {
		return outgoing{in: in}
	}
	i.sent, i.ever = i.sent+len(pcm), true
	return outgoing{pcm: pcm}
}

func (st *stream) message(m wire.Message) error {
	b, err := wire.Encode(m)
	if err != nil {
		return err
	}
	return st.write(websocket.TextMessage, b)
}

func (st *stream) write(kind int, b []byte) error {
	if err := st.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	err := st.conn.WriteMessage(kind, b)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("the host took nothing for %v", writeTimeout)
	}
	return err
}

// read reads the host's messages until the connection is over.
func (st *stream) read() {
	defer close(st.over)
	alive := func() error { return st.conn.SetReadDeadline(time.Now().Add(quietTimeout)) }
	pong := st.conn.PingHandler()
	st.conn.SetPingHandler(func(data string) error { return errors.Join(alive(), pong(data)) })
	for {
		if st.ended = alive(); st.ended != nil {
			return
		}
		var b []byte
		if _, b, st.ended = st.conn.ReadMessage(); st.ended != nil {
			return
		}
		m, err := wire.DecodeHost(b)
		if _, unknown := errors.AsType[*wire.UnknownTypeError](err); err != nil && !unknown {
			st.ended = err
			return
		}
		if st.take(m) && st.c.o.OnMessage != nil {
			st.c.o.OnMessage(Message{Message: m, Raw: b})
		}
	}
}

// take acts on a message. It reports whether it is the caller's business too.
func (st *stream) take(m wire.Message) (tell bool) {
	c := st.c
	switch m := m.(type) {
	case *wire.Ready:
		st.begin(m)
	case *wire.Ack:
		st.moved = true
		c.mu.Lock()
		defer c.mu.Unlock()
		c.queue.ack(m)
		c.tell()
		if c.ending {
			c.signal()
		}
	case *wire.Error:
		if m.Fatal {
			st.said = &ClosedError{Word: m.Code, Message: m.Message}
		}
		return st.refused(m)
	case *wire.Closing:
		st.said = &ClosedError{Word: m.Code, Message: m.Message}
		st.after = time.Duration(min(max(m.RetryAfterMillis, 0), maxRetryAfter.Milliseconds())) * time.Millisecond
	}
	return true
}

// begin goes on from what the host has received.
func (st *stream) begin(m *wire.Ready) {
	if !st.begun.IsZero() {
		return // a host that says ready twice
	}
	st.begun = time.Now()
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !st.resumes {
		c.stats.Sessions++
	}
	c.stats.Connections++
	c.stats.Session = m.Session
	if c.queue.resume(m.Received) {
		st.moved = true // the stream before has brought something across
	}
	c.ready = m
	c.tell()
	st.ready <- m.Limits
}

// refused lets go of what the host did not take. A finish that was sent again,
// in case the first had not arrived, may be refused without harm.
func (st *stream) refused(m *wire.Error) (tell bool) {
	c := st.c
	if m.Ref == nil {
		return true
	}
	if m.Ref.Seq == 0 {
		if m.Code != wire.CodeEmptyConversation {
			return true
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return !c.queue.repeats()
	}
	c.mu.Lock()
	segments := c.queue.refuseTranscript(m.Ref.Seq)
	if segments != nil {
		c.stats.Refused++
		c.tell()
	}
	if c.ending {
		c.signal()
	}
	c.mu.Unlock()
	if segments != nil && c.o.OnRefused != nil {
		c.o.OnRefused(segments, m)
	}
	return true
}
