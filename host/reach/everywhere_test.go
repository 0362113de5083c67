package reach_test

import (
	"testing"

	"github.com/auricle-dev/auricle/host/reach"
)

// Every host is something that a manifest asks for; nobody grants it.
func TestEverywhereIsAskedForAndNeverGranted(t *testing.T) {
	all, err := reach.ParseWanted(reach.Everywhere)
	if err != nil || !all.IsEverywhere() || all.String() != "*" {
		t.Fatalf("got %v %v", all, err)
	}
	if h, err := reach.Parse(reach.Everywhere); err == nil {
		t.Errorf("a grant of %q became %v", reach.Everywhere, h)
	}
	for _, s := range []string{"a.example.com", "*.example.com", "http://10.0.0.5:8080"} {
		h, err := reach.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if !all.Covers(h) || h.Covers(all) || h.IsEverywhere() {
			t.Errorf("%s: covered %v, covers all %v", s, all.Covers(h), h.Covers(all))
		}
	}
}
