package client_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

func said(id string) []event.Segment {
	return []event.Segment{{ID: id, Text: "text of " + id, End: 1}}
}

func TestWhatIsWrittenIsSentInOrderAndEnds(t *testing.T) {
	s := newScript(t, false, func(p *peer) {
		if start := p.start("s_1", wire.Received{}, wire.Limits{}); start.UID != "ada" || start.Session != "" || *start.Audio != *pcm8k || start.Language != "en" || start.Metadata["room"] != "3" {
			t.Errorf("start: got %+v", start)
		}
		if got := p.r.Header.Get("Authorization"); got != "Bearer secret" {
			t.Errorf("Authorization: got %q", got)
		}
		p.audio(1600)
		first, _ := until[*wire.Transcript](p)
		until[*wire.Finish](p)
		second, between := until[*wire.Transcript](p)
		if text(first) != `{"seq":1,"segments":`+text(said("a"))+`}` || second.Seq != 2 || between != 800 {
			t.Errorf("got %s, %d bytes of audio, %s", text(first), between, text(second))
		}
		p.end(wire.Ack{Seq: 2, AudioBytes: 2400})
	})
	s.o.Token, s.o.Language, s.o.Metadata = client.Token("secret"), "en", map[string]string{"room": "3"}
	var told []string
	s.o.OnMessage = func(m client.Message) { told = append(told, m.Type()) }
	c := s.client()
	mustWrite(t, c, make([]byte, 1600))
	must(t, c.Transcript(within(t), said("a")))
	must(t, c.Finish(within(t)))
	mustWrite(t, c, make([]byte, 800))
	must(t, c.Transcript(within(t), said("b")))
	must(t, c.End(within(t)))
	if got := c.Stats(); got != (client.Stats{Session: "s_1", Connections: 1, Sessions: 1, AudioBytes: 2400, AckedAudio: 2400, Transcripts: 2, Acked: 2}) {
		t.Errorf("stats: got %+v", got)
	}
	if got := strings.Join(told, " "); got != "ready ack" {
		t.Errorf("told of %s", got)
	}
	must(t, c.End(within(t)))
	if err := c.Finish(within(t)); !errors.Is(err, client.ErrEnded) {
		t.Errorf("after End: got %v", err)
	}
}

func TestALostStreamIsResumedFromWhatTheHostReceived(t *testing.T) {
	pcm := bytes.Repeat([]byte{1, 2, 3, 4}, 1000)
	s := newScript(t, false,
		func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{})
			p.audio(len(pcm))
			until[*wire.Transcript](p)
			p.say(&wire.Ack{AudioBytes: 1000})
		}, // and it breaks
		func(p *peer) {
			if start := p.start("s_1", wire.Received{AudioBytes: 3000}, wire.Limits{}); start.Session != "s_1" {
				t.Errorf("start: got %+v", start)
			}
			if got := p.audio(1000); !bytes.Equal(got, pcm[3000:]) {
				t.Errorf("got %d bytes, not what comes after 3000", len(got))
			}
			if m, _ := until[*wire.Transcript](p); m.Seq != 1 {
				t.Errorf("got %+v", m)
			}
			p.end(wire.Ack{Seq: 1, AudioBytes: 4000})
		})
	c := s.client()
	mustWrite(t, c, pcm)
	must(t, c.Transcript(within(t), said("a")))
	must(t, c.End(within(t)))
	if got := c.Stats(); got.Connections != 2 || got.Sessions != 1 || got.LostAudio != 0 || got.AckedAudio != 4000 || got.Buffered != 0 {
		t.Errorf("stats: got %+v", got)
	}
}

func TestATranscriptIsSentAgainUntilItIsAcknowledged(t *testing.T) {
	s := newScript(t, false,
		func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{})
			until[*wire.Transcript](p)
		},
		func(p *peer) {
			p.start("s_1", wire.Received{Seq: 1}, wire.Limits{}) // taken, not on disk
			until[*wire.Transcript](p)
		},
		func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{}) // that host died
			until[*wire.Transcript](p)
			p.end(wire.Ack{Seq: 1})
		})
	c := s.client()
	must(t, c.Transcript(within(t), said("a")))
	must(t, c.End(within(t)))
}

func TestAudioThatADeadHostHadAcknowledgedIsCountedAsLost(t *testing.T) {
	pcm := bytes.Repeat([]byte{1, 2, 3, 4}, 1000)
	s := newScript(t, false,
		func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{})
			p.audio(len(pcm))
			p.say(&wire.Ack{AudioBytes: 2500})
		},
		func(p *peer) {
			p.start("s_1", wire.Received{AudioBytes: 500}, wire.Limits{})
			if got := p.audio(1500); !bytes.Equal(got, pcm[2500:]) {
				t.Errorf("got %d bytes, not what comes after 2500", len(got))
			}
			p.end(wire.Ack{AudioBytes: 2000}) // by its own count, 500 and 1500
		})
	c := s.client()
	mustWrite(t, c, pcm)
	must(t, c.End(within(t)))
	if got := c.Stats(); got.LostAudio != 2000 || got.AckedAudio != 4000 || got.Buffered != 0 {
		t.Errorf("stats: got %+v", got)
	}
}

