package audio

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// ErrClosed says that Decoders, or a Decoder, is closed.
var ErrClosed = errors.New("audio: closed")

// Decoders makes the Decoders of a host. It owns what they share: an engine in
// which Opus is decoded, started when a stream first needs it. The zero value
// is ready; Close it. All methods may be called concurrently.
type Decoders struct {
	opus opusModule
	open atomic.Int64
}

// New returns a decoder of f, which begins with no past. The caller closes it.
// The error is f.Check's, or ErrClosed; with Opus it may also be one of
// starting the engine. The first decoder of Opus takes as long as compiling
// libopus, some tenths of a second.
func (ds *Decoders) New(f Format) (*Decoder, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	d := &Decoder{of: ds, format: f}
	if f.Codec == Opus {
		s, err := ds.opus.session()
		if err != nil {
			return nil, err
		}
		d.opus = newOpusDecoder(s, f.Rate)
	}
	ds.open.Add(1)
	return d, nil
}

// Open returns how many decoders there are now: those made and not closed.
func (ds *Decoders) Open() int64 { return ds.open.Load() }

// Close gives back what decoders share, and what those hold that were not
// closed; what decodes just now is let finish until ctx ends. Afterwards New
// returns ErrClosed, and decoding Opus fails. A second Close does nothing.
func (ds *Decoders) Close(ctx context.Context) error { return ds.opus.close(ctx) }

// Decoder turns one stream's frames into s16le mono. That of Opus has a state:
// what a packet means depends on those before. It takes 50 to 80 KB
// (Bytes) from its first packet on, 512 KB at most; one of PCM takes nothing. AppendMono is for one
// goroutine at a time.
type Decoder struct {
	of     *Decoders
	format Format
	opus   *opusDecoder // nil for PCM
	once   sync.Once    // of Close
}

// AppendMono decodes a frame of a client's audio to s16le mono at the format's
// rate and appends it to dst, which comes back unchanged beside an error. What
// it appends is as long as Format.Samples says.
//
// An error that wraps ErrPartialSample or ErrBadPacket is the frame's fault: the
// next ones are decoded as if it had not been there, unless decoding itself
// failed, after which Opus begins anew. Any other error is the host's.
func (d *Decoder) AppendMono(dst, frame []byte) ([]byte, error) {
	if d.opus == nil {
		return d.format.AppendMono(dst, frame)
	}
	if _, err := opusSamples(frame); err != nil {
		return dst, err
	}
	return d.opus.appendMono(dst, frame)
}

// Bytes returns the memory that the decoder holds now.
func (d *Decoder) Bytes() int64 {
	if d.opus == nil {
		return 0
	}
	return d.opus.session.Bytes()
}

// Close gives back what the decoder holds. It may be called again.
func (d *Decoder) Close() {
	d.once.Do(func() {
		d.of.open.Add(-1)
		if d.opus != nil {
			d.opus.session.Close()
		}
	})
}
