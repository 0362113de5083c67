package engine_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/auricle-dev/auricle/cmd/auricle/engine"
)

// startDir makes this test binary the process that a cold start starts.
const startDir = "AURICLE_TEST_START"

func TestMain(m *testing.M) {
	if os.Getenv(startDir) != "" {
		if err := engine.Start(context.Background(), os.Args[1], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestEveryFigureIsMeasured measures as little as can be of everything. That
// kernels return what they must is checked by Run.
func TestEveryFigureIsMeasured(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(startDir, "1")
	r, err := engine.Run(t.Context(), engine.Options{
		Runs: 1, FreshCalls: 20, Idle: 3, Apps: 2, Starts: 1, Rounds: 1, DeadlineRuns: 2, Spinning: 2, StartCommand: []string{self},
	})
	if err != nil {
		t.Fatal(err)
	}
	languages := map[string]int{}
	for _, k := range r.Fuel.Kernels {
		languages[k.Language]++
		positive(t, k.Name, k.PlainUS, k.Ratio, k.CancellationRatio, float64(k.Fuel))
	}
	if len(r.Fuel.Kernels) < 14 || languages["C"] == 0 || languages["Rust"] == 0 || languages["Go"] == 0 {
		t.Errorf("kernels by language: %v", languages)
	}
	positive(t, "fuel", r.Fuel.Geomean, r.Fuel.CancellationGeomean)
	if r.Fuel.Geomean > r.Fuel.Worst {
		t.Errorf("the geometric mean of the ratios is %v, the worst %v", r.Fuel.Geomean, r.Fuel.Worst)
	}
	for name, f := range map[string]engine.FreshFigures{"fresh": r.Fresh.FreshFigures, "fresh, 1 KB": r.Fresh.Kilobyte} {
		positive(t, name, f.CallP50US, f.WarmP50US, f.PlainWarmP50US, f.NewInstanceP50US, f.CallRatioToWarm, f.TimesFasterNewInstance)
	}
	positive(t, "cold", r.Cold.Seconds)
	positive(t, "compiling", r.Compiling.AloneP99US, r.Compiling.BesideP99US, r.Compiling.Ratio, r.Compiling.SecondsEach)
	positive(t, "deadline", r.Deadline.OvershootP99US)
	positive(t, "gc_pause", r.GCPause.UnmeteredMS, r.GCPause.UnmeteredStallMS, r.GCPause.MeteredMS, r.GCPause.StallMS)
	if r.Idle.Instances != 3 || r.Cold.Apps != 2 || r.Deadline.Runs != 2 || r.GCPause.Spinning != 2 {
		t.Errorf("measured other amounts than asked for: %+v %+v %+v %+v", r.Idle, r.Cold, r.Deadline, r.GCPause)
	}
}

func positive(t *testing.T, name string, values ...float64) {
	t.Helper()
	for i, v := range values {
		if !(v > 0) || math.IsInf(v, 0) {
			t.Errorf("%s: figure %d is %v", name, i+1, v)
		}
	}
}
