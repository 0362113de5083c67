package plugins_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

// BenchmarkFresh compares a small call of a Go guest on fresh state, on an
// instance made for it, and in a session, where nothing is put back.
func BenchmarkFresh(b *testing.B) {
	ctx := context.Background()
	inv := plugins.Invocation{Export: "handle", Args: []uint64{1}}
	loop := func(b *testing.B, run func(context.Context, plugins.Invocation) (plugins.Result, error)) {
		b.ReportAllocs()
		for b.Loop() {
			if res, err := run(ctx, inv); err != nil || res.Outcome != plugins.OK {
				b.Fatal(res, err)
			}
		}
	}
	b.Run("restored", func(b *testing.B) { loop(b, goGuest(b, plugins.Options{}).Run) })
	b.Run("made", func(b *testing.B) { loop(b, goGuest(b, plugins.Options{IdleInstances: -1}).Run) })
	b.Run("session", func(b *testing.B) { loop(b, newSession(b, goGuest(b, plugins.Options{})).Run) })
}

func BenchmarkRestore(b *testing.B) {
	ctx := context.Background()
	m := goGuest(b, plugins.Options{})
	inv := plugins.Invocation{Export: "handle", Args: []uint64{1}}
	var took []time.Duration
	for b.Loop() {
		res, err := m.Run(ctx, inv)
		if err != nil || res.Outcome != plugins.OK {
			b.Fatal(res, err)
		}
		took = append(took, res.Restore)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns/restore")
	b.ReportMetric(float64(m.Usage().IdleBytes)/4096, "pages")
}

// BenchmarkTape compares, in turns, a call that reads clocks and random numbers
// with one that is recorded.
func BenchmarkTape(b *testing.B) {
	ctx := context.Background()
	m, tape := goGuest(b, plugins.Options{}), plugins.NewTape(1<<20)
	var took [2][]time.Duration
	for b.Loop() {
		for i, t := range []*plugins.Tape{nil, tape} {
			tape.Reset()
			start := time.Now()
			res, err := m.Run(ctx, plugins.Invocation{Export: "workers", Args: []uint64{20}, Limits: ample, Tape: t})
			took[i] = append(took[i], time.Since(start))
			if err != nil || res.Outcome != plugins.OK {
				b.Fatal(res, err)
			}
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	plain, recorded := took[0][len(took[0])/2], took[1][len(took[1])/2]
	b.ReportMetric(float64(plain.Nanoseconds()), "p50-ns/plain")
	b.ReportMetric(float64((recorded - plain).Nanoseconds()), "ns/recording")
	b.ReportMetric(float64(len(tape.Bytes())), "B/tape")
}
