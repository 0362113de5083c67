// Package figures is what the measurements say their results with: the machine
// that they ran on, percentiles and medians.
package figures

import (
	"runtime"
	"slices"
	"time"
)

// Machine is what a measurement ran on.
type Machine struct {
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
}

// ThisMachine describes the machine that it is called on.
func ThisMachine() Machine {
	return Machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
}

// Percentile returns the p-th percentile in ms (nearest rank); 0 without any.
func Percentile(ds []time.Duration, p int) float64 {
	if len(ds) == 0 {
		return 0
	}
	ds = slices.Sorted(slices.Values(ds))
	rank := (len(ds)*p + 99) / 100
	return float64(ds[max(rank, 1)-1].Microseconds()) / 1000
}

// Median returns the middle of vs, the lower one of two. There must be one.
func Median(vs []float64) float64 {
	vs = slices.Sorted(slices.Values(vs))
	return vs[(len(vs)-1)/2]
}
