package audio

import "sync"

// DefaultBufferBytes is the bound of a Buffer made with none: 4 MiB, about two
// minutes at 16 kHz.
const DefaultBufferBytes = 4 << 20

// chunkBytes is the unit in which a Buffer takes and gives back memory.
const chunkBytes = 16 << 10

type chunk [chunkBytes]byte

// chunks lends memory to every Buffer. What lies in a chunk is overwritten
// before it can be read again: a Buffer reads only where it has written.
var chunks = sync.Pool{New: func() any { return new(chunk) }}

// Buffer holds one session's audio, s16le mono, until each of its readers has
// taken it: at most what is due to the slowest, and at most its bound. It has
// no memory before the first Write and none once all is taken.
//
// Make Readers with Add, feed it with Write, say with EndConversation that a
// conversation gets no more. Close gives the memory back; after it Write
// keeps nothing and every Reader is empty. All methods may be called
// concurrently and none blocks.
type Buffer struct {
	max int64 // bytes, even

	mu      sync.Mutex // guards everything below, and every Reader's fields
	closed  bool
	readers []*Reader
	end     int64    // position after the last byte written; positions count bytes since the Buffer was made
	base    int64    // position of the oldest byte that is due to some reader; end when none is
	first   int64    // position of the first byte of chunks[0]
	chunks  []*chunk // cover [base, end); none when base == end
	spans   []span   // the conversations in [base, end), in order, and always the last one written
}

// span is the part of the positions that belongs to one conversation, or to an
// unbroken stretch of it. It ends where the next one begins.
type span struct {
	conversation string
	start        int64 // position of its first byte
	before       int64 // bytes of the conversation before that
	ended        bool
}

// Piece is a stretch of one conversation's audio.
type Piece struct {
	Conversation string
	Start        int64  // its first sample, counted since the conversation began
	Dropped      uint32 // bytes this reader lost between its last piece and this one, of whichever conversation
	PCM          []byte // s16le mono, whole samples; the caller's to keep
}

// Drop says what a reader lost.
type Drop struct {
	Consumer string // as given to Add
	Bytes    int64
}

// NewBuffer returns an empty Buffer that holds at most maxBytes bytes (a
// multiple of SampleBytes, otherwise the next lower one). Zero or less means
// DefaultBufferBytes.
func NewBuffer(maxBytes int64) *Buffer {
	if maxBytes <= 0 {
		maxBytes = DefaultBufferBytes
	}
	return &Buffer{max: max(maxBytes&^(SampleBytes-1), SampleBytes)}
}

// Add returns a Reader for a consumer. What was written before is not due to
// it. Names need not be unique; they are what Drops carry.
func (b *Buffer) Add(consumer string) *Reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &Reader{b: b, consumer: consumer, at: b.end}
	if b.closed {
		r.closed = true
		return r
	}
	b.readers = append(b.readers, r)
	return r
}

// Write keeps a copy of pcm, the next of a conversation's audio, for every
// reader. start is pcm's first sample, counted since the conversation began:
// what went by before the Buffer was made is in it. A conversation's audio
// comes in one stretch: writing for another ends the one before, as
// EndConversation does.
//
// It returns what had to go for it, one Drop for each reader that lost
// something, nil when none did: the oldest bytes beyond the bound; and, of a
// pcm that is not whole samples, the odd last byte, which is never taken.
func (b *Buffer) Write(conversation string, start int64, pcm []byte) []Drop {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(pcm) == 0 {
		return nil
	}
	odd := int64(len(pcm) % SampleBytes)
	pcm = pcm[:len(pcm)-int(odd)]
	b.enter(conversation, start*SampleBytes)

	at := b.end // where pcm goes
	b.end += int64(len(pcm))
	floor := b.end - b.max // what lies before it has no room
	var drops []Drop
	for _, r := range b.readers {
		lost := odd + max(0, floor-r.at)
		if lost == 0 {
			continue
		}
		r.at = max(r.at, floor)
		r.dropped += lost
		drops = append(drops, Drop{r.consumer, lost})
	}
	b.release(b.oldest())
	if b.base >= b.end {
		return drops
	}
	if b.base > at { // pcm alone is longer than the bound
		pcm, at = pcm[b.base-at:], b.base
	}
	b.store(at, pcm)
	return drops
}

// enter makes the last span one of conversation, in which at is the next byte:
// the last already, or one that begins at end.
func (b *Buffer) enter(conversation string, at int64) {
	if n := len(b.spans); n > 0 {
		last := &b.spans[n-1]
		if last.conversation == conversation && last.before+b.end-last.start == at {
			last.ended = false
			return
		}
	}
	b.spans = append(b.spans, span{conversation: conversation, start: b.end, before: at})
}

// store copies pcm to position at, taking chunks as it needs them.
func (b *Buffer) store(at int64, pcm []byte) {
	if len(b.chunks) == 0 {
		b.first = at
	}
	for len(pcm) > 0 {
		i, off := (at-b.first)/chunkBytes, (at-b.first)%chunkBytes
		if i == int64(len(b.chunks)) {
			b.chunks = append(b.chunks, chunks.Get().(*chunk))
		}
		n := copy(b.chunks[i][off:], pcm)
		at, pcm = at+int64(n), pcm[n:]
	}
}

// oldest returns the oldest position that is due to some reader.
func (b *Buffer) oldest() int64 {
	at := b.end
	for _, r := range b.readers {
		at = min(at, r.at)
	}
	return at
}

// release lets go of all before position at, which becomes base.
func (b *Buffer) release(at int64) {
	b.base = at
	for len(b.chunks) > 0 && (b.first+chunkBytes <= at || at == b.end) {
		chunks.Put(b.chunks[0])
		b.chunks[0] = nil
		b.chunks = b.chunks[1:]
		b.first += chunkBytes
	}
	if len(b.chunks) == 0 {
		b.chunks = nil
	}
	for len(b.spans) > 1 && b.spans[1].start <= at {
		b.spans = b.spans[1:]
	}
}

// EndConversation says that a conversation gets no more audio, so that what
// is left of it can be taken however short. It does nothing when id is not
// the conversation last written.
func (b *Buffer) EndConversation(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.spans); n > 0 && b.spans[n-1].conversation == id {
		b.spans[n-1].ended = true
	}
}

// Buffered returns the bytes held: what is due to the slowest reader.
func (b *Buffer) Buffered() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end - b.base
}

// MemoryBytes returns the memory taken for what is buffered: 0 when nothing
// is, otherwise less than two chunks of 16 KiB more than Buffered.
func (b *Buffer) MemoryBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.chunks)) * chunkBytes
}

// Close lets go of all that is held and returns what each reader had still to
// take, nil when nothing was left. A second Close returns nil.
func (b *Buffer) Close() []Drop {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	var drops []Drop
	for _, r := range b.readers {
		if n := b.end - r.at; n > 0 {
			drops = append(drops, Drop{r.consumer, n})
		}
		r.closed = true
	}
	b.closed = true
	b.readers = nil
	b.release(b.end)
	b.spans = nil
	return drops
}
