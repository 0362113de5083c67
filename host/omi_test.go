package host_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// backend is testdata/omi_backend.py: a client of the pusher's socket in the way
// of Omi's own.
type backend struct {
	t      *testing.T
	in     io.WriteCloser
	events chan backendEvent
	passed []backendEvent // over which await has gone
}

type backendEvent struct {
	Event    string `json:"event"`
	ID       string `json:"id"`
	Success  bool   `json:"success"`
	Error    string `json:"error"`
	Kind     int    `json:"kind"`
	Assigned int    `json:"assigned"`
	Code     int    `json:"code"`
}

// python returns an interpreter that has the websockets package. Where there is
// none the test is skipped, but not where all of it has to run.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import websockets").Run() == nil {
			return name
		}
	}
	const missing = "there is no python3 with the websockets package (Debian: python3-websockets)"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func startBackend(t *testing.T, url, uid string) *backend {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python(t), filepath.Join("testdata", "omi_backend.py"), url, uid, "16000")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &backend{t: t, in: in, events: make(chan backendEvent, 1000)}
	read := make(chan struct{})
	go func() { // ends with the process; the clean-up waits for it
		defer close(read)
		defer close(b.events)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e backendEvent
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				b.events <- e
			}
		}
	}()
	t.Cleanup(func() {
		in.Close()
		<-read
		cmd.Wait() // it was told to end; how it does is no matter
	})
	return b
}

func (b *backend) do(command map[string]any) {
	b.t.Helper()
	line, err := json.Marshal(command)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(line, '\n')); err != nil {
		b.t.Fatal(err)
	}
}

// await waits for an event. Those of other names are kept for others to await.
func (b *backend) await(name string) backendEvent {
	b.t.Helper()
	for i, e := range b.passed {
		if e.Event == name {
			b.passed = slices.Delete(b.passed, i, i+1)
			return e
		}
	}
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-b.events:
			if !ok {
				b.t.Fatalf("the backend ended before %q", name)
			}
			if e.Event == name {
				return e
			}
			b.passed = append(b.passed, e)
		case <-timeout:
			b.t.Fatalf("waiting for %q", name)
		}
	}
}

// say sends a segment, and waits until the host has it: the answer to who spoke
// it comes after.
func (b *backend) say(id string, at int) {
	b.t.Helper()
	b.do(map[string]any{"do": "say", "id": id, "text": "this is " + id, "at": at})
	for { // what was asked before it was sent finds no segment
		b.do(map[string]any{"do": "speaker", "person": "person-" + id, "ids": []string{id}})
		if e := b.await("frame"); e.Kind == 205 && e.Assigned == 1 {
			return
		}
	}
}

// process asks to complete a conversation, and returns the answer.
func (b *backend) process(id string) backendEvent {
	b.t.Helper()
	b.do(map[string]any{"do": "process", "id": id})
	e := b.await("processed")
	if e.ID != id {
		b.t.Fatalf("got an answer about %q, want %q", e.ID, id)
	}
	return e
}

// stored lists a user's completed conversations.
func stored(t *testing.T, h *host.Host, uid string) []store.Record {
	t.Helper()
	status, body := get(t, h, "/v1/conversations?uid="+uid)
	var page store.Page
	if err := json.Unmarshal(body, &page); err != nil || status != http.StatusOK {
		t.Fatalf("listing: %d %s, %v", status, body, err)
	}
	return page.Conversations
}

