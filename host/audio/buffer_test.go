package audio_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/audio"
)

func TestBufferHasNoMemoryBeforeTheFirstWriteAndNoneAfterTheLastRead(t *testing.T) {
	b := audio.NewBuffer(1 << 20)
	r := b.Add("loudness")
	if b.MemoryBytes() != 0 || b.Buffered() != 0 {
		t.Fatalf("a new buffer has %d bytes of memory", b.MemoryBytes())
	}
	for i := range int64(100) {
		b.Write("c_1", 1600*i, make([]byte, 3200))
	}
	if held, mem := b.Buffered(), b.MemoryBytes(); held != 320_000 || mem < held || mem > held+2*16<<10 {
		t.Errorf("holds %d in %d bytes of memory, want 320000 in hardly more", held, mem)
	}
	for {
		if _, ok := r.Next(32_000, 0); !ok {
			break
		}
	}
	if b.MemoryBytes() != 0 || b.Buffered() != 0 {
		t.Errorf("after all was taken: %d bytes in %d of memory, want none", b.Buffered(), b.MemoryBytes())
	}
}

func TestBufferKeepsNothingWithoutAReader(t *testing.T) {
	b := audio.NewBuffer(1 << 20)
	r := b.Add("first")
	r.Close()
	frame := make([]byte, 3200)
	at := int64(0)
	write := func() {
		b.Write("c_1", at, frame)
		at += 1600
	}
	write()
	if n := testing.AllocsPerRun(100, write); n != 0 || b.MemoryBytes() != 0 {
		t.Errorf("%v allocations a write, %d bytes of memory, want none", n, b.MemoryBytes())
	}
}

func TestReaderAddedLaterGetsWhatComesAfter(t *testing.T) {
	b := audio.NewBuffer(0)
	b.Write("c_1", 0, pcm(1, 2, 3))
	r := b.Add("late")
	b.Write("c_1", 3, pcm(4, 5))
	p, ok := r.Next(0, 0)
	if !ok || p.Start != 3 || !bytes.Equal(p.PCM, pcm(4, 5)) {
		t.Errorf("got %+v %v, want samples 4, 5 from sample 3", p, ok)
	}
}

// Audio that went by before there was a buffer, or while nothing was written,
// counts; what came before such a gap needs no more to be a piece.
func TestAudioThatWentByCounts(t *testing.T) {
	b := audio.NewBuffer(0)
	r := b.Add("a")
	b.Write("c_1", 100, pcm(1, 2, 3))
	b.Write("c_1", 103, pcm(4))
	b.Write("c_1", 500, pcm(5, 6, 7, 8))
	if n := r.Pending("c_1"); n != 16 {
		t.Errorf("%d bytes to come, want 16", n)
	}
	for _, want := range []struct {
		start int64
		pcm   []byte
	}{{100, pcm(1, 2, 3)}, {103, pcm(4)}, {500, pcm(5, 6, 7)}} {
		if p, ok := r.Next(6, 6); !ok || p.Conversation != "c_1" || p.Start != want.start || p.Dropped != 0 || !bytes.Equal(p.PCM, want.pcm) {
			t.Errorf("got %+v %v, want %v from %d", p, ok, want.pcm, want.start)
		}
	}
	if p, ok := r.Next(6, 6); ok {
		t.Errorf("got %+v of a conversation that goes on", p)
	}
}

func TestBufferHoldsWhatIsDueToTheSlowest(t *testing.T) {
	b := audio.NewBuffer(0)
	fast, slow := b.Add("fast"), b.Add("slow")
	b.Write("c_1", 0, make([]byte, 1000))
	fast.Next(0, 0)
	if b.Buffered() != 1000 || fast.Buffered() != 0 || slow.Buffered() != 1000 {
		t.Errorf("buffer %d, fast %d, slow %d; want 1000, 0, 1000", b.Buffered(), fast.Buffered(), slow.Buffered())
	}
	slow.Next(600, 0)
	if b.Buffered() != 400 {
		t.Errorf("buffer %d, want 400", b.Buffered())
	}
	if left := slow.Close(); left != 400 || b.Buffered() != 0 {
		t.Errorf("the slow reader left %d, buffer holds %d; want 400 and 0", left, b.Buffered())
	}
}

