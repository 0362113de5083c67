package stream

import (
	"sync"
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
// go. Its methods do not block. The stream's writer takes from it with next.
type outbox struct {
	limit  int64
	conn   *websocket.Conn
	queued prometheus.Gauge // bytes of all streams
	wake   chan struct{}    // holds at most one signal: look at next again

	mu      sync.Mutex // guards what follows; a leaf: nothing is called with it held but the connection's deadlines
	queue   [][]byte   // text frames
	bytes   int64      // of queue and of the one that is being written
	pong    []byte     // answers the client's latest ping; nil when none waits
	closing bool
	code    wire.CloseCode // when closing
	closeBy time.Time      // when closing; not zero: nothing may be written after
}

func newOutbox(c *websocket.Conn, limit int64, queued prometheus.Gauge) *outbox {
	return &outbox{limit: limit, conn: c, queued: queued, wake: make(chan struct{}, 1)}
}

// send queues a text frame. After close it does nothing.
func (o *outbox) send(frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return
	}
	if o.bytes+int64(len(frame)) > o.limit {
		o.drop()
		o.shut(wire.CloseSlowReader, mustEncode(&wire.Closing{
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
		frame = mustEncode(last)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
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
	if o.closing {
		return false
	}
	o.drop()
	o.shut(wire.CloseNormal, nil)
	return true
}

// shut is close with mu held. What is being written gets no longer than the
// rest has.
func (o *outbox) shut(code wire.CloseCode, last []byte) {
	o.closing = true
	o.code = code
	o.closeBy = time.Now().Add(closeTimeout)
	o.conn.NetConn().SetWriteDeadline(o.closeBy)
	if last != nil {
		o.push(last)
	}
	o.signal()
}

// isClosing reports whether close was called.
func (o *outbox) isClosing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closing
}

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
	o.signal()
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

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// answer queues a pong; it takes the place of one that still waits, as RFC
// 6455 (5.5.3) allows, so that a flood of pings piles nothing up.
func (o *outbox) answer(ping string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pong = append([]byte{}, ping...)
	o.signal()
}

// expect sets by when the client must be heard from, unless the stream is
// closing: then the writer has set how long its close is waited for.
func (o *outbox) expect(by time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closing {
		o.conn.SetReadDeadline(by)
	}
}

// frame is what the writer is to write next.
type frame struct {
	kind int // of websocket's message types; 0: nothing waits
	data []byte
	by   time.Time // the write's deadline
}

// next takes what is to be written next: a pong, then what is queued, then the
// close.
func (o *outbox) next() frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := frame{by: time.Now().Add(writeTimeout)}
	if o.closing && o.closeBy.Before(f.by) {
		f.by = o.closeBy
	}
	switch {
	case o.pong != nil:
		f.kind, f.data, o.pong = websocket.PongMessage, o.pong, nil
	case len(o.queue) > 0:
		f.kind, f.data = websocket.TextMessage, o.queue[0]
		o.queue[0] = nil
		if o.queue = o.queue[1:]; len(o.queue) == 0 {
			o.queue = nil
		}
	case o.closing:
		f.kind, f.data = websocket.CloseMessage, websocket.FormatCloseMessage(o.code.Code, o.code.Reason)
	}
	return f
}

// done says that a frame taken with next was written.
func (o *outbox) done(f frame) {
	if f.kind == websocket.TextMessage {
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
	if !o.closing {
		o.closing = true
		o.code = code
	}
	o.drop()
	o.queued.Sub(float64(o.bytes)) // of the one that was being written
	o.bytes = 0
	o.signal()
}

// mustEncode encodes one of our own messages that hold strings and numbers
// only, which can't fail.
func mustEncode(m wire.Message) []byte {
	b, err := wire.Encode(m)
	if err != nil {
		panic(err)
	}
	return b
}
