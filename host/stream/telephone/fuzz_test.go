package telephone_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/auricle-dev/auricle/host/stream/telephone"
)

var codes = []string{telephone.CodeBadMessage, telephone.CodeBadStart, telephone.CodeUnsupportedAudio, telephone.CodeBadPayload, telephone.CodePayloadTooLarge}

// fuzz checks that what a vendor's decoder takes is within its bounds, and that
// what it refuses has a name.
func fuzz(f *testing.F, v telephone.Vendor) {
	for _, frame := range recorded(f, v) {
		f.Add(frame)
	}
	for _, g := range good {
		if g.vendor == v {
			f.Add([]byte(g.frame))
		}
	}
	for _, b := range bad {
		if b.vendor == v && len(b.frame) < 4<<10 {
			f.Add([]byte(b.frame))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := v.Decode(b)
		if err != nil {
			var e *telephone.Error
			if !errors.As(err, &e) || !slices.Contains(codes, e.Code) || e.Message == "" || m.Start != nil || m.Media != nil {
				t.Fatalf("got %+v, %#v", m, err)
			}
			return
		}
		if m.Event == "" || len(m.Stream) > telephone.MaxName || (m.Start != nil) != (m.Event == telephone.EventStart) || (m.Media != nil) != (m.Event == telephone.EventMedia) {
			t.Fatalf("got %+v", m)
		}
		if s := m.Start; s != nil {
			if err := s.Format.Check(); err != nil {
				t.Fatalf("a start with a format that is none: %v", err)
			}
			if m.Stream == "" || s.Parameters == nil || len(s.Parameters) > telephone.MaxParameters || len(s.Call) > telephone.MaxName {
				t.Fatalf("got %+v", s)
			}
		}
		if m.Media != nil && len(m.Media.Payload) > telephone.MaxPayload {
			t.Fatalf("a payload of %d bytes", len(m.Media.Payload))
		}
	})
}

func FuzzTwilio(f *testing.F) { fuzz(f, telephone.Twilio) }
func FuzzTelnyx(f *testing.F) { fuzz(f, telephone.Telnyx) }
func FuzzPlivo(f *testing.F)  { fuzz(f, telephone.Plivo) }

// Whatever is put in comes out at most once, in order between two beginnings,
// or is counted.
func FuzzOrder(f *testing.F) {
	f.Add([]byte{1, 3, 2, 9, 9, 4, 200, 1, 0, 5})
	f.Fuzz(func(t *testing.T, in []byte) {
		var o telephone.Order
		out := 0
		emit := func([]byte) { out++ }
		for i, c := range in {
			n := uint64(c)
			if i%7 == 6 {
				n *= 100 // far away, now and then
			}
			before := out
			o.Put(n, []byte{c}, emit)
			if out-before > 12 {
				t.Fatalf("%d chunks were held", out-before)
			}
		}
		o.Flush(emit)
		if uint64(out)+o.Late != uint64(len(in)) {
			t.Fatalf("%d went in; %d came out and %d were late", len(in), out, o.Late)
		}
	})
}
