package conversation_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/sdk/wire"
)

var opus16k = &audio.Format{Codec: audio.Opus, Rate: 16000, Channels: 1}

// speech returns packets of Opus, 20 ms each, and what libopus makes of them
// at 16 kHz.
func speech(t *testing.T) (packets [][]byte, pcm []byte) {
	t.Helper()
	read := func(ext string) []byte {
		b, err := os.ReadFile(filepath.Join("..", "audio", "testdata", "opus", "silk_wb_20ms"+ext))
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

// decoders holds the gauge of decoders to a number.
func decoders(t *testing.T, reg *prometheus.Registry, want string) {
	t.Helper()
	err := testutil.GatherAndCompare(reg, strings.NewReader(`# HELP auricle_audio_decoders Streams whose audio is decoded: an app of their user gets it.
# TYPE auricle_audio_decoders gauge
auricle_audio_decoders `+want+"\n"), "auricle_audio_decoders")
	if err != nil {
		t.Error(err)
	}
}

func TestOpusIsDecodedOnlyWhileAnAppMayHaveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packets, pcm := speech(t)
		reg := prometheus.NewRegistry()
		r := newRig(t, conversation.Options{Registerer: reg})
		s := r.start(opus16k)
		want(t, "audience", r.client.last().Audio, "discarded")
		ok(t, s.Audio(packets[0])) // opens the conversation
		if n := testing.AllocsPerRun(99, func() { ok(t, s.Audio(packets[0])) }); n != 0 {
			t.Errorf("%v allocations a packet that nobody hears, want 0", n)
		}
		decoders(t, reg, "0")
		if got := r.dispatch.last().audio; len(got) != 0 {
			t.Errorf("%d bytes were handed on", len(got))
		}

		r.dispatch.wantsAudio = true
		for _, p := range packets {
			ok(t, s.Audio(p))
		}
		decoders(t, reg, "1")
		b := r.dispatch.last()
		if !bytes.Equal(b.audio, pcm) {
			t.Errorf("%d bytes were handed on, want the %d that libopus makes of them", len(b.audio), len(pcm))
		}
		if b.starts[0] != 101*320 || b.starts[1] != 102*320 || b.o.Rate != 16000 {
			t.Errorf("the first two pieces are at %v at %d Hz; want them after 101 packets of 320 samples", b.starts[:2], b.o.Rate)
		}

		r.dispatch.wantsAudio = false
		ok(t, s.Audio(packets[0]))
		decoders(t, reg, "0")

		// What was heard before is no past for what comes later.
		r.dispatch.wantsAudio = true
		b.audio = nil
		ok(t, s.Audio(packets[0]))
		if !bytes.Equal(b.audio, pcm[:640]) {
			t.Error("a decoder did not begin anew")
		}
		decoders(t, reg, "1")
		s.Detach()
		decoders(t, reg, "0")

		r.dispatch.wantsAudio = true
		again, _ := r.resume(s.Session(), opus16k)
		b.audio = nil
		ok(t, again.Audio(packets[0]))
		if !bytes.Equal(b.audio, pcm[:640]) {
			t.Error("after a resume a decoder did not begin anew")
		}
		ok(t, again.Finish())
		synctest.Wait()
		if cs := r.store.conversations(); len(cs) != 1 || cs[0].AudioMillis != 134*20 {
			t.Errorf("got %+v, want one conversation with 134 packets of 20 ms", cs)
		}
		again.Detach()
		r.close()
	})
}

func TestGarbageForOpusIsRefusedAndHarmsNothing(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			packets, pcm := speech(t)
			r := newRig(t, conversation.Options{})
			r.dispatch.wantsAudio = wanted
			s := r.start(opus16k)
			taken := int64(0)
			for _, p := range packets {
				err := s.Audio([]byte("\xffOggS, a whole page"))
				refused(t, err, wire.CodeBadAudio)
				if err != nil && !strings.Contains(err.Error(), "one Opus packet in each binary message") {
					t.Errorf("it does not say what to send: %v", err)
				}
				ok(t, s.Audio(p))
				taken += int64(len(p))
			}
			if got := r.dispatch.last().audio; wanted && !bytes.Equal(got, pcm) || !wanted && len(got) != 0 {
				t.Errorf("wanted %v: %d bytes were handed on", wanted, len(got))
			}
			if got := r.dispatch.last().starts; wanted && !slices.IsSorted(got) {
				t.Errorf("pieces at %v", got)
			}
			ok(t, s.Finish())
			synctest.Wait()
			if cs := r.store.conversations(); len(cs) != 1 || cs[0].AudioMillis != int64(len(packets))*20 {
				t.Errorf("got %+v, want one conversation of %d packets", cs, len(packets))
			}
			s.Detach()
			again, client := r.resume(s.Session(), opus16k)
			if got := client.last().AudioBytes; got != taken {
				t.Errorf("%d bytes are told as taken, want %d: the packets as they were sent", got, taken)
			}
			again.Detach()
			r.close()
		})
	}
}
