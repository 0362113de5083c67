package dispatch

import (
	"github.com/auricle-dev/auricle/sdk/event"
)

// The bounds of what one mailbox merges into one transcript event.
const (
	maxPendingSegments = 1000
	maxPendingBytes    = 256 << 10
)

// segmentOverheadBytes is what a segment costs besides its strings.
const segmentOverheadBytes = 64

// pendingTranscript is a transcript event that has not run yet, and into which
// newer segments of its conversation are merged: each segment once, in its
// newest form, in the order in which they first came.
type pendingTranscript struct {
	head     event.Transcript // without segments
	segments []event.Segment
	place    map[string]int // of each segment by id, counted from the first one ever merged
	dropped  int            // segments dropped from the front: what place counts besides
	bytes    int
}

func segmentBytes(s *event.Segment) int {
	return len(s.ID) + len(s.Text) + len(s.Speaker) + segmentOverheadBytes
}

func newPendingTranscript(t event.Transcript) *pendingTranscript {
	t.Segments = nil
	return &pendingTranscript{head: t, place: map[string]int{}}
}

// merge takes in segments and returns how many of the oldest were dropped to
// stay within the bounds. One segment is always kept.
func (p *pendingTranscript) merge(segments []event.Segment) (dropped int) {
	for i := range segments {
		s := segments[i]
		p.bytes += segmentBytes(&s)
		if at, ok := p.place[s.ID]; ok {
			old := &p.segments[at-p.dropped]
			p.bytes -= segmentBytes(old)
			*old = s
			continue
		}
		p.place[s.ID] = p.dropped + len(p.segments)
		p.segments = append(p.segments, s)
	}
	for len(p.segments) > 1 && (len(p.segments) > maxPendingSegments || p.bytes > maxPendingBytes) {
		delete(p.place, p.segments[0].ID)
		p.bytes -= segmentBytes(&p.segments[0])
		p.segments[0] = event.Segment{} // let its strings go
		p.segments = p.segments[1:]
		p.dropped++
		dropped++
	}
	return dropped
}

// event returns the event to run.
func (p *pendingTranscript) event() event.Transcript {
	t := p.head
	t.Segments = p.segments
	return t
}
