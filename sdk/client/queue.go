package client

import (
	"slices"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// itemBytes is what an item counts besides its content, so that a flood of tiny
// ones is bounded too.
const itemBytes = 128

// kind is what an item is.
type kind uint8

const (
	audioItem kind = iota
	transcriptItem
	finishItem
)

// item is something that was written.
type item struct {
	kind kind

	pcm   []byte // of audio, not acknowledged
	start int64  // of audio: how many bytes were written before pcm

	segments []event.Segment // of a transcript
	seq      uint64          // of a transcript; of a finish: that of the last transcript before it
	at       int64           // of a finish: how many bytes of audio were written before it

	cost  int  // in bytes
	sent  int  // on this stream: bytes of pcm; otherwise 1 when it was
	ever  bool // it was sent, wholly or in part, on a stream of the session
	again bool // of a finish: it was sent on more than one
	gone  bool // acknowledged or refused; it is left in its place until it is the first
}

// size is how much there is of the item to be sent.
func (i *item) size() int {
	if i.kind == audioItem {
		return len(i.pcm)
	}
	return 1
}

// queue holds what was written and not acknowledged, in order, and how far it
// was sent on the current stream. Audio is counted in bytes written to the
// client; the host's own count is shift less. It does no locking.
type queue struct {
	items []item
	next  int // the first item that may have something to be sent
	cost  int // of all items, in bytes

	written, acked int64  // audio; acked is also where what is kept begins
	received       int64  // audio that the host was last known to have, acknowledged or not
	receivedSeq    uint64 // likewise, of this session
	shift          int64  // bytes written before what the host counts from
	lost           int64  // acknowledged audio that a host lost when it died
	lastSeq        uint64 // that was given to a transcript, in this session
	transcripts    int    // in items, not gone
}

func (q *queue) add(i item, content int) {
	i.cost = content + itemBytes
	q.cost += i.cost
	q.items = append(q.items, i)
}

func (q *queue) addAudio(pcm []byte) {
	q.add(item{kind: audioItem, pcm: pcm, start: q.written}, len(pcm))
	q.written += int64(len(pcm))
}

func (q *queue) addTranscript(segments []event.Segment, bytes int) {
	q.lastSeq++
	q.transcripts++
	q.add(item{kind: transcriptItem, segments: segments, seq: q.lastSeq}, bytes)
}

func (q *queue) addFinish() {
	q.add(item{kind: finishItem, seq: q.lastSeq, at: q.written}, 0)
}

// head returns what is to be sent next, nil when all was. For audio that is
// pcm[sent:].
func (q *queue) head() *item {
	for ; q.next < len(q.items); q.next++ {
		if i := &q.items[q.next]; !i.gone && i.sent < i.size() {
			return i
		}
	}
	return nil
}

// drop takes an item out that needs no sending any more.
func (q *queue) drop(i *item) {
	if i.gone {
		return
	}
	if i.kind == transcriptItem {
		q.transcripts--
	}
	q.cost -= i.cost
	*i = item{kind: i.kind, gone: true}
}

// tidy forgets the first items that are gone.
func (q *queue) tidy() {
	n := 0
	for n < len(q.items) && q.items[n].gone {
		n++
	}
	q.items = slices.Delete(q.items, 0, n)
	q.next = max(q.next-n, 0)
}

// ack lets go of what the host has acknowledged, in its own counts.
func (q *queue) ack(a *wire.Ack) {
	q.acked = min(max(q.acked, a.AudioBytes+q.shift), q.written)
	for n := range q.items {
		i := &q.items[n]
		switch {
		case i.gone:
		case i.kind == transcriptItem && i.seq <= a.Seq,
			i.kind == finishItem && i.seq < a.Seq: // a transcript after it is on disk, so it took hold
			q.drop(i)
		case i.kind == audioItem:
			if k := int(min(max(q.acked-i.start, 0), int64(len(i.pcm)))); k == len(i.pcm) {
				q.drop(i)
			} else if k > 0 {
				i.pcm, i.start = i.pcm[k:], i.start+int64(k)
				i.sent = max(i.sent-k, 0)
			}
		}
	}
	done := 0
	for _, i := range q.items {
		if i.kind == finishItem && !i.gone && i.at < q.acked {
			done++
		}
	}
	for n := 0; done > keptFinishes; n++ {
		if i := &q.items[n]; i.kind == finishItem && !i.gone {
			q.drop(i)
			done--
		}
	}
	q.tidy()
}

// keptFinishes is how many finishes are kept that took hold, but of which it is
// not known that they are on disk: an acknowledgement of audio does not say so,
// and a host that dies may forget the last few. Hosts have at most 4 on their
// way to the disk.
const keptFinishes = 16

// refuseTranscript lets go of a transcript that the host does not take, and
// returns it; nil when there is none of that seq.
func (q *queue) refuseTranscript(seq uint64) []event.Segment {
	for n := range q.items {
		if i := &q.items[n]; i.kind == transcriptItem && !i.gone && i.seq == seq {
			segments := i.segments
			q.drop(i)
			q.tidy()
			return segments
		}
	}
	return nil
}

// repeats reports whether a finish was sent more than once, and may be refused
// for that.
func (q *queue) repeats() bool {
	return slices.ContainsFunc(q.items, func(i item) bool { return i.kind == finishItem && i.again })
}

// resume goes on from what the host has received of the session. Audio is sent
// from there. Transcripts are sent again unless they are acknowledged: the host
// knows those that it has by their seq, and says so of those that it refused
// while nobody listened. A finish is done when something after it has arrived;
// otherwise it is sent again, which at worst finishes a conversation in which
// nothing was said, and that is refused. It reports whether the host has
// received more than it was known to have.
func (q *queue) resume(r wire.Received) (more bool) {
	received := r.AudioBytes + q.shift
	more = received > q.received || r.Seq > q.receivedSeq
	q.received, q.receivedSeq = received, r.Seq
	for n := range q.items {
		i := &q.items[n]
		i.sent = 0
		switch {
		case i.gone:
		case i.kind == audioItem:
			i.sent = int(min(max(received-i.start, 0), int64(len(i.pcm))))
		case i.kind == finishItem && i.ever && (received > i.at || r.Seq > i.seq):
			i.sent = 1
		}
	}
	if received < q.acked { // the host died, and audio is not stored: what was acknowledged is not here any more
		q.lost += q.acked - received
		q.shift = q.acked - r.AudioBytes
	}
	q.next = 0
	return more
}

// restart goes on in a new session, with what is not acknowledged.
func (q *queue) restart() {
	q.shift, q.lastSeq, q.next, q.receivedSeq = q.acked, 0, 0, 0
	content := false
	for n := range q.items {
		i := &q.items[n]
		i.sent = 0
		switch {
		case i.gone:
			continue
		case i.kind == transcriptItem:
			q.lastSeq++
			i.seq = q.lastSeq
		case i.kind == finishItem && !content: // of a conversation that went with the session
			q.drop(i)
			continue
		case i.kind == finishItem:
			i.seq = q.lastSeq
		}
		content, i.ever = true, false
	}
	q.tidy()
}
