package stream_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// Every client connects anew at once, again and again, while its older stream is
// still open: each older stream is fenced off, what it goes on sending is not
// taken, and what was said is kept once.
func TestAReconnectStormLosesNothingAndLeavesNothing(t *testing.T) {
	const clients, rounds = 100, 5
	r := newRig(t, rigOptions{conversation: conversation.Options{MaxPerUser: 1}})
	var storm sync.WaitGroup
	for i := range clients {
		storm.Go(func() {
			uid := fmt.Sprintf("user%d", i)
			session := ""
			var older *client
			for round := range uint64(rounds) {
				w := r.dial()
				w.send(&wire.Start{UID: uid, Session: session})
				ready := read[*wire.Ready](w)
				if session != "" && ready.Session != session || ready.Received.Seq != round {
					t.Errorf("%s: round %d: got session %s with seq %d, want %s with %d", uid, round, ready.Session, ready.Received.Seq, session, round)
				}
				session = ready.Session
				if older != nil {
					older.say(100+round, "too late") // it may be closed already, or about to be
					if code, _ := older.closed(); code != wire.CloseSuperseded.Code {
						t.Errorf("%s: the older stream was closed with %d, want %d", uid, code, wire.CloseSuperseded.Code)
					}
					older.Close()
				}
				w.send(&wire.Transcript{Seq: round + 1, Segments: []event.Segment{{ID: fmt.Sprint(round), Text: uid}}})
				for read[*wire.Ack](w).Seq != round+1 {
				}
				older = w
			}
			older.send(&wire.End{})
			if code, _ := older.closed(); code != wire.CloseNormal.Code {
				t.Errorf("%s: closed with %d", uid, code)
			}
			older.Close()
		})
	}
	storm.Wait()
	for range clients {
		c := r.completed()
		if len(c.Segments) != rounds {
			t.Errorf("%s has %d segments, want %d", c.UID, len(c.Segments), rounds)
		}
		for _, s := range c.Segments {
			if s.Text != c.UID {
				t.Errorf("%s has a segment %q", c.UID, s.Text)
			}
		}
	}
	r.until("no stream is left", func() bool { return r.metric("auricle_streams_open") == 0 })
	if n := r.sessions.Len(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}
