package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// patience bounds every wait of these tests; none should come near it.
const patience = 30 * time.Second

// configuration returns the defaults on a free port, with these apps.
func configuration(dataDir string, apps ...config.App) config.Config {
	c := config.Default()
	c.Listen, c.Operators.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.DataDir = dataDir
	c.Apps = apps
	return c
}

// installed is a guest of dispatch's testdata as an operator would install it.
func installed(name, guest string, grant ...event.Capability) config.App {
	return config.App{
		Name: name, Module: filepath.Join("dispatch", "testdata", guest+".wasm"),
		Grant: grant, Users: []string{"*"},
	}
}

func echo() config.App {
	return installed("echo", "echo", event.CapAudio, event.CapTranscript, event.CapConversation)
}

func spins() config.App {
	return installed("spins", "spins", event.CapTranscript, event.CapConversation)
}

// start runs a host until the test ends. stop ends it earlier.
func start(t *testing.T, c config.Config) (h *host.Host, stop func()) {
	t.Helper()
	return startWith(t, host.Options{Config: c})
}

func startWith(t *testing.T, o host.Options) (h *host.Host, stop func()) {
	t.Helper()
	h, err := host.New(t.Context(), o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve() }() // ends with Shutdown; stop waits for it
	stopped := false
	stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return h, stop
}

// client is one stream, read on the test's goroutine.
type client struct {
	t     *testing.T
	conn  *websocket.Conn
	ready *wire.Ready // the host's answer to start
}

// stream opens a stream and says start.
func openStream(t *testing.T, h *host.Host, uid string, rate int) *client {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.Addr().String()+"/v1/stream", nil)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn}
	begin := map[string]any{"type": "start", "uid": uid}
	if rate > 0 {
		begin["audio"] = map[string]any{"codec": "pcm_s16le", "rate": rate, "channels": 1}
	}
	c.send(begin)
	c.ready = await[*wire.Ready](c)
	return c
}

// resume opens another stream for the session of c.
func (c *client) resume(h *host.Host, uid string) *client {
	c.t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(c.t.Context(), "ws://"+h.Addr().String()+"/v1/stream", nil)
	if err != nil {
		c.t.Fatalf("connecting: %v", err)
	}
	c.t.Cleanup(func() { conn.Close() })
	next := &client{t: c.t, conn: conn}
	next.send(map[string]any{"type": "start", "uid": uid, "session": c.ready.Session})
	next.ready = await[*wire.Ready](next)
	return next
}

func (c *client) send(m any) {
	c.t.Helper()
	if err := c.conn.WriteJSON(m); err != nil {
		c.t.Fatalf("sending %v: %v", m, err)
	}
}

func (c *client) say(seq int, text string) {
	c.t.Helper()
	c.send(map[string]any{"type": "transcript", "seq": seq, "segments": []event.Segment{
		{ID: fmt.Sprint(seq), Text: text, Start: float64(seq), End: float64(seq) + 1},
	}})
}

// read returns the next message, or the error that ended the stream.
func (c *client) read() (wire.Message, error) {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	_, b, err := c.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	m, err := wire.DecodeHost(b)
	if err != nil {
		c.t.Fatalf("reading %s: %v", b, err)
	}
	return m, nil
}

// await returns the next message of type M; what comes before is passed over,
// except errors, which no test here expects.
func await[M wire.Message](c *client) M {
	c.t.Helper()
	var wanted M
	for {
		m, err := c.read()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", wanted.Type(), err)
		}
		switch m := m.(type) {
		case M:
			return m
		case *wire.Error:
			c.t.Fatalf("waiting for %s: the host answered %s: %s", wanted.Type(), m.Code, m.Message)
		}
	}
}

// completed waits for the whole completed conversation.
func (c *client) completed() *event.Conversation {
	c.t.Helper()
	for {
		if m := await[*wire.Conversation](c); m.Conversation != nil {
			return m.Conversation
		}
	}
}

// closeCode reads until the stream closes, and returns the code.
func (c *client) closeCode() int {
	c.t.Helper()
	for {
		_, err := c.read()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code
		}
		if err != nil {
			c.t.Fatalf("waiting for the close: %v", err)
		}
	}
}

// addr returns the address that a path is served on.
func addr(h *host.Host, path string) string {
	if strings.HasPrefix(path, "/v1/conversations") || strings.HasPrefix(path, "/v1/stream") {
		return h.Addr().String()
	}
	return h.OperatorsAddr().String()
}

