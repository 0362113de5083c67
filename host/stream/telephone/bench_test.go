package telephone_test

import (
	"testing"

	"github.com/auricle-dev/auricle/host/stream/telephone"
)

// What each 20 ms of a call cost to decode.
func BenchmarkDecodeMedia(b *testing.B) {
	frame := recorded(b, telephone.Twilio)[2]
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if f, err := telephone.Twilio.Decode(frame); err != nil || len(f.Media.Payload) != 160 {
			b.Fatalf("got %+v, %v", f, err)
		}
	}
}
