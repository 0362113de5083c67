package dispatch_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
)

// Five apps whose services hang, each at the bound of its bulkhead, would have
// every worker; the sixth is served at once all the same.
func TestAppsThatWaitForServicesTakeNoWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answered := make(chan struct{})
		hangs := func(ctx context.Context, ev apps.Event) (plugins.Outcome, error) {
			back := ev.Lend()
			defer back()
			select {
			case <-answered:
				return plugins.OK, nil
			case <-ctx.Done():
				return plugins.OK, ctx.Err()
			}
		}
		fakes := []*fakeApp{{name: "healthy", caps: conversationOnly}}
		for i := range 5 {
			fakes = append(fakes, &fakeApp{name: fmt.Sprintf("hung-%d", i), caps: transcriptOnly, does: hangs})
		}
		const perApp = 2
		d := start(t, dispatch.Options{Workers: 8, PerApp: perApp}, fakes...)
		defer drain(t, d)
		var l listener
		for i := range 4 { // twice as many as an app may have at once
			s := d.Open(l.options("u", fmt.Sprint("s", i)))
			defer s.Close()
			s.Transcript(say("c", "1", "one"))
		}
		synctest.Wait()
		for _, f := range fakes[1:] {
			if n := len(f.called()); n != perApp {
				t.Errorf("%s: %d events began, want its share of %d", f.name, n, perApp)
			}
		}
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		done := l.complete(s, "c", "healthy")
		synctest.Wait()
		if !isDone(done) || fakes[0].most != 1 {
			t.Error("the healthy app waits for the services of others")
		}
		close(answered)
		synctest.Wait()
		for _, f := range fakes[1:] {
			if n := len(f.called()); n != 4 { // one of each session
				t.Errorf("%s: %d events ran, want 4", f.name, n)
			}
		}
	})
}

// Who comes back goes on at once; until as many have ended no new one begins.
func TestWorkersComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer, end := make(chan struct{}), make(chan struct{})
		a := &fakeApp{name: "a", caps: transcriptOnly, users: []string{"ann"}, does: func(_ context.Context, ev apps.Event) (plugins.Outcome, error) {
			for range 3 { // lending again and again lets no more run
				back := ev.Lend()
				<-answer
				back()
			}
			<-end
			return plugins.OK, nil
		}}
		b := &fakeApp{name: "b", caps: transcriptOnly, users: []string{"bob"}, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 1, PerApp: 1}, a, b)
		defer drain(t, d)
		var l listener
		sa, sb := d.Open(l.options("ann", "sa")), d.Open(l.options("bob", "sb"))
		defer sa.Close()
		defer sb.Close()
		sa.Transcript(say("c", "1", "one"))
		synctest.Wait()
		sb.Transcript(say("c", "1", "one"))
		synctest.Wait()
		if len(a.called()) != 1 || len(b.called()) != 1 {
			t.Fatalf("a began %d, b %d; want b in the place that a lends", len(a.called()), len(b.called()))
		}
		for range 3 {
			answer <- struct{}{}
		}
		synctest.Wait()
		sb.Transcript(say("c", "2", "two"))
		b.release <- plugins.OK // gives the place back that a has taken again
		synctest.Wait()
		if n := len(b.called()); n != 1 {
			t.Errorf("b began %d events while a has the one worker, want 1", n)
		}
		close(end)
		synctest.Wait()
		if n := len(b.called()); n != 2 {
			t.Errorf("b began %d events when a had ended, want 2", n)
		}
		b.release <- plugins.OK
		synctest.Wait()
	})
}
