package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

func TestAConversationFromStartToEnd(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, ready := r.start()
	if ready.Audio != "discarded" || !strings.HasPrefix(ready.Session, "s_") || !strings.HasPrefix(ready.Conversation, "c_") {
		t.Errorf("ready: got %+v", ready)
	}
	if want := (wire.Limits{MessageBytes: 1 << 20, OutputQueueBytes: 1 << 20, SegmentTextBytes: 16 << 10, SegmentsPerMessage: 1000, SilenceMillis: 120_000, IdleMillis: 300_000, Sessions: 10_000}); ready.Limits != want {
		t.Errorf("limits: got %+v, want %+v", ready.Limits, want)
	}
	w.audio(3200)
	w.say(1, "hello")
	w.send(&wire.Keepalive{})
	if c := w.conversation(wire.StateOpen); c.ID != ready.Conversation {
		t.Errorf("opened %s, want %s", c.ID, ready.Conversation)
	}
	if o := read[*wire.Output](w); string(o.Data) != `"hello"` || o.Event != "transcript" || o.Conversation != ready.Conversation {
		t.Errorf("output: got %+v", o)
	}
	if a := read[*wire.Ack](w); *a != (wire.Ack{Seq: 1, AudioBytes: 3200}) {
		t.Errorf("ack: got %+v", a)
	}

	w.send(&wire.Finish{})
	w.conversation(wire.StateCompleting)
	c := w.conversation(wire.StateCompleted)
	if c.ID != ready.Conversation || c.Conversation == nil || len(c.Conversation.Segments) != 1 || c.Conversation.AudioMillis != 100 || c.Conversation.Reason != event.ReasonFinish {
		t.Errorf("completed: got %+v", c)
	}
	if stored := r.completed(); stored.ID != c.ID {
		t.Errorf("stored %s", stored.ID)
	}
	if o := read[*wire.Output](w); o.Event != "conversation" {
		t.Errorf("output: got %+v", o)
	}
	if next := w.conversation(wire.StateOpen); next.ID == c.ID {
		t.Error("the next conversation has the same id")
	}

	w.say(2, "bye")
	w.send(&wire.End{})
	if c := w.conversation(wire.StateCompleted); c.Conversation.Reason != event.ReasonEnd {
		t.Errorf("reason: got %s", c.Conversation.Reason)
	}
	code, last := w.closed()
	if o, ok := last.(*wire.Output); code != 1000 || !ok || o.Event != "conversation" {
		t.Errorf("closed with %d after %+v; want 1000 after the conversation's output", code, last)
	}
}

