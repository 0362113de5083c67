package plugins_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

func wasiGuest(t testing.TB) *plugins.Module {
	t.Helper()
	return load(t, newEngine(t, plugins.Options{}), "wasi")
}

const memory = 1 << 20 // of wasi.wat, to begin with

func TestWASIAnswersAndGrantsNothing(t *testing.T) {
	m := wasiGuest(t)
	const success, badf, fault, inval, notsock, spipe, notcapable = 0, 8, 21, 28, 57, 70, 76
	for _, c := range []struct {
		export string
		args   []uint64
		want   uint64
	}{
		{"args_sizes_get", []uint64{0, 4}, success},
		{"environ_sizes_get", []uint64{0, 4}, success},
		{"fd_read", []uint64{0, 0, 0, 8}, success},
		{"fd_read", []uint64{1, 0, 0, 8}, badf},
		{"fd_fdstat_get", []uint64{0, 0}, success},
		{"fd_fdstat_get", []uint64{2, 0}, success},
		{"fd_fdstat_get", []uint64{3, 0}, badf},
		{"fd_filestat_get", []uint64{1, 0}, success},
		{"fd_filestat_get", []uint64{3, 0}, badf},
		{"fd_prestat_get", []uint64{3, 0}, badf},
		{"fd_close", []uint64{1}, success},
		{"fd_close", []uint64{3}, badf},
		{"fd_seek", []uint64{1, 0, 0, 0}, spipe},
		{"fd_seek", []uint64{0xffffffff, 0, 0, 0}, badf},
		{"path_open", []uint64{1}, notcapable},
		{"path_open", []uint64{3}, badf},
		{"sock_shutdown", []uint64{1}, notsock},
		{"sock_shutdown", []uint64{4}, badf},
		{"clock_res_get", []uint64{1, 0}, success},
		{"clock_res_get", []uint64{2, 0}, inval},
		{"clock_time_get", []uint64{3, 0, 0}, inval},
		{"poll_oneoff", []uint64{0, 0, 0, 0}, inval},
		{"sched_yield", nil, success},

		// Pointers outside of the memory, into each function that takes one.
		{"args_sizes_get", []uint64{memory - 3, 0}, fault},
		{"environ_sizes_get", []uint64{0, 0xffffffff}, fault},
		{"fd_write", []uint64{1, memory, 1, 0}, fault},
		{"fd_write", []uint64{1, 0, 0xffffffff, 0}, fault},
		{"fd_write", []uint64{1, 0, 0, memory - 2}, fault},
		{"fd_read", []uint64{0, 0, 0, memory}, fault},
		{"fd_fdstat_get", []uint64{0, memory - 23}, fault},
		{"fd_filestat_get", []uint64{0, memory - 63}, fault},
		{"random_get", []uint64{memory - 1, 2}, fault},
		{"random_get", []uint64{0xffffffff, 0xffffffff}, fault},
		{"clock_res_get", []uint64{0, memory - 7}, fault},
		{"clock_time_get", []uint64{0, 0, memory - 7}, fault},
		{"poll_oneoff", []uint64{memory - 47, 0, 1, 100}, fault},
		{"poll_oneoff", []uint64{0, memory - 31, 1, 100}, fault},
		{"poll_oneoff", []uint64{0, 100, 1, memory - 3}, fault},
	} {
		if got := value(t, run(t, m, c.export, c.args...)); got != c.want {
			t.Errorf("%s(%v) = errno %d, want %d", c.export, c.args, got, c.want)
		}
	}
}

func TestStdoutAndStderrGoToTheInvocation(t *testing.T) {
	m := wasiGuest(t)
	for _, fd := range []uint64{1, 2} {
		var out bytes.Buffer
		res := runInvocation(t, m, plugins.Invocation{Export: "hello", Args: []uint64{fd}, Stderr: &out})
		if errno := value(t, res); errno != 0 || out.String() != "hello\n" {
			t.Errorf("fd %d: errno %d, wrote %q", fd, errno, out.String())
		}
	}
	var out bytes.Buffer
	if errno := value(t, runInvocation(t, m, plugins.Invocation{Export: "hello", Args: []uint64{0}, Stderr: &out})); errno != 8 || out.Len() > 0 {
		t.Errorf("writing to stdin: errno %d, wrote %q", errno, out.String())
	}
	r, w := io.Pipe()
	r.Close()
	if errno := value(t, runInvocation(t, m, plugins.Invocation{Export: "hello", Args: []uint64{1}, Stderr: w})); errno != 29 {
		t.Errorf("a writer that fails: errno %d, want 29", errno)
	}
}

