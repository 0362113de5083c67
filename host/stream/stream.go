package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/go-hclog"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// endTimeout bounds how long end waits for the apps.
const endTimeout = 30 * time.Second

// warnInterval is the least time between two errors about refused audio: a
// client that goes on sending it is told once in a while, not for each frame.
const warnInterval = time.Second

// stream is one WebSocket connection. Its one goroutine is the reader, run; the
// fields that are not guarded belong to it. A writer exists only while there is
// something to write.
type stream struct {
	server  *Server
	conn    *websocket.Conn
	dialect dialect
	out     outbox
	watch   watch
	gaps    gaps
	pace    pace
	chaos   *streamChaos             // nil, but for a host that is to be chaotic
	unknown bool                     // it is counted in the server's unknown, whose lock guards this
	session *conversation.Attachment // nil before start, and of a dialect that keeps several itself
	uid     string                   // of the identity when the stream was opened, as which the server counts it

	identity auth.Identity // who streams; not changed once run has begun

	ended      bool // end was received
	toldEnded  bool // the client was told that it had ended
	warned     time.Time
	closedWith int // by the client; 0 when it did not

	wg sync.WaitGroup // writers, and what waits for end
}

func newStream(s *Server, c *websocket.Conn, speak func(*stream) dialect) *stream {
	st := &stream{server: s, conn: c}
	st.watch.idle = s.o.Config.IdleTimeout
	st.dialect = speak(st)
	st.out.init(c, st.dialect, s.o.Config.OutputQueueBytes, s.metrics.queuedBytes, func() {
		st.wg.Go(st.write) // ends when it has written all that waits, or can't write; run waits for it
	})
	st.gaps.init(s.clock, func(g wire.Gap) { st.send(&g) })
	return st
}

// log returns the stream's logger. Few streams have anything to say.
func (st *stream) log() hclog.Logger {
	return st.server.log.With("remote", st.conn.RemoteAddr().String())
}

// run reads the stream until it is over, and then waits for what it started.
func (st *stream) run() {
	defer st.server.forget(st)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	read := func() {
		defer st.rescue("reading")
		st.dialect.opened(ctx)
		st.read(ctx)
	}
	read()
	clientFirst := st.out.leave()
	cancel()
	st.dialect.closed()
	if st.session != nil {
		st.session.Detach()
	}
	st.gaps.close()
	st.wg.Wait() // leave had the last writer started
	st.watch.alarm.Stop()
	st.conn.Close() // the connection is over; its error says nothing more

	code := st.out.closeCode()
	if clientFirst {
		code = st.closedWith
	}
	if code == 0 {
		code = websocket.CloseAbnormalClosure
	}
	st.server.metrics.closes.WithLabelValues(closeLabel(code)).Inc()
	st.log().Debug("stream closed", "code", code)
}

