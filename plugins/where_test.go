package plugins_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/plugins"
)

// endsBadly runs an export and returns what it ended with.
func endsBadly(t *testing.T, m *plugins.Module, inv plugins.Invocation, want plugins.Outcome) *plugins.RunError {
	t.Helper()
	res := runInvocation(t, m, inv)
	wantOutcome(t, res, want)
	var re *plugins.RunError
	if !errors.As(res.Err, &re) {
		t.Fatalf("error %v, want a RunError", res.Err)
	}
	if re.Fuel != res.Fuel || re.FuelLimit != inv.Limits.Fuel {
		t.Errorf("%s: the error says %d of %d, the result %d of %d", inv.Export, re.Fuel, re.FuelLimit, res.Fuel, inv.Limits.Fuel)
	}
	return re
}

func TestABadEndTellsWhere(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "where")
	said := []string{"first", "bell ? and ? turned", "last"}
	for how, c := range []struct {
		want   plugins.Outcome
		limits plugins.Limits
	}{
		{plugins.Trap, ample},
		{plugins.FuelExhausted, plugins.Limits{Fuel: 1_000_000, Wall: time.Minute}},
		{plugins.MemoryExceeded, ample},
		{plugins.AppError, ample},
		{plugins.Trap, ample},
	} {
		for export, lines := range map[string][]string{"quiet": nil, "loud": said} {
			re := endsBadly(t, m, plugins.Invocation{Export: export, Args: []uint64{uint64(how)}, Limits: c.limits}, c.want)
			if !slices.Equal(re.LastLines, lines) {
				t.Errorf("%s, %s: last lines %q, want %q", export, c.want, re.LastLines, lines)
			}
			if at := slices.Index(re.Stack, "innermost()"); at < 0 || !strings.HasPrefix(fmt.Sprint(re.Stack[at:]), "[innermost() middle() ") {
				t.Errorf("%s, %s: stack %q, want innermost and middle", export, c.want, re.Stack)
			}
			if strings.Contains(fmt.Sprint(re.Stack), "auricle:") {
				t.Errorf("%s, %s: the engine's own functions are in the stack %q", export, c.want, re.Stack)
			}
			if strings.Contains(re.Error(), "\n") {
				t.Errorf("%s, %s: more than one line: %q", export, c.want, re.Error())
			}
			report := re.Report()
			for _, part := range append([]string{re.Message + "\n", fmt.Sprintf("\nfuel: %d of %d\n", re.Fuel, re.FuelLimit), "\n    at innermost()\n    at middle()\n"}, lines...) {
				if !strings.Contains(report, part) {
					t.Errorf("%s, %s: report lacks %q:\n%s", export, c.want, part, report)
				}
			}
		}
	}

	deadline := plugins.Limits{Fuel: 1 << 60, Wall: 5 * time.Millisecond}
	re := endsBadly(t, m, plugins.Invocation{Export: "loud", Args: []uint64{1}, Limits: deadline}, plugins.DeadlineExceeded)
	if !slices.Contains(re.Stack, "middle()") || !slices.Equal(re.LastLines, said) {
		t.Errorf("at the deadline: stack %q, last lines %q", re.Stack, re.LastLines)
	}
}

func TestLastLinesAreFew(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "where")
	const line = "0123456789"
	for _, c := range []struct {
		lines, bytes uint64
		want         []string
	}{
		{1, 0, []string{line}},
		{20, 0, slices.Repeat([]string{line}, 20)},
		{21, 0, slices.Repeat([]string{line}, 20)},
		{1000, 0, slices.Repeat([]string{line}, 20)},
		{1000, 5, append(slices.Repeat([]string{line}, 19), "?????")},
		// 2,048 bytes are kept, of which 1,900 are the last line's.
		{1000, 1900, append(append([]string{"…" + line[6:]}, slices.Repeat([]string{line}, 13)...), strings.Repeat("?", 1900))},
		{1000, 2048, []string{"…" + strings.Repeat("?", 2048)}},
		{1, 5000, []string{"…" + strings.Repeat("?", 2048)}},
	} {
		re := endsBadly(t, m, plugins.Invocation{Export: "flood", Args: []uint64{c.lines, c.bytes}, Limits: ample}, plugins.Trap)
		if !slices.Equal(re.LastLines, c.want) {
			t.Errorf("%d lines and %d bytes: got %d lines %q, want %d %q", c.lines, c.bytes, len(re.LastLines), re.LastLines, len(c.want), c.want)
		}
	}
}

func TestAPanicOfGosTellsWhere(t *testing.T) {
	m := goGuest(t, plugins.Options{})
	re := endsBadly(t, m, plugins.Invocation{Export: "nested", Args: []uint64{3}, Limits: ample}, plugins.Trap)
	if len(re.Stack) == 0 {
		t.Error("no stack")
	}
	text := strings.Join(re.LastLines, "\n")
	for _, part := range []string{"going down\npanic: at the bottom\n", "\nmain.descend(0x0)\n    ", "\nmain.nested(0x3)\n    "} {
		if !strings.Contains(text, part) {
			t.Errorf("the last lines lack %q:\n%s", part, text)
		}
	}
}