func TestHugeRequestsEndByFuelOrDeadline(t *testing.T) {
	m := wasiGuest(t)
	realtime := plugins.Limits{} // the defaults
	long := plugins.Limits{Fuel: 1 << 60, Wall: 30 * time.Millisecond}
	for _, c := range []struct {
		export string
		args   []uint64
		limits plugins.Limits
	}{
		{"random_huge", []uint64{64 << 20}, realtime},
		{"random_huge", []uint64{64 << 20}, plugins.Limits{Fuel: 1 << 60, Wall: time.Millisecond}},
		{"iovecs", []uint64{7_000_000, 0}, realtime},
		{"iovecs", []uint64{7_000_000, 0}, long},
		{"iovecs", []uint64{1_000_000, 60 << 20}, realtime},
		{"poll_huge", []uint64{64 << 20 / 48}, realtime},
		{"poll_huge", []uint64{0xffffffff}, plugins.Limits{Fuel: 1 << 30}},
	} {
		res := runInvocation(t, m, plugins.Invocation{Export: c.export, Args: c.args, Limits: c.limits})
		if res.Outcome != plugins.FuelExhausted && res.Outcome != plugins.DeadlineExceeded {
			t.Errorf("%s(%v): %s (%v)", c.export, c.args, res.Outcome, res.Err)
		}
		if res.Wall > 5*time.Second {
			t.Errorf("%s(%v) took %v", c.export, c.args, res.Wall)
		}
	}
}

func TestRandomBytesFollowTheSeed(t *testing.T) {
	m := wasiGuest(t)
	random := func(export string, seed byte) uint64 {
		return value(t, runInvocation(t, m, plugins.Invocation{Export: export, Seed: [32]byte{seed}}))
	}
	if a, b := random("random", 1), random("random", 1); a != b {
		t.Errorf("one seed gave %x and %x", a, b)
	}
	if a, b := random("random", 1), random("random_indirect", 1); a != b {
		t.Errorf("called through a table: %x, directly %x", b, a)
	}
	if a, b := random("random", 1), random("random", 2); a == b {
		t.Errorf("two seeds gave %x", a)
	}
	if a, b := random("random", 0), random("random", 0); a == b {
		t.Errorf("without a seed, twice %x", a)
	}
}

func TestClocks(t *testing.T) {
	m := wasiGuest(t)
	at := time.Date(2031, 5, 6, 7, 8, 9, 10, time.UTC)
	fixed := plugins.Invocation{Export: "clock", Args: []uint64{0}, Clock: func() time.Time { return at }}
	if got := value(t, runInvocation(t, m, fixed)); got != uint64(at.UnixNano()) {
		t.Errorf("wall clock %v, want %v", time.Unix(0, int64(got)).UTC(), at)
	}
	before := time.Now().UnixNano()
	got := int64(value(t, run(t, m, "clock", 0)))
	if after := time.Now().UnixNano(); got < before || got > after {
		t.Errorf("wall clock %d is not in [%d, %d]", got, before, after)
	}
	fixed.Args = []uint64{1}
	if got := value(t, runInvocation(t, m, fixed)); got < uint64(time.Second) || got > uint64(time.Minute) {
		t.Errorf("monotonic clock %d ns, want about a second", got)
	}
}

func TestSleepWaitsButNotPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := wasiGuest(t)
		const wall = 100 * time.Millisecond
		for _, c := range []struct {
			sleep, took time.Duration
			want        plugins.Outcome
		}{
			{0, 0, plugins.OK},
			{30 * time.Millisecond, 30 * time.Millisecond, plugins.OK},
			{wall - 1, wall - 1, plugins.OK},
			{wall, wall, plugins.DeadlineExceeded},
			{wall + 1, wall, plugins.DeadlineExceeded},
			{1<<63 - 1, wall, plugins.DeadlineExceeded},
			{-1, wall, plugins.DeadlineExceeded}, // 2^64 - 1 ns
		} {
			inv := plugins.Invocation{Export: "sleep", Args: []uint64{uint64(c.sleep)}, Limits: plugins.Limits{Wall: wall}}
			res := runInvocation(t, m, inv)
			wantOutcome(t, res, c.want)
			if res.Wall != c.took {
				t.Errorf("sleep of %v took %v, want %v", c.sleep, res.Wall, c.took)
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := m.Run(ctx, plugins.Invocation{Export: "sleep", Args: []uint64{uint64(time.Hour)}, Limits: plugins.Limits{Wall: 2 * time.Hour}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sleeping when the caller's context ends: %v", err)
		}
	})
}

func TestExit(t *testing.T) {
	m := wasiGuest(t)
	res := run(t, m, "proc_exit", 0)
	wantOutcome(t, res, plugins.OK)
	if fmt.Sprint(res.Values) != "[0]" {
		t.Errorf("exit(0) gave values %v, want one zero", res.Values)
	}
	res = run(t, m, "proc_exit", 3)
	wantOutcome(t, res, plugins.AppError)
	var re *plugins.RunError
	if !errors.As(res.Err, &re) || re.ExitCode != 3 || re.Message != "exited with code 3" {
		t.Errorf("exit(3) gave %#v", res.Err)
	}
	// The clock of a fresh instance, after the exits.
	wantOutcome(t, run(t, m, "sched_yield"), plugins.OK)
}
