package client_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/wire"
)

func TestTheBackOffDoublesUpToItsCapWithFullJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bounds []time.Duration
		var at []time.Time
		down := errors.New("no route")
		done := make(chan struct{})
		c := newClient(t, client.Options{
			URL: "ws://down/v1/stream", UID: "ada",
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				at = append(at, time.Now())
				return nil, down
			},
			Jitter: func(most time.Duration) time.Duration {
				bounds = append(bounds, most)
				return most / 2
			},
			OnRetry: func(r client.Retry) error {
				if !errors.Is(r.Err, down) || r.Attempt != len(bounds) || r.In != bounds[len(bounds)-1]/2 {
					t.Errorf("got %+v", r)
				}
				if r.Attempt == 9 {
					close(done)
				}
				return nil
			},
		})
		<-done
		must(t, c.Close())
		want := []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000}
		for n, bound := range bounds {
			if bound != want[n]*time.Millisecond {
				t.Errorf("attempt %d: the bound is %v, want %v", n+1, bound, want[n]*time.Millisecond)
			}
			if n > 0 && at[n].Sub(at[n-1]) != bounds[n-1]/2 {
				t.Errorf("attempt %d came after %v, want %v", n+1, at[n].Sub(at[n-1]), bounds[n-1]/2)
			}
		}
	})
}

func TestAJitterThatStraysIsHeldToItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, jitter := range []time.Duration{-time.Hour, time.Hour} {
			s := newScript(t, true, refuse(503, "", ""), func(p *peer) {
				p.start("s_1", wire.Received{}, wire.Limits{})
				p.end(wire.Ack{})
			})
			s.o.Jitter = func(time.Duration) time.Duration { return jitter }
			s.o.OnRetry = func(r client.Retry) error {
				if r.In < 0 || r.In > 500*time.Millisecond {
					t.Errorf("waits %v", r.In)
				}
				return nil
			}
			must(t, s.client().End(within(t)))
		}
	})
}

func TestTheHostSaysWhenToComeBack(t *testing.T) {
	closing := func(millis int64) part {
		return func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{})
			p.say(&wire.Closing{Code: wire.CodeShuttingDown, Message: "bye", RetryAfterMillis: millis})
			p.closeWith(wire.CloseShuttingDown)
		}
	}
	for _, tt := range []struct {
		name  string
		first part
		want  time.Duration
	}{
		{"closing", closing(1700), 1700 * time.Millisecond},
		{"closing, without a time", closing(0), 0},
		{"closing, with a time that can't be meant", closing(1 << 60), 5 * time.Minute},
		{"429", refuse(429, "Retry-After", "7"), 7 * time.Second},
		{"503", refuse(503, "Retry-After", "7"), 7 * time.Second},
		{"503 with a date", func(p *peer) {
			refuse(503, "Retry-After", time.Now().Add(9*time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))(p)
		}, 9 * time.Second},
		{"503 without a time", refuse(503, "", ""), 0},
		{"503 with nonsense", refuse(503, "Retry-After", "soon"), 0},
		{"503 with a time before now", refuse(503, "Retry-After", "-7"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left, back time.Time
				s := newScript(t, true, tt.first, func(p *peer) {
					back = time.Now()
					p.start("s_1", wire.Received{}, wire.Limits{})
					p.end(wire.Ack{})
				})
				s.o.OnRetry = func(r client.Retry) error {
					if left = time.Now(); r.In != tt.want {
						t.Errorf("waits %v, want %v", r.In, tt.want)
					}
					return nil
				}
				must(t, s.client().End(t.Context()))
				if got := back.Sub(left); got != tt.want {
					t.Errorf("came back after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestTheBackOffBeginsAnewAfterAStreamThatWorked(t *testing.T) {
	acks := func(p *peer) {
		p.start("s_1", wire.Received{}, wire.Limits{})
		p.say(&wire.Ack{})
	}
	breaks := func(p *peer) { p.start("s_1", wire.Received{}, wire.Limits{}) }
	received := func(n int64) part { // what the one before has brought across
		return func(p *peer) { p.start("s_1", wire.Received{AudioBytes: n}, wire.Limits{}) }
	}
	lives := func(p *peer) {
		p.start("s_1", wire.Received{}, wire.Limits{})
		<-time.After(10 * time.Second)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, true, breaks, breaks, acks, breaks, lives, breaks, received(2), received(2), received(2), received(4), func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{})
			p.end(wire.Ack{})
		})
		var attempts []int
		s.o.OnRetry = func(r client.Retry) error {
			attempts = append(attempts, r.Attempt)
			return nil
		}
		must(t, s.client().End(within(t)))
		if got, want := text(attempts), "[1,2,1,2,1,2,1,2,3,1]"; got != want {
			t.Errorf("attempts: got %s, want %s", got, want)
		}
	})
}

func TestAudioIsHeldToTheRateThatTheHostAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const second = 16000 // bytes
		var begun time.Time
		var late []time.Duration
		s := newScript(t, true, func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{AudioRate: 2, AudioBurstMillis: 4000})
			begun = time.Now()
			for got := 0; got < 12*second; {
				got += len(p.audio(1))
				ahead := float64(got)/second - 2*time.Since(begun).Seconds()
				if ahead > 4 {
					t.Errorf("after %v it is %.3f s ahead", time.Since(begun), ahead)
				}
				late = append(late, time.Since(begun))
			}
			p.end(wire.Ack{AudioBytes: 12 * second})
		})
		c := s.client()
		mustWrite(t, c, make([]byte, 12*second))
		must(t, c.End(within(t)))
		// Half of the burst at once, the other 10 s at twice real time.
		if took := late[len(late)-1]; took < 5*time.Second || took > 5100*time.Millisecond {
			t.Errorf("12 s of audio took %v", took)
		}
	})
}

func TestAQuietStreamIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, true, func(p *peer) {
			p.start("s_1", wire.Received{}, wire.Limits{IdleMillis: 30_000})
			last := time.Now()
			for range 5 {
				until[*wire.Keepalive](p)
				if gap := time.Since(last); gap > 15*time.Second {
					t.Errorf("nothing came for %v", gap)
				}
				last = time.Now()
			}
			p.closeWith(wire.CloseMessageTooLarge)
		})
		c := s.client()
		if _, err := c.WaitReady(within(t)); err != nil {
			t.Fatal(err)
		}
		<-time.After(90 * time.Second)
		as[*client.ClosedError](t, c.Finish(t.Context()))
	})
}

func TestAHostThatFallsSilentIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan time.Duration, 1)
		s := newScript(t, true,
			func(p *peer) {
				p.start("s_1", wire.Received{}, wire.Limits{})
				begun := time.Now()
				p.next() // the connection's end
				left <- time.Since(begun)
			},
			func(p *peer) {
				p.upgrade() // and never ready
				p.next()
			},
			func(p *peer) {
				p.start("s_1", wire.Received{}, wire.Limits{})
				p.end(wire.Ack{})
			})
		c := s.client()
		if _, err := c.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(3 * time.Minute)
		must(t, c.End(t.Context()))
		if left := <-left; left != 90*time.Second {
			t.Errorf("left after %v", left)
		}
		if got := c.Stats().Connections; got != 2 {
			t.Errorf("%d streams were ready", got)
		}
	})
}
