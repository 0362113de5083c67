package stream_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// resume dials and resumes a session with 16 kHz audio.
func (r *rig) resume(session string) (*client, *wire.Ready) {
	r.t.Helper()
	w := r.dial()
	w.send(&wire.Start{UID: "ada", Session: session, Audio: pcm16k})
	m, err := w.next()
	ready, ok := m.(*wire.Ready)
	if !ok {
		r.t.Fatalf("got %+v, %v first, want ready", m, err)
	}
	return w, ready
}

// cut breaks the connection as of a machine that is gone.
func (w *client) cut() {
	w.NetConn().(*net.TCPConn).SetLinger(0)
	w.NetConn().Close()
}

func TestASessionIsResumedWhereItWas(t *testing.T) {
	r := newRig(t, rigOptions{})
	w, ready := r.start()
	w.audio(3200)
	w.say(1, "hello")
	read[*wire.Ack](w)
	w.cut()

	w, again := r.resume(ready.Session)
	if again.Session != ready.Session || again.Conversation != ready.Conversation || again.Received != (wire.Received{AudioBytes: 3200, Seq: 1}) {
		t.Errorf("ready: got %+v, want %+v with what was received", again, ready)
	}
	if c := w.conversation(wire.StateOpen); c.ID != ready.Conversation {
		t.Errorf("open: got %s, want %s", c.ID, ready.Conversation)
	}
	if a := read[*wire.Ack](w); *a != (wire.Ack{Seq: 1, AudioBytes: 3200}) {
		t.Errorf("ack: got %+v", a)
	}
	w.say(1, "hello") // sent again, which is no error
	if a := read[*wire.Ack](w); a.Seq != 1 {
		t.Errorf("ack of the duplicate: got %+v", a)
	}
	w.say(2, "you")
	w.send(&wire.End{})
	if c := w.conversation(wire.StateCompleted); c.ID != ready.Conversation || len(c.Conversation.Segments) != 2 || c.Conversation.Reason != event.ReasonEnd {
		t.Errorf("completed: got %+v", c.Conversation)
	}
	if code, _ := w.closed(); code != 1000 {
		t.Errorf("closed with %d", code)
	}
}

func TestASessionGoesOnAfterItsHostWasRestarted(t *testing.T) {
	first := newRig(t, rigOptions{conversation: conversation.Options{HostID: "a"}})
	w, ready := first.start()
	w.audio(3200)
	w.say(1, "hello")
	read[*wire.Ack](w)
	shut := make(chan error, 1)
	go func() { shut <- first.server.Shutdown(t.Context()) }()
	if code, last := w.closed(); code != 4001 || !strings.Contains(last.(*wire.Closing).Message, "stays open") {
		t.Errorf("closed with %d after %+v", code, last)
	}
	if err := errors.Join(<-shut, first.sessions.Close(t.Context())); err != nil {
		t.Error(err)
	}

	second := newRig(t, rigOptions{conversation: conversation.Options{HostID: "b"}, store: first.store})
	w, again := second.resume(ready.Session)
	if again.Conversation != ready.Conversation || again.Received != (wire.Received{AudioBytes: 3200, Seq: 1}) {
		t.Errorf("ready: got %+v", again)
	}
	w.audio(3200)
	w.say(2, "you")
	w.send(&wire.Finish{})
	if c := w.conversation(wire.StateCompleted); c.ID != ready.Conversation || len(c.Conversation.Segments) != 2 || c.Conversation.AudioMillis != 200 {
		t.Errorf("completed: got %+v", c.Conversation)
	}
}

func TestTheNewerStreamOfASessionWins(t *testing.T) {
	r := newRig(t, rigOptions{})
	older, ready := r.start()
	older.say(1, "hello")
	read[*wire.Ack](older)
	newer, _ := r.resume(ready.Session)
	code, last := older.closed()
	if e, ok := last.(*wire.Error); code != 4506 || !ok || e.Code != "superseded" || !e.Fatal {
		t.Errorf("the older closed with %d after %+v", code, last)
	}
	newer.say(2, "you")
	for a := read[*wire.Ack](newer); a.Seq != 2; a = read[*wire.Ack](newer) {
	}
}

func TestAResumeThatCannotBeIsRefusedInTheSameWords(t *testing.T) {
	r := newRig(t, rigOptions{conversation: conversation.Options{Grace: time.Millisecond}})
	alive, other := r.start()
	alive.say(1, "hello")
	read[*wire.Ack](alive)
	over, expired := r.start()
	over.say(1, "hello")
	read[*wire.Ack](over)
	over.cut()
	r.completed() // its grace is over

	words := map[string]bool{}
	for name, start := range map[string]*wire.Start{
		"not known":      {UID: "eve", Session: "s_01jd3m8gz4w7e7k0v6t2h5n9qa", Audio: pcm16k},
		"another user's": {UID: "eve", Session: other.Session, Audio: pcm16k},
		"over":           {UID: "ada", Session: expired.Session, Audio: pcm16k},
	} {
		w := r.dial()
		w.send(start)
		code, last := w.closed()
		e, ok := last.(*wire.Error)
		if code != 4505 || !ok || e.Code != "unknown_session" || !e.Fatal {
			t.Errorf("%s: closed with %d after %+v", name, code, last)
			continue
		}
		words[strings.ReplaceAll(e.Message, start.Session, "…")] = true
	}
	if len(words) != 1 {
		t.Errorf("they are told apart: %v", words)
	}
	alive.say(2, "still here")
	for o := read[*wire.Output](alive); string(o.Data) != `"still here"`; o = read[*wire.Output](alive) {
	}
}

func TestAResumeWithOtherAudioIsRefusedAndNamesBoth(t *testing.T) {
	r := newRig(t, rigOptions{})
	_, ready := r.start()
	w := r.dial()
	w.send(&wire.Start{UID: "ada", Session: ready.Session, Audio: &wire.Format{Codec: wire.MuLaw, Rate: 8000, Channels: 1}})
	code, last := w.closed()
	e, ok := last.(*wire.Error)
	if code != 4500 || !ok || e.Code != "bad_start" || !strings.Contains(e.Message, "pcm_s16le 16000 Hz") || !strings.Contains(e.Message, "pcm_mulaw 8000 Hz") {
		t.Errorf("closed with %d after %+v", code, last)
	}
}

func TestAResumeThatTheStoreCannotAnswerIsPutOff(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.store.set(nil, errors.New("no quorum"))
	w := r.dial()
	w.send(&wire.Start{UID: "ada", Session: "s_1"})
	code, last := w.closed()
	if c, ok := last.(*wire.Closing); code != 1013 || !ok || c.Code != "store_unavailable" || c.RetryAfterMillis <= 0 || !wire.MayRetry(code) {
		t.Errorf("closed with %d after %+v", code, last)
	}
	r.store.set(nil, nil)
}
