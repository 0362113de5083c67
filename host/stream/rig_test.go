package stream_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/stream"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// patience bounds every wait of these tests; none is expected to take long.
const patience = 20 * time.Second

// rig is a Server behind HTTP with real sessions.
type rig struct {
	t        testing.TB
	store    *memoryStore
	sessions *conversation.Sessions
	server   *stream.Server
	flooded  chan struct{} // see echo
	metrics  *prometheus.Registry
	url      string // ws://…
	dialer   *websocket.Dialer
}

type rigOptions struct {
	config       config.Stream
	conversation conversation.Options
	auth         stream.Authenticator // nil: everyone may stream
	wantsAudio   bool
	heard        chan []byte     // not nil: gets the audio that is heard, which must be taken
	pipe         bool            // in-memory connections, for synctest bubbles
	store        *memoryStore    // nil: a new one
	dialect      *stream.Dialect // nil: the native one
	chaos        *stream.Chaos
	logger       hclog.Logger // nil discards
}

func newRig(t testing.TB, o rigOptions) *rig {
	r := &rig{t: t, store: newMemoryStore(), flooded: make(chan struct{}, 1), metrics: prometheus.NewRegistry(), dialer: &websocket.Dialer{}}
	if o.store != nil {
		r.store = o.store
	}
	o.conversation.Store, o.conversation.Dispatch, o.conversation.Jobs = r.store, echo{o.wantsAudio, r.flooded, o.heard}, promptJobs{}
	r.sessions = conversation.New(o.conversation)
	r.server = stream.New(stream.Options{Config: o.config, Auth: o.auth, Sessions: r.sessions, Registerer: r.metrics, Chaos: o.chaos, Logger: o.logger})
	handler := http.Handler(r.server)
	if o.dialect != nil {
		handler = r.server.Handler(o.dialect)
	}
	var h interface{ Close() error }
	if o.pipe {
		l := newPipeListener()
		s := &http.Server{Handler: handler}
		go s.Serve(l) // ends with Close
		r.url, r.dialer.NetDialContext = "ws://pipe/v1/stream", l.dial
		h = s
	} else {
		s := httptest.NewUnstartedServer(handler)
		s.Listener = stream.Listener(s.Listener)
		s.Start()
		r.url = "ws" + strings.TrimPrefix(s.URL, "http") + "/v1/stream"
		h = closer(s.Close)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		r.store.set(nil, nil)
		if err := r.server.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		if err := r.sessions.Close(ctx); err != nil {
			t.Errorf("closing the sessions: %v", err)
		}
		if err := r.sessions.Flush(ctx); err != nil {
			t.Errorf("flushing: %v", err)
		}
		h.Close()
	})
	return r
}

type closer func()

func (c closer) Close() error { c(); return nil }

// pipeListener is a listener in memory, so that a bubble's time is false for
// the network too.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client is one of the rig's.
type client struct {
	t testing.TB
	*websocket.Conn
}

func (r *rig) dial() *client {
	r.t.Helper()
	c, _, err := r.dialer.Dial(r.url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return &client{r.t, c}
}

var pcm16k = &wire.Format{Codec: wire.PCM16, Rate: 16000, Channels: 1}

// start dials and starts a session with 16 kHz audio.
func (r *rig) start() (*client, *wire.Ready) {
	r.t.Helper()
	w := r.dial()
	w.send(&wire.Start{UID: "ada", Audio: pcm16k})
	return w, read[*wire.Ready](w)
}

func (w *client) send(m wire.Message) {
	w.t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		w.t.Fatal(err)
	}
	w.text(string(b))
}

func (w *client) text(s string) {
	w.t.Helper()
	if err := w.WriteMessage(websocket.TextMessage, []byte(s)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *client) audio(n int) {
	w.t.Helper()
	if err := w.WriteMessage(websocket.BinaryMessage, make([]byte, n)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *client) say(seq uint64, text string) {
	w.t.Helper()
	w.send(&wire.Transcript{Seq: seq, Segments: []event.Segment{{ID: text, Text: text, Start: float64(seq), End: float64(seq)}}})
}

// next returns the next message.
func (w *client) next() (wire.Message, error) {
	w.SetReadDeadline(time.Now().Add(patience))
	_, b, err := w.ReadMessage()
	if err != nil {
		return nil, err
	}
	return wire.DecodeHost(b)
}

// read returns the next message that is an M; those before it are skipped.
func read[M wire.Message](w *client) M {
	w.t.Helper()
	for {
		m, err := w.next()
		if err != nil {
			w.t.Fatalf("waiting for %T: %v", *new(M), err)
		}
		if m, ok := m.(M); ok {
			return m
		}
	}
}

// conversation reads up to the next message of a conversation in state st.
func (w *client) conversation(st wire.State) *wire.Conversation {
	w.t.Helper()
	for {
		if c := read[*wire.Conversation](w); c.State == st {
			return c
		}
	}
}

// closed reads up to the close and returns its code and the last message.
func (w *client) closed() (code int, last wire.Message) {
	w.t.Helper()
	for {
		m, err := w.next()
		if err == nil {
			last = m
			continue
		}
		var ce *websocket.CloseError
		if !errors.As(err, &ce) {
			w.t.Fatalf("waiting for the close: %v", err)
		}
		return ce.Code, last
	}
}

// completed waits until the store has another conversation.
func (r *rig) completed() event.Conversation {
	r.t.Helper()
	return r.completedWithin(patience)
}

// closes returns how many streams have closed with code.
func (r *rig) closes(code string) float64 {
	return r.metric("auricle_stream_closes_total", "code", code)
}

func (r *rig) metric(name string, label ...string) float64 {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) == 0 || m.GetLabel()[0].GetValue() == label[1] {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// until waits, by looking again and again, until a metric is as wanted: there
// is nothing that tells of it.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// completedWithin is completed for tests whose conversations take a while.
func (r *rig) completedWithin(d time.Duration) event.Conversation {
	r.t.Helper()
	select {
	case c := <-r.store.completed:
		return c
	case <-time.After(d):
		r.t.Fatal("no conversation was completed")
		panic("unreachable")
	}
}

// gapTranscript makes echo drop 100 bytes of audio.
func gapTranscript(seq uint64) *wire.Transcript {
	return &wire.Transcript{Seq: seq, Segments: []event.Segment{{ID: "a", Text: "gap"}}}
}
