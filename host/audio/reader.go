package audio

import "math"

// Reader is one consumer's place in a Buffer. It gets every byte that is
// written after it was added exactly once and in order, or counted as dropped.
type Reader struct {
	b        *Buffer
	consumer string

	// Guarded by b.mu.
	closed  bool
	at      int64 // position of the next byte to take
	dropped int64 // bytes lost since the last piece
}

// Next takes the next piece: of one conversation, no more than most bytes
// (zero or less: all there is of it) and no fewer than least. Only what is
// left of a conversation that ended can be shorter than least. It reports
// false, and takes nothing, when there is no such piece yet; audio of a later
// conversation comes after all of the earlier one's.
//
// Both sizes are taken to whole samples, most down to at least one sample,
// least up; least counts as no more than most or than the Buffer's bound, so
// that a bound shorter than a piece yields shorter pieces and not none.
func (r *Reader) Next(most, least int) (Piece, bool) {
	b := r.b
	b.mu.Lock()
	defer b.mu.Unlock()
	s, n := r.peek(most, least)
	if n == 0 {
		return Piece{}, false
	}
	p := Piece{
		Conversation: s.conversation,
		Start:        (s.before + r.at - s.start) / SampleBytes,
		Dropped:      saturate32(r.dropped),
		PCM:          make([]byte, n),
	}
	for rest, at := p.PCM, r.at; len(rest) > 0; {
		i, off := (at-b.first)/chunkBytes, (at-b.first)%chunkBytes
		c := copy(rest, b.chunks[i][off:])
		rest, at = rest[c:], at+int64(c)
	}
	r.at += n
	r.dropped = 0
	b.release(b.oldest())
	return p, true
}

// Skip lets go of each piece that Next would return while a whole one, of most
// bytes, follows it in the same conversation, and returns how many bytes that
// were. They are in the Dropped of the piece that Next returns afterwards, which
// is the newest whole one. Where nothing waits but that, it does nothing.
func (r *Reader) Skip(most, least int) (skipped int64) {
	b := r.b
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		s, n := r.peek(most, least)
		if n == 0 || r.pending(s.conversation)-n < max(int64(most)&^(SampleBytes-1), SampleBytes) {
			break
		}
		r.at += n
		skipped += n
	}
	if skipped > 0 {
		r.dropped += skipped
		b.release(b.oldest())
	}
	return skipped
}

// Ready reports whether Next would return a piece.
func (r *Reader) Ready(most, least int) bool {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	_, n := r.peek(most, least)
	return n > 0
}

// peek returns the span of the next piece and the piece's length in bytes, 0
// when there is none. The caller holds b.mu.
func (r *Reader) peek(most, least int) (span, int64) {
	b := r.b
	if r.closed || r.at == b.end {
		return span{}, 0
	}
	i := len(b.spans) - 1
	for b.spans[i].start > r.at {
		i--
	}
	s, stop := b.spans[i], b.end
	if i+1 < len(b.spans) {
		stop = b.spans[i+1].start
		s.ended = true
	}
	n := stop - r.at
	limit := int64(math.MaxInt64)
	if most > 0 {
		limit = max(int64(most)&^(SampleBytes-1), SampleBytes)
	}
	want := min((max(int64(least), 0)+SampleBytes-1)&^(SampleBytes-1), limit, b.max)
	if n < want && !s.ended {
		return span{}, 0
	}
	return s, min(n, limit)
}

// Pending returns how many bytes of one conversation this reader has still to
// take: 0 says that all of it was taken or dropped.
func (r *Reader) Pending(conversation string) int64 {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.pending(conversation)
}

// pending is Pending for a caller who holds b.mu.
func (r *Reader) pending(conversation string) int64 {
	b := r.b
	if r.closed {
		return 0
	}
	var n int64
	for i, s := range b.spans {
		if s.conversation != conversation {
			continue
		}
		stop := b.end
		if i+1 < len(b.spans) {
			stop = b.spans[i+1].start
		}
		n += max(0, stop-max(s.start, r.at))
	}
	return n
}

// Buffered returns how many bytes this reader has still to take.
func (r *Reader) Buffered() int64 {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	if r.closed {
		return 0
	}
	return r.b.end - r.at
}

// Close takes the reader out of its Buffer, which then holds nothing for it,
// and returns the bytes it had still to take. Afterwards Next reports false.
func (r *Reader) Close() int64 {
	b := r.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.closed {
		return 0
	}
	r.closed = true
	for i, other := range b.readers {
		if other == r {
			b.readers = append(b.readers[:i:i], b.readers[i+1:]...)
			break
		}
	}
	b.release(b.oldest())
	return b.end - r.at
}

// saturate32 returns n as a uint32, the largest one when n does not fit.
func saturate32(n int64) uint32 {
	return uint32(min(n, math.MaxUint32))
}
