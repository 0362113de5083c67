package conversation

import (
	"math"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// The limits of one transcript message.
const (
	MaxSegments            = 1000     // segments
	MaxSegmentTextBytes    = 16 << 10 // a segment's text
	MaxSegmentIDBytes      = 128
	MaxSegmentSpeakerBytes = 128
	MaxSeq                 = 1<<53 - 1 // the largest whole number that every JSON reader keeps exact
)

// checkSegments returns an *InputError that names the first value of a
// transcript that breaks a limit, or nil.
func checkSegments(seq uint64, segs []event.Segment) error {
	if seq < 1 || seq > MaxSeq {
		return refuse(wire.CodeBadSeq, seq, "seq is %d: number transcripts upwards from 1, at most %d; the transcript was not taken", seq, uint64(MaxSeq))
	}
	if len(segs) == 0 || len(segs) > MaxSegments {
		return refuse(wire.CodeBadSegment, seq, "a transcript of %d segments: send 1 to %d; it was not taken", len(segs), MaxSegments)
	}
	for i, s := range segs {
		bad := func(format string, args ...any) error {
			return refuse(wire.CodeBadSegment, seq, "segments[%d]"+format+"; the transcript was not taken", append([]any{i}, args...)...)
		}
		switch {
		case len(s.ID) < 1 || len(s.ID) > MaxSegmentIDBytes:
			return bad(".id is %d bytes: give 1 to %d", len(s.ID), MaxSegmentIDBytes)
		case len(s.Text) > MaxSegmentTextBytes:
			return bad(".text is %d bytes: give at most %d, or several segments", len(s.Text), MaxSegmentTextBytes)
		case len(s.Speaker) > MaxSegmentSpeakerBytes:
			return bad(".speaker is %d bytes: give at most %d", len(s.Speaker), MaxSegmentSpeakerBytes)
		case !finite(s.Start) || s.Start < 0:
			return bad(".start is %v: give seconds from the conversation's start", s.Start)
		case !finite(s.End) || s.End < s.Start:
			return bad(".end is %v: give seconds, not before start (%v)", s.End, s.Start)
		}
	}
	return nil
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