func TestASessionThatIsOverIsFollowedByANewOneWithWhatIsNotAcknowledged(t *testing.T) {
	pcm := bytes.Repeat([]byte{1, 2, 3, 4}, 1000)
	s := newScript(t, false,
		func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{})
			p.audio(len(pcm))
			until[*wire.Finish](p)
			until[*wire.Transcript](p)
			p.say(&wire.Ack{Seq: 1, AudioBytes: 1000})
		},
		func(p *peer) {
			p.upgrade()
			p.say(&wire.Error{Code: wire.CodeUnknownSession, Message: "there is none", Fatal: true})
			p.closeWith(wire.CloseSessionExpired)
		},
		func(p *peer) {
			if start := p.start("s_2", wire.Received{}, wire.Limits{}); start.Session != "" {
				t.Errorf("start: got %+v", start)
			}
			if got := p.audio(3000); !bytes.Equal(got, pcm[1000:]) {
				t.Errorf("got %d bytes, not what comes after 1000", len(got))
			}
			m, audio := until[*wire.Transcript](p)
			if m.Seq != 1 || m.Segments[0].ID != "c" || audio != 0 {
				t.Errorf("got %+v after %d bytes", m, audio)
			}
			p.end(wire.Ack{Seq: 1, AudioBytes: 3000})
		})
	c := s.client()
	must(t, c.Transcript(within(t), said("a")))
	mustWrite(t, c, pcm)
	must(t, c.Finish(within(t)))
	must(t, c.Transcript(within(t), said("c")))
	must(t, c.End(within(t)))
	if got := c.Stats(); got.Sessions != 2 || got.Session != "s_2" || got.AckedAudio != 4000 || got.Acked != 2 {
		t.Errorf("stats: got %+v", got)
	}
}

func TestASessionThatIsOverAfterEndHasEnded(t *testing.T) {
	s := newScript(t, false,
		func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{})
			until[*wire.Transcript](p)
			p.say(&wire.Ack{Seq: 1})
			until[*wire.End](p) // and it breaks before the close
		},
		func(p *peer) {
			p.upgrade()
			p.closeWith(wire.CloseSessionExpired)
		})
	c := s.client()
	must(t, c.Transcript(within(t), said("a")))
	must(t, c.End(within(t)))
}

func TestEndWaitsUntilTranscriptsAreSafe(t *testing.T) {
	acked := make(chan struct{})
	s := newScript(t, false, func(p *peer) {
		p.start("s_1", wire.Received{}, wire.Limits{})
		until[*wire.Transcript](p)
		<-acked
		p.end(wire.Ack{Seq: 1})
	})
	c := s.client()
	must(t, c.Transcript(within(t), said("a")))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.End(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v before the acknowledgement", err)
	}
	close(acked)
	must(t, c.End(within(t)))
}

func TestAFinishIsSentAgainUnlessItTookHold(t *testing.T) {
	for _, tt := range []struct {
		name     string
		received wire.Received
		again    bool
	}{
		{"nothing after it arrived", wire.Received{AudioBytes: 1000, Seq: 1}, true},
		{"audio after it arrived", wire.Received{AudioBytes: 1002, Seq: 1}, false},
		{"a transcript after it arrived", wire.Received{AudioBytes: 1000, Seq: 2}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t, false,
				func(p *peer) {
					p.start("s_1", wire.Received{}, wire.Limits{})
					until[*wire.Finish](p)
					p.audio(1000)
					until[*wire.Transcript](p)
				},
				func(p *peer) {
					p.start("s_1", tt.received, wire.Limits{})
					finishes := 0
					for seq := uint64(0); seq < 2; {
						switch m := p.next().(type) {
						case *wire.Finish:
							finishes++
						case *wire.Transcript:
							seq = m.Seq
						case error:
							t.Fatal(m)
						}
					}
					if (finishes == 1) != tt.again {
						t.Errorf("finish was sent %d times again, want it sent again: %v", finishes, tt.again)
					}
					if finishes > 0 {
						p.say(&wire.Error{Code: wire.CodeEmptyConversation, Message: "nothing was said", Ref: &wire.Ref{Type: "finish"}})
					}
					p.end(wire.Ack{Seq: 2, AudioBytes: 2000})
				})
			s.o.OnMessage = func(m client.Message) {
				if m.Type() == "error" {
					t.Errorf("told of %s, which is nobody's fault", m.Raw)
				}
			}
			c := s.client()
			mustWrite(t, c, make([]byte, 1000))
			must(t, c.Transcript(within(t), said("a")))
			must(t, c.Finish(within(t)))
			mustWrite(t, c, make([]byte, 1000))
			must(t, c.Transcript(within(t), said("b")))
			must(t, c.End(within(t)))
			if got := c.Stats(); got.Buffered != 0 {
				t.Errorf("stats: got %+v", got)
			}
		})
	}
}

