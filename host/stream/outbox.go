package stream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/sdk/wire"
)

const (
	// writeTimeout bounds the writing of one message to a client's socket.
	writeTimeout = 10 * time.Second
	// closeTimeout bounds how long a stream that is being closed may take to
	// write what is due, and then how long it waits for the client's close.
	closeTimeout = 5 * time.Second
)

// outbox holds what waits to be written to one client: at most limit bytes of
// messages; one more closes the stream as a slow reader, and what waits is let
// go. Its methods do not block. It has a writer started when there is something
// to write, which takes it with next until there is nothing.
type outbox struct {
	limit   int64
	conn    *websocket.Conn
	kind    int              // of the frames that are queued, of websocket's message types
	dialect dialect          // says what is last
	queued  prometheus.Gauge // bytes of all streams
	start   func()           // starts a writer

	mu      sync.Mutex     // guards what follows; a leaf: nothing is called with it held but start, dialect.last and the connection's deadlines
	writing bool           // a writer runs
	over    bool           // nothing is written any more
	queue   [][]byte       // frames
	bytes   int64          // of queue and of the one that is being written
	pong    []byte         // answers the client's latest ping; nil when none waits
	pinging bool           // a ping waits
	closing atomic.Bool    // changed with mu held
	code    wire.CloseCode // when closing
	closeBy time.Time      // when closing; not zero: nothing may be written after
}

// init readies an outbox whose writers start starts. It may be called with the
// outbox's lock held, and so must not wait for one.
func (o *outbox) init(c *websocket.Conn, d dialect, limit int64, queued prometheus.Gauge, start func()) {
	o.limit, o.conn, o.kind, o.dialect, o.queued, o.start = limit, c, d.frames(), d, queued, start
}

// send queues a frame. After close it does nothing.
func (o *outbox) send(frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing.Load() {
		return
	}
	if o.bytes+int64(len(frame)) > o.limit {
		o.drop()
		o.shut(wire.CloseSlowReader, o.dialect.last(&wire.Closing{
			Code:    wire.CodeSlowReader,
			Message: "messages were not read fast enough and more waited than limits.output_queue_bytes; connect again and read all the time",
		}))
		return
	}
	o.push(frame)
}

// close has the stream closed with code once what is queued, and then last
// (nil: nothing), is written. Only the first close counts; it reports whether
// this was it.
func (o *outbox) close(code wire.CloseCode, last wire.Message) bool {
	var frame []byte
	if last != nil {
		frame = o.dialect.last(last)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing.Load() {
		return false
	}
	o.shut(code, frame)
	return true
}

// leave answers a client that has closed or is gone: nothing but a close is
// written. It reports whether the client was first.
func (o *outbox) leave() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing.Load() {
		return false
	}
	o.drop()
	o.shut(wire.CloseNormal, nil)
	return true
}

// shut is close with mu held. What is being written gets no longer than the
// rest has.
func (o *outbox) shut(code wire.CloseCode, last []byte) {
	o.closing.Store(true)
	o.code = code
	o.closeBy = time.Now().Add(closeTimeout)
	o.conn.NetConn().SetWriteDeadline(o.closeBy)
	if last != nil {
		o.push(last)
	}
	o.wake()
}

// isClosing reports whether close was called.
func (o *outbox) isClosing() bool { return o.closing.Load() }

// closeCode returns the code with which the host closes; 0 when it does not,
// or can't.
func (o *outbox) closeCode() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.code.Code
}

func (o *outbox) push(frame []byte) {
	o.queue = append(o.queue, frame)
	o.bytes += int64(len(frame))
	o.queued.Add(float64(len(frame)))
	o.wake()
}

// drop lets go of all that waits.
func (o *outbox) drop() {
	for _, f := range o.queue {
		o.written(f)
	}
	o.queue = nil
}

func (o *outbox) written(frame []byte) {
	o.bytes -= int64(len(frame))
	o.queued.Sub(float64(len(frame)))
}

// wake starts a writer unless one runs. Once the outbox is over none is.
func (o *outbox) wake() {
	if !o.writing && !o.over {
		o.writing = true
		o.start()
	}
}

// ping queues a ping.
func (o *outbox) ping() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closing.Load() {
		o.pinging = true
		o.wake()
	}
}

// answer queues a pong; it takes the place of one that still waits, as RFC
// 6455 (5.5.3) allows, so that a flood of pings piles nothing up.
func (o *outbox) answer(ping string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	o.pong = append([]byte{}, ping...)
	o.wake()
}

// frame is what the writer is to write next.
type frame struct {
	kind int // of websocket's message types
	data []byte
	by   time.Time // the write's deadline
}

// next takes what is to be written next: a pong, a ping, then what is queued,
// then the close. When there is nothing it reports false, and the writer must
// end.
func (o *outbox) next() (f frame, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		o.writing = false
		return frame{}, false
	}
	f.by = time.Now().Add(writeTimeout)
	if o.closing.Load() && o.closeBy.Before(f.by) {
		f.by = o.closeBy
	}
	switch {
	case o.pong != nil:
		f.kind, f.data, o.pong = websocket.PongMessage, o.pong, nil
	case o.pinging && !o.closing.Load():
		f.kind, o.pinging = websocket.PingMessage, false
	case len(o.queue) > 0:
		f.kind, f.data = o.kind, o.queue[0]
		o.queue[0] = nil
		if o.queue = o.queue[1:]; len(o.queue) == 0 {
			o.queue = nil
		}
	case o.closing.Load():
		f.kind, f.data = websocket.CloseMessage, websocket.FormatCloseMessage(o.code.Code, o.code.Reason)
	default:
		o.writing = false
		return frame{}, false
	}
	return f, true
}

// done says that a frame taken with next was written.
func (o *outbox) done(f frame) {
	if f.kind == o.kind {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.written(f.data)
	}
}

// end says that nothing is written any more: the close was, or code is why it
// can't be.
func (o *outbox) end(code wire.CloseCode) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closing.Load() {
		o.closing.Store(true)
		o.code = code
	}
	o.drop()
	o.queued.Sub(float64(o.bytes)) // of the one that was being written
	o.bytes = 0
	o.over = true
}
