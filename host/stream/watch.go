package stream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auricle-dev/auricle/host/clock"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// watch is what a stream's client must do in time, and when it is pinged: all
// of it on one alarm of the server's clock.
type watch struct {
	alarm clock.Alarm
	heard atomic.Int64  // when the last whole message came, in ns since the server began
	idle  time.Duration // within which a message must come; not changed once the stream runs

	mu      sync.Mutex // guards what follows; held across calls of the outbox
	startBy time.Time  // start must have come; zero once it has
	pongBy  time.Time  // a pong must have come; zero before start
	pingAt  time.Time
	authBy  time.Time // the credentials expire; zero: never
	closeBy time.Time // the client must have closed too; zero before the host's close is written
}

// beginWatch starts the watch over a stream that has just been opened.
func (st *stream) beginWatch(now time.Time) {
	c := &st.server.o.Config
	w := &st.watch
	w.alarm.Init(st.server.clock, st.onAlarm)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.startBy, w.pingAt = now.Add(c.StartTimeout), now.Add(c.PingInterval)
	if e := st.identity.Expires; !e.IsZero() {
		w.authBy = now.Add(time.Until(e)) // by the monotonic clock from here on
	}
	w.set(w.startBy, w.pingAt, w.authBy)
}

// started notes that start has come.
func (st *stream) started() {
	st.heard(time.Now())
	w := &st.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.startBy = time.Time{}
	w.pongBy = time.Now().Add(st.server.o.Config.PongTimeout)
}

// expires notes when credentials that came late end; zero is never.
func (st *stream) expires(at time.Time) {
	if at.IsZero() {
		return
	}
	w := &st.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.authBy = now.Add(time.Until(at))
	w.set(now) // it sets the alarm to what is next
}

// ponged notes that a pong has come.
func (st *stream) ponged() {
	w := &st.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.pongBy.IsZero() {
		w.pongBy = time.Now().Add(st.server.o.Config.PongTimeout)
	}
}

// heard notes that a whole message has come: cheap, as it is for each.
func (st *stream) heard(now time.Time) { st.watch.heard.Store(int64(now.Sub(st.server.began))) }

// closeSent notes that the host's close is written: the client has closeTimeout
// to answer it.
func (st *stream) closeSent() {
	w := &st.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closeBy = time.Now().Add(closeTimeout)
	w.alarm.Set(w.closeBy)
}

// set sets the alarm to the first of these times that is not zero. mu is held.
func (w *watch) set(times ...time.Time) {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	w.alarm.Set(first)
}

// onAlarm does what is due. What has moved on since the alarm was set is not:
// messages and pongs only note their time, so that they set no alarm.
func (st *stream) onAlarm() {
	c := &st.server.o.Config
	w := &st.watch
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	due := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	idleBy := time.Time{}
	if !w.pongBy.IsZero() {
		idleBy = st.server.began.Add(time.Duration(w.heard.Load()) + w.idle)
	}
	switch {
	case !w.closeBy.IsZero():
		if due(w.closeBy) {
			st.conn.Close() // the reader notices
			return
		}
		w.alarm.Set(w.closeBy)
		return
	case due(w.startBy):
		st.fail(wire.CloseNeverStarted, wire.CodeNeverStarted, fmt.Sprintf("no start came within %v; send it as the first message", c.StartTimeout), nil)
		return
	case due(w.pongBy):
		st.out.close(wire.CloseNoPong, &wire.Closing{Code: wire.CodeNoPong, Message: fmt.Sprintf("no pong came within %v; answer pings, and connect again", c.PongTimeout)})
		return
	case due(idleBy):
		st.out.close(wire.CloseIdle, &wire.Closing{Code: wire.CodeIdle, Message: fmt.Sprintf("no message came within %v (limits.idle_ms); send keepalive while there is nothing else to send, and connect again when there is", w.idle)})
		return
	case due(w.authBy):
		st.out.close(wire.CloseExpired, &wire.Closing{Code: wire.CodeTokenExpired, Message: "the credentials of this stream have expired; connect again with new ones, and resume"})
		return
	}
	if due(w.pingAt) {
		st.out.ping()
		w.pingAt = w.pingAt.Add(c.PingInterval)
	}
	w.set(w.startBy, w.pongBy, idleBy, w.pingAt, w.authBy)
}
