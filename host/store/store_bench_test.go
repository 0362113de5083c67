package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// BenchmarkWrites compares what a store does in a second with what JetStream
// alone does for one synced message of the same size. Each runs with 16
// callers at once.
func BenchmarkWrites(b *testing.B) {
	const callers = 16
	segs := make([]event.Segment, 5)
	for i := range segs {
		segs[i] = event.Segment{ID: fmt.Sprint("seg", i), Text: "we agreed to send the budget to the board before Friday", Start: float64(i), End: float64(i + 1)}
	}
	run := func(b *testing.B, f func(ctx context.Context, n int64) error) {
		var n atomic.Int64
		b.SetParallelism(callers / 2)
		b.ReportAllocs()
		began := time.Now()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := f(b.Context(), n.Add(1)); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(n.Load())/time.Since(began).Seconds(), "ops/s")
	}
	body, err := json.Marshal(conversation("c_1", "ann", segs...))
	if err != nil {
		b.Fatal(err)
	}

	b.Run("bare", func(b *testing.B) {
		js := bareJetStream(b)
		run(b, func(ctx context.Context, n int64) error {
			_, err := js.Publish(ctx, fmt.Sprintf("bare.%d", n), body)
			return err
		})
	})
	b.Run("append", func(b *testing.B) {
		s := open(b, b.TempDir())
		run(b, func(ctx context.Context, n int64) error {
			_, err := s.Append(ctx, part(conversation(fmt.Sprintf("c_%d", n), "ann"), segs...), 0)
			return err
		})
	})
	b.Run("complete", func(b *testing.B) {
		s := open(b, b.TempDir())
		run(b, func(ctx context.Context, n int64) error {
			return s.Complete(ctx, conversation(fmt.Sprintf("c_%d", n), "ann", segs...), nil)
		})
	})
	b.Run("append+complete", func(b *testing.B) {
		s := open(b, b.TempDir())
		run(b, func(ctx context.Context, n int64) error {
			c := conversation(fmt.Sprintf("c_%d", n), "ann", segs...)
			if _, err := s.Append(ctx, part(c, segs...), 0); err != nil {
				return err
			}
			return s.Complete(ctx, c, nil)
		})
	})
	b.Run("result", func(b *testing.B) {
		s := open(b, b.TempDir())
		run(b, func(ctx context.Context, n int64) error {
			return s.AddResult(ctx, "c_1", result("minutes", fmt.Sprintf("i_%d", n)))
		})
	})
}

// BenchmarkReads lists and reads among many conversations of many users, of
// which each has four results, and opens the store over them: after a clean
// stop, and as a kill leaves it. AURICLE_BENCH_CONVERSATIONS sets how many.
func BenchmarkReads(b *testing.B) {
	n := 5_000
	if v := os.Getenv("AURICLE_BENCH_CONVERSATIONS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	dir, killed := b.TempDir(), b.TempDir()
	s := open(b, dir)
	fill(b, s, 0, n)
	if err := os.CopyFS(killed, os.DirFS(dir)); err != nil {
		b.Fatal(err)
	}
	b.Run(fmt.Sprintf("list20/of=%d", n), func(b *testing.B) {
		for b.Loop() {
			p, err := s.Conversations(b.Context(), "ann", 20, "")
			if err != nil || len(p.Conversations) != 20 || len(p.Conversations[0].Outputs) != 4 {
				b.Fatal(len(p.Conversations), err)
			}
		}
	})
	b.Run(fmt.Sprintf("read/of=%d", n), func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Conversation(b.Context(), fmt.Sprintf("c_%06d", n/2)); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := s.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	for name, dir := range map[string]string{"open/clean": dir, "open/killed": killed} {
		b.Run(fmt.Sprintf("%s/of=%d", name, n), func(b *testing.B) {
			for b.Loop() {
				s, err := store.Open(b.Context(), store.Options{Dir: dir})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if held, err := s.Unfinished(b.Context()); err != nil || len(held) != 0 {
					b.Fatal(len(held), err)
				}
				if err := s.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkCompletion is the whole of a conversation's life with four apps, in
// a store that holds few and one that holds many.
func BenchmarkCompletion(b *testing.B) {
	for _, kept := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("kept=%d", kept), func(b *testing.B) {
			s := open(b, b.TempDir())
			fill(b, s, 0, kept)
			next := kept
			for b.Loop() {
				fill(b, s, next, next+fillers)
				next += fillers
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(next-kept), "us/conversation")
		})
	}
}

// fillers is how many conversations fill has under way at a time.
const fillers = 64

// fill lets conversations from first to before last live: appended, completed,
// with the results of four apps, and settled. Every 50th is ann's.
func fill(tb testing.TB, s *store.Store, first, last int) {
	tb.Helper()
	errs := make(chan error, fillers)
	for w := range fillers {
		go func() {
			for i := first + w; i < last; i += fillers {
				if err := live(tb.Context(), s, i); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range fillers {
		if err := <-errs; err != nil {
			tb.Fatal(err)
		}
	}
}

// live is one conversation's life.
func live(ctx context.Context, s *store.Store, i int) error {
	id, uid := fmt.Sprintf("c_%06d", i), "ann"
	if i%50 != 0 {
		uid = fmt.Sprint("user", i%1000)
	}
	c := conversation(id, uid, event.Segment{ID: "1", Text: "we agreed to send the budget to the board before Friday"})
	c.Session = "s" + id
	p := part(c, c.Segments...)
	p.Closing = true
	rev, err := s.Append(ctx, p, 0)
	if err != nil {
		return err
	}
	if err := s.Complete(ctx, c, nil); err != nil {
		return err
	}
	results := make(chan error, 4)
	for k := range cap(results) {
		go func() {
			_, err := s.FinishJob(ctx, id, result(fmt.Sprint("app", k), fmt.Sprintf("i_%d_%d", i, k)))
			results <- err
		}()
	}
	for range cap(results) {
		err = errors.Join(err, <-results)
	}
	if err != nil {
		return err
	}
	return s.Settle(ctx, p, rev)
}

// bareJetStream is what the store is built on, with nothing in between.
func bareJetStream(b *testing.B) jetstream.JetStream {
	b.Helper()
	srv, err := server.NewServer(&server.Options{JetStream: true, StoreDir: b.TempDir(), DontListen: true, SyncAlways: true, NoSigs: true, NoLog: true})
	if err != nil {
		b.Fatal(err)
	}
	srv.Start()
	b.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare.*"}}); err != nil {
		b.Fatal(err)
	}
	return js
}

// BenchmarkValues is what it costs to change an app's space of so many bytes,
// for one user after the other and with 16 callers for as many users.
func BenchmarkValues(b *testing.B) {
	for _, size := range []int{1 << 10, 32 << 10, 256 << 10, 2 << 20} {
		s := open(b, b.TempDir())
		values := map[string][]byte{"a": make([]byte, size/2), "b": make([]byte, size/2)}
		change := func(ctx context.Context, uid string) error {
			_, rev, err := s.Values(ctx, "notes", uid)
			if err == nil {
				_, err = s.PutValues(ctx, "notes", uid, values, rev)
			}
			return err
		}
		b.Run(fmt.Sprintf("bytes=%d/callers=1", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := change(b.Context(), "ann"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("bytes=%d/callers=16", size), func(b *testing.B) {
			var n atomic.Int64
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				uid := fmt.Sprint("u", n.Add(1))
				for pb.Next() {
					if err := change(b.Context(), uid); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
