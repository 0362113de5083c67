package dispatch_test

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// retired gathers the apps that were let go, in order.
type retired struct {
	mu   sync.Mutex
	apps []*fakeApp
}

func (r *retired) retire(c dispatch.Callee) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps = append(r.apps, c.(*fakeApp))
}

func (r *retired) got() []*fakeApp {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.apps)
}

func (r *retired) want(t *testing.T, when string, as ...*fakeApp) {
	t.Helper()
	if got := r.got(); !slices.Equal(got, as) {
		t.Errorf("%s: %d apps retired, want %d", when, len(got), len(as))
	}
}

// replace puts fakes in the place of what d runs.
func replace(d *dispatch.Dispatcher, r *retired, fakes ...*fakeApp) {
	var names []string
	var cs []dispatch.Callee
	for _, f := range fakes {
		names, cs = append(names, f.name), append(cs, f)
	}
	d.ReplaceWith(names, cs, r.retire)
}

func TestNewVersionTakesOverWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &fakeApp{name: "a", caps: everything, release: make(chan plugins.Outcome)}
		next := &fakeApp{name: "a", caps: everything}
		kept := &fakeApp{name: "kept", caps: transcriptOnly}
		d := start(t, dispatch.Options{}, old, kept)
		defer drain(t, d)
		var l listener
		var r retired
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Transcript(say("c", "1", "one"))
		synctest.Wait() // the old version has it
		s.Transcript(say("c", "2", "two"))
		done := l.complete(s, "c", "a")
		replace(d, &r, next, kept)
		synctest.Wait()
		r.want(t, "while the old version's invocation runs")
		if n := len(next.called()); n != 0 {
			t.Errorf("the new version was called %d times beside the old one, in one session", n)
		}
		old.release <- plugins.OK
		<-done
		r.want(t, "when it has ended", old)
		s.Transcript(say("c", "3", "three"))
		synctest.Wait()
		if got, want := old.transcripts(t), []string{"one"}; !reflect.DeepEqual(got, want) {
			t.Errorf("old version: %q, want %q", got, want)
		}
		if got, want := next.transcripts(t), []string{"two", "three"}; !reflect.DeepEqual(got, want) || next.count(event.KindConversation) != 1 {
			t.Errorf("new version: %q and %d conversations, want %q and 1", got, next.count(event.KindConversation), want)
		}
		if got, want := kept.transcripts(t), []string{"one", "two", "three"}; !reflect.DeepEqual(got, want) {
			t.Errorf("the app that was kept: %q, want %q", got, want)
		}
		if got := l.got(); len(got) != 0 {
			t.Errorf("gaps %v, want none", got)
		}
		replace(d, &r, next, kept)
		r.want(t, "when nothing is new", old)
	})
}

