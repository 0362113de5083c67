package plugins_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

func TestEachInvocationStartsFresh(t *testing.T) {
	for _, o := range []plugins.Options{{}, {IdleInstances: -1}, {IdleInstances: 1}} {
		m := load(t, newEngine(t, o), "state")
		if m.MemoryBytes() != 128<<10 {
			t.Errorf("image of %d bytes, want 128 KiB", m.MemoryBytes())
		}
		for _, spoil := range []string{"spoil", "spoil_and_grow", "spoil_and_trap", "fresh"} {
			run(t, m, spoil)
			for range 2 {
				if value(t, run(t, m, "fresh")) != 1 {
					t.Errorf("%+v: after %s the state is not as it was", o, spoil)
				}
			}
		}
		calls := load(t, newEngine(t, o), "answer")
		for range 3 {
			if got := value(t, run(t, calls, "calls")); got != 1 {
				t.Errorf("%+v: this is call %d of its instance, want 1", o, got)
			}
		}
	}
}

func TestMemoryThatGrewIsTakenAwayAgain(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "state")
	var fuel uint64
	for range 3 {
		res := run(t, m, "new_memory_is_zero")
		if value(t, res) != 1 {
			t.Error("grown memory holds what an earlier invocation left")
		}
		if res.MemoryBytes != 256<<10 {
			t.Errorf("memory is %d bytes at the end, want 256 KiB", res.MemoryBytes)
		}
		if fuel == 0 {
			fuel = res.Fuel
		}
		if res.Fuel != fuel {
			t.Errorf("growing again takes %d units, %d at first", res.Fuel, fuel)
		}
		// The next invocation can't reach it without growing.
		wantOutcome(t, run(t, m, "peek", 131072), plugins.Trap)
		wantOutcome(t, run(t, m, "peek", 131068), plugins.OK)
		if value(t, run(t, m, "new_memory_is_zero")) != 1 || value(t, run(t, m, "fresh")) != 1 {
			t.Error("the state is not as it was")
		}
		wantOutcome(t, run(t, m, "peek", 131069), plugins.Trap)
	}
	own := load(t, newEngine(t, plugins.Options{}), "memory_own_max")
	for range 3 {
		if got := value(t, run(t, own, "grow", 1)); got != 1 {
			t.Errorf("growing to the module's own maximum gave %d", int32(got))
		}
	}
}

// engines are all ways to keep instances.
func engines(t *testing.T) map[string]*plugins.Engine {
	copying, err := plugins.NewCopying(context.Background(), plugins.Options{SpareInstances: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := copying.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return map[string]*plugins.Engine{
		"images mapped": newEngine(t, plugins.Options{SpareInstances: -1}),
		"images copied": copying,
		"spares":        newEngine(t, plugins.Options{IdleInstances: 2, SpareInstances: 2}),
		"nothing kept":  newEngine(t, plugins.Options{IdleInstances: -1}),
		"no room":       newEngine(t, plugins.Options{IdleBytes: 1}),
		"given back":    newEngine(t, plugins.Options{IdleAfter: time.Nanosecond}),
		"small slices":  newEngine(t, plugins.Options{SliceFuel: 10}),
	}
}

func TestEachKindOfStateIsRestored(t *testing.T) {
	for name, e := range engines(t) {
		t.Run(name, func(t *testing.T) {
			m := load(t, e, "kinds")
			if m.Reinitialised() == "" {
				t.Error("its tables, segments and globals should keep it from being made from an image")
			}
			var fuel uint64
			for range 3 {
				for _, kind := range []string{
					"v128", "funcref", "funcref_null", "externref", "entries",
					"table_size", "other_table_size", "data", "elements",
				} {
					for range 2 {
						if res := run(t, m, kind); res.Outcome != plugins.OK || res.Values[0] != 1 {
							t.Errorf("%s: %s (%v) %v: not as it was", kind, res.Outcome, res.Err, res.Values)
						}
					}
				}
				wantOutcome(t, run(t, m, "dropped_data"), plugins.Trap)
				wantOutcome(t, run(t, m, "dropped_elements"), plugins.Trap)
				res := run(t, m, "entries")
				if fuel == 0 {
					fuel = res.Fuel
				}
				if res.Fuel != fuel {
					t.Errorf("the same takes %d units, %d at first", res.Fuel, fuel)
				}
			}
			plain := load(t, e, "state")
			for _, spoil := range []string{"spoil", "spoil_and_grow", "spoil_and_trap", "fresh", "new_memory_is_zero"} {
				run(t, plain, spoil)
				for range 2 {
					if value(t, run(t, plain, "fresh")) != 1 {
						t.Errorf("after %s the state is not as it was", spoil)
					}
				}
			}
			all := load(t, e, "tables")
			for range 3 {
				if value(t, run(t, all, "fresh")) != 1 {
					t.Error("the state is not as it was")
				}
			}
		})
	}
}

// A module that is restored in place needs to be initialised once only, but for
// what can't be taken back.
func TestRestoringInPlaceKeepsTheInstance(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{SpareInstances: -1}), "kinds")
	for _, c := range []struct {
		export string
		kept   int
	}{{"entries", 1}, {"v128", 1}, {"funcref", 1}, {"table_size", 0}, {"nothing", 1}, {"data", 0}, {"nothing", 1}, {"elements", 0}} {
		run(t, m, c.export)
		if got := m.Usage().Idle; got != c.kept {
			t.Errorf("after %s there are %d idle instances, want %d", c.export, got, c.kept)
		}
	}
}