func TestBufferDropsTheOldestBeyondItsBound(t *testing.T) {
	b := audio.NewBuffer(8)
	fast, slow := b.Add("fast"), b.Add("slow")
	if d := b.Write("c_1", 0, pcm(1, 2, 3, 4)); d != nil {
		t.Fatalf("dropped %v within the bound", d)
	}
	fast.Next(0, 0)
	if d := b.Write("c_1", 4, pcm(5)); !slices.Equal(d, []audio.Drop{{Consumer: "slow", Bytes: 2}}) {
		t.Errorf("got %v, want slow to lose 2 bytes", d)
	}
	// A write longer than the bound is cut itself.
	if d := b.Write("c_1", 5, pcm(6, 7, 8, 9, 10)); !slices.Equal(d, []audio.Drop{{"fast", 4}, {"slow", 10}}) {
		t.Errorf("got %v, want fast to lose 4 and slow 10", d)
	}
	for _, c := range []struct {
		r       *audio.Reader
		dropped uint32
	}{{fast, 4}, {slow, 12}} {
		p, ok := c.r.Next(0, 0)
		if !ok || p.Start != 6 || p.Dropped != c.dropped || !bytes.Equal(p.PCM, pcm(7, 8, 9, 10)) {
			t.Errorf("got %+v %v, want samples 7 to 10 from 6 after %d dropped", p, ok, c.dropped)
		}
	}
	b.Write("c_1", 10, pcm(11))
	if p, _ := slow.Next(0, 0); p.Dropped != 0 {
		t.Errorf("a drop was told twice: %+v", p)
	}
}

func TestBufferCountsHalfASampleAsDropped(t *testing.T) {
	b := audio.NewBuffer(0)
	r := b.Add("a")
	if d := b.Write("c_1", 0, []byte{1, 0, 9}); !slices.Equal(d, []audio.Drop{{"a", 1}}) {
		t.Errorf("got %v, want 1 byte dropped", d)
	}
	b.Write("c_1", 1, pcm(2))
	if p, _ := r.Next(0, 0); !bytes.Equal(p.PCM, pcm(1, 2)) || p.Dropped != 1 {
		t.Errorf("got %+v, want samples 1, 2 and 1 byte dropped", p)
	}
}

func TestPiecesNeverSpanConversations(t *testing.T) {
	b := audio.NewBuffer(0)
	r := b.Add("a")
	b.Write("c_1", 0, pcm(1, 2, 3))
	b.Write("c_2", 0, pcm(4, 5, 6, 7))
	if n := r.Pending("c_1"); n != 6 {
		t.Errorf("c_1 has %d bytes to come, want 6", n)
	}
	var got []string
	for {
		p, ok := r.Next(4, 4)
		if !ok {
			break
		}
		got = append(got, fmt.Sprintf("%s@%d+%d", p.Conversation, p.Start, len(p.PCM)/2))
	}
	want := []string{"c_1@0+2", "c_1@2+1", "c_2@0+2", "c_2@2+2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := r.Pending("c_1"); n != 0 {
		t.Errorf("c_1 has %d bytes to come, want 0", n)
	}
}

func TestOnlyAnEndedConversationYieldsAShortPiece(t *testing.T) {
	b := audio.NewBuffer(0)
	r := b.Add("a")
	b.Write("c_1", 0, pcm(1, 2, 3))
	if p, ok := r.Next(8, 8); ok || r.Ready(8, 8) {
		t.Fatalf("got %+v of a conversation that goes on", p)
	}
	b.EndConversation("c_0") // another's end changes nothing
	if r.Ready(8, 8) {
		t.Fatal("another conversation's end gave a piece")
	}
	b.EndConversation("c_1")
	if !r.Ready(8, 8) {
		t.Fatal("not ready after the end")
	}
	if p, ok := r.Next(8, 8); !ok || !bytes.Equal(p.PCM, pcm(1, 2, 3)) {
		t.Errorf("got %+v %v, want the remainder", p, ok)
	}
}

func TestABoundShorterThanAPieceStillYieldsPieces(t *testing.T) {
	b := audio.NewBuffer(100)
	r := b.Add("a")
	b.Write("c_1", 0, make([]byte, 500))
	if p, ok := r.Next(32_000, 32_000); !ok || len(p.PCM) != 100 || p.Dropped != 400 {
		t.Errorf("got %d bytes, %d dropped, %v; want 100 and 400", len(p.PCM), p.Dropped, ok)
	}
}

func TestClosedBufferKeepsNothing(t *testing.T) {
	b := audio.NewBuffer(0)
	r, done := b.Add("a"), b.Add("b")
	b.Write("c_1", 0, pcm(1, 2))
	done.Next(0, 0)
	if d := b.Close(); !slices.Equal(d, []audio.Drop{{"a", 4}}) {
		t.Errorf("Close returned %v, want a's 4 bytes", d)
	}
	if d := b.Close(); d != nil {
		t.Errorf("a second Close returned %v", d)
	}
	b.Write("c_1", 2, pcm(3))
	b.EndConversation("c_1")
	if _, ok := r.Next(0, 0); ok || r.Buffered() != 0 || r.Pending("c_1") != 0 || b.Buffered() != 0 || b.MemoryBytes() != 0 {
		t.Error("something is left after Close")
	}
	if _, ok := b.Add("c").Next(0, 0); ok || r.Close() != 0 {
		t.Error("a reader of a closed buffer has something")
	}
}

