package seed

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// One hour of 16 kHz 16-bit mono audio in frames of 100 ms.
const (
	audioRate       = 16_000
	audioFrameBytes = audioRate / 10 * 2
	audioFrames     = 36_000
	audioBytes      = audioFrames * audioFrameBytes
)

// Audio is what an hour of audio costs that no app wants.
type Audio struct {
	SentBytes           int64 `json:"sent_bytes"`
	OldBytes            int64 `json:"old_bytes"`              // held in the old design's buffer at the end
	OldHeapGrowthBytes  int64 `json:"old_heap_growth_bytes"`  // with the stream still open
	HostBytes           int64 `json:"host_bytes"`             // held in the host's audio buffers at the end
	HostHeapGrowthBytes int64 `json:"host_heap_growth_bytes"` // with the stream still open
}

func measureAudio(ctx context.Context, dir string) (Audio, error) {
	a := Audio{SentBytes: audioBytes}
	old, err := startOldListen()
	if err != nil {
		return a, err
	}
	defer old.stop()
	conn, err := old.dial(ctx)
	if err != nil {
		return a, err
	}
	defer conn.Close()
	before := heap()
	if err := sendHour(conn); err != nil {
		return a, err
	}
	if err := old.waitFor(ctx, audioBytes); err != nil {
		return a, err
	}
	a.OldBytes = old.buffered()
	a.OldHeapGrowthBytes = heap() - before
	conn.Close()
	old.stop()

	// One app is installed for every user, and it wants no audio.
	echo, err := app(dir, "echo", "echo", config.AppLimits{}, nil, event.CapTranscript)
	if err != nil {
		return a, err
	}
	h, err := startHost(ctx, dir, echo)
	if err != nil {
		return a, err
	}
	c, err := h.connect(ctx, "listener", audioRate)
	if err != nil {
		return a, stopAfter(h, err)
	}
	defer c.close()
	before = heap()
	if err := sendHour(c.conn); err != nil {
		return a, stopAfter(h, err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := c.wait(ctx, func(m message) bool { return m.Type == "ack" && m.AudioBytes == audioBytes }); err != nil {
		return a, stopAfter(h, fmt.Errorf("waiting for the ack of %d bytes: %w", audioBytes, err))
	}
	held, err := h.metric(ctx, "auricle_audio_buffered_bytes")
	if err != nil {
		return a, stopAfter(h, err)
	}
	a.HostBytes = int64(held)
	a.HostHeapGrowthBytes = heap() - before
	return a, h.stop()
}

func sendHour(conn *websocket.Conn) error {
	frame := make([]byte, audioFrameBytes)
	for i := range audioFrames {
		if err := conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if err := conn.WriteMessage(websocket.BinaryMessage, frame); err != nil {
			return fmt.Errorf("sending frame %d: %w", i, err)
		}
	}
	return nil
}

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC() // the second frees what finalizers and pools let go in the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