// A new version's breaker and counts begin anew, an app that is kept goes on
// with its own, and metrics never go back.
func TestBreakerAndCountsAreAVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := func(context.Context, apps.Event) (plugins.Outcome, error) { return plugins.Trap, nil }
		bad, kept := &fakeApp{name: "bad", caps: transcriptOnly, does: fails}, &fakeApp{name: "kept", caps: transcriptOnly, does: fails}
		registry := prometheus.NewRegistry()
		d := start(t, dispatch.Options{Registerer: registry}, bad, kept)
		defer drain(t, d)
		var l listener
		var r retired
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		for i := range dispatch.BreakerFailures {
			s.Transcript(say("c", fmt.Sprint(i), "word"))
			synctest.Wait()
		}
		better := &fakeApp{name: "bad", caps: transcriptOnly}
		replace(d, &r, kept, better)
		r.want(t, "with nothing running", bad)
		s.Transcript(say("c", "6", "word"))
		synctest.Wait()
		stats := d.Stats()
		if len(stats) != 2 || stats[0].App != "kept" || stats[1].App != "bad" {
			t.Fatalf("stats %+v, want them in the new order", stats)
		}
		if s := stats[0]; s.Breaker != "open" || s.Outcomes[plugins.Trap] != dispatch.BreakerFailures || s.Outcomes[apps.Rejected] != 1 {
			t.Errorf("the app that was kept: %+v, want its breaker open and its counts as they were", s)
		}
		if s := stats[1]; s.Breaker != "closed" || s.Outcomes[plugins.Trap] != 0 || s.Outcomes[plugins.OK] != 1 {
			t.Errorf("the new version: %+v, want its breaker closed and 1 ok", s)
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP auricle_breaker_open 1 while the app's breaker is open or half-open.
# TYPE auricle_breaker_open gauge
auricle_breaker_open{app="bad"} 0
auricle_breaker_open{app="kept"} 1
# HELP auricle_invocations_total Invocations by app, event and outcome; dropped and rejected count events that never ran.
# TYPE auricle_invocations_total counter
auricle_invocations_total{app="bad",event="transcript",outcome="ok"} 1
auricle_invocations_total{app="bad",event="transcript",outcome="trap"} 5
auricle_invocations_total{app="kept",event="transcript",outcome="rejected"} 1
auricle_invocations_total{app="kept",event="transcript",outcome="trap"} 5
`), "auricle_breaker_open", "auricle_invocations_total"); err != nil {
			t.Error(err)
		}
	})
}

func TestRemovedAppAnswersWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &fakeApp{name: "gone", caps: everything, release: make(chan plugins.Outcome), piece: 100 * time.Millisecond}
		stays := &fakeApp{name: "stays", caps: everything}
		d := start(t, dispatch.Options{}, gone, stays)
		defer drain(t, d)
		var l listener
		var r retired
		s := audioSession(d, &l)
		defer s.Close()
		done := l.complete(s, "c", "gone", "stays")
		synctest.Wait() // it runs
		s.Transcript(say("d", "1", "one", "2", "two"))
		s.Audio("d", 0, pcm(0, 800))
		later := l.complete(s, "d", "gone", "stays")
		replace(d, &r, stays)
		if as := d.Stats(); len(as) != 1 || as[0].App != "stays" {
			t.Errorf("stats %+v, want those of the app that stays", as)
		}
		want := []dispatch.Gap{
			{App: "gone", Kind: event.KindTranscript, Segments: 2, Reason: dispatch.ReasonNotInstalled},
			{App: "gone", Kind: event.KindAudio, Bytes: 1600, Reason: dispatch.ReasonNotInstalled},
		}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		s.Transcript(say("e", "1", "one")) // not for it any more
		synctest.Wait()
		r.want(t, "while its invocation runs")
		gone.release <- plugins.OK
		<-done
		<-later
		r.want(t, "when it has ended", gone)
		if got, want := l.putOff(), []string{"gone not_installed"}; !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}
		if n := len(gone.called()); n != 1 {
			t.Errorf("called %d times, want the once that it ran", n)
		}
		if got, want := d.Room("gone"), (dispatch.Room{Deferred: dispatch.ReasonNotInstalled}); got != want {
			t.Errorf("room %+v, want %+v", got, want)
		}
		<-l.complete(s, "f", "gone", "stays")
		if got, want := l.putOff(), []string{"gone not_installed", "gone not_installed"}; !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}

		again := &fakeApp{name: "gone", caps: transcriptOnly}
		replace(d, &r, again, stays)
		s.Transcript(say("g", "1", "back"))
		synctest.Wait()
		if got := again.transcripts(t); !reflect.DeepEqual(got, []string{"back"}) {
			t.Errorf("installed again: %q", got)
		}
		r.want(t, "at the end", gone)
	})
}

// A session that is closed before the change has no mailbox to lose, and what
// is due of it is answered all the same.
func TestClosedSessionsConversationIsAnsweredWhenTheAppGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: conversationOnly, release: make(chan plugins.Outcome)}
		d := start(t, dispatch.Options{Workers: 1}, a)
		defer drain(t, d)
		var l listener
		var r retired
		var done []<-chan struct{}
		for i := range 3 {
			s := d.Open(l.options("u", fmt.Sprint("s", i)))
			done = append(done, l.complete(s, fmt.Sprint("c", i), "a"))
			s.Close()
		}
		synctest.Wait()
		replace(d, &r)
		a.release <- plugins.OK
		for _, ch := range done {
			<-ch
		}
		if got, want := l.putOff(), []string{"a not_installed", "a not_installed"}; !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}
		r.want(t, "at the end", a)
	})
}

func TestWhatAnAppMayHaveCanChangeUnderASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := func() *fakeApp {
			return &fakeApp{name: "a", caps: everything, piece: 100 * time.Millisecond, release: make(chan plugins.Outcome)}
		}
		a := busy()
		d := start(t, dispatch.Options{}, a)
		defer drain(t, d)
		var l listener
		var r retired
		s := audioSession(d, &l)
		defer s.Close()
		var hers listener
		o := hers.options("someone else", "s2")
		o.Rate = 8000
		other := d.Open(o)
		defer other.Close()

		s.Transcript(say("c", "1", "one"))
		synctest.Wait()
		s.Transcript(say("c", "2", "two"))
		s.Audio("c", 0, pcm(0, 900))
		heard := &fakeApp{name: "a", caps: []event.Capability{event.CapAudio}, users: []string{"u"}, piece: 50 * time.Millisecond}
		replace(d, &r, heard)
		a.release <- plugins.OK
		synctest.Wait()
		if got, want := l.got(), []dispatch.Gap{{App: "a", Kind: event.KindTranscript, Segments: 1, Reason: dispatch.ReasonNotInstalled}}; !reflect.DeepEqual(got, want) {
			t.Errorf("without transcript: gaps %v, want %v", got, want)
		}
		if got := heard.pieces(t); len(got) != 2 || len(got[0].PCM) != 800 || got[1].Start != 400 {
			t.Errorf("audio of %d pieces, want what waited in pieces of the new length", len(got))
		}
		if other.WantsAudio() || !s.WantsAudio() {
			t.Errorf("wants audio: %v for the user who has the app no longer, %v for the other", other.WantsAudio(), s.WantsAudio())
		}
		<-hers.complete(other, "c", "a")
		if got, want := hers.putOff(), []string{"a not_installed"}; !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}

		deaf := &fakeApp{name: "a", caps: transcriptOnly}
		replace(d, &r, deaf)
		if s.WantsAudio() || s.BufferedAudio() != 0 {
			t.Errorf("wants audio %v, %d bytes kept, with no app for it", s.WantsAudio(), s.BufferedAudio())
		}
		if got := l.got(); len(got) != 2 || got[1].Bytes != 200 || got[1].Reason != dispatch.ReasonNotInstalled {
			t.Errorf("gaps %v, want the audio that was left", got)
		}
		s.Audio("c", 900, pcm(900, 800)) // for nobody
		s.Transcript(say("c", "3", "three"))
		synctest.Wait()
		if got := deaf.transcripts(t); !reflect.DeepEqual(got, []string{"three"}) || deaf.count(event.KindAudio) != 0 {
			t.Errorf("got %q and %d pieces of audio, want the transcript alone", got, deaf.count(event.KindAudio))
		}

		again := &fakeApp{name: "b", caps: []event.Capability{event.CapAudio}, piece: 100 * time.Millisecond}
		replace(d, &r, deaf, again)
		s.Audio("c", 1700, pcm(1700, 800))
		synctest.Wait()
		if got := again.pieces(t); len(got) != 1 || got[0].Start != 1700 || !reflect.DeepEqual(got[0].PCM, pcm(1700, 800)) {
			t.Errorf("an audio app that came later got %d pieces, want what came after it", len(got))
		}
	})
}

// Whatever happens at once, each conversation is answered once for each app
// that is due, no app is called that was let go, and every app that was
// replaced is let go.
func TestReplaceUnderLoad(t *testing.T) {
	var mu sync.Mutex
	gone := map[*fakeApp]bool{}
	version := func(name string) *fakeApp {
		f := &fakeApp{name: name, caps: everything, piece: 10 * time.Millisecond}
		f.does = func(context.Context, apps.Event) (plugins.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			if gone[f] {
				t.Errorf("an app %s was called that had been let go", name)
			}
			return plugins.OK, nil
		}
		return f
	}
	retire := func(c dispatch.Callee) {
		mu.Lock()
		defer mu.Unlock()
		if gone[c.(*fakeApp)] {
			t.Error("an app was let go twice")
		}
		gone[c.(*fakeApp)] = true
	}
	d := start(t, dispatch.Options{Workers: 4}, version("a"), version("b"))
	const sessions, rounds = 8, 40
	stop := make(chan struct{})
	replaced := 0
	var swaps sync.WaitGroup
	swaps.Go(func() { // ends with stop
		for {
			select {
			case <-stop:
				return
			default:
			}
			names := []string{"a", "b"}[:1+replaced%2] // b comes and goes
			var cs []dispatch.Callee
			for _, n := range names {
				cs = append(cs, version(n))
			}
			d.ReplaceWith(names, cs, retire)
			replaced++
		}
	})
	var clients sync.WaitGroup
	for i := range sessions {
		clients.Go(func() {
			for j := range rounds {
				s := d.Open(dispatch.SessionOptions{UID: "u", ID: fmt.Sprint("s", i, j), Rate: 8000})
				s.Transcript(say("c", "1", "one"))
				if s.WantsAudio() {
					s.Audio("c", 0, pcm(0, 400))
				}
				var lock sync.Mutex
				answered := map[string]int{}
				done := s.Complete(event.Conversation{ID: "c", UID: "u"}, []string{"a", "b"}, func(a dispatch.Attempt) {
					lock.Lock()
					defer lock.Unlock()
					answered[a.App]++
				})
				if j%2 == 0 {
					s.Close()
				}
				<-done
				s.Close()
				if answered["a"] != 1 || answered["b"] != 1 {
					t.Errorf("answered %v, want once for each app", answered)
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	swaps.Wait()
	d.ReplaceWith(nil, nil, retire)
	if err := d.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := 2 + replaced + replaced/2; len(gone) != want {
		t.Errorf("%d apps were let go, want %d", len(gone), want)
	}
}

// With a real module: what an app keeps for a session is lost with its version,
// and the next one is told.
func TestNewVersionIsToldThatItsStateIsLost(t *testing.T) {
	ctx := t.Context()
	engine, err := plugins.New(ctx, plugins.Options{HostModules: []plugins.HostModule{apps.HostModule()}})
	if err != nil {
		t.Fatal(err)
	}
	block := config.App{
		Name: "counter", Module: filepath.Join("..", "apps", "testdata", "counter.wasm"), Users: []string{"*"},
		State: event.StateSession, Grant: []event.Capability{event.CapAudio, event.CapTranscript, event.CapConversation},
	}
	set, problems := apps.Load(ctx, engine, []config.App{block})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d, err := dispatch.New(dispatch.Options{Apps: set})
	if err != nil {
		t.Fatal(err)
	}
	heard, fresh := make(counts, 10), make(counts, 10)
	s, silent := d.Open(heard.options("u", "s")), d.Open(fresh.options("u", "silent"))
	said := 0
	step := func(c counts, s *dispatch.Session, want string) {
		t.Helper()
		said++
		s.Transcript(say("c", fmt.Sprint(said), "hello"))
		if got := c.next(t); got != want {
			t.Errorf("event %d: got %s, want %s", said, got, want)
		}
	}
	step(heard, s, "1")
	step(heard, s, "2")

	block.Limits.Fuel = 1_000_000
	change, problems := set.Plan(ctx, engine, []config.App{block})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	change.Apply()
	var let []*apps.App
	d.Replace(set.All(), func(a *apps.App) {
		let = append(let, a)
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	if len(let) != 1 {
		t.Fatalf("%d apps let go, want 1", len(let))
	}
	step(heard, s, "1 restarted")
	step(heard, s, "2")
	step(fresh, silent, "1")
	if u := set.All()[0].Module.Usage(); u.Sessions != 2 {
		t.Errorf("usage %+v, want 2 sessions", u)
	}
	s.Close()
	silent.Close()
	drain(t, d)
	if u := set.All()[0].Module.Usage(); u.Sessions != 0 {
		t.Errorf("usage %+v after the sessions' end", u)
	}
	for _, err := range []error{set.Close(context.Background()), engine.Close(context.Background())} {
		if err != nil {
			t.Error(err)
		}
	}
}
