package host_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// opusSpeech returns packets of Opus, 20 ms each, and what libopus makes of
// them at 16 kHz.
func opusSpeech(t *testing.T) (packets [][]byte, pcm []byte) {
	t.Helper()
	read := func(ext string) []byte {
		b, err := os.ReadFile(filepath.Join("audio", "testdata", "opus", "silk_wb_20ms"+ext))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for b := read(".packets"); len(b) > 0; {
		n := int(binary.LittleEndian.Uint16(b))
		packets = append(packets, b[2:2+n])
		b = b[2+n:]
	}
	return packets, read(".pcm")
}

// A device streams Opus for 16 kHz, with garbage in between; an app has asked
// for 48 kHz. It hears what libopus decodes, resampled, to the last sample.
func TestAnAppHearsOpusAtTheRateItAskedFor(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir(), installed("heard", "heard", event.CapAudio)))
	packets, pcm := opusSpeech(t)
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.Addr().String()+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &client{t: t, conn: conn}
	c.send(map[string]any{"type": "start", "uid": "ada", "audio": map[string]any{"codec": "opus", "rate": 16000, "channels": 1}})
	if ready := await[*wire.Ready](c); ready.Audio != "buffered" {
		t.Fatalf("audio is %s, want buffered", ready.Audio)
	}
	for i, p := range packets {
		if i == 7 {
			if err := conn.WriteMessage(websocket.BinaryMessage, []byte("\xffgarbage")); err != nil {
				t.Fatal(err)
			}
			if e := await[*wire.Error](c); e.Code != wire.CodeBadAudio || e.Fatal {
				t.Errorf("garbage: got %+v, want bad_audio, which closes nothing", e)
			}
		}
		if err := conn.WriteMessage(websocket.BinaryMessage, p); err != nil {
			t.Fatal(err)
		}
	}
	if _, metrics := get(t, h, "/metrics"); !strings.Contains(string(metrics), "\nauricle_audio_decoders 1\n") {
		t.Error("/metrics does not count the decoder")
	}
	c.send(map[string]string{"type": "finish"})

	r, err := audio.NewResampler(16_000, 48_000)
	if err != nil {
		t.Fatal(err)
	}
	want := r.Flush(r.Append(nil, pcm))
	for at := 0; at < len(want); at += 19_200 {
		piece := want[at:min(at+19_200, len(want))]
		sum := fnv.New32a()
		sum.Write(piece)
		got, err := json.Marshal(await[*wire.Output](c).Data)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("[48000,%d,%d,%d]", at/2, len(piece), sum.Sum32()); string(got) != want {
			t.Errorf("the app heard %s, want %s: rate, first sample, bytes and their sum", got, want)
		}
	}
	if ms := c.completed().AudioMillis; ms != 600 {
		t.Errorf("the conversation has %d ms of audio, want 600", ms)
	}
}

// What the host has no decoder for is refused by its name.
func TestACodecThatIsNotTakenIsRefusedByName(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir()))
	for _, codec := range []string{"aac", "lc3", "lc3_fs1030", "opus_fs320"} {
		conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.Addr().String()+"/v1/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &client{t: t, conn: conn}
		c.send(map[string]any{"type": "start", "uid": "ada", "audio": map[string]any{"codec": codec, "rate": 16000, "channels": 1}})
		if e := await[*wire.Error](c); e.Code != wire.CodeUnsupportedAudio || !strings.Contains(e.Message, fmt.Sprintf("codec %q is not supported; supported: pcm_s16le,", codec)) {
			t.Errorf("%s: got %+v", codec, e)
		}
		if code := c.closeCode(); code != wire.CloseUnsupportedAudio.Code {
			t.Errorf("%s: closed with %d", codec, code)
		}
	}
}