func TestIdleMemoryIsBoundAndGivenBack(t *testing.T) {
	e := newEngine(t, plugins.Options{IdleInstances: 3, SpareInstances: -1, IdleAfter: -1})
	m := load(t, e, "session")
	var sessions []*plugins.Session
	for range 4 { // they need an instance each
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		runSession(t, s, "count")
		sessions = append(sessions, s)
	}
	for _, s := range sessions {
		s.Close()
	}
	u := m.Usage()
	if u.Idle != 3 || u.Sessions != 0 || u.SessionBytes != 0 {
		t.Errorf("%+v, want 3 idle instances and no session", u)
	}
	if u.IdleBytes < 3*8<<10 || u.IdleBytes > 3*200<<10 {
		t.Errorf("3 instances that wrote two pages each hold %d bytes", u.IdleBytes)
	}
	e.Trim(time.Hour)
	if u := m.Usage(); u.Idle != 3 {
		t.Errorf("%d idle instances, want 3: they are not that old", u.Idle)
	}
	e.Trim(0)
	if u := m.Usage(); u.Idle != 0 || u.IdleBytes != 0 {
		t.Errorf("%+v, want nothing idle", u)
	}
	if value(t, run(t, m, "count")) != 1+6+43 {
		t.Error("the state is not as it was")
	}

	spares := newEngine(t, plugins.Options{IdleInstances: 3, SpareInstances: 1, IdleAfter: -1})
	m = load(t, spares, "session")
	run(t, m, "count")
	spares.Trim(0)
	if u := m.Usage(); u.Idle != 1 || u.IdleBytes != 0 {
		t.Errorf("%+v, want a spare instance without pages of its own", u)
	}
	if value(t, run(t, m, "count")) != 1+6+43 {
		t.Error("the state is not as it was")
	}
}

