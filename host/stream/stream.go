package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/go-hclog"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/conversation"
)

// endTimeout bounds how long end waits for the apps.
const endTimeout = 30 * time.Second

// warnInterval is the least time between two errors about refused audio: a
// client that goes on sending it is told once in a while, not for each frame.
const warnInterval = time.Second

// stream is one WebSocket connection. Its reader is run; the fields that are
// not guarded belong to it.
type stream struct {
	server  *Server
	conn    *websocket.Conn
	log     hclog.Logger
	out     *outbox
	gaps    gaps
	session *conversation.Attachment // nil before start

	identity auth.Identity // who streams; not changed once run has begun

	ended      bool // end was received
	toldEnded  bool // the client was told that it had ended
	warned     time.Time
	closedWith int // by the client; 0 when it did not

	wg sync.WaitGroup // the writer, and what waits for end
}

func newStream(s *Server, c *websocket.Conn) *stream {
	st := &stream{
		server: s,
		conn:   c,
		log:    s.log.With("remote", c.RemoteAddr().String()),
		out:    newOutbox(c, s.o.Config.OutputQueueBytes, s.metrics.queuedBytes),
	}
	st.gaps.send = func(g Gap) { st.send(&g) }
	return st
}

// run reads the stream until it is over, and then waits for what it started.
func (st *stream) run() {
	defer st.server.forget(st)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	st.wg.Go(st.write) // ends when it has written a close, or can't write

	read := func() {
		defer st.rescue("reading")
		st.read(ctx)
	}
	read()
	clientFirst := st.out.leave()
	cancel()
	if st.session != nil {
		st.session.Detach()
	}
	st.gaps.close()
	st.wg.Wait()
	st.conn.Close() // the connection is over; its error says nothing more

	code := st.out.closeCode()
	if clientFirst {
		code = st.closedWith
	}
	if code == 0 {
		code = websocket.CloseAbnormalClosure
	}
	st.server.metrics.closes.WithLabelValues(closeLabel(code)).Inc()
	st.log.Debug("stream closed", "code", code)
}

// rescue turns a panic into a close with 1011. Defer it.
func (st *stream) rescue(doing string) {
	if p := recover(); p != nil {
		st.log.Error("panic in a stream", "doing", doing, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		st.fail(CloseInternal, "internal", "the host failed while "+doing+"; it has been logged", nil)
	}
}

// write writes what is queued, pings in between, and closes at last.
func (st *stream) write() {
	lost := CloseCode{} // if the connection breaks
	defer func() { st.out.end(lost) }()
	defer st.rescue("writing")
	cut := func(err error) {
		st.log.Debug("writing to a client", "error", err)
		if isTimeout(err) {
			lost = CloseSlowReader
		}
		st.conn.Close() // the reader notices
	}
	ping := time.NewTicker(st.server.o.Config.PingInterval)
	defer ping.Stop()
	for {
		f := st.out.next()
		select {
		case <-ping.C:
			if err := st.conn.WriteControl(websocket.PingMessage, nil, f.by); err != nil {
				cut(err)
				return
			}
		default:
		}
		switch f.kind {
		case 0:
			select {
			case <-st.out.wake:
			case <-ping.C:
				if err := st.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout)); err != nil {
					cut(err)
					return
				}
			}
			continue
		case websocket.TextMessage:
			st.conn.SetWriteDeadline(f.by)
			if err := st.conn.WriteMessage(f.kind, f.data); err != nil {
				cut(err)
				return
			}
			st.out.done(f)
		default:
			if err := st.conn.WriteControl(f.kind, f.data, f.by); err != nil {
				cut(err)
				return
			}
		}
		if f.kind == websocket.CloseMessage {
			// The reader takes what the client still sends, until it closes
			// too or this is over.
			st.conn.SetReadDeadline(time.Now().Add(closeTimeout))
			return
		}
	}
}