// The host stops and starts under Omi's backend, twice. What it streams of one
// conversation is one to the apps, and completing it is answered by each host.
func TestOmisBackendGoesOnWithTheNextHost(t *testing.T) {
	c := configuration(t.TempDir(), echo())
	h, stop := start(t, c)
	c.Listen = h.Addr().String() // those that follow are found at the same address
	b := startBackend(t, "ws://"+c.Listen, "ada")
	b.await("connected")
	b.do(map[string]any{"do": "conversation", "id": "omi-1"})
	b.do(map[string]any{"do": "audio", "ms": 500})
	b.say("a", 1)

	stop()
	b.await("disconnected")
	b.do(map[string]any{"do": "audio", "ms": 500}) // before a name is sent again: Omi sends none
	b.do(map[string]any{"do": "process", "id": "omi-0"})
	_, stop = start(t, c)
	b.await("connected")
	b.say("b", 2)
	b.do(map[string]any{"do": "process", "id": "omi-1"})
	for want := map[string]string{"omi-0": "conversation_not_found", "omi-1": ""}; len(want) > 0; { // in any order
		e := b.await("processed")
		if fault, ok := want[e.ID]; !ok || e.Error != fault || e.Success != (fault == "") {
			t.Errorf("got %+v, want an error %q", e, fault)
		}
		delete(want, e.ID)
	}
	if e := b.process("omi-1"); !e.Success {
		t.Errorf("again: %+v", e)
	}
	if e := startBackend(t, "ws://"+c.Listen, "eve").process("omi-1"); e.Success || e.Error != "conversation_not_found" {
		t.Errorf("by another user: %+v", e)
	}

	stop()
	b.await("disconnected")
	h, _ = start(t, c)
	b.await("connected")
	if e := b.process("omi-1"); !e.Success {
		t.Errorf("by another host: %+v", e)
	}
	all := stored(t, h, "ada")
	if len(all) != 1 {
		t.Fatalf("got %d conversations, want 1: %+v", len(all), all)
	}
	got := all[0]
	if len(got.Segments) != 2 || got.Segments[0].Text != "this is a" || got.Segments[1].Speaker != "person-b" || got.AudioMillis != 1000 ||
		got.Reason != event.ReasonFinish || got.Language != "en" || got.Metadata["omi_conversation"] != "omi-1" {
		t.Errorf("got %+v", got.Conversation)
	}
	awaitTrue(t, "the app's answer", func() bool { return len(record(t, h, got.ID).Outputs) > 0 })
}

// A conversation that the host completed because its stream was lost goes on
// under the same name, and is not lost twice.
func TestOmisConversationGoesOnAfterItWasLost(t *testing.T) {
	c := configuration(t.TempDir())
	c.Conversation.Grace = 50 * time.Millisecond
	h, _ := start(t, c)
	ada := dialOmi(t, h, "ada")
	ada.frame(102, `{"segments":[{"id":"1","text":"one","start":0,"end":1}],"memory_id":"omi-1"}`)
	ada.frame(105, `{"person_id":"p","conversation_id":"omi-1","segment_ids":["1"]}`)
	ada.answer(205)
	ada.conn.Close()
	awaitTrue(t, "its completion", func() bool { return len(stored(t, h, "ada")) == 1 })

	ada = dialOmi(t, h, "ada")
	ada.frame(104, `{"conversation_id":"omi-1","language":"en"}`)
	if got := ada.answer(201); got != `{"conversation_id":"omi-1","success":true}` {
		t.Errorf("got %s", got)
	}
	ada.frame(102, `{"segments":[{"id":"2","text":"two","start":0,"end":1}],"memory_id":"omi-1"}`)
	ada.frame(104, `{"conversation_id":"omi-1"}`)
	ada.answer(201)
	all := stored(t, h, "ada")
	if len(all) != 2 || all[0].Reason != event.ReasonFinish || all[1].Reason != event.ReasonLost || all[0].Segments[0].Text != "two" {
		t.Errorf("got %+v", all)
	}
}

// omiStream is a client of Omi's sockets that says what it is told to.
type omiStream struct {
	t    *testing.T
	conn *websocket.Conn
}

func dialOmi(t *testing.T, h *host.Host, uid string) *omiStream {
	t.Helper()
	return dialOmiAt(t, "ws://"+h.Addr().String()+"/v1/trigger/listen?uid="+uid)
}

func dialOmiAt(t *testing.T, url string) *omiStream {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return &omiStream{t, conn}
}

