package conversation

import (
	"slices"
	"time"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// segmentOverheadBytes is what a segment takes beside its text: the struct,
// its place in the index.
const segmentOverheadBytes = 160

// conversation is one conversation while it is open or completing. It is
// guarded by its session's mutex; once it is completing only the journal
// reads it.
type conversation struct {
	head         event.Conversation // without segments
	opened       bool               // something was said
	announced    bool               // the client was told that it is open
	entries      []entry            // in order of arrival
	index        map[string]int     // segment id to its place in entries; nil until the first
	unsaved      []int              // places in entries that the journal has not taken yet
	sizeBytes    int64              // of the segments, with their overhead
	audioSamples int64              // of each channel, taken by this host
	lastSeq      uint64             // the session's when it began, or of the last transcript accepted into it
	quietSince   time.Time          // from when silence is measured

	// What it has at the wall clock's wallAnchor is read off the monotonic clock
	// from anchor on: a wall clock that jumps dates nothing wrongly.
	wallAnchor, anchor time.Time

	earlierAudioMillis int64 // before this host took it over

	revision store.Revision // of the last append; 0: the store has nothing of it
	headKept bool           // the store knows that something was said, or is being told
	next     string         // when completing: the session's next conversation; empty: none
	// sessionAudio, when completing, is what the session had taken by then.
	sessionAudio int64
}

// dated says that it is wall now, as the monotonic clock stands at now.
func (c *conversation) dated(wall, now time.Time) { c.wallAnchor, c.anchor = wall, now }

// now returns the time by the clock that the conversation was dated with.
func (c *conversation) now() time.Time { return c.wallAnchor.Add(time.Since(c.anchor)) }

type entry struct {
	segment event.Segment
	unsaved bool // listed in conversation.unsaved
}

func segmentBytes(s event.Segment) int64 {
	return int64(len(s.ID)+len(s.Text)+len(s.Speaker)) + segmentOverheadBytes
}

// fits reports whether segs can be added within the bounds. Segments that
// replace others count as new ones. What is empty takes anything, so that a
// message that is within the limits of messages always fits somewhere.
func (c *conversation) fits(segs []event.Segment, maxSegments int, maxBytes int64) bool {
	if len(c.entries) == 0 {
		return true
	}
	size := c.sizeBytes
	for _, s := range segs {
		size += segmentBytes(s)
	}
	return len(c.entries)+len(segs) <= maxSegments && size <= maxBytes
}

// add puts segs in, replacing those of the same id.
func (c *conversation) add(segs []event.Segment) {
	if c.index == nil {
		c.index = make(map[string]int, len(segs))
	}
	for _, s := range segs {
		i, known := c.index[s.ID]
		if !known {
			i = len(c.entries)
			c.index[s.ID] = i
			c.entries = append(c.entries, entry{})
		} else {
			c.sizeBytes -= segmentBytes(c.entries[i].segment)
		}
		e := &c.entries[i]
		e.segment = s
		c.sizeBytes += segmentBytes(s)
		if !e.unsaved {
			e.unsaved = true
			c.unsaved = append(c.unsaved, i)
		}
	}
}

// takeUnsaved returns the segments that were added or replaced since it was
// last called, in their newest form.
func (c *conversation) takeUnsaved() []event.Segment {
	if len(c.unsaved) == 0 {
		return nil
	}
	segs := make([]event.Segment, len(c.unsaved))
	for j, i := range c.unsaved {
		segs[j] = c.entries[i].segment
		c.entries[i].unsaved = false
	}
	c.unsaved = c.unsaved[:0]
	return segs
}

// whole returns the conversation with its segments in order of Start, those
// that start together in order of arrival.
func (c *conversation) whole() event.Conversation {
	out := c.head
	out.Segments = make([]event.Segment, len(c.entries))
	for i, e := range c.entries {
		out.Segments[i] = e.segment
	}
	sortSegments(out.Segments)
	return out
}

func sortSegments(segs []event.Segment) {
	slices.SortStableFunc(segs, func(a, b event.Segment) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
}
