package main

import (
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/sdk/apptest"
)

func TestConverts(t *testing.T) {
	apptest.Each(t, apptest.Registered(t), ".", func(t *testing.T, run apptest.RunFunc) {
		good := []struct {
			arguments string
			want      quantity
		}{
			{`{"value": 5, "from": "mi", "to": "km"}`, quantity{8.04672, "km"}},
			{`{"value": 72, "from": "Fahrenheit", "to": "c"}`, quantity{22.22222222, "c"}},
			{`{"value": -40, "from": "c", "to": "f"}`, quantity{-40, "f"}},
			{`{"value": 0, "from": "°C", "to": "K"}`, quantity{273.15, "k"}},
			{`{"value": 100, "from": "km/h", "to": "mph"}`, quantity{62.13711922, "mph"}},
		}
		var calls []apptest.Event
		for _, g := range good {
			calls = append(calls, apptest.Call(t, "convert", g.arguments))
		}
		got := apptest.Decode[quantity](t, run(t, apptest.Options{}, calls...).OK(t))
		for i, g := range good {
			if got[i] != g.want {
				t.Errorf("%s: got %+v, want %+v", g.arguments, got[i], g.want)
			}
		}
	})
}

func TestTellsWhatCanNotBeConverted(t *testing.T) {
	apptest.Each(t, apptest.Registered(t), ".", func(t *testing.T, run apptest.RunFunc) {
		for arguments, want := range map[string]string{
			`{"value": 1, "from": "kg", "to": "m"}`:      "kg is a weight and m a length", // of two kinds
			`{"value": 1, "from": "furlong", "to": "m"}`: `there is no unit "furlong"`,    // not in the table
		} {
			r := run(t, apptest.Options{}, apptest.Call(t, "convert", arguments)).Results[0]
			if r.Outcome != apptest.AppError || !strings.Contains(r.Error, want) {
				t.Errorf("%s: got %s %q, want an error with %q", arguments, r.Outcome, r.Error, want)
			}
		}
	})
}

func TestListsUnits(t *testing.T) {
	apptest.Each(t, apptest.Registered(t), ".", func(t *testing.T, run apptest.RunFunc) {
		lists := apptest.Decode[map[string][]string](t, run(t, apptest.Options{}, apptest.Call(t, "units", "{}")).OK(t))
		if len(lists) != 1 || len(lists[0]) != 5 || len(lists[0]["temperature"]) != 3 {
			t.Errorf("got %v, want five kinds of units", lists)
		}
	})
}