func (o *omiStream) send(kind int, b []byte) {
	o.t.Helper()
	if err := o.conn.WriteMessage(kind, b); err != nil {
		o.t.Fatal(err)
	}
}

func (o *omiStream) frame(kind uint32, body string) {
	o.t.Helper()
	o.send(websocket.BinaryMessage, append(binary.LittleEndian.AppendUint32(nil, kind), body...))
}

func (o *omiStream) read() []byte {
	o.t.Helper()
	o.conn.SetReadDeadline(time.Now().Add(patience)) // its end fails the test
	_, b, err := o.conn.ReadMessage()
	if err != nil {
		o.t.Fatalf("reading: %v", err)
	}
	return b
}

// answer reads a frame of a kind.
func (o *omiStream) answer(kind uint32) string {
	o.t.Helper()
	b := o.read()
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != kind {
		o.t.Fatalf("got %q, want a frame of type %d", b, kind)
	}
	return string(b[4:])
}

// metricOf returns the sum of a metric's samples whose line contains all of has.
func metricOf(t *testing.T, h *host.Host, has ...string) (sum float64) {
	t.Helper()
	resp, err := http.Get("http://" + h.OperatorsAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		ok := true
		for _, s := range has {
			ok = ok && strings.Contains(lines.Text(), s)
		}
		if ok && !strings.HasPrefix(lines.Text(), "#") {
			var v float64
			if _, err := fmt.Sscan(lines.Text()[strings.LastIndex(lines.Text(), " ")+1:], &v); err == nil {
				sum += v
			}
		}
	}
	return sum
}

func TestABadFrameOfOmisDisturbsNothing(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir()))
	ada := dialOmi(t, h, "ada")
	ada.frame(103, "omi-1")
	bad := []struct {
		frame string // its type and body
		code  string // counted
	}{
		{"", "short_frame"}, // without a type
		{"\x65", "short_frame"},
		{"\x65\x00\x00", "short_frame"},
		{"\x65\x00\x00\x00", "short_frame"},                 // audio without a timestamp
		{"\x65\x00\x00\x001234567", "short_frame"},          // with part of one
		{"\x65\x00\x00\x0012345678x", "half_sample"},        // and half a sample
		{"\x63\x00\x00\x00", "unknown_type"},                // 99
		{"\xc9\x00\x00\x00{}", "unknown_type"},              // 201 is the host's
		{"\x66\x00\x00\x00", "bad_json"},                    // a transcript of nothing
		{"\x66\x00\x00\x00[]", "bad_message"},               // no object
		{"\x66\x00\x00\x00{\"segments\":1}", "bad_message"}, // the wrong kind
		{"\x66\x00\x00\x00{\"segments\":[", "bad_json"},
		{"\x66\x00\x00\x00\xff", "bad_json"},
		{"\x67\x00\x00\x00", "bad_message"}, // a conversation without an id
		{"\x67\x00\x00\x00" + strings.Repeat("x", 129), "bad_message"},
		{"\x68\x00\x00\x00null", "bad_message"},
		{"\x68\x00\x00\x00{}", "bad_message"},                                              // nothing to process
		{"\x69\x00\x00\x00{\"person_id\":\"p\",\"conversation_id\":\"c\"}", "bad_message"}, // no segments
		{"\x69\x00\x00\x00{\"person_id\":\"p\",\"conversation_id\":\"c\",\"segment_ids\":[1]}", "bad_message"},
	}
	want := map[string]float64{}
	for _, b := range bad {
		ada.send(websocket.BinaryMessage, []byte(b.frame))
		want[b.code]++
	}
	ada.send(websocket.TextMessage, []byte("{}"))
	want["bad_message"]++
	ada.frame(102, `{"segments":[{"id":"1","text":"still here","start":0,"end":1}]}`) // of the current one
	ada.frame(104, `{"conversation_id":"omi-1"}`)
	if got := ada.answer(201); got != `{"conversation_id":"omi-1","success":true}` {
		t.Errorf("got %s", got)
	}
	for code, n := range want {
		if got := metricOf(t, h, "auricle_stream_refused_messages_total", `code="`+code+`"`); got != n {
			t.Errorf("%s: %v counted, want %v", code, got, n)
		}
	}
	if all := stored(t, h, "ada"); len(all) != 1 || all[0].Segments[0].Text != "still here" {
		t.Errorf("got %+v", all)
	}
}