func TestReadersAndWriterMayRunAtOnce(t *testing.T) {
	const samples, frame = 200_000, 160
	b := audio.NewBuffer(4 << 10)
	var wg sync.WaitGroup
	seen := make([]int64, 3)
	stop := make(chan struct{})
	for i := range seen {
		r := b.Add(fmt.Sprint(i))
		wg.Go(func() {
			next := int64(0)
			for last := false; ; {
				p, ok := r.Next(320*(i+1), 64)
				if !ok {
					if last {
						return
					}
					select {
					case <-stop:
						last = true
					default:
						runtime.Gosched()
					}
					continue
				}
				if p.Start != next+int64(p.Dropped)/2 {
					t.Errorf("reader %d: piece at %d after %d with %d bytes dropped", i, p.Start, next, p.Dropped)
					return
				}
				next = p.Start + int64(len(p.PCM)/2)
				seen[i] += int64(len(p.PCM)) + int64(p.Dropped)
			}
		})
	}
	for n := 0; n < samples; n += frame {
		b.Write("c_1", int64(n), make([]byte, 2*frame))
	}
	b.EndConversation("c_1")
	close(stop)
	wg.Wait()
	for i, n := range seen {
		if n != 2*samples {
			t.Errorf("reader %d saw or lost %d bytes, want %d", i, n, 2*samples)
		}
	}
}