func TestWhatABadClientSendsIsNamedAndClosesItsStreamOnly(t *testing.T) {
	start := func(w *client) {
		w.send(&wire.Start{UID: "ada", Audio: pcm16k})
		read[*wire.Ready](w)
	}
	startWith := func(f wire.Format) func(w *client) {
		return func(w *client) { w.send(&wire.Start{UID: "ada", Audio: &f}) }
	}
	bad := []struct {
		name  string
		send  func(w *client)
		close wire.CloseCode
		code  string // of the error before the close
		want  string // in its message
	}{
		{"binary before start", func(w *client) { w.audio(320) }, wire.CloseBadMessage, "not_started", "send start first"},
		{"transcript before start", func(w *client) { w.say(1, "x") }, wire.CloseBadMessage, "not_started", "send start first"},
		{"second start", func(w *client) { start(w); w.send(&wire.Start{UID: "ada"}) }, wire.CloseBadMessage, "already_started", "another stream"},
		{"unknown type", func(w *client) { w.text(`{"type":"begin"}`) }, wire.CloseBadMessage, "unknown_type", `"begin"; send one of: start, transcript`},
		{"no JSON", func(w *client) { w.text(`hello`) }, wire.CloseBadMessage, "bad_json", "invalid character 'h'"},
		{"truncated JSON", func(w *client) { w.text(`{"type":"start"`) }, wire.CloseBadMessage, "bad_json", "unexpected end"},
		{"two JSONs", func(w *client) { w.text(`{"type":"end"} {"type":"end"}`) }, wire.CloseBadMessage, "bad_json", "after top-level value"},
		{"not UTF-8", func(w *client) { w.text("{\"type\":\"\xff\"}") }, wire.CloseBadMessage, "bad_json", "not UTF-8"},
		{"wrong kind", func(w *client) { w.text(`{"type":"start","uid":7}`) }, wire.CloseBadMessage, "bad_message", `uid is the number "7"; give a string`},
		{"unknown field", func(w *client) { w.text(`{"type":"start","user":"ada"}`) }, wire.CloseBadMessage, "bad_message", `no field "user"`},
		{"no uid", func(w *client) { w.text(`{"type":"start"}`) }, wire.CloseBadMessage, "bad_start", "no uid"},
		{"uid with a space", func(w *client) { w.send(&wire.Start{UID: "a b"}) }, wire.CloseBadMessage, "bad_start", "uid holds ' '"},
		{"long uid", func(w *client) { w.send(&wire.Start{UID: strings.Repeat("a", 129)}) }, wire.CloseBadMessage, "bad_start", "129 bytes"},
		{"long metadata", func(w *client) {
			w.send(&wire.Start{UID: "a", Metadata: map[string]string{"k": strings.Repeat("v", 257)}})
		}, wire.CloseBadMessage, "bad_start", "257"},
		{"long language", func(w *client) { w.send(&wire.Start{UID: "a", Language: strings.Repeat("x", 65)}) }, wire.CloseBadMessage, "bad_start", "language is 65 bytes"},
		{"long source", func(w *client) { w.send(&wire.Start{UID: "a", Source: strings.Repeat("x", 129)}) }, wire.CloseBadMessage, "bad_start", "source is 129 bytes"},
		{"session that is not there", func(w *client) { w.send(&wire.Start{UID: "ada", Session: "s_1"}) }, wire.CloseSessionExpired, "unknown_session", "without session"},
		{"session that is no id", func(w *client) { w.send(&wire.Start{UID: "ada", Session: "../*"}) }, wire.CloseSessionExpired, "unknown_session", "without session"},
		{"long session", func(w *client) { w.send(&wire.Start{UID: "ada", Session: strings.Repeat("s", 129)}) }, wire.CloseBadMessage, "bad_start", "129 bytes"},
		{"rate 0", startWith(wire.Format{Codec: wire.PCM16, Channels: 1}), wire.CloseUnsupportedAudio, "unsupported_audio", "rate 0 is not supported; supported: 8000 to 48000"},
		{"codec", startWith(wire.Format{Codec: "aac", Rate: 48000, Channels: 1}), wire.CloseUnsupportedAudio, "unsupported_audio", `codec "aac" is not supported; supported: pcm_s16le, pcm_u8, pcm_mulaw, pcm_alaw, opus`},
		{"another codec", startWith(wire.Format{Codec: "lc3", Rate: 16000, Channels: 1}), wire.CloseUnsupportedAudio, "unsupported_audio", `codec "lc3" is not supported`},
		{"rate of opus", startWith(wire.Format{Codec: "opus", Rate: 44100, Channels: 1}), wire.CloseUnsupportedAudio, "unsupported_audio", `rate 44100 is not supported; supported: 8000, 12000, 16000, 24000 or 48000 Hz with opus`},
		{"channels", startWith(wire.Format{Codec: wire.PCM16, Rate: 48000, Channels: 3}), wire.CloseUnsupportedAudio, "unsupported_audio", "channels 3"},
		{"JSON of 10 MB", func(w *client) {
			// What is beyond the limit may be cut off while it is written.
			_ = w.WriteMessage(websocket.TextMessage, []byte(`{"type":"`+strings.Repeat("x", 10<<20)+`"}`))
		}, wire.CloseMessageTooLarge, "message_too_large", "1048576 bytes"},
		{"frame above the limit", func(w *client) {
			start(w)
			_ = w.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20+1))
		}, wire.CloseMessageTooLarge, "message_too_large", "1048576 bytes"},
		{"fragments above the limit", func(w *client) {
			start(w)
			frames, err := w.NextWriter(websocket.BinaryMessage)
			for range 1 << 11 {
				if err == nil {
					_, err = frames.Write(make([]byte, 1<<10))
				}
			}
		}, wire.CloseMessageTooLarge, "message_too_large", "1048576 bytes"},
	}
	r := newRig(t, rigOptions{})
	bystander, _ := r.start()
	for _, b := range bad {
		t.Run(b.name, func(t *testing.T) {
			w := r.dial()
			w.t = t
			b.send(w)
			code, last := w.closed()
			if code != b.close.Code {
				t.Errorf("closed with %d, want %d", code, b.close.Code)
			}
			e, ok := last.(*wire.Error)
			if !ok || e.Code != b.code || !e.Fatal || !strings.Contains(e.Message, b.want) {
				t.Errorf("last message: got %+v, want fatal error %s that says %q", last, b.code, b.want)
			}
		})
	}
	bystander.say(1, "still here")
	if o := read[*wire.Output](bystander); string(o.Data) != `"still here"` {
		t.Errorf("the bystander got %+v", o)
	}
}

