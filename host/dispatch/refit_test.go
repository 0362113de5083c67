package dispatch_test

import (
	"reflect"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/plugins"
	"github.com/auricle-dev/auricle/sdk/event"
)

// choices are what a test's users have chosen, by uid and app.
type choices struct {
	mu sync.Mutex
	on map[[2]string]bool
}

func (c *choices) Choice(uid, app string) (on, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	on, ok = c.on[[2]string{uid, app}]
	return on, ok
}

// set has a user choose, and the sessions follow.
func (c *choices) set(d *dispatch.Dispatcher, uid, app string, on bool) {
	c.mu.Lock()
	if c.on == nil {
		c.on = map[[2]string]bool{}
	}
	c.on[[2]string{uid, app}] = on
	c.mu.Unlock()
	d.Refit(uid)
}

func TestUsersChoiceGoesOverTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, users: []string{"v"}, piece: 100 * time.Millisecond}
		words := &fakeApp{name: "words", caps: transcriptOnly}
		var c choices
		d := start(t, dispatch.Options{Choices: &c}, a, words)
		defer drain(t, d)
		var l, other listener
		changed := 0
		o := l.options("u", "s")
		o.Rate, o.Changed = 8000, func() { changed++ }
		s := d.Open(o)
		defer s.Close()
		v := d.Open(other.options("v", "s2"))
		defer v.Close()
		if s.WantsAudio() || d.Lacks("u", "a") != dispatch.ReasonNotInstalled {
			t.Fatalf("before any choice: wants audio %v, lacks %q", s.WantsAudio(), d.Lacks("u", "a"))
		}
		c.set(d, "u", "a", true)
		if !s.WantsAudio() || d.Lacks("u", "a") != "" || changed != 1 {
			t.Fatalf("switched on: wants audio %v, lacks %q, told %d times", s.WantsAudio(), d.Lacks("u", "a"), changed)
		}
		c.set(d, "u", "a", true)
		c.set(d, "v", "a", true)
		if changed != 1 {
			t.Errorf("told %d times, though nothing of the session's has changed", changed-1)
		}
		s.Audio("c", 800, pcm(800, 800)) // it comes in where the conversation is
		synctest.Wait()
		if ps := a.pieces(t); len(ps) != 1 || ps[0].Start != 800 {
			t.Errorf("pieces %v, want the one", ps)
		}
		s.Audio("c", 1600, pcm(0, 100)) // too short for a piece: it waits
		c.set(d, "u", "a", false)
		want := []dispatch.Gap{{App: "a", Kind: event.KindAudio, Bytes: 200, Reason: dispatch.ReasonSwitchedOff}}
		if got := l.got(); !reflect.DeepEqual(got, want) {
			t.Errorf("gaps %v, want %v", got, want)
		}
		if s.WantsAudio() || s.BufferedAudio() != 0 || d.Lacks("u", "a") != dispatch.ReasonSwitchedOff || changed != 2 {
			t.Errorf("switched off: wants audio %v, %d bytes, lacks %q, told %d times", s.WantsAudio(), s.BufferedAudio(), d.Lacks("u", "a"), changed)
		}
		s.Transcript(say("c", "1", "one"))
		v.Transcript(say("c2", "1", "two"))
		synctest.Wait()
		if got, want := a.transcripts(t), []string{"two"}; !reflect.DeepEqual(got, want) {
			t.Errorf("a got %q, want the other user's alone: %q", got, want)
		}
		<-l.complete(s, "c", "a", "words")
		if got, want := l.putOff(), []string{"a switched_off", "words not_installed"}; !reflect.DeepEqual(got, want) {
			t.Errorf("put off %q, want %q", got, want)
		}
	})
}

// What waits when an app is switched off is not run: neither live work nor the
// conversation that was due already.
func TestWhatWaitsForAnAppThatIsSwitchedOffIsNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeApp{name: "a", caps: everything, release: make(chan plugins.Outcome)}
		var c choices
		d := start(t, dispatch.Options{Choices: &c}, a)
		defer drain(t, d)
		var l listener
		s := d.Open(l.options("u", "s"))
		defer s.Close()
		s.Transcript(say("c", "1", "runs"))
		synctest.Wait()
		s.Transcript(say("c", "2", "waits"))
		done := l.complete(s, "c", "a")
		c.set(d, "u", "a", false)
		if got := l.got(); len(got) != 1 || got[0].Segments != 1 || got[0].Reason != dispatch.ReasonSwitchedOff {
			t.Errorf("gaps %v", got)
		}
		a.release <- plugins.OK
		<-done
		if got, want := l.putOff(), []string{"a switched_off"}; !reflect.DeepEqual(got, want) || len(a.called()) != 1 {
			t.Errorf("put off %q after %d calls, want %q after 1", got, len(a.called()), want)
		}
		if got := appStats(t, d, "a").Dropped[dispatch.ReasonSwitchedOff]; got != 1 {
			t.Errorf("%d drops counted, want 1", got)
		}
	})
}

// A reload and a choice at the same time: each session ends up with what both
// say.
func TestChoicesAndReloadsAtOnce(t *testing.T) {
	a, b := &fakeApp{name: "a", caps: everything}, &fakeApp{name: "b", caps: everything}
	var c choices
	d := start(t, dispatch.Options{Choices: &c}, a)
	defer drain(t, d)
	var l listener
	var r retired
	s := audioSession(d, &l)
	defer s.Close()
	for range 200 {
		var wg sync.WaitGroup
		wg.Go(func() { c.set(d, "u", "a", false) })
		wg.Go(func() { replace(d, &r, a, b) })
		wg.Wait()
		if !s.WantsAudio() || d.Lacks("u", "b") != "" {
			t.Fatal("the app that was added is lost")
		}
		wg.Go(func() { c.set(d, "u", "a", true) })
		wg.Go(func() { replace(d, &r, a) })
		wg.Wait()
		if !s.WantsAudio() || d.Lacks("u", "a") != "" {
			t.Fatal("the app that was switched on is lost")
		}
	}
}

// An audio app that comes and goes leaves nothing behind.
func TestAppsThatComeAndGoKeepNoMemory(t *testing.T) {
	a := &fakeApp{name: "a", caps: everything, piece: time.Second}
	var c choices
	d := start(t, dispatch.Options{Choices: &c}, a)
	defer drain(t, d)
	s := d.Open(dispatch.SessionOptions{UID: "u", ID: "s", Rate: 8000})
	defer s.Close()
	frame := pcm(0, 800)
	cycle := func(n int) {
		for range n {
			c.set(d, "u", "a", true)
			s.Audio("c", 0, frame)
			c.set(d, "u", "a", false)
			if s.WantsAudio() || s.BufferedAudio() != 0 {
				t.Fatal("the buffer has stayed")
			}
		}
	}
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	cycle(100)
	goroutines, before := runtime.NumGoroutine(), held()
	cycle(10_000)
	// One cycle that kept its frame would be 16 MB in all, one byte each 10 KB.
	if after := held(); after > before+64<<10 {
		t.Errorf("10,000 times on and off: %d bytes more are held", after-before)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines more", n-goroutines)
	}
}