// FuzzBuffer runs a program of writes, reads, ends, joins and leaves, and
// holds the buffer to a plain model: every byte that is written while a reader
// is there reaches it once, in order and at its place in its conversation, or
// is counted as dropped, by Write and by the piece that follows.
func FuzzBuffer(f *testing.F) {
	f.Add(uint16(8), []byte{0, 5, 4, 3, 0, 9, 4, 200, 2, 0, 0, 7, 4, 1, 3, 0, 0, 255, 5, 1})
	f.Add(uint16(40_000), bytes.Repeat([]byte{0, 250, 1, 3, 4, 100}, 60))
	f.Add(uint16(100), []byte{3, 0, 3, 0, 0, 255, 1, 1, 0, 30, 5, 0, 4, 9, 4, 9, 2, 2, 4, 8, 6, 0})
	f.Add(uint16(4000), []byte{1, 90, 8, 9, 4, 9, 7, 5, 1, 70, 8, 2, 2, 0, 1, 50, 8, 3, 4, 3})
	f.Fuzz(func(t *testing.T, bound uint16, program []byte) {
		b := audio.NewBuffer(int64(bound))
		limit := int64(max(bound&^1, 2))
		if bound == 0 {
			limit = audio.DefaultBufferBytes
		}
		type reader struct {
			r        *audio.Reader
			name     string
			next     int   // index in written of the next sample to come
			told     int64 // by Write since the last piece
			expected int64 // bytes due and not yet taken
		}
		var (
			readers []*reader
			written []int16    // every sample
			home    []string   // its conversation
			place   []int64    // its index there
			conv    = "c_0"    // the one being written
			index   = int64(0) // samples of conv
			sample  int16
			joined  int
		)
		join := func() {
			name := fmt.Sprint(joined)
			joined++
			readers = append(readers, &reader{r: b.Add(name), name: name, next: len(written)})
		}
		take := func(rd *reader, most, least int) {
			ready := rd.r.Ready(most, least)
			p, ok := rd.r.Next(most, least)
			if ok != ready {
				t.Fatalf("Ready said %v, Next %v", ready, ok)
			}
			if !ok {
				return
			}
			if int64(p.Dropped) != rd.told {
				t.Fatalf("piece says %d dropped, Write said %d", p.Dropped, rd.told)
			}
			rd.told = 0
			if len(p.PCM) == 0 || len(p.PCM)%2 != 0 || most > 1 && len(p.PCM) > most {
				t.Fatalf("a piece of %d bytes for at most %d", len(p.PCM), most)
			}
			for i := 0; i < len(p.PCM); i += 2 {
				k := rd.next
				rd.next++
				if got := int16(binary.LittleEndian.Uint16(p.PCM[i:])); got != written[k] || p.Conversation != home[k] || p.Start+int64(i/2) != place[k] {
					t.Fatalf("got sample %d at %s/%d, want %d at %s/%d", got, p.Conversation, p.Start+int64(i/2), written[k], home[k], place[k])
				}
			}
			short := len(p.PCM) < min(least, most) && int64(len(p.PCM)) < limit
			if most > 0 && short && rd.next == len(written) && p.Conversation == conv && index >= 0 {
				t.Fatalf("a short piece of a conversation that goes on")
			}
			rd.expected -= int64(len(p.PCM))
		}
		join()
		for i := 0; i+1 < len(program); i += 2 {
			op, arg := program[i]%9, int(program[i+1])
			switch op {
			case 0, 1: // write arg samples, or many
				n := arg
				if op == 1 {
					n *= 37
				}
				var frame []byte
				start := index
				for range n {
					sample++
					frame = binary.LittleEndian.AppendUint16(frame, uint16(sample))
					written, home, place = append(written, sample), append(home, conv), append(place, index)
					index++
				}
				drops := b.Write(conv, start, frame)
				for _, rd := range readers {
					rd.expected += int64(len(frame))
				}
				for _, d := range drops {
					k := slices.IndexFunc(readers, func(rd *reader) bool { return rd.name == d.Consumer })
					if k < 0 || d.Bytes <= 0 || d.Bytes%2 != 0 {
						t.Fatalf("drop %+v", d)
					}
					readers[k].told += d.Bytes
					readers[k].next += int(d.Bytes / 2)
					readers[k].expected -= d.Bytes
				}
			case 2: // next conversation
				b.EndConversation(conv)
				conv, index = fmt.Sprintf("c_%d", i+1), 0
			case 3:
				if len(readers) < 5 {
					join()
				}
			case 4, 5: // read
				if len(readers) > 0 {
					rd := readers[arg%len(readers)]
					if op == 4 {
						take(rd, arg*16, arg*8)
					} else {
						take(rd, 0, 0)
					}
				}
			case 8: // an app that lags and wants the newest
				if len(readers) > 0 {
					rd := readers[arg%len(readers)]
					most := max(arg*8&^1, 2)
					n := rd.r.Skip(most, most)
					if n < 0 || n%2 != 0 {
						t.Fatalf("skipped %d bytes", n)
					}
					rd.told += n
					rd.next += int(n / 2)
					rd.expected -= n
					if again := rd.r.Skip(most, most); again != 0 || n > 0 && !rd.r.Ready(most, most) {
						t.Fatalf("after %d bytes a second Skip took %d; a whole piece must be left", n, again)
					}
				}
			case 7: // audio goes by that nobody wants
				index += int64(arg)
			case 6:
				if len(readers) > 1 {
					k := arg % len(readers)
					if left := readers[k].r.Close(); left != readers[k].expected {
						t.Fatalf("reader left %d, want %d", left, readers[k].expected)
					}
					readers = slices.Delete(readers, k, k+1)
				}
			}
			slowest := int64(0)
			for _, rd := range readers {
				if rd.r.Buffered() != rd.expected {
					t.Fatalf("reader %s has %d bytes to come, want %d", rd.name, rd.r.Buffered(), rd.expected)
				}
				slowest = max(slowest, rd.expected)
			}
			if held := b.Buffered(); held != slowest || held > limit {
				t.Fatalf("holds %d, want %d, at most %d", held, slowest, limit)
			}
			if mem := b.MemoryBytes(); mem > slowest+2*16<<10 || slowest == 0 && mem != 0 {
				t.Fatalf("%d bytes of memory for %d held", mem, slowest)
			}
		}
		b.EndConversation(conv)
		index = math.MinInt64 / 2 // conv does not go on
		for _, rd := range readers {
			for rd.r.Ready(64, 64) {
				take(rd, 64, 64)
			}
			if rd.expected != 0 || rd.next != len(written) {
				t.Fatalf("reader %s never got %d bytes", rd.name, rd.expected)
			}
		}
		if b.MemoryBytes() != 0 {
			t.Fatalf("%d bytes of memory for nothing", b.MemoryBytes())
		}
	})
}

func BenchmarkBuffer(b *testing.B) {
	for _, readers := range []int{1, 4} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) {
			buf := audio.NewBuffer(0)
			var rs []*audio.Reader
			for i := range readers {
				rs = append(rs, buf.Add(fmt.Sprint(i)))
			}
			frame := make([]byte, 640) // 20 ms at 16 kHz
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			at := int64(0)
			for b.Loop() {
				if buf.Write("c_1", at, frame) != nil {
					b.Fatal("dropped")
				}
				at += 320
				for _, r := range rs {
					r.Next(32_000, 32_000)
				}
			}
		})
	}
}
