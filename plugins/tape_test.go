package plugins_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

// record runs inv, and returns what the guest wrote and the tape of it.
func record(t *testing.T, m *plugins.Module, inv plugins.Invocation) (plugins.Result, string, []byte) {
	t.Helper()
	var said bytes.Buffer
	inv.Stderr, inv.Tape = &said, plugins.NewTape(1<<20)
	res := runInvocation(t, m, inv)
	if inv.Tape.Full() || inv.Tape.Diverged() != nil {
		t.Errorf("full %v, %v", inv.Tape.Full(), inv.Tape.Diverged())
	}
	return res, said.String(), slices.Clone(inv.Tape.Bytes())
}

// replay runs inv with the answers of a tape.
func replay(t *testing.T, m *plugins.Module, inv plugins.Invocation, b []byte) (res plugins.Result, said string, diverged error) {
	t.Helper()
	tape, err := plugins.ReadTape(b)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	inv.Stderr, inv.Tape = &out, tape
	res = runInvocation(t, m, inv)
	return res, out.String(), tape.Diverged()
}

func TestReplayIsEqualToTheUnit(t *testing.T) {
	here, there := goGuest(t, plugins.Options{}), goGuest(t, plugins.Options{})
	for _, c := range []struct {
		name, export string
		args         []uint64
		limits       plugins.Limits
		want         plugins.Outcome
	}{
		{"ends well", "mixed", []uint64{20}, ample, plugins.OK},
		{"sleeps", "nap", []uint64{10}, ample, plugins.OK},
		{"answers nothing", "workers", []uint64{20}, ample, plugins.OK},
		{"panics", "nested", []uint64{5}, ample, plugins.Trap},
		{"exits", "quit", []uint64{3}, ample, plugins.AppError},
		{"deadlocks", "alone", nil, ample, plugins.Trap},
		{"spends its fuel", "late", nil, plugins.Limits{Fuel: 3e6, Wall: time.Minute}, plugins.FuelExhausted},
		{"is late", "late", nil, plugins.Limits{Fuel: 1e9, Wall: 20 * time.Millisecond}, plugins.DeadlineExceeded},
		{"is late asleep", "nap", []uint64{60_000}, plugins.Limits{Fuel: 1e9, Wall: 20 * time.Millisecond}, plugins.DeadlineExceeded},
		{"takes all memory", "hoard", nil, ample, plugins.MemoryExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv := plugins.Invocation{Export: c.export, Args: c.args, Limits: c.limits}
			res, said, tape := record(t, here, inv)
			wantOutcome(t, res, c.want)
			start := time.Now()
			for _, m := range []*plugins.Module{here, there} {
				again, saidAgain, diverged := replay(t, m, inv, tape)
				if diverged != nil {
					t.Errorf("diverged: %v", diverged)
				}
				if again.Outcome != res.Outcome || again.Fuel != res.Fuel || again.MemoryBytes != res.MemoryBytes || !slices.Equal(again.Values, res.Values) {
					t.Errorf("replayed: %s, %d units, %d bytes, %v; was %s, %d, %d, %v",
						again.Outcome, again.Fuel, again.MemoryBytes, again.Values, res.Outcome, res.Fuel, res.MemoryBytes, res.Values)
				}
				if saidAgain != said {
					t.Errorf("it wrote\n%s\nwas\n%s", saidAgain, said)
				}
				var e, was *plugins.RunError
				if errors.As(again.Err, &e) && errors.As(res.Err, &was) && !slices.Equal(e.Stack, was.Stack) {
					t.Errorf("stack %v, was %v", e.Stack, was.Stack)
				}
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("replaying took %v: a sleep must not wait", took)
			}
		})
	}
}

func TestReplayInASession(t *testing.T) {
	m := goGuest(t, plugins.Options{})
	once := func(tape *plugins.Tape) plugins.Result {
		t.Helper()
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		res, err := s.Run(context.Background(), plugins.Invocation{Export: "mixed", Args: []uint64{5}, Limits: ample, Tape: tape})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	tape := plugins.NewTape(1 << 20)
	res := once(tape)
	again, err := plugins.ReadTape(tape.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := once(again); got.Fuel != res.Fuel || value(t, got) != value(t, res) || again.Diverged() != nil {
		t.Errorf("replayed: %d units, %v; was %d, %v (%v)", got.Fuel, got.Values, res.Fuel, res.Values, again.Diverged())
	}
}

// A module whose new instances are initialised anew may have no time left to
// run: the tape says so.
func TestReplayOfWhatNeverBegan(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{IdleInstances: -1}), "slow_init")
	inv := plugins.Invocation{Export: "change", Limits: plugins.Limits{Wall: time.Millisecond}}
	res, _, tape := record(t, m, inv)
	wantOutcome(t, res, plugins.DeadlineExceeded)
	again, _, diverged := replay(t, m, inv, tape)
	if again.Outcome != res.Outcome || again.Fuel != res.Fuel || diverged != nil {
		t.Errorf("replayed: %s with %d units (%v), was %s with %d", again.Outcome, again.Fuel, diverged, res.Outcome, res.Fuel)
	}
}

