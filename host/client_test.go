package host_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// The Go client goes from one host to the next, again and again, and its
// conversation is one, with everything in it once.
func TestTheGoClientGoesOnWithTheNextHost(t *testing.T) {
	dir := t.TempDir()
	h, stop := start(t, configuration(dir, echo()))
	var address atomic.Value // of the host that runs
	address.Store(h.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ready, completed := make(chan struct{}, 8), make(chan string, 8)
	c, err := sdk.New(sdk.Options{
		URL: "ws://127.0.0.1/v1/stream", UID: "ada", Audio: &wire.Format{Codec: wire.PCM16, Rate: 16000, Channels: 1},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address.Load().(string))
		},
		Jitter: func(time.Duration) time.Duration { return 10 * time.Millisecond },
		OnMessage: func(m sdk.Message) {
			switch m := m.Message.(type) {
			case *wire.Ready:
				ready <- struct{}{}
			case *wire.Conversation:
				if m.State == wire.StateCompleted {
					completed <- m.ID
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	const hosts, each = 3, 20
	for n := range hosts {
		if n > 0 {
			stop()
			h, stop = start(t, configuration(dir, echo()))
			address.Store(h.Addr().String())
		}
		for i := range each {
			if i == each/2 { // half of it is written while there may be no host
				select {
				case <-ready:
				case <-ctx.Done():
					t.Fatal("the client did not come back")
				}
			}
			if _, err := c.WriteAudio(ctx, make([]byte, 3200)); err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprintf("%d.%d", n, i)
			if err := c.Transcript(ctx, []event.Segment{{ID: id, Text: id, Start: float64(n), End: float64(n)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.End(ctx); err != nil {
		t.Fatal(err)
	}
	whole := record(t, h, <-completed)
	if len(whole.Segments) != hosts*each || whole.AudioMillis != hosts*each*100 || whole.Reason != event.ReasonEnd {
		t.Errorf("the conversation has %d segments, %d ms of audio and ended by %s; want %d, %d, end",
			len(whole.Segments), whole.AudioMillis, whole.Reason, hosts*each, hosts*each*100)
	}
	if s := c.Stats(); s.Sessions != 1 || s.Connections < hosts || s.LostAudio != 0 || s.Acked != hosts*each || len(completed) != 0 {
		t.Errorf("stats: got %+v, and %d more conversations", s, len(completed))
	}
}
