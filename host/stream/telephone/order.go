package telephone

// window is how many chunks are held back at most while one before them is
// missing: 0.2 s of the usual frames.
const window = 10

// jump is a distance between two chunks that no reordering explains: the
// vendor counts anew.
const jump = 1000

// Order puts the chunks of one track into their order: Telnyx documents that they
// may come in another than they were heard in. At most window chunks are held
// while one before them is missing; then what is missing is given up. The zero
// Order has seen none.
type Order struct {
	Lost uint64 // chunks that were given up
	Late uint64 // chunks that came after that, or twice; they are let go

	next uint64 // the number that is due; 0 before the first chunk
	held map[uint64][]byte
}

// Put takes a chunk and calls emit for each that is due now. A chunk that is
// not numbered (0) is due at once. Order keeps payloads that are held.
func (o *Order) Put(chunk uint64, payload []byte, emit func(payload []byte)) {
	switch {
	case chunk == 0:
		emit(payload)
		return
	case o.next == 0:
		o.next = chunk
	case chunk > o.next+jump || o.next > chunk+jump:
		o.Flush(emit)
		o.next = chunk
	}
	if _, twice := o.held[chunk]; chunk < o.next || twice {
		o.Late++
		return
	}
	if chunk != o.next {
		if o.held == nil {
			o.held = make(map[uint64][]byte, window)
		}
		o.held[chunk] = payload
		if len(o.held) < window {
			return
		}
		o.skip()
	} else {
		emit(payload)
		o.next++
	}
	o.run(emit)
}

// Flush emits what is held; what is missing before it is lost.
func (o *Order) Flush(emit func(payload []byte)) {
	for len(o.held) > 0 {
		o.skip()
		o.run(emit)
	}
}

// skip gives up what is missing before the first chunk that is held.
func (o *Order) skip() {
	first := uint64(0)
	for c := range o.held {
		if first == 0 || c < first {
			first = c
		}
	}
	o.Lost += first - o.next
	o.next = first
}

// run emits the chunks that follow each other.
func (o *Order) run(emit func(payload []byte)) {
	for {
		payload, ok := o.held[o.next]
		if !ok {
			return
		}
		delete(o.held, o.next)
		o.next++
		emit(payload)
	}
}

// Swap turns 16-bit samples around in place, from big-endian to little-endian or
// back. A byte that is left over stays as it is.
func Swap(samples []byte) {
	for i := 0; i+1 < len(samples); i += 2 {
		samples[i], samples[i+1] = samples[i+1], samples[i]
	}
}
