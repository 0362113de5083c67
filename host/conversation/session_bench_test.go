package conversation_test

import (
	"runtime"
	"testing"

	"github.com/auricle-dev/auricle/host/conversation"
)

func TestDiscardedAudioAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, conversation.Options{})
	s := r.start(pcm16k)
	frame := make([]byte, 3200)
	ok(t, s.Audio(frame)) // opens the conversation
	if n := testing.AllocsPerRun(1000, func() { _ = s.Audio(frame) }); n != 0 {
		t.Errorf("a discarded frame allocates %v times, want 0", n)
	}
	r.close()
}

func BenchmarkAudio(b *testing.B) {
	for _, v := range []struct {
		name  string
		wants bool
	}{{"discarded", false}, {"consumed", true}} {
		b.Run(v.name, func(b *testing.B) {
			d := &countingDispatcher{wants: v.wants}
			m := conversation.New(conversation.Options{Store: &fakeStore{}, Dispatch: d, Jobs: &fakeJobs{}})
			s, err := m.Start(b.Context(), conversation.StartRequest{UID: "ada", Audio: pcm16k}, &recorder{})
			if err != nil {
				b.Fatal(err)
			}
			frame := make([]byte, 3200)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Audio(frame); err != nil {
					b.Fatal(err)
				}
			}
			if v.wants != (d.bytes > 0) {
				b.Fatalf("%d bytes reached the apps", d.bytes)
			}
			s.Detach()
			if err := m.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// deafClient keeps nothing of a session's beginning.
type deafClient struct{ *recorder }

func (deafClient) Ready(conversation.Ready) {}

// BenchmarkIdleSession reports what a session with nothing said takes.
func BenchmarkIdleSession(b *testing.B) {
	m := conversation.New(conversation.Options{Store: &fakeStore{}, Dispatch: &countingDispatcher{}, Jobs: &fakeJobs{}, MaxSessions: 1 << 30})
	c := deafClient{&recorder{}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 0
	for b.Loop() {
		if _, err := m.Start(b.Context(), conversation.StartRequest{UID: "ada", Audio: pcm16k}, c); err != nil {
			b.Fatal(err)
		}
		n++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/float64(n), "heap-B/session")
	if err := m.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}
