package stream_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

func TestReadyStatesTheLimits(t *testing.T) {
	r := newRig(t, rigOptions{
		config: config.Stream{
			MaxMessageBytes: 70_000, OutputQueueBytes: 90_000, IdleTimeout: time.Minute, AudioRate: 3, AudioBurst: 90 * time.Second,
		},
		conversation: conversation.Options{MaxSessions: 7, MaxPerUser: 2, Silence: time.Hour},
	})
	_, ready := r.start()
	want := wire.Limits{
		MessageBytes: 70_000, OutputQueueBytes: 90_000, SegmentTextBytes: 16 << 10, SegmentsPerMessage: 1000, SilenceMillis: 3_600_000,
		AudioRate: 3, AudioBurstMillis: 90_000, IdleMillis: 60_000, StreamsPerUser: 2, Sessions: 7,
	}
	if ready.Limits != want {
		t.Errorf("got %+v, want %+v", ready.Limits, want)
	}
}

// A second of 16 kHz audio is 32,000 bytes.
func TestAudioFasterThanAllowedClosesToTheNanosecond(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration // after the burst, before one more second of audio
		code int           // 0: it is taken
	}{
		{"a nanosecond too soon", 500*time.Millisecond - 1, 4507},
		{"just in time", 500 * time.Millisecond, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{pipe: true, config: config.Stream{AudioRate: 2, AudioBurst: 10 * time.Second}})
				w, _ := r.start()
				go func() { // the pipe holds nothing: somebody has to read meanwhile
					for range 10 {
						w.audio(32_000)
					}
					time.Sleep(c.wait)
					w.audio(32_000)
				}()
				if c.code == 0 {
					for read[*wire.Ack](w).AudioBytes < 11*32_000 {
					}
					return
				}
				code, last := w.closed()
				e, ok := last.(*wire.Error)
				if code != c.code || !ok || e.Code != "audio_too_fast" || !e.Fatal || e.Ref == nil || e.Ref.Type != "audio" {
					t.Errorf("closed with %d after %+v", code, last)
				}
			})
		})
	}
}

// A packet of Opus counts as long as it says, however few bytes it is, and
// garbage as long as packets usually are.
func TestOpusCountsByTheTimeThatItIs(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet []byte
		most   int // within a burst of 2 s
		taken  bool
	}{
		{"20 ms in 1 byte", []byte{1 << 3}, 100, true},
		{"20 ms in 1000 bytes", append([]byte{1 << 3}, make([]byte, 999)...), 100, true},
		{"120 ms", []byte{1<<3 | 3, 6}, 16, true},
		{"2.5 ms", []byte{16 << 3}, 800, true},
		{"garbage", []byte{1<<3 | 3, 0}, 100, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{pipe: true, config: config.Stream{AudioRate: 1, AudioBurst: 2 * time.Second}})
				w := r.dial()
				w.send(&wire.Start{UID: "ada", Audio: &wire.Format{Codec: wire.Opus, Rate: 16000, Channels: 1}})
				read[*wire.Ready](w)
				sent := make(chan struct{})
				go func() { // the pipe holds nothing: somebody has to read meanwhile
					defer close(sent)
					for range c.most {
						w.WriteMessage(websocket.BinaryMessage, c.packet)
					}
				}()
				if c.taken {
					for want := int64(c.most * len(c.packet)); read[*wire.Ack](w).AudioBytes < want; {
					}
				} else if e := read[*wire.Error](w); e.Code != "bad_audio" || e.Fatal || e.Ref == nil || e.Ref.Type != "audio" {
					t.Errorf("got %+v, want bad_audio, and that the stream goes on", e)
				}
				<-sent
				go func() {
					for range c.most + 1 { // while the ack was awaited, as much became admissible again
						w.WriteMessage(websocket.BinaryMessage, c.packet)
					}
				}()
				if code, last := w.closed(); code != 4507 {
					t.Errorf("closed with %d after %+v, want 4507", code, last)
				}
			})
		})
	}
}

func TestAudioInRealTimeIsNeverTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{AudioRate: 1, AudioBurst: time.Second}})
		w, _ := r.start()
		var talk sync.WaitGroup
		talk.Go(func() { // waited for below
			for range 6000 { // ten minutes
				w.audio(3200)
				time.Sleep(100 * time.Millisecond)
			}
		})
		for read[*wire.Ack](w).AudioBytes < 6000*3200 {
		}
		talk.Wait()
	})
}

func TestAStreamWithoutMessagesIsClosedToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{IdleTimeout: 5 * time.Minute}})
		w, _ := r.start()
		begin := time.Now()
		go func() {
			time.Sleep(4 * time.Minute)
			w.text(`{"type":"keepalive"}`)
		}()
		var last wire.Message
		for { // reading answers pings, which is no message
			w.SetReadDeadline(time.Now().Add(time.Hour))
			_, b, err := w.ReadMessage()
			if err == nil {
				if last, err = wire.DecodeHost(b); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if !websocket.IsCloseError(err, 4010) {
				t.Errorf("closed by %v, want 4010", err)
			}
			break
		}
		if c, ok := last.(*wire.Closing); !ok || c.Code != "idle" {
			t.Errorf("last message: got %+v", last)
		}
		if got := time.Since(begin); got != 9*time.Minute {
			t.Errorf("closed after %v, want 5 min after keepalive came", got)
		}
	})
}

func TestAUserHasSoManyStreamsAndOthersTheirs(t *testing.T) {
	r := newRig(t, rigOptions{conversation: conversation.Options{MaxPerUser: 2}})
	refused := func() {
		t.Helper()
		w := r.dial()
		w.send(&wire.Start{UID: "ada"})
		code, last := w.closed()
		if e, ok := last.(*wire.Error); code != 4508 || !ok || e.Code != "too_many_streams" || !e.Fatal {
			t.Errorf("closed with %d after %+v", code, last)
		}
		w.Close()
	}
	_, first := r.start()
	second, _ := r.start()
	refused()

	other := r.dial()
	other.send(&wire.Start{UID: "bert"})
	read[*wire.Ready](other)

	// A stream that resumes takes the place of the one before, broken or not.
	w := r.dial()
	w.send(&wire.Start{UID: "ada", Session: first.Session, Audio: pcm16k})
	if got := read[*wire.Ready](w); got.Session != first.Session {
		t.Errorf("resumed %s, want %s", got.Session, first.Session)
	}
	refused()

	second.Close()
	r.until("there is room", func() bool { return r.metric("auricle_streams_open") == 2 })
	r.start()
}

func TestAHostThatIsFullOfSessionsAsksToComeBack(t *testing.T) {
	r := newRig(t, rigOptions{conversation: conversation.Options{MaxSessions: 1, Grace: time.Hour}})
	gate := make(chan struct{})
	r.store.set(gate, nil) // sessions that are over can't be stored, and stay
	defer close(gate)
	for range 2 {
		w, _ := r.start()
		w.send(&wire.Transcript{Seq: 1, Segments: []event.Segment{{ID: "a", Text: "a"}}})
		read[*wire.Output](w)
		w.Close()
		r.until("the stream is gone", func() bool { return r.metric("auricle_streams_open") == 0 })
	}
	w := r.dial()
	w.send(&wire.Start{UID: "ada"})
	code, last := w.closed()
	if c, ok := last.(*wire.Closing); code != 1013 || !ok || c.Code != "host_full" || c.RetryAfterMillis <= 0 {
		t.Errorf("closed with %d after %+v", code, last)
	}
}

// everybody takes each request for one user's.
type everybody struct{ auth.Identity }

func (e everybody) StreamRequest(*http.Request) (auth.Identity, error) { return e.Identity, nil }
func (e everybody) StreamToken(context.Context, string) (auth.Identity, error) {
	return e.Identity, nil
}
func (everybody) Refuse(f *auth.Refusal) *auth.Refusal { return f }

func TestAStreamEndsWithItsCredentialsToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		r := newRig(t, rigOptions{pipe: true, config: config.Stream{PingInterval: time.Hour, PongTimeout: 2 * time.Hour},
			auth: everybody{auth.Identity{UID: "ada", Scopes: auth.Scopes, Expires: begin.Add(15 * time.Second)}}})
		w, _ := r.start()
		code, last := w.closed()
		if c, ok := last.(*wire.Closing); code != 4011 || !ok || c.Code != "token_expired" {
			t.Errorf("closed with %d after %+v", code, last)
		}
		if got := time.Since(begin); got != 15*time.Second {
			t.Errorf("closed after %v, want 15 s", got)
		}
	})
}

func TestAUserWithFarTooManyStreamsIsRefusedBeforeTheUpgrade(t *testing.T) {
	r := newRig(t, rigOptions{conversation: conversation.Options{MaxPerUser: 1}, auth: everybody{auth.Identity{UID: "ada", Scopes: auth.Scopes}}})
	_, ready := r.start()
	w := r.dial() // may resume, for all that is known yet
	r.until("both streams count", func() bool { return r.metric("auricle_streams_open") == 2 })
	_, resp, err := r.dialer.Dial(r.url, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("got %v, %v; want 429 with Retry-After", resp, err)
	}
	checkRefusal(t, resp, "too_many_streams", "2 streams")
	if n := r.metric("auricle_stream_refused_handshakes_total", "code", "too_many_streams"); n != 1 {
		t.Errorf("%v counted", n)
	}
	w.send(&wire.Start{Session: ready.Session, Audio: pcm16k})
	read[*wire.Ready](w)
}