func TestConcurrentRunsShareNothing(t *testing.T) {
	e := newEngine(t, plugins.Options{IdleInstances: 2})
	for _, name := range []string{"state", "tables"} {
		m := load(t, e, name)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { // ends after its runs, waited for below
				for j := range 20 {
					inv := plugins.Invocation{Export: "fresh", Limits: ample}
					if name == "state" && (i+j)%3 == 0 {
						inv.Export = "spoil_and_trap"
					}
					res, err := m.Run(context.Background(), inv)
					if err != nil {
						t.Error(err)
					} else if inv.Export == "fresh" && (res.Outcome != plugins.OK || res.Values[0] != 1) {
						t.Errorf("%s: %s (%v) %v", name, res.Outcome, res.Err, res.Values)
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestInitialisingHasItsOwnTimeAndChance(t *testing.T) {
	start := time.Now()
	kept := func(m *plugins.Module) (out [3]uint64) {
		for i := range out {
			out[i] = value(t, run(t, m, "kept", uint64(i*8)))
		}
		return out
	}
	m := load(t, newEngine(t, plugins.Options{}), "init_sleep")
	first := kept(m)
	if took := time.Since(start); took > 900*time.Millisecond {
		t.Logf("loading took %v: is the sleep of 1 s real?", took)
	}
	if want := time.Date(2020, 1, 1, 0, 0, 1, 0, time.UTC); first[0] != uint64(want.UnixNano()) {
		t.Errorf("wall clock while initialising: %d, want %v", first[0], want)
	}
	if first[1] != uint64(2*time.Second) {
		t.Errorf("monotonic clock while initialising: %d, want 2 s", first[1])
	}
	if again := kept(load(t, newEngine(t, plugins.Options{}), "init_sleep")); again != first {
		t.Errorf("loaded twice: %v and %v", first, again)
	}
	if now := value(t, run(t, m, "monotonic")); now < first[1] {
		t.Errorf("monotonic time went back from %d to %d", first[1], now)
	}
	if init := m.Init(); init.Wall < time.Second {
		t.Errorf("initialising counts %v, though it slept for 1 s by its clock", init.Wall)
	}
}

func TestModuleSaysWhatItIs(t *testing.T) {
	e := newEngine(t, plugins.Options{HostModules: []plugins.HostModule{testHost(nil)}})
	m := load(t, e, "host")
	if m.Name() != "host" || m.Size() != int64(len(guest(t, "host"))) || m.SHA256() == [32]byte{} || m.MemoryLimit() != 64<<20 {
		t.Errorf("got %q, %d bytes, %x, limit %d", m.Name(), m.Size(), m.SHA256(), m.MemoryLimit())
	}
	if got := m.Imports(); len(got) != 6 || got[0] != (plugins.Import{Module: "test", Name: "read"}) {
		t.Errorf("imports %v", got)
	}
	i32 := plugins.I32
	for _, c := range []struct {
		name            string
		params, results []plugins.ValueType
		want            string
	}{
		{"read", []plugins.ValueType{i32, i32}, []plugins.ValueType{i32}, ""},
		{"wait", nil, nil, ""},
		{"read", []plugins.ValueType{i32}, nil, `module "host": export "read" has type (i32, i32) -> i32, wanted (i32)`},
		{"charge", []plugins.ValueType{i32}, nil, `export "charge" has type (i64), wanted (i32)`},
		{"launch", nil, []plugins.ValueType{i32, i32}, `function "launch" is not exported (wanted with type () -> (i32, i32))`},
		{"memory", nil, nil, `function "memory" is not exported`},
	} {
		err := m.CheckExport(c.name, c.params, c.results)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestInvocationsThatDontFitAreErrors(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{HostModules: []plugins.HostModule{testHost(nil)}}), "bare")
	for _, c := range []struct {
		inv  plugins.Invocation
		want string
	}{
		{plugins.Invocation{Export: "launch"}, `function "launch" is not exported`},
		{plugins.Invocation{Export: "none", Args: []uint64{1}}, `takes 0 arguments, got 1`},
		{plugins.Invocation{Export: "vector", Args: []uint64{1}}, `has type (v128) -> v128; only numbers can be passed`},
	} {
		if _, err := m.Run(context.Background(), c.inv); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.inv.Export, err, c.want)
		}
	}
}

func TestInitialisingAnewIsNoWayAroundTheDeadline(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{IdleInstances: -1}), "slow_init")
	res := runInvocation(t, m, plugins.Invocation{Export: "change", Limits: plugins.Limits{Wall: time.Millisecond}})
	wantOutcome(t, res, plugins.DeadlineExceeded)
	if want := "1ms wall-clock limit passed while initialising, needed for a new instance because "; res.Err == nil || !strings.HasPrefix(res.Err.Error(), want) {
		t.Errorf("error %v, want %q…", res.Err, want)
	}
	res = run(t, m, "change")
	wantOutcome(t, res, plugins.OK)
	if res.Fuel > 100 {
		t.Errorf("initialising is counted: %d units", res.Fuel)
	}
}

// What a run writes to again in the pages of an earlier one is found without a
// page fault, also where the memory was smaller in between.
func TestPagesWrittenAgainAreRestored(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{SpareInstances: -1}), "state")
	for i := range 30 {
		if i%3 == 0 {
			if value(t, run(t, m, "new_memory_is_zero")) != 1 {
				t.Fatalf("round %d: grown memory holds what an earlier invocation left", i)
			}
		}
		for range 3 {
			if value(t, run(t, m, "fresh")) != 1 {
				t.Fatalf("round %d: the state is not as it was", i)
			}
		}
	}
}
