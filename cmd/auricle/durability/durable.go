package durability

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/auricle-dev/auricle/cmd/auricle/figures"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// Durable is what the durable part of a completion costs: its last part
// appended, the conversation, the apps' results, and letting go of what was
// appended. Beside it stand bare JetStream publishes of the conversation and
// the results, each synced by itself. Both come from 64 writers at once, in
// this process, in turn.
type Durable struct {
	CPUMicros     float64 `json:"cpu_us"` // a completion
	BareMicros    float64 `json:"bare_cpu_us"`
	Ratio         float64 `json:"ratio"` // CPUMicros / BareMicros
	PerSecond     float64 `json:"per_s"`
	BarePerSecond float64 `json:"bare_per_s"`
	Few           float64 `json:"cpu_us_few_stored"`  // from 10 stored conversations on
	Many          float64 `json:"cpu_us_many_stored"` // from 10,000 on
	Growth        float64 `json:"growth"`             // Many / Few
}

const (
	durableWriters = 64
	durableRounds  = 5
	durableEach    = 2000 // completions of a round
	fewStored      = 10
	manyStored     = 10_000
)

// measureDurable also returns the size of a conversation as it is stored.
func measureDurable(ctx context.Context, dir string) (d Durable, bytes int, err error) {
	bare, err := openBare(filepath.Join(dir, "bare"))
	if err != nil {
		return d, 0, err
	}
	defer bare.close()
	var ratios, ours, theirs, ourRate, theirRate, few, many, growth []float64
	for round := range durableRounds {
		s, err := store.Open(ctx, store.Options{Dir: filepath.Join(dir, fmt.Sprintf("durable-%d", round))})
		if err != nil {
			return d, 0, err
		}
		n := 0
		complete := func(count int) (cpu, rate float64, err error) {
			from := n
			n += count
			return each(ctx, count, func(ctx context.Context, i int) error { return completeOnce(ctx, s, round, from+i) })
		}
		measure := func() error {
			if _, _, err := complete(fewStored); err != nil {
				return err
			}
			first, rate, err := complete(durableEach)
			if err != nil {
				return err
			}
			other, otherRate, err := each(ctx, durableEach, func(ctx context.Context, i int) error { return bare.complete(ctx, round, i) })
			if err != nil {
				return err
			}
			ours, theirs = append(ours, first), append(theirs, other)
			ourRate, theirRate = append(ourRate, rate), append(theirRate, otherRate)
			ratios = append(ratios, first/other)
			if _, _, err := complete(manyStored - n); err != nil {
				return err
			}
			last, _, err := complete(durableEach)
			few, many, growth = append(few, first), append(many, last), append(growth, last/first)
			return err
		}
		if err := errors.Join(measure(), s.Close(ctx)); err != nil {
			return d, 0, err
		}
	}
	body, err := json.Marshal(said(0, 0))
	d = Durable{
		CPUMicros: figures.Median(ours), BareMicros: figures.Median(theirs), Ratio: figures.Median(ratios),
		PerSecond: figures.Median(ourRate), BarePerSecond: figures.Median(theirRate),
		Few: figures.Median(few), Many: figures.Median(many), Growth: figures.Median(growth),
	}
	return d, len(body), err
}

// each has 64 writers do f for 0 to n-1, and returns the CPU time each took,
// in µs, and how many there were a second.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) (cpu, rate float64, err error) {
	var next atomic.Int64
	failed := make([]error, durableWriters)
	var wg sync.WaitGroup
	before, began := cpuTime(os.Getpid()), time.Now()
	for w := range durableWriters {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if failed[w] = f(ctx, i); failed[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	took, used := time.Since(began), cpuTime(os.Getpid())-before
	return float64(used.Microseconds()) / float64(n), float64(n) / took.Seconds(), errors.Join(failed...)
}

// said is a completed conversation.
func said(round, i int) event.Conversation {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	return event.Conversation{
		ID: fmt.Sprintf("c_%d_%08d", round, i), Session: fmt.Sprintf("s_%d_%08d", round, i), UID: fmt.Sprintf("user-%d", i%100),
		StartedAt: at, CompletedAt: at.Add(time.Minute), Reason: event.ReasonFinish, Segments: spoken(i),
	}
}

func answered(c event.Conversation, app int) store.Result {
	name := fmt.Sprintf("tally%d", app)
	id := fmt.Sprintf("i_%s_%d", c.ID, app)
	return store.Result{
		App: name, Event: event.KindConversation.String(), Invocation: id, Outcome: "ok", Attempt: 1,
		Outputs: []event.Output{{App: name, Conversation: c.ID, Event: event.KindConversation.String(), Invocation: id,
			Kind: event.OutputEmitted, Data: json.RawMessage(`{"counted":true}`), At: c.CompletedAt}},
	}
}

// completeOnce does what a host does to complete a conversation durably.
func completeOnce(ctx context.Context, s *store.Store, round, i int) error {
	c := said(round, i)
	due := []string{"tally0", "tally1", "tally2", "tally3"}
	part := store.Part{Conversation: c, Seq: 1, Host: "h", Closing: true, Next: c.ID + "_next", Due: due}
	at, err := s.Append(ctx, part, 0)
	if err != nil {
		return err
	}
	if err := s.Complete(ctx, c, due); err != nil {
		return err
	}
	failed := make([]error, len(due))
	var wg sync.WaitGroup
	for app := range due {
		wg.Go(func() { _, failed[app] = s.FinishJob(ctx, c.ID, answered(c, app)) })
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	part.Conversation.Segments = nil
	return s.Settle(ctx, part, at)
}

// bare is a JetStream server in this process, with nothing of ours around it.
type bare struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
}

func openBare(dir string) (_ *bare, err error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "bare", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir, SyncAlways: true,
		JetStreamMaxStore: math.MaxInt64 / 2,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	b := &bare{server: s}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.conn, err = nats.Connect("", nats.InProcessServer(s)); err != nil {
		return nil, err
	}
	if b.js, err = jetstream.New(b.conn); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	_, err = b.js.CreateStream(ctx, jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare.>"}, Storage: jetstream.FileStorage})
	return b, err
}

func (b *bare) close() {
	if b.conn != nil {
		b.conn.Close()
	}
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

// complete publishes a conversation and then its results, as one would.
func (b *bare) complete(ctx context.Context, round, i int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := said(round, i)
	if err := b.publish(ctx, "bare.conversation."+c.ID, c); err != nil {
		return err
	}
	failed := make([]error, apps)
	var wg sync.WaitGroup
	for app := range apps {
		wg.Go(func() {
			failed[app] = b.publish(ctx, fmt.Sprintf("bare.result.%s.%d", c.ID, app), answered(c, app))
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

func (b *bare) publish(ctx context.Context, subject string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = b.js.Publish(ctx, subject, body)
	return err
}
