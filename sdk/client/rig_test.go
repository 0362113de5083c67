package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// patience bounds every wait of these tests; none is expected to take long.
const patience = 30 * time.Second

var pcm8k = &wire.Format{Codec: wire.PCM16, Rate: 8000, Channels: 1}

// script is a host that does as it is told: it plays one part for each
// connection, in their order. What a real host does is tested with one.
type script struct {
	t     *testing.T
	parts chan part
	o     client.Options // with URL, and a jitter of 0
}

// part answers one connection, or its handshake.
type part func(p *peer)

// peer is the host's end of a connection.
type peer struct {
	t    *testing.T
	w    http.ResponseWriter
	r    *http.Request
	conn *websocket.Conn
}

// newScript serves parts until the test ends; in memory when pipe is true, for
// synctest bubbles. A connection too many fails the test.
func newScript(t *testing.T, pipe bool, parts ...part) *script {
	s := &script{t: t, parts: make(chan part, len(parts))}
	for _, p := range parts {
		s.parts <- p
	}
	h := http.HandlerFunc(s.serve)
	s.o = client.Options{UID: "ada", Audio: pcm8k, Jitter: func(time.Duration) time.Duration { return 0 }}
	if pipe {
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: h}
		go server.Serve(l) // ends with Close
		t.Cleanup(func() { server.Close() })
		s.o.URL, s.o.DialContext = "ws://pipe/v1/stream", l.dial
		return s
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s.o.URL = "ws" + strings.TrimPrefix(server.URL, "http") + "/v1/stream"
	return s
}

func (s *script) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case p := <-s.parts:
		peer := &peer{t: s.t, w: w, r: r}
		p(peer)
		if peer.conn != nil {
			peer.conn.Close()
		}
	default:
		s.t.Error("the client has connected once too often")
		http.Error(w, "no", http.StatusForbidden)
	}
}

// client makes a client that is closed when the test ends.
func (s *script) client() *client.Client {
	s.t.Helper()
	return newClient(s.t, s.o)
}

func newClient(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refuse answers the handshake.
func refuse(status int, header, value string) part {
	return func(p *peer) {
		if header != "" {
			p.w.Header().Set(header, value)
		}
		p.w.WriteHeader(status)
		io.WriteString(p.w, `{"error":{"code":"busy","message":"come back later","request_id":"r_1"}}`)
	}
}

// start upgrades, reads start, and answers with a ready of session.
func (p *peer) start(session string, received wire.Received, limits wire.Limits) *wire.Start {
	p.t.Helper()
	start := p.upgrade()
	p.say(&wire.Ready{Session: session, Conversation: "c_1", Audio: "buffered", Apps: []wire.App{}, Received: received, Limits: limits})
	return start
}

// upgrade upgrades and reads start.
func (p *peer) upgrade() *wire.Start {
	p.t.Helper()
	conn, err := (&websocket.Upgrader{}).Upgrade(p.w, p.r, nil)
	if err != nil {
		p.t.Errorf("upgrading: %v", err)
		return nil
	}
	p.conn = conn
	start, ok := p.next().(*wire.Start)
	if !ok {
		p.t.Error("the first message is no start")
	}
	return start
}

func (p *peer) say(m wire.Message) {
	p.t.Helper()
	b, err := wire.Encode(m)
	if err == nil {
		err = p.conn.WriteMessage(websocket.TextMessage, b)
	}
	if err != nil {
		p.t.Errorf("the host: %v", err)
	}
}

// next returns the client's next message, or its audio as a []byte; the error
// of a connection that is over.
func (p *peer) next() any {
	kind, b, err := p.conn.ReadMessage()
	if err != nil {
		return err
	}
	if kind == websocket.BinaryMessage {
		return b
	}
	m, err := wire.DecodeClient(b)
	if err != nil {
		p.t.Errorf("the client sent %s: %v", b, err)
		return err
	}
	return m
}

// until reads up to a message that is an M; audio is counted.
func until[M any](p *peer) (m M, audio int) {
	p.t.Helper()
	for {
		switch got := p.next().(type) {
		case M:
			return got, audio
		case []byte:
			audio += len(got)
		case error:
			p.t.Errorf("waiting for %T: %v", m, got)
			return m, audio
		}
	}
}

// audio reads n bytes of audio.
func (p *peer) audio(n int) (pcm []byte) {
	p.t.Helper()
	for len(pcm) < n {
		switch got := p.next().(type) {
		case []byte:
			pcm = append(pcm, got...)
		case error:
			p.t.Errorf("waiting for audio: %v", got)
			return pcm
		}
	}
	return pcm
}

// closeWith closes as a host does: it reads on until the client has closed.
func (p *peer) closeWith(code wire.CloseCode) {
	_ = p.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code.Code, code.Reason), time.Now().Add(time.Second))
	for {
		if _, ok := p.next().(error); ok {
			return
		}
	}
}

// end reads up to end, acknowledges, and closes with 1000.
func (p *peer) end(ack wire.Ack) {
	p.say(&ack)
	until[*wire.End](p)
	p.closeWith(wire.CloseNormal)
}

// pipeListener is a listener in memory, so that a bubble's time is false for
// the network too.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// within bounds a wait.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// must fails the test for an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustWrite(t *testing.T, c *client.Client, pcm []byte) {
	t.Helper()
	if n, err := c.WriteAudio(within(t), pcm); n != len(pcm) || err != nil {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(pcm), err)
	}
}

// text is m as it would be sent, for comparing.
func text(m any) string {
	b, err := json.Marshal(m)
	return string(b) + errorText(err)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// as returns err as an E.
func as[E error](t *testing.T, err error) (e E) {
	t.Helper()
	if !errors.As(err, &e) {
		t.Fatalf("got the error %v, want a %T", err, e)
	}
	return e
}