func TestAFullBufferMakesWritersWait(t *testing.T) {
	room := make(chan struct{})
	s := newScript(t, false, func(p *peer) {
		p.start("s_1", wire.Received{}, wire.Limits{})
		p.audio(4000)
		<-room
		p.say(&wire.Ack{AudioBytes: 4000})
		until[*wire.Transcript](p)
		p.end(wire.Ack{Seq: 1, AudioBytes: 4000})
	})
	s.o.BufferBytes = 5000
	c := s.client()
	mustWrite(t, c, make([]byte, 4000))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	n, err := c.WriteAudio(ctx, make([]byte, 4000))
	if n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wrote %d bytes: %v", n, err)
	}
	close(room)
	must(t, c.Transcript(within(t), []event.Segment{{ID: "a", Text: strings.Repeat("x", 2000)}}))
	must(t, c.End(within(t)))
	if got := c.Stats().AudioBytes; got != 4000 {
		t.Errorf("took %d bytes of audio", got)
	}
}

func TestARefusedTranscriptIsToldAndNotSentAgain(t *testing.T) {
	s := newScript(t, false, func(p *peer) {
		p.start("s_1", wire.Received{}, wire.Limits{})
		until[*wire.Transcript](p)
		p.say(&wire.Error{Code: wire.CodeBadSegment, Message: "segments[0].id is empty", Ref: &wire.Ref{Seq: 1}})
		p.end(wire.Ack{})
	})
	var refused []string
	s.o.OnRefused = func(segments []event.Segment, why *wire.Error) {
		refused = append(refused, segments[0].Text+": "+why.Code)
	}
	c := s.client()
	must(t, c.Transcript(within(t), []event.Segment{{Text: "hi"}}))
	must(t, c.End(within(t)))
	if got := strings.Join(refused, "; "); got != "hi: bad_segment" {
		t.Errorf("told of %q", got)
	}
	if got := c.Stats(); got.Refused != 1 || got.Acked != 0 {
		t.Errorf("stats: got %+v", got)
	}
}

func TestACloseThatForbidsItIsNotFollowedByAnotherStream(t *testing.T) {
	s := newScript(t, false, func(p *peer) {
		p.upgrade()
		p.say(&wire.Error{Code: wire.CodeUnsupportedAudio, Message: "audio rate 8000 is not supported", Fatal: true})
		p.closeWith(wire.CloseUnsupportedAudio)
	})
	c := s.client()
	_, err := c.WaitReady(within(t))
	if e := as[*client.ClosedError](t, err); e.Code != 4503 || e.Word != "unsupported_audio" || e.Message != "audio rate 8000 is not supported" {
		t.Errorf("got %+v", e)
	}
	if _, err := c.WriteAudio(within(t), make([]byte, 2)); err == nil {
		t.Error("it takes audio afterwards")
	}
}

func TestANewSessionThatExpiresAtOnceIsNotTriedForEver(t *testing.T) {
	s := newScript(t, false, func(p *peer) {
		p.upgrade()
		p.closeWith(wire.CloseSessionExpired)
	})
	_, err := s.client().WaitReady(within(t))
	if e := as[*client.ClosedError](t, err); e.Code != 4505 {
		t.Errorf("got %+v", e)
	}
}

func TestARefusalThatIsFinalEndsTheClient(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 426} {
		s := newScript(t, false, refuse(status, "", ""))
		_, err := s.client().WaitReady(within(t))
		if e := as[*client.RefusedError](t, err); e.Status != status || e.Code != "busy" || e.Message != "come back later" {
			t.Errorf("got %+v", e)
		}
	}
}

func TestOnRetryMayGiveUp(t *testing.T) {
	s := newScript(t, false, refuse(503, "", ""))
	gaveUp := errors.New("enough")
	s.o.OnRetry = func(r client.Retry) error {
		if e := as[*client.RefusedError](t, r.Err); e.Status != 503 || r.Attempt != 1 || r.Ready {
			t.Errorf("got %+v", r)
		}
		return gaveUp
	}
	if err := s.client().End(within(t)); !errors.Is(err, gaveUp) {
		t.Errorf("got %v", err)
	}
}