// rescue turns a panic into a close with 1011. Defer it.
func (st *stream) rescue(doing string) {
	if p := recover(); p != nil {
		st.log().Error("panic in a stream", "doing", doing, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		st.fail(wire.CloseInternal, wire.CodeInternal, "the host failed while "+doing+"; it has been logged", nil)
	}
}

// write writes what is queued, and ends when nothing is. Of a stream there is
// never more than one at a time.
func (st *stream) write() {
	defer func() {
		if p := recover(); p != nil {
			st.log().Error("panic in a stream", "doing", "writing", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			st.out.end(wire.CloseInternal)
			st.conn.Close() // the reader notices
		}
	}()
	for {
		f, ok := st.out.next()
		if !ok {
			return
		}
		if err := st.put(f); err != nil {
			st.log().Debug("writing to a client", "error", err)
			lost := wire.CloseCode{}
			if isTimeout(err) {
				lost = wire.CloseSlowReader
			}
			st.out.end(lost)
			st.conn.Close() // the reader notices
			return
		}
		if f.kind == websocket.CloseMessage {
			// The reader takes what the client still sends, until it closes
			// too or its time is over.
			st.out.end(wire.CloseCode{})
			st.closeSent()
			return
		}
	}
}

// put writes one frame.
func (st *stream) put(f frame) error {
	if f.kind != st.out.kind {
		return st.conn.WriteControl(f.kind, f.data, f.by)
	}
	if !st.out.isClosing() {
		st.chaos.pause()
	}
	st.conn.SetWriteDeadline(f.by)
	if err := st.conn.WriteMessage(f.kind, f.data); err != nil {
		return err
	}
	st.out.done(f)
	return nil
}

// read takes messages until the connection is over. Once the stream is
// closing, what comes is read and let go.
func (st *stream) read(ctx context.Context) {
	st.conn.SetPingHandler(func(data string) error {
		st.out.answer(data)
		return nil
	})
	st.conn.SetPongHandler(func(string) error {
		st.ponged()
		return nil
	})
	st.conn.SetCloseHandler(func(code int, _ string) error {
		st.closedWith = code
		return nil // the writer answers
	})
	for {
		kind, r, err := st.conn.NextReader()
		if err == nil && !st.out.isClosing() {
			err = st.fated(ctx, kind, r)
		}
		if err != nil {
			st.log().Debug("reading from a client", "error", err)
			if brokeProtocol(err) {
				// gorilla/websocket has answered most of it itself, with this code.
				st.server.metrics.refused.WithLabelValues("bad_frame").Inc()
				st.out.close(wire.CloseProtocolError, nil)
			}
			return
		}
	}
}

// fated is message, unless chaos would have it otherwise.
func (st *stream) fated(ctx context.Context, kind int, r io.Reader) error {
	fate := st.chaos.message()
	switch {
	case fate.close != nil:
		st.out.close(*fate.close, st.server.chaosLast(*fate.close))
		return nil
	case fate.dropBefore:
		return st.conn.Close() // the next read notices
	}
	err := st.message(ctx, kind, r)
	if fate.dropAfter {
		st.conn.Close() // the same
	}
	return err
}

// brokeProtocol reports whether err of a read says that the client broke RFC
// 6455. gorilla/websocket has no type for that: what is neither a close nor the
// connection's own error is one.
func brokeProtocol(err error) bool {
	var closed *websocket.CloseError
	if errors.As(err, &closed) || errors.Is(err, websocket.ErrCloseSent) {
		return false
	}
	return errors.Is(err, websocket.ErrReadLimit) || strings.HasPrefix(err.Error(), "websocket: ")
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// maxPooledBytes is the largest buffer for messages that is kept: a rare large
// message is to leave nothing behind.
const maxPooledBytes = 64 << 10

// message reads one message and acts on it. An error is the connection's.
func (st *stream) message(ctx context.Context, kind int, r io.Reader) error {
	buf := st.server.buffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxPooledBytes {
			st.server.buffers.Put(buf)
		}
	}()
	b, err := readMessage(r, buf, st.server.o.Config.MaxMessageBytes)
	st.server.metrics.received.Add(float64(len(b)))
	if errors.Is(err, errTooLarge) {
		st.fail(wire.CloseMessageTooLarge, wire.CodeMessageTooLarge, fmt.Sprintf("a message is larger than %d bytes (limits.message_bytes); send smaller ones", st.server.o.Config.MaxMessageBytes), nil)
		return nil
	}
	if err != nil {
		return err
	}
	now := time.Now()
	st.heard(now)
	if kind == websocket.BinaryMessage {
		st.dialect.binary(ctx, now, b)
	} else {
		st.apart(func() { st.dialect.text(ctx, b) })
	}
	return nil
}

// apart runs f on a goroutine of its own and waits for it. What needs a deep
// stack, as JSON does, would leave the reader with one for as long as it lives:
// most of what a stream takes.
func (st *stream) apart(f func()) {
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		defer st.rescue("reading")
		f()
	}()
	<-done
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
	st.out.close(wire.CloseShuttingDown, &wire.Closing{Code: wire.CodeShuttingDown, RetryAfterMillis: st.server.retryAfter().Milliseconds(),
		Message: "the host is shutting down; the conversation stays open: connect again in a while and resume the session"})
}

// fail tells the client what it did wrong and closes the stream.
func (st *stream) fail(code wire.CloseCode, name, message string, ref *wire.Ref) {
	if st.out.close(code, &wire.Error{Code: name, Message: message, Fatal: true, Ref: ref}) {
		st.server.metrics.refused.WithLabelValues(name).Inc()
	}
}

// send queues m for the client, as its dialect says it.
func (st *stream) send(m wire.Message) {
	if st.out.isClosing() {
		return // before the work of encoding it
	}
	st.dialect.say(m)
}