func TestABadValueIsRefusedByNameAndTheStreamGoesOn(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, _ := r.start()
	for _, b := range []struct {
		name string
		send func()
		code string
		ref  wire.Ref
	}{
		{"finish with nothing said", func() { w.send(&wire.Finish{}) }, "empty_conversation", wire.Ref{Type: "finish"}},
		{"half a sample", func() { w.audio(321) }, "half_sample", wire.Ref{Type: "audio"}},
		{"seq 0", func() { w.text(`{"type":"transcript","seq":0,"segments":[]}`) }, "bad_seq", wire.Ref{Type: "transcript"}},
		{"no segments", func() { w.text(`{"type":"transcript","seq":7,"segments":[]}`) }, "bad_segment", wire.Ref{Seq: 7}},
		{"end before start", func() {
			w.text(`{"type":"transcript","seq":8,"segments":[{"id":"a","text":"x","start":2,"end":1}]}`)
		}, "bad_segment", wire.Ref{Seq: 8}},
	} {
		b.send()
		e := read[*wire.Error](w)
		if e.Code != b.code || e.Fatal || e.Ref == nil || *e.Ref != b.ref {
			t.Errorf("%s: got %+v with ref %+v, want %s of %+v", b.name, e, e.Ref, b.code, b.ref)
		}
	}
	w.audio(0)
	w.audio(320)
	w.say(9, "fine")
	if a := read[*wire.Ack](w); a.AudioBytes != 320 || a.Seq != 9 {
		t.Errorf("ack: got %+v, want what was not refused", a)
	}
}

func TestAFloodOfRefusedAudioIsNoFloodOfErrors(t *testing.T) {
	r := newRig(t, rigOptions{config: config.Stream{OutputQueueBytes: 8 << 10}})
	w, _ := r.start()
	for range 1000 {
		w.audio(3)
	}
	w.say(1, "hello")
	errs := 0
	for {
		m, err := w.next()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m.(*wire.Error); ok {
			errs++
		}
		if _, ok := m.(*wire.Output); ok {
			break
		}
	}
	if errs < 1 || errs > 20 {
		t.Errorf("got %d errors for 1000 frames", errs)
	}
}

func TestWhatFollowsEndIsRefusedOnce(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, _ := r.start()
	w.say(1, "hello")
	read[*wire.Ack](w)
	gate := make(chan struct{})
	r.store.set(gate, nil)
	w.send(&wire.End{})
	w.send(&wire.End{})
	w.audio(320)
	w.say(2, "more")
	if e := read[*wire.Error](w); e.Code != "after_end" || e.Fatal {
		t.Errorf("got %+v", e)
	}
	close(gate)
	for {
		m, err := w.next()
		if e, ok := m.(*wire.Error); ok {
			t.Errorf("told again: %+v", e)
		}
		if err != nil {
			break
		}
	}
	if c := r.completed(); len(c.Segments) != 1 {
		t.Errorf("got %+v", c)
	}
}

