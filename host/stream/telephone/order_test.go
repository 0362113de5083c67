package telephone_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/stream/telephone"
)

func TestChunksComeOutInTheirOrder(t *testing.T) {
	for name, row := range map[string]struct {
		in         []uint64
		want       string // with what Flush emits after "|"
		lost, late uint64
	}{
		"as they were sent":         {[]uint64{1, 2, 3}, "1 2 3 |", 0, 0},
		"not from the first":        {[]uint64{40, 41}, "40 41 |", 0, 0},
		"two changed":               {[]uint64{1, 3, 2, 4}, "1 2 3 4 |", 0, 0},
		"several behind one":        {[]uint64{1, 4, 3, 5, 2}, "1 2 3 4 5 |", 0, 0},
		"one that never comes":      {[]uint64{1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, "1 3 4 5 6 7 8 9 10 11 12 13 |", 1, 0},
		"one missing at the end":    {[]uint64{1, 3, 4}, "1 | 3 4", 1, 0},
		"twice":                     {[]uint64{1, 2, 2, 4, 4, 3}, "1 2 3 4 |", 0, 2},
		"too late":                  {[]uint64{1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 2, 13}, "1 3 4 5 6 7 8 9 10 11 12 13 |", 1, 1},
		"not numbered":              {[]uint64{0, 0, 0}, "0 0 0 |", 0, 0},
		"counted anew":              {[]uint64{5000, 5001, 1, 2}, "5000 5001 1 2 |", 0, 0},
		"counted anew behind a gap": {[]uint64{5000, 5002, 1, 2}, "5000 5002 1 2 |", 1, 0},
		"the largest number":        {[]uint64{1, 1 << 63, 2}, "1 9223372036854775808 2 |", 0, 0},
	} {
		var o telephone.Order
		var got strings.Builder
		emit := func(p []byte) { got.WriteString(string(p) + " ") }
		for _, c := range row.in {
			o.Put(c, fmt.Append(nil, c), emit)
		}
		got.WriteString("| ")
		o.Flush(emit)
		if s := strings.TrimSpace(got.String()); s != row.want || o.Lost != row.lost || o.Late != row.late {
			t.Errorf("%s: got %s, %d lost, %d late; want %s, %d, %d", name, s, o.Lost, o.Late, row.want, row.lost, row.late)
		}
	}
}

func TestSwapTurnsSamplesAround(t *testing.T) {
	b := []byte{1, 2, 3, 4, 5}
	if telephone.Swap(b); string(b) != "\x02\x01\x04\x03\x05" {
		t.Errorf("got %v", b)
	}
}