func TestReplayOfAnotherCallDiverges(t *testing.T) {
	m := goGuest(t, plugins.Options{})
	invocation := func(export string, args ...uint64) plugins.Invocation {
		return plugins.Invocation{Export: export, Args: args, Limits: ample}
	}
	_, _, tape := record(t, m, invocation("random"))
	_, _, diverged := replay(t, m, invocation("say"), tape)
	if diverged == nil || !strings.Contains(diverged.Error(), "the module ended where the recorded one asked for ") {
		t.Errorf("asking for less: %v", diverged)
	}
	// A clock that is asked for more often than it was goes on, and does not
	// stand still: this would not end.
	res, _, diverged := replay(t, m, invocation("nap", 5), tape)
	wantOutcome(t, res, plugins.OK)
	if diverged == nil || !strings.Contains(diverged.Error(), "the module asked for ") || !strings.Contains(diverged.Error(), " clock where the recorded one asked for ") {
		t.Errorf("asking for more: %v", diverged)
	}
	if got := time.Duration(res.Values[0]); got < 5*time.Millisecond {
		t.Errorf("a nap of 5 ms took %v", got)
	}
}

func TestAnswersOfHostFunctionsAreReplayed(t *testing.T) {
	calls, late := 0, false
	var got []byte
	m := hostGuest(t, func(c *plugins.Call) error {
		b, err := c.Answer("next", func() ([]byte, error) {
			calls++
			if late && calls%3 == 0 {
				<-c.Context().Done()
				return nil, c.Context().Err()
			}
			return []byte{byte(calls)}, nil
		})
		got = append(got, b...)
		return err
	})
	inv := plugins.Invocation{Export: "wait_often", Args: []uint64{3}, Limits: ample}
	for _, late = range []bool{false, true} {
		if late {
			inv.Limits.Wall = 10 * time.Millisecond
		}
		calls, got = 0, nil
		first, _, tape := record(t, m, inv)
		was := got
		got = nil
		again, _, diverged := replay(t, m, inv, tape)
		if again.Outcome != first.Outcome || again.Fuel != first.Fuel || !bytes.Equal(got, was) || diverged != nil || calls != 3 {
			t.Errorf("replayed: %s, %d units, %v (%v); was %s, %d, %v; the function answered %d times",
				again.Outcome, again.Fuel, got, diverged, first.Outcome, first.Fuel, was, calls)
		}
		if (first.Outcome == plugins.DeadlineExceeded) != late {
			t.Errorf("late %v: %s", late, first.Outcome)
		}
	}
	late, inv.Limits = false, ample
	inv.Args[0] = 4
	_, _, tape := record(t, m, inv)
	inv.Args[0] = 2
	_, _, diverged := replay(t, m, inv, tape)
	if want := "answer 3: the module ended where the recorded one asked for next"; diverged == nil || diverged.Error() != want {
		t.Errorf("asking for less: %v, want %q", diverged, want)
	}
}

func TestATapeIsBounded(t *testing.T) {
	m := goGuest(t, plugins.Options{})
	tape := plugins.NewTape(100)
	inv := plugins.Invocation{Export: "mixed", Args: []uint64{20}, Limits: ample, Tape: tape}
	wantOutcome(t, runInvocation(t, m, inv), plugins.OK)
	if !tape.Full() || len(tape.Bytes()) > 100 {
		t.Errorf("full %v with %d bytes", tape.Full(), len(tape.Bytes()))
	}
	tape.Reset()
	inv.Export, inv.Args = "random", nil
	wantOutcome(t, runInvocation(t, m, inv), plugins.OK)
	if tape.Full() || len(tape.Bytes()) == 0 {
		t.Errorf("full %v with %d bytes", tape.Full(), len(tape.Bytes()))
	}
}

func TestBadTapesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, tape, want string
	}{
		{"an unknown kind", "\x07", "answer 1 at byte 0: of unknown kind 7"},
		{"a clock without a reading", "\x00\x02\x01", "answer 2 at byte 2: it is cut short"},
		{"a reading without an end", "\x01" + strings.Repeat("\xff", 12), "cut short"},
		{"a short seed", "\x02abc", "cut short"},
		{"a name that is too long", "\x03\x05abc", "cut short"},
		{"a length of all there is", "\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01abc", "cut short"},
		{"an answer behind the end", "\x04\x01\x01\x00\x02", "2 bytes follow its end"},
	} {
		if _, err := plugins.ReadTape([]byte(c.tape)); !errors.Is(err, plugins.ErrTape) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
