package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

var errRefused = errors.New("no such room")

// testHost is the module "test" that host.wat imports. wait is what its
// function wait does.
func testHost(wait func(*plugins.Call) error) plugins.HostModule {
	i32, i64 := []plugins.ValueType{plugins.I32}, []plugins.ValueType{plugins.I64}
	return plugins.HostModule{Name: "test", Functions: []plugins.HostFunction{
		{Name: "read", Params: []plugins.ValueType{plugins.I32, plugins.I32}, Results: i32, Fuel: 1000,
			Func: func(c *plugins.Call, stack []uint64) error {
				b, err := c.Read(uint32(stack[0]), uint32(stack[1]))
				stack[0] = uint64(len(b))
				return err
			}},
		{Name: "write", Params: []plugins.ValueType{plugins.I32, plugins.I32},
			Func: func(c *plugins.Call, stack []uint64) error {
				return c.Write(uint32(stack[0]), make([]byte, uint32(stack[1])))
			}},
		{Name: "fail", Params: i32, Func: func(_ *plugins.Call, stack []uint64) error {
			switch stack[0] {
			case 0:
				return plugins.Fail(plugins.AppError, errRefused)
			case 1:
				return errRefused
			case 2:
				return plugins.Fail(plugins.DeadlineExceeded, errRefused)
			case 3:
				return plugins.Fail(plugins.OK, errRefused)
			case 4:
				return plugins.Fail(plugins.AppError, nil)
			case 5:
				var none []int
				none[stack[0]]++ // a fault of the host's
			}
			return fmt.Errorf("wrapped: %w", plugins.Fail(plugins.AppError, errRefused))
		}},
		{Name: "wait", Func: func(c *plugins.Call, _ []uint64) error {
			if wait == nil {
				return nil
			}
			return wait(c)
		}},
		{Name: "charge", Params: i64, Func: func(c *plugins.Call, stack []uint64) error {
			_ = c.Charge(stack[0]) // ends the invocation all the same
			return nil
		}},
		{Name: "note", Params: i32, Func: func(c *plugins.Call, stack []uint64) error {
			if list, ok := c.State().(*[]uint32); ok {
				*list = append(*list, uint32(stack[0]))
			}
			return nil
		}},
	}}
}

func hostGuest(t testing.TB, wait func(*plugins.Call) error) *plugins.Module {
	t.Helper()
	return load(t, newEngine(t, plugins.Options{HostModules: []plugins.HostModule{testHost(wait)}}), "host")
}

func TestHostFunctionErrorsDecideTheOutcome(t *testing.T) {
	m := hostGuest(t, nil)
	for _, c := range []struct {
		arg     uint64
		outcome plugins.Outcome
		message string
	}{
		{0, plugins.AppError, "no such room"},
		{1, plugins.Trap, "test.fail: no such room"},
		{2, plugins.DeadlineExceeded, "test.fail: no such room"},
		{3, plugins.Trap, "test.fail: no such room"},
		{4, plugins.OK, "<nil>"},
		{6, plugins.AppError, "wrapped: no such room"},
	} {
		res := run(t, m, "fail", c.arg)
		wantOutcome(t, res, c.outcome)
		if fmt.Sprint(res.Err) != c.message {
			t.Errorf("fail(%d): error %q, want %q", c.arg, res.Err, c.message)
		}
		if res.Err != nil && !errors.Is(res.Err, errRefused) {
			t.Errorf("fail(%d): %v does not wrap the function's error", c.arg, res.Err)
		}
	}
}

func TestPanicInHostFunctionIsNotTheGuestsFault(t *testing.T) {
	m := hostGuest(t, nil)
	res, err := m.Run(context.Background(), plugins.Invocation{Export: "fail", Args: []uint64{5}})
	if err == nil || !strings.Contains(err.Error(), "host function test.fail: panic: runtime error: index out of range [5]") || res.Outcome != "" {
		t.Errorf("got outcome %q, error %v", res.Outcome, err)
	}
	wantOutcome(t, run(t, m, "fail", 4), plugins.OK)
}

func TestPointersOutsideOfMemoryAreATrap(t *testing.T) {
	m := hostGuest(t, nil)
	for _, export := range []string{"read", "write"} {
		for _, c := range []struct {
			ptr, n uint64
			ok     bool
		}{
			{0, 0, true}, {65536, 0, true}, {0, 65536, true}, {65535, 1, true},
			{65536, 1, false}, {65535, 2, false}, {0, 65537, false}, {65537, 0, false},
			{0xffffffff, 1, false}, {0xffffffff, 0, false}, {1, 0x00ffffff, false}, {0x80000000, 0x100, false},
		} {
			res := run(t, m, export, c.ptr, c.n)
			if c.ok {
				wantOutcome(t, res, plugins.OK)
				continue
			}
			wantOutcome(t, res, plugins.Trap)
			want := fmt.Sprintf("test.%s: %ss %d bytes at %d, outside of its memory of 65536 bytes", export, export, c.n, c.ptr)
			if fmt.Sprint(res.Err) != want {
				t.Errorf("%s(%d, %d): error %q, want %q", export, c.ptr, c.n, res.Err, want)
			}
		}
	}
}

