package store_test

import (
	"context"
	"encoding/json"
	"fmt"
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

// BenchmarkReads lists and reads among many conversations, of which each has
// two results, and opens the store over them.
func BenchmarkReads(b *testing.B) {
	for _, n := range []int{1_000, 20_000} {
		dir := b.TempDir()
		s := open(b, dir)
		fill(b, s, n)
		b.Run(fmt.Sprintf("list20/of=%d", n), func(b *testing.B) {
			for b.Loop() {
				p, err := s.Conversations(b.Context(), "ann", 20, "")
				if err != nil || len(p.Conversations) != 20 || len(p.Conversations[0].Outputs) != 2 {
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
		b.Run(fmt.Sprintf("open/of=%d", n), func(b *testing.B) {
			for b.Loop() {
				if err := s.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
				s = open(b, dir)
			}
		})
	}
}

// fill completes n conversations of ann's, each with two results.
func fill(tb testing.TB, s *store.Store, n int) {
	tb.Helper()
	const callers = 32
	errs := make(chan error, callers)
	for w := range callers {
		go func() {
			for i := w; i < n; i += callers {
				id := fmt.Sprintf("c_%06d", i)
				err := s.Complete(tb.Context(), conversation(id, "ann", event.Segment{ID: "1", Text: "hello"}), nil)
				for k := 0; err == nil && k < 2; k++ {
					err = s.AddResult(tb.Context(), id, result("minutes", fmt.Sprintf("i_%d_%d", i, k)))
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			tb.Fatal(err)
		}
	}
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
