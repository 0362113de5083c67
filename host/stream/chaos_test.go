package stream_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/stream"
	"github.com/auricle-dev/auricle/sdk/wire"
)

func TestParseChaos(t *testing.T) {
	c, err := stream.ParseChaos("drop=5%, delay=150ms,close=4001:2%,close=any:0.5%,refuse=503:10%")
	if err != nil || c.Drop != 0.05 || c.Delay != 150*time.Millisecond ||
		!slices.Equal(c.Close, []stream.ChaosClose{{Code: 4001, Chance: 0.02}, {Chance: 0.005}}) ||
		!slices.Equal(c.Refuse, []stream.ChaosRefusal{{Status: 503, Chance: 0.1}}) {
		t.Errorf("got %+v, %v", c, err)
	}
	if got := c.String(); got != "drop=5%,delay=150ms,close=4001:2%,close=any:0.5%,refuse=503:10%" {
		t.Errorf("as text: %s", got)
	}
	if c, err := stream.ParseChaos("default"); err != nil || c.String() != stream.DefaultChaos {
		t.Errorf("default: got %v, %v", c, err)
	}
	for _, bad := range []struct{ text, want string }{
		{"", "there is drop, delay, close and refuse"},
		{"explode=1%", "there is drop, delay, close and refuse"},
		{"drop", "in percent"},
		{"drop=0.05", "in percent"},
		{"drop=-1%", "in percent"},
		{"drop=101%", "in percent"},
		{"drop=NaN%", "in percent"},
		{"delay=1", "a duration of at most 2s"},
		{"delay=3s", "a duration of at most 2s"},
		{"delay=-1s", "a duration of at most 2s"},
		{"close=4001", "in percent"},
		{"close=4999:1%", "one of the host's close codes"},
		{"close=soon:1%", "one of the host's close codes"},
		{"refuse=500:1%", "one of 401, 403, 429 and 503"},
		{"refuse=503", "in percent"},
		{"drop=60%,close=4001:50%", "100% at most"},
		{"refuse=503:60%,refuse=401:50%", "100% at most"},
		{"drop=5,close=1", `chaos "drop=5"`}, // both are told
		{"drop=5,close=1", `chaos "close=1"`},
	} {
		if c, err := stream.ParseChaos(bad.text); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: got %+v, %v; want %q", bad.text, c, err, bad.want)
		}
	}
}

func mustChaos(t *testing.T, text string) *stream.Chaos {
	t.Helper()
	c, err := stream.ParseChaos(text)
	if err != nil {
		t.Fatal(err)
	}
	c.Seed = 1
	return c
}

func TestChaosRefusesHandshakes(t *testing.T) {
	for _, status := range []int{401, 403, 429, 503} {
		r := newRig(t, rigOptions{chaos: mustChaos(t, fmt.Sprintf("refuse=%d:100%%", status))})
		_, resp, err := r.dialer.Dial(r.url, nil)
		if err == nil || resp.StatusCode != status {
			t.Fatalf("got %v, %v", resp, err)
		}
		if again := status == 429 || status == 503; (resp.Header.Get("Retry-After") != "") != again {
			t.Errorf("%d: Retry-After is %q", status, resp.Header.Get("Retry-After"))
		}
	}
}

func TestChaosClosesWithEachCodeAndItsMessage(t *testing.T) {
	for _, code := range wire.CloseCodes {
		r := newRig(t, rigOptions{chaos: mustChaos(t, fmt.Sprintf("close=%d:100%%", code.Code))})
		w := r.dial()
		w.send(&wire.Start{UID: "ada"})
		got, last := w.closed()
		if got != code.Code {
			t.Errorf("closed with %d, want %d", got, code.Code)
		}
		switch m := last.(type) {
		case *wire.Closing:
			if !code.Retry || m.Code == "" || !strings.HasPrefix(m.Message, "chaos: ") {
				t.Errorf("%d: got %+v", code.Code, m)
			}
			if asks := code == wire.CloseShuttingDown || code == wire.CloseTryLater; asks != (m.RetryAfterMillis > 0) {
				t.Errorf("%d: retry_after_ms is %d", code.Code, m.RetryAfterMillis)
			}
		case *wire.Error:
			if !m.Fatal || m.Code == "" || !strings.HasPrefix(m.Message, "chaos: ") {
				t.Errorf("%d: got %+v", code.Code, m)
			}
		default:
			if code != wire.CloseNormal && code != wire.CloseProtocolError {
				t.Errorf("%d: no message came before it", code.Code)
			}
		}
	}
}

func TestChaosDropsStreamsWithoutAClose(t *testing.T) {
	r := newRig(t, rigOptions{chaos: mustChaos(t, "drop=100%")})
	w := r.dial()
	w.send(&wire.Start{UID: "ada"})
	for {
		_, err := w.next()
		if err == nil {
			continue
		}
		var closed *websocket.CloseError
		if errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
			t.Errorf("closed with %d", closed.Code)
		}
		break
	}
	r.until("it is counted as lost", func() bool { return r.closes("1006") == 1 })
}

func TestChaosDelaysWhatTheHostSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, chaos: mustChaos(t, "delay=2s")})
		w := r.dial()
		begun := time.Now()
		w.send(&wire.Start{UID: "ada"})
		read[*wire.Ready](w)
		first := time.Since(begun)
		w.say(1, "hello")
		read[*wire.Ack](w)
		second := time.Since(begun) - first
		if first <= 0 || first > 2*time.Second || second <= 0 || first == second {
			t.Errorf("ready came after %v, the ack after another %v", first, second)
		}
	})
}

func TestChaosOfOneSeedIsTheSameAgain(t *testing.T) {
	fares := func(seed uint64) (fate []string) {
		chaos := mustChaos(t, "refuse=429:10%,refuse=503:20%,close=any:20%,drop=10%")
		chaos.Seed = seed
		r := newRig(t, rigOptions{chaos: chaos})
		for range 20 {
			c, resp, err := r.dialer.Dial(r.url, nil)
			if err != nil {
				if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
					t.Fatal(err)
				}
				fate = append(fate, resp.Status)
				continue
			}
			w := &client{t, c}
			end := ""
			for n := range 30 {
				b, err := wire.Encode(&wire.Keepalive{})
				if n == 0 {
					b, err = wire.Encode(&wire.Start{UID: "ada"})
				}
				if err != nil {
					t.Fatal(err)
				}
				if w.WriteMessage(websocket.TextMessage, b) != nil {
					break // it was closed already
				}
			}
			for end == "" {
				w.SetReadDeadline(time.Now().Add(patience))
				_, _, err := w.ReadMessage()
				var closed *websocket.CloseError
				switch {
				case errors.As(err, &closed):
					end = fmt.Sprint(closed.Code)
				case err != nil:
					end = "1006"
				}
			}
			c.Close()
			fate = append(fate, end)
		}
		return fate
	}
	first, again, other := fares(7), fares(7), fares(8)
	if !slices.Equal(first, again) {
		t.Errorf("got %v\nthen %v", first, again)
	}
	if slices.Equal(first, other) {
		t.Errorf("another seed is the same: %v", other)
	}
	t.Log(first)
}
