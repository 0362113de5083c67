package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/stream"
	"github.com/auricle-dev/auricle/sdk/event"
)

// The bounds of what play waits for.
const (
	playDialTimeout  = 10 * time.Second // to connect and be upgraded
	playReadyTimeout = 15 * time.Second // for ready after start
	playWriteTimeout = 30 * time.Second // for the host to take one message
	playQuietTimeout = 90 * time.Second // without a message or a ping: the host pings every 20 s
	playEndTimeout   = 60 * time.Second // for the host to close after end
	playBreakTimeout = 10 * time.Second // the same after an interruption
	playFrame        = 100 * time.Millisecond

	// maxHostMessage bounds one message of the host: a completed conversation
	// comes whole.
	maxHostMessage = 64 << 20
)

// asFastAsItGoes is the speed that waits for nothing but the host.
var asFastAsItGoes = math.Inf(1)

// playOptions say what to play, to which host, and how fast.
type playOptions struct {
	URL      string // of the host's stream, for example ws://127.0.0.1:7080/v1/stream
	Token    string // shown to it; "" for none
	UID      string
	Language string
	Source   string
	Metadata map[string]string

	Audio    io.Reader       // the sound, as Format says; nil when there is none
	Format   audio.Format    // of Audio
	Segments []event.Segment // in order of End

	Speed float64       // times real time; 0 means 1, asFastAsItGoes does not wait
	Frame time.Duration // of sound in one message; 0 means 100 ms

	// OnMessage is called with each message of the host, in their order, by
	// one goroutine: while it runs, nothing is read. nil ignores them.
	OnMessage func(hostMessage)
	// OnSend is called after something was sent, with how far the playing has
	// come in the recording's own time; by another goroutine than OnMessage.
	OnSend func(position time.Duration)
}

// hostMessage is a message of the host, and the frame as it came. Message is
// nil when it is of a type that this version does not know.
type hostMessage struct {
	stream.Message
	Raw []byte
}

// progress counts content of a stream.
type progress struct {
	AudioBytes int64
	Seq        uint64 // of the last transcript message
}

// playResult says what became of a playing. It is filled as far as the playing
// came, also when play returns an error.
type playResult struct {
	Session   string
	Sent      progress
	Acked     progress // what the host said is safe
	Outputs   int      // notifications included
	Gaps      int
	Errors    int                  // that the host sent
	Refused   int                  // those of them that refused something that was sent
	Completed []event.Conversation // in the order of completion
	CloseCode int                  // 0 when the connection broke
	Elapsed   time.Duration
}

// Unacked says what was sent and never acknowledged, "" when nothing was.
func (r *playResult) Unacked() string {
	var what string
	if n := r.Sent.AudioBytes - r.Acked.AudioBytes; n > 0 {
		what = fmt.Sprintf("%d bytes of audio", n)
	}
	if r.Sent.Seq > r.Acked.Seq {
		if what != "" {
			what += " and "
		}
		what += fmt.Sprintf("the transcript messages %d to %d", r.Acked.Seq+1, r.Sent.Seq)
	}
	return what
}

// play plays a conversation to a host: it starts a stream, sends sound and
// transcript when they would have come live (a frame when it has been heard, a
// segment when it has been said), sends end, and returns when the host has
// closed the stream.
//
// It returns nil only when the host closed with 1000 after end. When ctx is
// cancelled it stops playing, ends the conversation properly (bounded by 10 s)
// and returns an error that wraps ctx.Err().
func play(ctx context.Context, o playOptions) (playResult, error) {
	begun := time.Now()
	conn, err := dialHost(ctx, o.URL, o.Token)
	if err != nil {
		return playResult{}, err
	}
	p := &player{o: o, conn: conn, ready: make(chan struct{}), closed: make(chan struct{})}
	go p.read() // ends when conn closes; play waits for it by p.closed

	err = p.run(ctx)
	closeErr := conn.Close()
	<-p.closed
	p.result.Elapsed = time.Since(begun)
	if err == nil && closeErr != nil && !errors.Is(closeErr, net.ErrClosed) {
		err = fmt.Errorf("closing the connection: %w", closeErr)
	}
	return p.result, err
}

// dialHost connects and upgrades. Its errors say what to do.
func dialHost(ctx context.Context, url, token string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{HandshakeTimeout: playDialTimeout, Proxy: http.ProxyFromEnvironment}
	var header http.Header
	if token != "" {
		header = http.Header{"Authorization": {"Bearer " + token}}
	}
	conn, resp, err := dialer.DialContext(ctx, url, header)
	switch {
	case err == nil:
		conn.SetReadLimit(maxHostMessage)
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("nothing listens at %s; is the host running? start it with \"auricle serve\"", url)
	case resp != nil:
		return nil, fmt.Errorf("%s refused the stream: %s", url, refusal(resp))
	}
	return nil, fmt.Errorf("connecting to %s: %w", url, err)
}

