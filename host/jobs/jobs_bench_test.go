package jobs_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// BenchmarkWorkOfACompletion is what the results of four apps and the
// settling cost, from the apps' answers to synced disk, with as many
// completions in flight.
func BenchmarkWorkOfACompletion(b *testing.B) {
	for _, inFlight := range []int{1, 64} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			s, err := store.Open(b.Context(), store.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close(b.Context())
			d := newDispatch(in())
			j, err := jobs.New(jobs.Options{Store: s, Dispatch: d, Apps: func() *apps.Set { return &apps.Set{} }})
			if err != nil {
				b.Fatal(err)
			}
			var delivered sync.WaitGroup
			due := []string{"a", "b", "c", "d"}
			works := make([]jobs.Work, b.N)
			for i := range works {
				c := event.Conversation{ID: fmt.Sprintf("c_%08d", i), UID: "u", Session: fmt.Sprintf("s_%08d", i)}
				p := store.Part{Conversation: c, Closing: true, Due: due}
				revision, err := s.Append(b.Context(), p, 0)
				if err != nil {
					b.Fatal(err)
				}
				works[i] = jobs.Work{Conversation: c, Held: store.Held{Part: p, Revision: revision}, Boxes: d, Deliver: func(inv apps.Invocation) {
					if inv.Outcome != plugins.OK {
						b.Error(inv)
					}
					delivered.Done()
				}}
			}
			delivered.Add(len(due) * b.N)
			b.ReportAllocs()
			b.ResetTimer()
			turn := make(chan struct{}, inFlight)
			for i := range works {
				turn <- struct{}{}
				done := j.Start(works[i])
				go func() {
					<-done
					<-turn
				}()
			}
			if err := j.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
			delivered.Wait()
		})
	}
}