// get returns status and body of a page.
func get(t *testing.T, h *host.Host, path string) (int, []byte) {
	t.Helper()
	resp, err := http.Get("http://" + addr(h, path) + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

func record(t *testing.T, h *host.Host, id string) (r store.Record) {
	t.Helper()
	status, body := get(t, h, "/v1/conversations/"+id)
	if status != http.StatusOK {
		t.Fatalf("GET conversation %s: %d %s", id, status, body)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConversationWithItsOutputsSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	h, stop := start(t, configuration(dir, echo()))
	c := openStream(t, h, "ada", 8000)
	if err := c.conn.WriteMessage(websocket.BinaryMessage, make([]byte, 1600)); err != nil {
		t.Fatal(err)
	}
	c.say(1, "The budget is due.")
	c.send(map[string]string{"type": "end"})
	whole := c.completed()
	if code := c.closeCode(); code != websocket.CloseNormalClosure {
		t.Fatalf("closed with %d, want 1000", code)
	}
	stop()

	h, _ = start(t, configuration(dir, echo()))
	got := record(t, h, whole.ID)
	if len(got.Segments) != 1 || got.Segments[0].Text != "The budget is due." || got.Reason != event.ReasonEnd || got.AudioMillis != 100 {
		t.Errorf("got %+v, want the segment said, reason end and 100 ms of audio", got.Conversation)
	}
	kinds := map[string]int{}
	for _, o := range got.Outputs {
		kinds[o.Event]++
	}
	if kinds["audio"] != 1 || kinds["transcript"] != 1 || kinds["conversation"] != 1 || len(got.Jobs) != 0 {
		t.Errorf("got outputs %v and jobs %v, want one of each kind and none", kinds, got.Jobs)
	}
}

func TestAppThatNeverReturnsHarmsOnlyItself(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir(), echo(), spins()))
	c := openStream(t, h, "ada", 0)
	c.say(1, "One.")
	if o := await[*wire.Output](c); o.App != "echo" {
		t.Errorf("output of %q, want echo's", o.App)
	}
	c.send(map[string]string{"type": "finish"})
	id := c.completed().ID
	if o := await[*wire.Output](c); o.App != "echo" || o.Event != "conversation" || o.Conversation != id {
		t.Errorf("output %+v, want echo's of the conversation", o)
	}
	c.send(map[string]string{"type": "end"})
	if code := c.closeCode(); code != websocket.CloseNormalClosure {
		t.Errorf("closed with %d, want 1000", code)
	}
	for _, s := range h.Apps() {
		stopped := s.Outcomes[plugins.FuelExhausted] + s.Outcomes[plugins.DeadlineExceeded]
		if s.App == "spins" && (stopped == 0 || s.Outcomes[plugins.OK] != 0) {
			t.Errorf("spins: outcomes %v, want it stopped by a limit each time", s.Outcomes)
		}
		if s.App == "echo" && (s.Outcomes[plugins.OK] != 2 || len(s.Outcomes) != 1) {
			t.Errorf("echo: outcomes %v, want 2 ok and nothing else", s.Outcomes)
		}
	}
}

// An app keeps its memory for a stream's session and no other, is told when it
// lost it, and what that takes is shown and given back.
func TestAppKeepsStateForASession(t *testing.T) {
	counter := installed("counter", "../../apps/testdata/counter", event.CapTranscript, event.CapConversation)
	counter.State = event.StateSession
	counter.Grant = append(counter.Grant, event.CapAudio)
	h, _ := start(t, configuration(t.TempDir(), counter))
	first, second := openStream(t, h, "ann", 0), openStream(t, h, "ann", 0)
	count := func(c *client) string {
		t.Helper()
		var out []json.RawMessage
		if err := json.Unmarshal(await[*wire.Output](c).Data, &out); err != nil {
			t.Fatal(err)
		}
		var e struct{ Restarted bool }
		if err := json.Unmarshal(out[1], &e); err != nil {
			t.Fatal(err)
		}
		if e.Restarted {
			return string(out[0]) + " restarted"
		}
		return string(out[0])
	}
	type shown struct {
		State    string
		Sessions struct{ Open, Parked, Bytes int }
		Outcomes map[string]int
	}
	show := func() shown {
		t.Helper()
		_, body := get(t, h, "/v1/apps")
		var page struct{ Apps []shown }
		if err := json.Unmarshal(body, &page); err != nil || len(page.Apps) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		return page.Apps[0]
	}
	for i, step := range []struct {
		c    *client
		word string
		want string // "" where nothing comes
	}{
		{first, "hello", "1"}, {first, "hello", "2"}, {second, "hello", "1"}, {first, "hello", "3"},
		{first, "trap", ""}, {first, "hello", "1 restarted"}, {first, "hello", "2"}, {second, "hello", "2"},
	} {
		step.c.say(i+1, step.word)
		if step.want == "" {
			// Clients hear nothing of it, and what they say meanwhile joins the event.
			for end := time.Now().Add(patience); show().Outcomes["trap"] == 0; {
				if time.Now().After(end) {
					t.Fatal("the app did not trap")
				}
			}
			continue
		}
		if got := count(step.c); got != step.want {
			t.Errorf("step %d: got %s, want %s", i, got, step.want)
		}
	}
	if s := show(); s.State != "session" || s.Sessions.Open != 2 || s.Sessions.Bytes <= 0 {
		t.Errorf("shown %+v, want 2 open sessions with bytes", s)
	}
	second.send(map[string]any{"type": "end"})
	if got := count(second); got != "3" {
		t.Errorf("the completed conversation: got %s, want 3", got)
	}
	if code := second.closeCode(); code != websocket.CloseNormalClosure {
		t.Errorf("close code %d", code)
	}
	for end := time.Now().Add(patience); show().Sessions.Open != 1; {
		if time.Now().After(end) {
			t.Fatalf("%+v, want that the ended session's state is given back", show())
		}
	}
}

func TestWithoutAnAudioAppNoAudioIsKept(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir(), spins()))
	c := openStream(t, h, "ada", 16000)
	for range 100 {
		if err := c.conn.WriteMessage(websocket.BinaryMessage, make([]byte, 3200)); err != nil {
			t.Fatal(err)
		}
	}
	for ack := await[*wire.Ack](c); ack.AudioBytes < 320_000; {
		ack = await[*wire.Ack](c)
	}
	_, metrics := get(t, h, "/metrics")
	for _, want := range []string{
		"\nauricle_audio_buffered_bytes 0\n",
		"\nauricle_audio_received_bytes_total 320000\n",
		"\nauricle_audio_discarded_bytes_total 320000\n",
	} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("/metrics lacks %q", strings.TrimSpace(want))
		}
	}
}

func TestNewFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	held := t.TempDir()
	start(t, configuration(held))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wrongSum := echo()
	wrongSum.SHA256 = strings.Repeat("0", 64)

	for _, bad := range []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"port in use", func(c *config.Config) { c.Listen = taken.Addr().String() }, "the port is in use"},
		{"data directory held by another host", func(c *config.Config) { c.DataDir = held }, "another host"},
		{"data directory that can't be written", func(c *config.Config) { c.DataDir = filepath.Join(file, "data") }, "not a directory"},
		{"module with another checksum", func(c *config.Config) { c.Apps = []config.App{wrongSum} }, "sha256"},
		{"module that is missing", func(c *config.Config) { c.Apps = []config.App{installed("gone", "gone")} }, "gone.wasm"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			c := configuration(t.TempDir())
			bad.change(&c)
			h, err := host.New(t.Context(), host.Options{Config: c})
			if err == nil {
				h.Shutdown(t.Context())
				t.Fatal("New succeeded")
			}
			if !strings.Contains(err.Error(), bad.want) {
				t.Errorf("got error %q, want one with %q", err, bad.want)
			}
		})
	}
}

func TestAFailedStartGivesBackWhatItOpened(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := configuration(t.TempDir(), installed("gone", "gone"))
	c.Listen = free.Addr().String()
	free.Close()
	if _, err := host.New(t.Context(), host.Options{Config: c}); err == nil {
		t.Fatal("New succeeded with a module that is missing")
	}
	c.Apps = nil
	start(t, c) // the same port and directory
}

func TestReadinessFollowsTheLifecycle(t *testing.T) {
	h, err := host.New(t.Context(), host.Options{Config: configuration(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	if h.Ready() == nil {
		t.Error("ready before Serve")
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve() }() // ends with Shutdown below
	if status, body := get(t, h, "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s, want 200", status, body)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if h.Ready() == nil {
		t.Error("ready after Shutdown")
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
}

func TestRequestsUnderAnotherNameAreRefused(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir()))
	for _, path := range []string{"/v1/conversations?uid=ada", "/v1/stream"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "rebound.example"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("GET %s as rebound.example: %s, want 403", path, resp.Status)
		}
	}
}