func TestAClientThatNeverReadsIsClosedAndOthersDoNotNotice(t *testing.T) {
	r := newRig(t, rigOptions{})
	bystander, _ := r.start()
	r.dialer.NetDialContext = (&net.Dialer{Control: smallReceiveBuffer}).DialContext
	w, _ := r.start()
	w.say(1, "flood") // 256 outputs of 64 KiB, more than the sockets and the queue hold
	<-r.flooded
	begin := time.Now()
	bystander.say(1, "hello")
	read[*wire.Output](bystander)
	if d := time.Since(begin); d > time.Second {
		t.Errorf("the bystander waited %v", d)
	}
	// Once it reads, it learns why.
	code, last := w.closed()
	if c, ok := last.(*wire.Closing); code != 4008 || !ok || c.Code != "slow_reader" {
		t.Errorf("closed with %d after %+v", code, last)
	}
	if c := r.store.completed; len(c) != 0 {
		t.Error("the conversation did not wait for the grace period")
	}
	r.until("the close is counted", func() bool { return r.closes("4008") == 1 })
}

// smallReceiveBuffer keeps the kernel from taking megabytes for a client that
// does not read.
func smallReceiveBuffer(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 16<<10) }); e != nil {
		return e
	}
	return err
}

func TestAStreamThatVanishesCompletesItsConversationAfterTheGrace(t *testing.T) {
	r := newRig(t, rigOptions{conversation: conversation.Options{Grace: 50 * time.Millisecond}})
	w, _ := r.start()
	w.say(1, "hello")
	read[*wire.Ack](w)
	w.NetConn().(*net.TCPConn).SetLinger(0) // a reset, as of a machine that is gone
	w.NetConn().Close()
	if c := r.completed(); c.Reason != event.ReasonLost || len(c.Segments) != 1 {
		t.Errorf("got %+v", c)
	}
	r.until("the close is counted", func() bool { return r.closes("1006") == 1 })
}

func TestAClientsCloseIsAnsweredAndItsConversationIsLost(t *testing.T) {
	r := newRig(t, rigOptions{conversation: conversation.Options{Grace: time.Millisecond}})
	w, _ := r.start()
	w.say(1, "hello")
	read[*wire.Ack](w)
	if err := w.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1001, "going"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if code, _ := w.closed(); code != 1000 {
		t.Errorf("answered with %d", code)
	}
	if c := r.completed(); c.Reason != event.ReasonLost {
		t.Errorf("reason: got %s", c.Reason)
	}
	r.until("the close is counted", func() bool { return r.closes("1001") == 1 })
}

func TestASlowStoreDoesNotStopReading(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, _ := r.start()
	gate := make(chan struct{})
	r.store.set(gate, nil)
	for i := range uint64(50) {
		w.say(i+1, fmt.Sprint(i))
		if o := read[*wire.Output](w); string(o.Data) != fmt.Sprintf(`"%d"`, i) { // apps have it all the same
			t.Fatalf("got %+v", o)
		}
	}
	close(gate)
	for a := read[*wire.Ack](w); a.Seq != 50; a = read[*wire.Ack](w) {
	}
}

func TestAFailingStoreIsToldAndTheStreamGoesOn(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, _ := r.start()
	r.store.set(nil, errors.New("disk full"))
	w.say(1, "hello")
	if e := read[*wire.Error](w); e.Code != "store_unavailable" || e.Fatal || e.Ref != nil {
		t.Errorf("got %+v", e)
	}
	w.say(2, "you")
	read[*wire.Output](w)
	r.store.set(nil, nil)
	for a := read[*wire.Ack](w); a.Seq != 2; a = read[*wire.Ack](w) {
	}
}

func TestTwoSessionsOfOneUserAreApart(t *testing.T) {
	r := newRig(t, rigOptions{})
	a, readyA := r.start()
	b, readyB := r.start()
	if readyA.Session == readyB.Session {
		t.Fatal("they share a session")
	}
	a.say(1, "of a")
	b.say(1, "of b")
	if o := read[*wire.Output](b); string(o.Data) != `"of b"` {
		t.Errorf("b got %s", o.Data)
	}
	if o := read[*wire.Output](a); string(o.Data) != `"of a"` {
		t.Errorf("a got %s", o.Data)
	}
}