// Two streams of one user take turns at one conversation, and have others of
// their own: nothing is lost, nothing is mixed up.
func TestSeveralStreamsOfOmisMaySpeakOfOneConversation(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir()))
	first, second := dialOmi(t, h, "ada"), dialOmi(t, h, "ada")
	for i := range 6 {
		s := []*omiStream{first, second}[i%2]
		s.frame(102, fmt.Sprintf(`{"segments":[{"id":"%d","text":"t","start":%d,"end":%d}],"memory_id":"both"}`, i, i, i))
		s.frame(105, fmt.Sprintf(`{"person_id":"p","conversation_id":"both","segment_ids":["%d"]}`, i))
		s.answer(205)
	}
	second.frame(102, `{"segments":[{"id":"x","text":"other","start":0,"end":1}],"memory_id":"own"}`)
	first.frame(104, `{"conversation_id":"both"}`)
	first.answer(201)
	second.frame(104, `{"conversation_id":"own"}`)
	second.answer(201)
	second.frame(102, `{"segments":[{"id":"late","text":"late","start":9,"end":9}],"memory_id":"both"}`)
	second.frame(104, `{"conversation_id":"both"}`)
	second.answer(201)
	n := map[string]int{}
	for _, c := range stored(t, h, "ada") {
		n[c.Metadata["omi_conversation"]] += len(c.Segments)
	}
	if n["both"] != 6 || n["own"] != 1 || len(n) != 2 {
		t.Errorf("got %v", n)
	}
	if got := metricOf(t, h, "auricle_stream_refused_messages_total", `code="after_end"`); got != 1 {
		t.Errorf("%v counted as after_end, want 1", got)
	}
}

func TestOmisSocketsRefuseBeforeTheUpgrade(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir()))
	for _, row := range []struct{ path, code, says string }{
		{"/v1/trigger/listen", "bad_query", "uid"},
		{"/v1/trigger/listen?uid=a%20b", "bad_query", "uid"},
		{"/v1/trigger/listen?uid=ada&sample_rate=fast", "bad_query", "sample_rate"},
		{"/v1/trigger/listen?uid=ada&sample_rate=44", "bad_query", "sample_rate"},
		{"/v4/listen", "bad_query", "uid"},
		{"/v4/listen?uid=ada&codec=aac", "unsupported_audio", `"aac"`}, // by name
		{"/v4/listen?uid=ada&codec=lc3", "unsupported_audio", `"lc3"`},
		{"/v4/listen?uid=ada&codec=lc3_fs1030", "unsupported_audio", `"lc3_fs1030"`},
		{"/v4/listen?uid=ada&channels=3", "unsupported_audio", "channels"},
		{"/v4/listen?uid=ada&codec=opus&sample_rate=11025", "unsupported_audio", "rate"},
		{"/v4/listen?uid=ada&conversation_timeout=soon", "bad_query", "conversation_timeout"},
	} {
		_, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.Addr().String()+row.path, nil)
		if err == nil || resp == nil {
			t.Errorf("%s: got %v, want a refusal", row.path, err)
			continue
		}
		var fault struct {
			Error struct{ Code, Message string }
		}
		if err := json.NewDecoder(resp.Body).Decode(&fault); err != nil || resp.StatusCode != http.StatusBadRequest || fault.Error.Code != row.code || !strings.Contains(fault.Error.Message, row.says) {
			t.Errorf("%s: got %d %+v, want %s that names %s", row.path, resp.StatusCode, fault, row.code, row.says)
		}
	}
}
