package audio

import "sync"

// trackBlock is how many bytes of PCM a Track resamples at once, so that a long
// frame needs no long memory.
const trackBlock = 16 << 10

// Track is one session's audio at one rate: a Buffer, and what turns the
// stream's PCM into that rate before it is buffered, once for all consumers who
// want it. Where the rate is the stream's own nothing is resampled. It is used
// as a Buffer is, but that what is written has the stream's rate and what
// Readers get has the Track's. All methods may be called concurrently.
type Track struct {
	rate   int // of what Readers get
	buffer *Buffer

	mu           sync.Mutex // guards what follows, and keeps writes in order; taken before the buffer's
	resampler    *Resampler // nil: nothing to do
	conversation string     // of the stretch in the resampler; empty: none
	wants        int64      // the stretch's next sample, as it is written
	gives        int64      // and as it is buffered
	scratch      []byte
}

// NewTrack returns a Track of a stream of PCM at rate from, whose Readers get
// it at rate to and which buffers at most maxBytes of that, as NewBuffer has
// it. Its error is NewResampler's.
func NewTrack(maxBytes int64, from, to int) (*Track, error) {
	t := &Track{rate: to, buffer: NewBuffer(maxBytes)}
	if from == to {
		return t, nil
	}
	var err error
	t.resampler, err = NewResampler(from, to)
	return t, err
}

// Rate returns the samples a second that Readers get.
func (t *Track) Rate() int { return t.rate }

// Add returns a Reader for a consumer, as Buffer.Add does.
func (t *Track) Add(consumer string) *Reader { return t.buffer.Add(consumer) }

// Buffered returns the bytes held for Readers.
func (t *Track) Buffered() int64 { return t.buffer.Buffered() }

// Write is Buffer.Write with pcm, whole samples, and start at the stream's
// rate. What it buffers may lack the last samples, until those that follow are
// there or the conversation ends. Audio that goes on elsewhere than the last
// ended begins anew, as if silence had been before it.
func (t *Track) Write(conversation string, start int64, pcm []byte) []Drop {
	if t.resampler == nil {
		return t.buffer.Write(conversation, start, pcm)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var drops []Drop
	if conversation != t.conversation || start != t.wants {
		drops = t.flush()
		t.conversation, t.wants = conversation, start
		t.gives = t.resampler.Reset(start)
	}
	t.wants += int64(len(pcm) / SampleBytes)
	for len(pcm) > 0 {
		n := min(len(pcm), trackBlock)
		t.scratch = t.resampler.Append(t.scratch[:0], pcm[:n])
		drops = append(drops, t.give()...)
		pcm = pcm[n:]
	}
	return drops
}

// EndConversation is Buffer.EndConversation, before which what was held back is
// buffered. It returns what had to go for that.
func (t *Track) EndConversation(id string) []Drop {
	t.mu.Lock()
	defer t.mu.Unlock()
	var drops []Drop
	if t.conversation == id {
		drops = t.flush()
	}
	t.buffer.EndConversation(id)
	return drops
}

// flush ends the stretch in the resampler, if there is one. mu is held.
func (t *Track) flush() []Drop {
	if t.conversation == "" {
		return nil
	}
	t.scratch = t.resampler.Flush(t.scratch[:0])
	drops := t.give()
	t.conversation = ""
	return drops
}

// give buffers what is in scratch. mu is held.
func (t *Track) give() []Drop {
	if len(t.scratch) == 0 {
		return nil
	}
	drops := t.buffer.Write(t.conversation, t.gives, t.scratch)
	t.gives += int64(len(t.scratch) / SampleBytes)
	return drops
}
