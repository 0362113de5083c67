package stream_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// BenchmarkDiscardedAudio reads 100 ms frames of 16 kHz audio from a real
// WebSocket with no app to hear them. The frames are written as one prepared
// byte string, so that what is allocated is the host's.
func BenchmarkDiscardedAudio(b *testing.B) {
	r := newRig(b, rigOptions{})
	w, _ := r.start()
	w.audio(2)
	w.conversation(wire.StateOpen)
	go func() { // ends with the connection
		for {
			if _, _, err := w.NextReader(); err != nil {
				return
			}
		}
	}()
	frame := maskedFrame(3200)
	conn := w.NetConn()
	b.SetBytes(3200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(frame); err != nil {
			b.Fatal(err)
		}
	}
	r.until("all is read", func() bool { return r.metric("auricle_stream_messages_total", "type", "audio") >= float64(b.N)+1 })
}

// maskedFrame is a client's binary frame of n zero bytes under a zero mask.
func maskedFrame(n int) []byte {
	head := []byte{0x82, 0x80 | 126, byte(n >> 8), byte(n), 0, 0, 0, 0}
	return append(head, make([]byte, n)...)
}

// BenchmarkIdleStream reports the host's heap and goroutines for a stream that
// has started and is silent.
func BenchmarkIdleStream(b *testing.B) {
	r := newRig(b, rigOptions{config: config.Stream{StartTimeout: time.Hour, PongTimeout: time.Hour}, conversation: conversation.Options{MaxSessions: 1 << 20}})
	r.dialer = &websocket.Dialer{ReadBufferSize: 256, WriteBufferSize: 256}
	const streams = 200
	for b.Loop() {
		var before, after runtime.MemStats
		measure := func(m *runtime.MemStats) int {
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(m)
			return runtime.NumGoroutine()
		}
		g0 := measure(&before)
		ws := make([]*client, streams)
		for i := range ws {
			ws[i] = r.dial()
		}
		for _, w := range ws {
			w.send(&wire.Start{UID: "ada", Audio: pcm16k})
			read[*wire.Ready](w)
		}
		g1 := measure(&after)
		b.ReportMetric(float64(int64(after.HeapAlloc+after.StackInuse)-int64(before.HeapAlloc+before.StackInuse))/streams, "heap+stack-B/stream-and-client")
		b.ReportMetric(float64(g1-g0)/streams, "goroutines/stream")
		for _, w := range ws {
			w.Close()
		}
		r.until("all are closed", func() bool { return r.metric("auricle_streams_open") == 0 })
	}
}