// refusal says why a host answered the upgrade with plain HTTP. The dialer has
// kept the first KiB of the body, and closed the rest.
func refusal(resp *http.Response) string {
	var body struct {
		Error struct{ Code, Message string }
	}
	if b, err := io.ReadAll(resp.Body); err == nil && json.Unmarshal(b, &body) == nil && body.Error.Message != "" {
		return fmt.Sprintf("%s: %s (%s)", resp.Status, printable(body.Error.Message), printable(body.Error.Code))
	}
	return resp.Status + "; is it an Auricle host?"
}

// player is one running play.
type player struct {
	o    playOptions
	conn *websocket.Conn

	ready  chan struct{} // closed by read when ready has come
	closed chan struct{} // closed by read when it ends

	mu     sync.Mutex // guards result while read runs
	result playResult
	fatal  string // of the host's last fatal error or closing; guarded by mu
	ended  error  // why read ended; valid once closed is closed
}

// run sends everything and waits for the host to close.
func (p *player) run(ctx context.Context) error {
	start := &stream.Start{UID: p.o.UID, Language: p.o.Language, Source: p.o.Source, Metadata: p.o.Metadata}
	if p.o.Audio != nil {
		start.Audio = &p.o.Format
	}
	if err := p.sendMessage(start); err != nil {
		return p.hostError("sending start", err)
	}
	timeout := time.NewTimer(playReadyTimeout)
	defer timeout.Stop()
	select {
	case <-p.ready:
	case <-p.closed:
		return p.hostError("waiting for ready", p.ended)
	case <-timeout.C:
		return fmt.Errorf("the host did not answer start within %v", playReadyTimeout)
	case <-ctx.Done():
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}

	position, err := p.sendAll(ctx)
	interrupted := err != nil && ctx.Err() != nil
	if err != nil && !interrupted {
		return p.hostError("playing", err)
	}
	if err := p.sendMessage(&stream.End{}); err != nil {
		return p.hostError("sending end", err)
	}
	return p.awaitClose(ctx, position, interrupted)
}

// awaitClose waits for the host to close the stream after end.
func (p *player) awaitClose(ctx context.Context, position time.Duration, interrupted bool) error {
	limit, stop := playEndTimeout, ctx.Done()
	if interrupted {
		limit, stop = playBreakTimeout, nil
	}
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		select {
		case <-p.closed:
			switch {
			case !websocket.IsCloseError(p.ended, websocket.CloseNormalClosure):
				return p.hostError("waiting for the end", p.ended)
			case interrupted:
				return fmt.Errorf("interrupted at %s; what was sent until then is completed: %w", clock(position), ctx.Err())
			}
			return nil
		case <-timeout.C:
			return fmt.Errorf("the host did not close the stream within %v of end", limit)
		case <-stop:
			// End was sent: only the waiting gets shorter.
			interrupted, stop = true, nil
			timeout.Reset(playBreakTimeout)
		}
	}
}

// sendAll sends sound and transcript, each when it is due, and returns how far
// it came. The error is ctx.Err() when ctx ended.
func (p *player) sendAll(ctx context.Context) (position time.Duration, err error) {
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
	for sound := frame != nil; sound || len(segments) > 0; {
		if len(segments) > 0 && (!sound || seconds(segments[0].End) <= position) {
			position = max(position, seconds(segments[0].End))
			if err := pace.wait(ctx, p.closed, position); err != nil {
				return position, err
			}
			if err := p.sendSegment(segments[0]); err != nil {
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
			position = p.o.Format.Duration(p.sentAudio() + int64(n))
			if err := pace.wait(ctx, p.closed, position); err != nil {
				return position, err
			}
			if err := p.sendSound(frame[:n]); err != nil {
				return position, err
			}
		}
		if p.o.OnSend != nil {
			p.o.OnSend(position)
		}
	}
	return position, nil
}

func (p *player) sentAudio() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.result.Sent.AudioBytes
}

func (p *player) sendSegment(s event.Segment) error {
	p.mu.Lock()
	p.result.Sent.Seq++
	seq := p.result.Sent.Seq
	p.mu.Unlock()
	return p.sendMessage(&stream.Transcript{Seq: seq, Segments: []event.Segment{s}})
}

