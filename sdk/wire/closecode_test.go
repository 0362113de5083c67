package wire_test

import (
	"testing"

	"github.com/auricle-dev/auricle/sdk/wire"
)

func TestCloseCodesFitTheirFrameAndTheirNumbersSayWhoMayRetry(t *testing.T) {
	seen := map[int]bool{}
	for _, c := range wire.CloseCodes {
		if len(c.Reason) == 0 || len(c.Reason) > 123 {
			t.Errorf("%d: the reason is %d bytes, want 1 to 123", c.Code, len(c.Reason))
		}
		if seen[c.Code] {
			t.Errorf("%d is there twice", c.Code)
		}
		seen[c.Code] = true
		if got := wire.MayRetry(c.Code); got != c.Retry {
			t.Errorf("%d: MayRetry is %v, the table says %v", c.Code, got, c.Retry)
		}
	}
}
