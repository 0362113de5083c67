package golang_test

import (
	"testing"

	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels"
	"github.com/auricle-dev/auricle/cmd/auricle/engine/kernels/golang"
)

// TestNativeKernelsComputeTheSame holds the source, compiled natively, to what
// the guest returns.
func TestNativeKernelsComputeTheSame(t *testing.T) {
	native := map[string]func(uint32) uint32{
		kernels.Handle: golang.Handle, "sort": golang.Sort, "sha256": golang.SHA256, "maps": golang.Maps, "channels": golang.Channels,
	}
	for _, k := range kernels.OfGo(nil) {
		f := native[k.Export]
		if f == nil {
			t.Errorf("there is no native %s", k.Export)
			continue
		}
		if got := f(k.Arg); got != k.Sum {
			t.Errorf("%s(%d) = %#x natively, want %#x", k.Export, k.Arg, got, k.Sum)
		}
	}
}