func TestGuestWithoutMemoryHasNoBytes(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{HostModules: []plugins.HostModule{testHost(nil)}}), "bare")
	wantOutcome(t, run(t, m, "read"), plugins.Trap)
	wantOutcome(t, run(t, m, "none"), plugins.OK)
}

func TestHostCallsArePricedByCallAndByte(t *testing.T) {
	m := hostGuest(t, nil)
	base := run(t, m, "read", 0, 0).Fuel
	if got := run(t, m, "read", 0, 4096).Fuel; got != base+4096 {
		t.Errorf("reading 4096 bytes takes %d, nothing takes %d", got, base)
	}
	if base < 1000 || base > 1100 {
		t.Errorf("a call priced 1000 takes %d", base)
	}
	if got := run(t, m, "note", 1).Fuel; got < 500 || got > 600 {
		t.Errorf("a call without a price takes %d, want about 500", got)
	}
	free := run(t, m, "charge", 0).Fuel
	if got := run(t, m, "charge", 123_456_789).Fuel; got != free+123_456_789 {
		t.Errorf("charged 123456789, counted %d", got-free)
	}
}

func TestChargeEndsTheInvocationEvenIfIgnored(t *testing.T) {
	m := hostGuest(t, nil)
	for _, fuel := range []uint64{ample.Fuel + 1, 1 << 63, 1<<64 - 1} {
		res := run(t, m, "charge", fuel)
		wantOutcome(t, res, plugins.FuelExhausted)
		if res.Fuel != ample.Fuel {
			t.Errorf("charged %d: counted %d", fuel, res.Fuel)
		}
	}
}

func TestStateReachesHostFunctions(t *testing.T) {
	m := hostGuest(t, nil)
	var list []uint32
	for _, n := range []uint64{3, 1, 2} {
		runInvocation(t, m, plugins.Invocation{Export: "note", Args: []uint64{n}, State: &list})
	}
	if fmt.Sprint(list) != "[3 1 2]" {
		t.Errorf("noted %v", list)
	}
}

func TestWaitingHostFunctionEndsAtTheDeadline(t *testing.T) {
	m := hostGuest(t, func(c *plugins.Call) error {
		if _, ok := c.Context().Deadline(); !ok {
			return errors.New("context without a deadline")
		}
		<-c.Context().Done()
		return c.Context().Err()
	})
	res := runInvocation(t, m, plugins.Invocation{Export: "wait", Limits: plugins.Limits{Wall: 15 * time.Millisecond}})
	wantOutcome(t, res, plugins.DeadlineExceeded)
	if res.Wall < 15*time.Millisecond {
		t.Errorf("ended after %v", res.Wall)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if _, err := m.Run(ctx, plugins.Invocation{Export: "wait", Limits: ample}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the caller's deadline", err)
	}
}

func TestSlowHostCallsCantOutstayTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		m := hostGuest(t, func(*plugins.Call) error {
			calls++
			<-time.After(2 * time.Millisecond) // heeds no context
			return nil
		})
		res := runInvocation(t, m, plugins.Invocation{Export: "wait_often", Args: []uint64{1000}, Limits: plugins.Limits{Wall: 9 * time.Millisecond}})
		wantOutcome(t, res, plugins.DeadlineExceeded)
		if calls != 5 || res.Wall != 10*time.Millisecond {
			t.Errorf("%d calls of 2 ms, %v in all; want 5 in 10ms", calls, res.Wall)
		}
	})
}

func TestReexportedImportCantBeRun(t *testing.T) {
	m := hostGuest(t, nil)
	if _, err := m.Run(context.Background(), plugins.Invocation{Export: "again", Args: []uint64{1}}); err == nil || !strings.Contains(err.Error(), `only the import "test" "note" again`) {
		t.Errorf("got %v", err)
	}
	if err := m.CheckExport("again", []plugins.ValueType{plugins.I32}, nil); err == nil {
		t.Error("CheckExport takes an import for an export")
	}
}

func TestBadHostModulesAreAllReported(t *testing.T) {
	noop := func(*plugins.Call, []uint64) error { return nil }
	_, err := plugins.New(context.Background(), plugins.Options{
		MaxModuleBytes: -1,
		HostModules: []plugins.HostModule{
			{},
			{Name: "auricle:engine"},
			{Name: "wasi_snapshot_preview1"},
			{Name: "a", Functions: []plugins.HostFunction{{Name: "f"}, {Name: "f", Func: noop}, {Func: noop}, {Name: "v", Func: noop, Params: []plugins.ValueType{0x7b}}}},
			{Name: "a"},
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"MaxModuleBytes is -1", "host module without a name", `"auricle:engine": names beginning with`, `"wasi_snapshot_preview1": WASI`,
		`function "f" has no Func`, `function "f" given twice`, "function without a name", `"v" has type (v128)`, `"a" given twice`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}
