package plugins_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/auricle-dev/auricle/plugins"
)

// A recursion that costs little on the way down and much on the way back, with
// neither loop nor call there, must be stopped on the way back. Where it was
// stopped is in the error; there is no stack of what came to its end.
func TestUnwindingIsStopped(t *testing.T) {
	m, err := newEngine(t, plugins.Options{}).Load(context.Background(), unwinding(10_000, 1_000), plugins.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// It takes 80,000 units down, and 60 million back.
	res := runInvocation(t, m, plugins.Invocation{Export: "run", Limits: plugins.Limits{Fuel: 1_000_000}})
	wantOutcome(t, res, plugins.FuelExhausted)
	var re *plugins.RunError
	if !errors.As(res.Err, &re) || len(re.Stack) == 0 {
		t.Errorf("%v: it came to its end, with 60 times the fuel that it had", res.Err)
	}
}

// unwinding is a function that calls itself so often and on the way back does
// so many instructions in each call, six for each step, without a loop or a
// call.
func unwinding(depth, steps int) []byte {
	step := cat(0x23, 0, 0x42, 7, 0x7e, 0x42, 3, 0x7c, 0x24, 0) // global = global*7 + 3
	return wasmOf(section(1, 2, 0x60, 0, 0, 0x60, 1, 0x7f, 0), section(3, 2, 0, 1),
		section(6, 1, 0x7e, 1, 0x42, 1, 0x0b), section(7, 1, named("run"), 0, 0),
		bodies(cat(0, 0x41, signed(int64(depth)), 0x10, 1),
			cat(0, 0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x0b, bytes.Repeat(step, steps))))
}