// read takes messages until the connection is over. Once the stream is
// closing, what comes is read and let go.
func (st *stream) read(ctx context.Context) {
	c := st.server.o.Config
	st.out.expect(time.Now().Add(c.StartTimeout))
	st.conn.SetPingHandler(func(data string) error {
		st.out.answer(data)
		return nil
	})
	st.conn.SetPongHandler(func(string) error {
		if st.session != nil {
			st.out.expect(time.Now().Add(c.PongTimeout))
		}
		return nil
	})
	st.conn.SetCloseHandler(func(code int, _ string) error {
		st.closedWith = code
		return nil // the writer answers
	})
	for {
		kind, r, err := st.conn.NextReader()
		if err == nil && !st.out.isClosing() {
			err = st.message(ctx, kind, r)
		}
		if err != nil {
			st.readError(err)
			return
		}
	}
}

// readError says why the connection can't be read any more.
func (st *stream) readError(err error) {
	if !isTimeout(err) {
		st.log.Debug("reading from a client", "error", err)
		return
	}
	if st.session == nil {
		st.fail(CloseNeverStarted, "never_started", fmt.Sprintf("no start came within %v; send it as the first message", st.server.o.Config.StartTimeout), nil)
		return
	}
	st.out.close(CloseNoPong, &Closing{Code: "no_pong", Message: fmt.Sprintf("no pong came within %v; answer pings, and connect again", st.server.o.Config.PongTimeout)})
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// message reads one message and acts on it. An error is the connection's.
func (st *stream) message(ctx context.Context, kind int, r io.Reader) error {
	buf := st.server.buffers.Get().(*[]byte)
	defer st.server.buffers.Put(buf)
	b, err := readMessage(r, buf, st.server.o.Config.MaxMessageBytes)
	st.server.metrics.received.Add(float64(len(b)))
	if errors.Is(err, errTooLarge) {
		st.fail(CloseLimitReached, "message_too_large", fmt.Sprintf("a message is larger than %d bytes (limits.message_bytes); send smaller ones", st.server.o.Config.MaxMessageBytes), nil)
		return nil
	}
	if err != nil {
		return err
	}
	if kind == websocket.BinaryMessage {
		st.audio(b)
	} else {
		st.text(ctx, b)
	}
	return nil
}

var errTooLarge = errors.New("message too large")

// readMessage reads a message into *buf, which it replaces by a larger one as
// the message needs it, and returns it. A message longer than limit is
// errTooLarge; what follows of it is not read.
func readMessage(r io.Reader, buf *[]byte, limit int64) ([]byte, error) {
	n := 0
	for {
		if n == len(*buf) {
			grown := make([]byte, min(2*int64(n), max(limit, 1)+1))
			copy(grown, *buf)
			*buf = grown
		}
		k, err := r.Read((*buf)[n:])
		n += k
		if int64(n) > limit {
			return (*buf)[:n], errTooLarge
		}
		if err == io.EOF {
			return (*buf)[:n], nil
		}
		if err != nil {
			return (*buf)[:n], err
		}
	}
}

// shutdown has the stream closed because the host stops.
func (st *stream) shutdown() {
	st.out.close(CloseShuttingDown, &Closing{Code: "shutting_down", RetryAfterMillis: st.server.retryAfter().Milliseconds(),
		Message: "the host is shutting down; the conversation stays open: connect again in a while and resume the session"})
}

// fail tells the client what it did wrong and closes the stream.
func (st *stream) fail(code CloseCode, name, message string, ref *Ref) {
	if st.out.close(code, &Error{Code: name, Message: message, Fatal: true, Ref: ref}) {
		st.server.metrics.refused.WithLabelValues(name).Inc()
	}
}

// send queues m for the client.
func (st *stream) send(m Message) {
	if st.out.isClosing() {
		return // before the work of encoding it
	}
	b, err := Encode(m)
	if err != nil {
		// An app's data that is no JSON would have been refused long before.
		st.log.Error("a message can't be sent", "error", err)
		return
	}
	st.out.send(b)
}