func TestATokenIsAskedForBeforeEachHandshake(t *testing.T) {
	tokens := []string{"one", "two"}
	seen := func(want string) part {
		return func(p *peer) {
			if got := p.r.Header.Get("Authorization"); got != "Bearer "+want {
				t.Errorf("Authorization: got %q, want %q", got, want)
			}
			p.start("s_1", wire.Received{}, wire.Limits{})
		}
	}
	s := newScript(t, false, seen("one"), func(p *peer) {
		seen("two")(p)
		p.end(wire.Ack{})
	})
	s.o.Token = func(context.Context) (string, error) {
		next := tokens[0]
		tokens = tokens[1:]
		return next, nil
	}
	must(t, s.client().End(within(t)))
}

func TestCloseEndsAClientWhateverItDoes(t *testing.T) {
	hang := make(chan struct{})
	for _, tt := range []struct {
		name string
		do   func(t *testing.T) *client.Client
	}{
		{"connecting", func(t *testing.T) *client.Client {
			return newScript(t, false, func(p *peer) { <-p.r.Context().Done() }).client()
		}},
		{"waiting for ready", func(t *testing.T) *client.Client {
			up := make(chan struct{})
			s := newScript(t, false, func(p *peer) { p.upgrade(); close(up); <-hang })
			c := s.client()
			<-up
			return c
		}},
		{"writing to a host that does not read", func(t *testing.T) *client.Client {
			s := newScript(t, false, func(p *peer) { p.start("s_1", wire.Received{}, wire.Limits{}); <-hang })
			s.o.BufferBytes = 64 << 20
			c := s.client()
			mustWrite(t, c, make([]byte, 32<<20))
			return c
		}},
		{"waiting to connect again", func(t *testing.T) *client.Client {
			s := newScript(t, false, refuse(503, "Retry-After", "60"))
			waits := make(chan struct{})
			s.o.OnRetry = func(client.Retry) error { close(waits); return nil }
			c := s.client()
			<-waits
			return c
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Cleanup(func() { hang <- struct{}{} })
			if strings.HasPrefix(tt.name, "connecting") || strings.HasSuffix(tt.name, "again") {
				go func() { <-hang }()
			}
			c := tt.do(t)
			must(t, c.Close())
			if err := c.End(within(t)); !errors.Is(err, client.ErrClosed) {
				t.Errorf("End: got %v", err)
			}
			if err := c.Finish(within(t)); !errors.Is(err, client.ErrClosed) {
				t.Errorf("Finish: got %v", err)
			}
		})
	}
}

func TestWhatCanNotBeSentIsRefusedAtOnce(t *testing.T) {
	s := newScript(t, false, func(p *peer) {
		p.start("s_1", wire.Received{}, wire.Limits{MessageBytes: 1000})
		p.end(wire.Ack{})
	})
	c := s.client()
	if _, err := c.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.WriteAudio(within(t), make([]byte, 3)); n != 0 || err == nil || !strings.Contains(err.Error(), "a multiple of 2") {
		t.Errorf("half a sample: got %d, %v", n, err)
	}
	if err := c.Transcript(within(t), []event.Segment{{ID: "a", Text: strings.Repeat("x", 1000)}}); !errors.Is(err, client.ErrTooLarge) {
		t.Errorf("a large transcript: got %v", err)
	}
	if err := c.Transcript(within(t), []event.Segment{{ID: "a", End: math.NaN()}}); err == nil {
		t.Error("a time that is no number was taken")
	}
	must(t, c.End(within(t)))

	s = newScript(t, false, func(p *peer) {
		p.start("s_1", wire.Received{}, wire.Limits{})
		p.end(wire.Ack{})
	})
	s.o.Audio = nil
	c = s.client()
	if _, err := c.WriteAudio(within(t), make([]byte, 2)); !errors.Is(err, client.ErrNoAudio) {
		t.Errorf("without a format: got %v", err)
	}
	must(t, c.End(within(t)))
}

func TestBadOptions(t *testing.T) {
	for _, bad := range []struct {
		name string
		o    client.Options
		want string
	}{
		{"no URL", client.Options{}, `URL "" is no stream's`},
		{"HTTP", client.Options{URL: "http://127.0.0.1:7080"}, "write it like wss://"},
		{"no host", client.Options{URL: "ws:///v1/stream"}, "is no stream's"},
		{"no rate", client.Options{URL: "ws://h/", Audio: &wire.Format{Codec: wire.PCM16, Channels: 1}}, "0 Hz and 1 channels"},
		{"Opus", client.Options{URL: "ws://h/", Audio: &wire.Format{Codec: wire.Opus, Rate: 16000, Channels: 1}}, "sends PCM only"},
	} {
		if c, err := client.New(bad.o); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: got %v, %v, want %q", bad.name, c, err, bad.want)
		}
	}
}
