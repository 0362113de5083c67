package plugins_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/auricle-dev/auricle/plugins"
)

// A stack shows the author's functions with their own types, and none of the
// engine's.
func TestStackShowsTheAuthorsFunctions(t *testing.T) {
	m := load(t, newEngine(t, plugins.Options{}), "stack")
	res := run(t, m, "run")
	wantOutcome(t, res, plugins.Trap)
	var re *plugins.RunError
	if !errors.As(res.Err, &re) {
		t.Fatalf("error %v, want a *RunError", res.Err)
	}
	want := []string{"inner(i32) (f64,i64)", "middle(i64,f32) i64", "outer() i64"}
	if !slices.Equal(re.Stack, want) {
		t.Errorf("stack %q, want %q", re.Stack, want)
	}
}
