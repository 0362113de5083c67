package plugins_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

func newSession(t testing.TB, m *plugins.Module) *plugins.Session {
	t.Helper()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func runSession(t testing.TB, s *plugins.Session, export string) plugins.Result {
	t.Helper()
	res, err := s.Run(context.Background(), plugins.Invocation{Export: export, Limits: ample})
	if err != nil {
		t.Fatalf("%s: %v", export, err)
	}
	return res
}

func wantValue(t testing.TB, s *plugins.Session, export string, want uint64) {
	t.Helper()
	if got := value(t, runSession(t, s, export)); got != want {
		t.Errorf("%s gives %d, want %d", export, got, want)
	}
}

func TestSessionKeepsItsState(t *testing.T) {
	for name, e := range engines(t) {
		t.Run(name, func(t *testing.T) {
			m := load(t, e, "session")
			s, other := newSession(t, m), newSession(t, m)
			wantValue(t, s, "count", 1+6+43)
			wantValue(t, s, "count", 2+7+44)
			wantValue(t, other, "count", 1+6+43)
			if got := value(t, run(t, m, "count")); got != 1+6+43 {
				t.Errorf("beside the sessions: %d", got)
			}
			wantValue(t, s, "grow", 2)
			wantValue(t, s, "grow", 3)
			for range 2 {
				if !s.Park() || !s.Parked() {
					t.Error("it can't be parked")
				}
				if value(t, run(t, m, "count")) != 1+6+43 {
					t.Error("the instance that the session gave back is not as it was")
				}
				wantValue(t, s, "last", 4)
			}
			if s.Park(); !s.Parked() {
				t.Error("it is not parked")
			}
			wantValue(t, s, "count", 3+8+45)
			wantValue(t, s, "grow", 4)
			wantValue(t, other, "grow", 2)
			if s.Restarted() || other.Restarted() {
				t.Error("nothing was lost")
			}
		})
	}
}

func TestSessionBeginsAfreshAfterABadEnd(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "session")
	s := newSession(t, m)
	for _, bad := range []struct {
		export string
		limits plugins.Limits
		want   plugins.Outcome
	}{
		{"trap", ample, plugins.Trap},
		{"spin", plugins.Limits{Fuel: 1000, Wall: time.Minute}, plugins.FuelExhausted},
		{"spin", plugins.Limits{Fuel: 1 << 40, Wall: time.Millisecond}, plugins.DeadlineExceeded},
	} {
		wantValue(t, s, "count", 1+6+43)
		if s.Restarted() {
			t.Error("it has not ended badly yet")
		}
		if bad.export == "spin" {
			s.Park()
		}
		res, err := s.Run(context.Background(), plugins.Invocation{Export: bad.export, Limits: bad.limits})
		if err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, res, bad.want)
		if !s.Restarted() || s.Parked() || s.Bytes() != 0 {
			t.Errorf("after %s: restarted %v, parked %v, %d bytes", bad.want, s.Restarted(), s.Parked(), s.Bytes())
		}
	}
	wantValue(t, s, "count", 1+6+43)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx, plugins.Invocation{Export: "count"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Run(context.Background(), plugins.Invocation{Export: "launch"}); err == nil {
		t.Error("it has no such export")
	}
	wantValue(t, s, "count", 2+7+44) // neither began
}

// A parked session costs what differs, however much was written.
func TestParkedSessionIsItsDifference(t *testing.T) {
	for name, e := range engines(t) {
		t.Run(name, func(t *testing.T) {
			s := newSession(t, load(t, e, "session"))
			runSession(t, s, "touch")
			s.Park()
			if got := s.Bytes(); got > 2<<10 {
				t.Errorf("parked with nothing changed: %d bytes", got)
			}
			runSession(t, s, "touch")
			runSession(t, s, "count")
			s.Park()
			if got := s.Bytes(); got < 2*4096 || got > 2*4096+2<<10 {
				t.Errorf("parked with two pages changed: %d bytes", got)
			}
			runSession(t, s, "grow")
			s.Park()
			if got := s.Bytes(); got < 3*4096 || got > 3*4096+2<<10 {
				t.Errorf("parked with three pages changed: %d bytes", got)
			}
		})
	}
}

func TestIdleSessionsAreParked(t *testing.T) {
	e := newEngine(t, plugins.Options{IdleAfter: -1})
	m := load(t, e, "session")
	s := newSession(t, m)
	wantValue(t, s, "count", 1+6+43)
	e.Trim(time.Hour)
	if s.Parked() {
		t.Error("it was used just now")
	}
	e.Trim(0)
	if u := m.Usage(); !s.Parked() || u.Sessions != 1 || u.Parked != 1 || u.SessionBytes != s.Bytes() {
		t.Errorf("parked %v, %+v", s.Parked(), u)
	}
	wantValue(t, s, "count", 2+7+44)
	if u := m.Usage(); u.Parked != 0 || u.SessionBytes == 0 {
		t.Errorf("%+v", u)
	}
}

// What can't be given to another instance stays with the session's own.
func TestSessionOfAModuleThatCantBeParked(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "kinds")
	s := newSession(t, m)
	wantValue(t, s, "v128", 1)
	wantValue(t, s, "table_size", 1)
	if s.Park() || s.Parked() {
		t.Error("it is parked")
	}
	wantValue(t, s, "v128", 0)
	wantValue(t, s, "table_size", 0)
}

func TestSessionsMayBeUsedAtOnce(t *testing.T) {
	e := newEngine(t, plugins.Options{})
	m := load(t, e, "session")
	s := newSession(t, m)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { // ends after its runs, waited for below
			for range 25 {
				if res, err := s.Run(context.Background(), plugins.Invocation{Export: "count", Limits: ample}); err != nil || res.Outcome != plugins.OK {
					t.Errorf("%v, %+v", err, res)
				}
				e.Trim(0)
			}
		})
	}
	wg.Wait()
	wantValue(t, s, "count", 3*101+5+42)
}

func TestClosingSessions(t *testing.T) {
	e := newEngine(t, plugins.Options{})
	m := load(t, e, "session")
	s, kept := newSession(t, m), newSession(t, m)
	wantValue(t, s, "count", 1+6+43)
	wantValue(t, kept, "count", 1+6+43)
	s.Close()
	s.Close()
	if _, err := s.Run(context.Background(), plugins.Invocation{Export: "count"}); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if u := m.Usage(); u.Sessions != 1 {
		t.Errorf("%+v", u)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := kept.Run(context.Background(), plugins.Invocation{Export: "count"}); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if kept.Park() || kept.Parked() || kept.Bytes() != 0 {
		t.Error("the module is closed, so is the session")
	}
	if _, err := m.NewSession(); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// To its session, an instance's monotonic clock never goes back.
func TestSessionClockGoesOn(t *testing.T) {
	s := newSession(t, load(t, newEngine(t, plugins.Options{}), "init_sleep"))
	last := value(t, runSession(t, s, "monotonic"))
	for range 5 {
		s.Park()
		now := value(t, runSession(t, s, "monotonic"))
		if now <= last {
			t.Errorf("from %d to %d", last, now)
		}
		last = now
	}
}
