package stream_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// The tests here run in bubbles, over connections in memory: their time is
// false and their sleeps take none.

func TestAStreamThatNeverStartsIsClosedToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{StartTimeout: 10 * time.Second}})
		begin := time.Now()
		w := r.dial()
		code, last := w.closed()
		if e, ok := last.(*wire.Error); code != 4502 || !ok || e.Code != "never_started" || !e.Fatal {
			t.Errorf("closed with %d after %+v", code, last)
		}
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("closed after %v, want 10 s", d)
		}
	})
}

func TestAStreamThatStartsInTimeStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{StartTimeout: 10 * time.Second, PingInterval: time.Hour, PongTimeout: time.Hour}})
		w := r.dial()
		time.Sleep(10*time.Second - 1)
		w.send(&wire.Start{UID: "ada"})
		read[*wire.Ready](w)
		time.Sleep(time.Minute)
		w.say(1, "hello")
		read[*wire.Output](w)
	})
}

func TestPingsComeAndAMissingPongClosesToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{PingInterval: 20 * time.Second, PongTimeout: 40 * time.Second}})
		begin := time.Now()
		w, _ := r.start()
		pings := 0
		w.SetPingHandler(func(string) error {
			pings++
			if got, want := time.Since(begin), time.Duration(pings)*20*time.Second; got != want {
				t.Errorf("ping %d came after %v, want %v", pings, got, want)
			}
			if pings > 3 {
				return nil // silent from now on
			}
			return w.WriteControl(websocket.PongMessage, nil, time.Now().Add(time.Second))
		})
		var last wire.Message
		for {
			w.SetReadDeadline(time.Now().Add(time.Hour))
			_, b, err := w.ReadMessage()
			if err == nil {
				if last, err = wire.DecodeHost(b); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if !websocket.IsCloseError(err, 4012) {
				t.Errorf("closed by %v, want 4012", err)
			}
			break
		}
		if c, ok := last.(*wire.Closing); !ok || c.Code != "no_pong" {
			t.Errorf("last message: got %+v", last)
		}
		if got, want := time.Since(begin), (3*20+40)*time.Second; got != want {
			t.Errorf("closed after %v, want 40 s after the last pong, %v", got, want)
		}
	})
}

func TestAClientsPingIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true})
		w, _ := r.start()
		got := ""
		w.SetPongHandler(func(data string) error { got = data; return nil })
		if err := w.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		w.say(1, "hello")
		read[*wire.Output](w)
		if got != "there?" {
			t.Errorf("got pong %q", got)
		}
	})
}

func TestAClientThatNeverReadsIsCutWhenAWriteTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{PingInterval: time.Hour}, conversation: conversation.Options{Grace: time.Minute}})
		w, _ := r.start()
		begin := time.Now()
		w.say(1, "hello") // the pipe holds nothing: the first write waits
		c := r.completedWithin(time.Hour)
		if got, want := time.Since(begin), 10*time.Second+time.Minute; got != want {
			t.Errorf("completed (%s) after %v, want the write's timeout and the grace, %v", c.Reason, got, want)
		}
		if r.closes("4008") != 1 {
			t.Error("not counted as a slow reader")
		}
	})
}

func TestAClientThatDoesNotAnswerTheCloseIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true})
		w := r.dial()
		w.SetCloseHandler(func(int, string) error { return nil })
		w.text(`{"type":"nonsense"}`)
		begin := time.Now()
		w.closed()
		synctest.Wait()
		if r.metric("auricle_streams_open") != 1 {
			t.Error("the host did not wait for the close")
		}
		time.Sleep(5*time.Second - time.Since(begin))
		synctest.Wait()
		if r.metric("auricle_streams_open") != 0 || r.closes("4500") != 1 {
			t.Error("the stream is still open after 5 s")
		}
	})
}

func TestGapsOfAnAppAreAddedUpToOneMessageASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{PingInterval: time.Hour, PongTimeout: time.Hour}})
		w, _ := r.start()
		begin := time.Now()
		go func() { // 10 drops of 100 bytes in 100 ms
			for i := range uint64(10) {
				w.text(string(encoded(t, gapTranscript(i+1))))
				time.Sleep(10 * time.Millisecond)
			}
		}()
		first, second := read[*wire.Gap](w), read[*wire.Gap](w)
		if *first != (wire.Gap{App: "echo", Event: "audio", Bytes: 100, Reason: "buffer_full"}) {
			t.Errorf("first: got %+v", first)
		}
		if second.Bytes != 900 {
			t.Errorf("second: got %+v, want the other 900 bytes", second)
		}
		if d := time.Since(begin); d != time.Second {
			t.Errorf("the second came after %v", d)
		}
	})
}

func TestGapsThatWaitAreToldBeforeAStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true})
		w, _ := r.start()
		go func() {
			w.text(string(encoded(t, gapTranscript(1))))
			w.text(string(encoded(t, gapTranscript(2))))
			w.text(`{"type":"end"}`)
		}()
		begin := time.Now()
		read[*wire.Gap](w)
		read[*wire.Gap](w)
		if code, _ := w.closed(); code != 1000 || time.Since(begin) != 0 {
			t.Errorf("closed with %d after %v", code, time.Since(begin))
		}
	})
}