func (p *player) sendSound(b []byte) error {
	p.mu.Lock()
	p.result.Sent.AudioBytes += int64(len(b))
	p.mu.Unlock()
	return p.send(websocket.BinaryMessage, b)
}

func (p *player) sendMessage(m stream.Message) error {
	b, err := stream.Encode(m)
	if err != nil {
		return err
	}
	return p.send(websocket.TextMessage, b)
}

func (p *player) send(kind int, b []byte) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(playWriteTimeout)); err != nil {
		return err
	}
	err := p.conn.WriteMessage(kind, b)
	if isTimeout(err) {
		return fmt.Errorf("the host took nothing for %v", playWriteTimeout)
	}
	return err
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// errHostClosed says that the host closed while something was still to be sent.
var errHostClosed = errors.New("the host closed the stream")

// hostError says why a step went wrong. What the host said when it closed the
// stream explains more than the write that failed because of it.
func (p *player) hostError(step string, err error) error {
	// A failed write means a dead connection, so the reader is about to end:
	// it reads what had come before, then the close.
	wait := time.NewTimer(time.Second)
	defer wait.Stop()
	select {
	case <-p.closed:
	case <-wait.C:
		return fmt.Errorf("%s: %w", step, err)
	}
	p.mu.Lock()
	said := p.fatal
	p.mu.Unlock()
	var c *websocket.CloseError
	switch {
	case errors.As(p.ended, &c) && c.Code == websocket.CloseAbnormalClosure:
		return fmt.Errorf("%s: the connection to the host broke", step)
	case c != nil:
		if said == "" {
			said = printable(c.Text)
		}
		return fmt.Errorf("%s: %w: %d: %s", step, errHostClosed, c.Code, said)
	case isTimeout(p.ended):
		return fmt.Errorf("%s: nothing came from the host for %v, not even a ping", step, playQuietTimeout)
	case p.ended != nil:
		return fmt.Errorf("%s: the connection to the host broke: %w", step, p.ended)
	}
	return fmt.Errorf("%s: %w", step, err)
}

// read reads the host's messages until the connection closes.
func (p *player) read() {
	defer close(p.closed)
	alive := func() error { return p.conn.SetReadDeadline(time.Now().Add(playQuietTimeout)) }
	pong := p.conn.PingHandler()
	p.conn.SetPingHandler(func(data string) error {
		return errors.Join(alive(), pong(data))
	})
	for ready := false; ; {
		if p.ended = alive(); p.ended != nil {
			return
		}
		_, b, err := p.conn.ReadMessage()
		if err != nil {
			p.ended = err
			var c *websocket.CloseError
			if errors.As(err, &c) {
				p.mu.Lock()
				p.result.CloseCode = c.Code
				p.mu.Unlock()
			}
			return
		}
		m, err := stream.DecodeHost(b)
		if _, unknown := errors.AsType[*stream.UnknownTypeError](err); err != nil && !unknown {
			p.ended = err
			return
		}
		p.note(m)
		if p.o.OnMessage != nil {
			p.o.OnMessage(hostMessage{Message: m, Raw: b})
		}
		if _, ok := m.(*stream.Ready); ok && !ready {
			ready = true
			close(p.ready)
		}
	}
}

// note keeps what the result tells about a message.
func (p *player) note(m stream.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &p.result
	switch m := m.(type) {
	case *stream.Ready:
		r.Session = m.Session
	case *stream.Ack:
		r.Acked.Seq = max(r.Acked.Seq, m.Seq)
		r.Acked.AudioBytes = max(r.Acked.AudioBytes, m.AudioBytes)
	case *stream.Output:
		r.Outputs++
	case *stream.Gap:
		r.Gaps++
	case *stream.Error:
		r.Errors++
		if m.Ref != nil {
			r.Refused++
		}
		if m.Fatal {
			p.fatal = printable(m.Message)
		}
	case *stream.Closing:
		p.fatal = printable(m.Message)
	case *stream.Conversation:
		if m.Conversation != nil {
			r.Completed = append(r.Completed, *m.Conversation)
		}
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
// ends before, and errHostClosed when closed is closed before.
func (p *pacer) wait(ctx context.Context, closed <-chan struct{}, position time.Duration) error {
	due := p.begin.Add(time.Duration(float64(position) / p.speed))
	p.timer.Reset(time.Until(due))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return errHostClosed
	default:
	}
	if p.speed == asFastAsItGoes {
		return nil
	}
	select {
	case <-p.timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return errHostClosed
	}
}

func (p *pacer) stop() { p.timer.Stop() }