func TestACompletedConversationThatIsTooLargeIsNamedOnly(t *testing.T) {
	r := newRig(t, rigOptions{config: config.Stream{OutputQueueBytes: 16 << 10}})
	w, _ := r.start()
	w.send(&wire.Transcript{Seq: 1, Segments: []event.Segment{{ID: "a", Text: strings.Repeat("x", 9<<10)}}})
	w.send(&wire.Finish{})
	if c := w.conversation(wire.StateCompleted); !c.Omitted || c.Conversation != nil {
		t.Errorf("got %+v", c)
	}
}

func TestAPanicClosesTheStreamWith1011(t *testing.T) {
	r := newRig(t, rigOptions{})
	bystander, _ := r.start()
	w, _ := r.start()
	w.say(1, "panic")
	code, last := w.closed()
	if e, ok := last.(*wire.Error); code != 1011 || !ok || e.Code != "internal" {
		t.Errorf("closed with %d after %+v", code, last)
	}
	bystander.say(1, "hello")
	read[*wire.Output](bystander)
}

func TestAFrameThatIsNotMaskedIsAProtocolError(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, _ := r.start()
	if _, err := w.NetConn().Write([]byte{0x82, 2, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if code, _ := w.closed(); code != websocket.CloseProtocolError {
		t.Errorf("closed with %d", code)
	}
}

func TestShutdownTellsEachClient(t *testing.T) {
	r := newRig(t, rigOptions{})
	started, _ := r.start()
	early := r.dial() // has not sent start yet
	started.say(1, "hello")
	read[*wire.Ack](started)
	done := make(chan error)
	go func() { done <- r.server.Shutdown(t.Context()) }()
	for _, w := range []*client{started, early} {
		code, last := w.closed()
		if c, ok := last.(*wire.Closing); code != 4001 || !ok || c.Code != "shutting_down" || c.RetryAfterMillis <= 0 {
			t.Errorf("closed with %d after %+v", code, last)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(r.store.completed) != 0 {
		t.Error("a conversation was completed")
	}
}

func TestClientsAreAskedToComeBackAtDifferentTimes(t *testing.T) {
	r := newRig(t, rigOptions{})
	const streams = 16
	ws := make([]*client, streams)
	for i := range ws {
		ws[i] = r.dial()
	}
	go r.server.Shutdown(t.Context()) // ends with the streams, and the rig's own waits too
	at := map[int64]bool{}
	for _, w := range ws {
		_, last := w.closed()
		c, ok := last.(*wire.Closing)
		if !ok || c.RetryAfterMillis < 500 || c.RetryAfterMillis > 3000 {
			t.Fatalf("got %+v, want retry_after_ms within 500 to 3000", last)
		}
		at[c.RetryAfterMillis] = true
	}
	if len(at) < streams/2 {
		t.Errorf("%d clients come back at %d different times", streams, len(at))
	}
}

func TestShutdownCutsWhatDoesNotClose(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, _ := r.start()
	// A client that does not read: its answer to the close never comes.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.server.Shutdown(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "1 stream") {
		t.Errorf("got %v", err)
	}
	if n := r.metric("auricle_streams_open"); n != 0 {
		t.Errorf("%v streams are open after Shutdown", n)
	}
	_ = w
}

func TestBytesAndMessagesAreCounted(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, _ := r.start()
	sent := len(encoded(t, &wire.Start{UID: "ada", Audio: pcm16k}))
	for range 3 {
		w.audio(320)
		sent += 320
	}
	w.say(1, "x")
	sent += len(encoded(t, &wire.Transcript{Seq: 1, Segments: []event.Segment{{ID: "x", Text: "x", Start: 1, End: 1}}}))
	read[*wire.Output](w)
	if got := r.metric("auricle_stream_received_bytes_total"); got != float64(sent) {
		t.Errorf("received: got %v bytes, want %d", got, sent)
	}
	if got := r.metric("auricle_stream_messages_total", "type", "audio"); got != 3 {
		t.Errorf("audio messages: got %v", got)
	}
}

func encoded(t *testing.T, m wire.Message) []byte {
	t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b)
}
