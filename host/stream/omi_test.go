package stream_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/stream"
)

func (r *rig) dialOmi(query string) *websocket.Conn {
	r.t.Helper()
	conn, _, err := r.dialer.Dial(r.url+query, nil)
	if err != nil {
		r.t.Fatalf("connecting: %v", err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

func omiFrame(t *testing.T, c *websocket.Conn, kind uint32, body string) {
	t.Helper()
	if err := c.WriteMessage(websocket.BinaryMessage, append(binary.LittleEndian.AppendUint32(nil, kind), body...)); err != nil {
		t.Fatal(err)
	}
}

func omiAnswer(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	kind, b, err := c.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage || len(b) < 4 || binary.LittleEndian.Uint32(b) != 201 {
		t.Fatalf("got %d %q, %v; want a frame of type 201", kind, b, err)
	}
	return string(b[4:])
}

func TestOmisListenSocketBeatsAndEndsByInactivityToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{pipe: true, dialect: stream.OmiListen, config: config.Stream{PongTimeout: time.Hour}})
		begin := time.Now()
		c := r.dialOmi("?uid=ada")
		beats := 0
		for {
			_, b, err := c.ReadMessage()
			if err != nil {
				if !websocket.IsCloseError(err, 4010) {
					t.Errorf("closed with %v, want 4010", err)
				}
				break
			}
			if string(b) != "ping" {
				continue
			}
			if got, want := time.Since(begin), time.Duration(beats)*10*time.Second; got != want {
				t.Errorf("beat %d came after %v, want %v", beats, got, want)
			}
			if beats++; beats == 4 { // 30 s after the beginning
				if err := c.WriteMessage(websocket.BinaryMessage, []byte{0}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := time.Since(begin); got != 120*time.Second {
			t.Errorf("closed after %v, want 90 s after the heartbeat at 30 s", got)
		}
	})
}

// The store stalls: what is asked for waits, up to 100 requests, and is answered
// when it is done.
func TestOmisRequestsWaitForTheStoreWithinABound(t *testing.T) {
	r := newRig(t, rigOptions{dialect: stream.OmiPusher})
	c := r.dialOmi("?uid=ada")
	for i := range 3 {
		omiFrame(t, c, 102, fmt.Sprintf(`{"segments":[{"id":"1","text":"t","start":0,"end":1}],"memory_id":"c%d"}`, i))
	}
	omiFrame(t, c, 104, `{"conversation_id":"c0"}`)
	omiAnswer(t, c) // what came before it is taken
	gate := make(chan struct{})
	r.store.set(gate, nil)
	omiFrame(t, c, 104, `{"conversation_id":"c2"}`)
	for i := range 99 {
		omiFrame(t, c, 104, fmt.Sprintf(`{"conversation_id":"unknown-%d"}`, i))
		omiFrame(t, c, 104, `{"conversation_id":"c2"}`) // again, which is one
	}
	omiFrame(t, c, 104, `{"conversation_id":"beyond"}`)
	if got := omiAnswer(t, c); got != `{"conversation_id":"beyond","error":"too_many_pending"}` {
		t.Errorf("got %s", got)
	}
	r.store.set(nil, nil)
	close(gate)
	done := map[string]int{}
	for range 100 {
		done[omiAnswer(t, c)]++
	}
	if done[`{"conversation_id":"c2","success":true}`] != 1 || done[`{"conversation_id":"unknown-98","error":"conversation_not_found"}`] != 1 || len(done) != 100 {
		t.Errorf("got %v", done)
	}
	if n := r.metric("auricle_stream_refused_messages_total", "code", "too_many_pending"); n != 1 {
		t.Errorf("%v counted, want 1", n)
	}
}

// A store that can't be read when a conversation is named has the client come
// again later, and is no bug.
func TestOmisClientComesAgainWhenTheStoreIsAway(t *testing.T) {
	r := newRig(t, rigOptions{dialect: stream.OmiPusher})
	r.store.set(nil, errors.New("the disk is on fire"))
	c := r.dialOmi("?uid=ada")
	omiFrame(t, c, 103, "c")
	if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, 1013) {
		t.Errorf("got %v, want a close with 1013", err)
	}
}

// A connection that breaks in the midst of a frame leaves the conversation to
// the next.
func TestOmisConnectionBreaksInTheMidstOfAFrame(t *testing.T) {
	r := newRig(t, rigOptions{dialect: stream.OmiPusher})
	c := r.dialOmi("?uid=ada")
	omiFrame(t, c, 102, `{"segments":[{"id":"1","text":"before","start":0,"end":1}],"memory_id":"c"}`)
	raw := c.NetConn()
	if _, err := raw.Write([]byte{0x82, 0xfe, 0x10}); err != nil { // a header that ends early
		t.Fatal(err)
	}
	raw.(*net.TCPConn).SetLinger(0)
	raw.Close()
	c = r.dialOmi("?uid=ada")
	omiFrame(t, c, 102, `{"segments":[{"id":"2","text":"after","start":1,"end":2}],"memory_id":"c"}`)
	omiFrame(t, c, 104, `{"conversation_id":"c"}`)
	if got := omiAnswer(t, c); got != `{"conversation_id":"c","success":true}` {
		t.Errorf("got %s", got)
	}
	if got := r.completed(); len(got.Segments) != 2 {
		t.Errorf("got %+v", got)
	}
}
