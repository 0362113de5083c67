// Package wav opens WAV files whose samples a host takes as they stand: 16-bit
// PCM and mu-law, in the formats of host/audio. What else a file may hold is
// refused with what it is and how to convert it. Nothing is decoded and nothing
// is held in memory; a File may be read by several goroutines at once.
package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/auricle-dev/auricle/host/audio"
)

// ErrUnusable is wrapped by every error about what a WAV file holds.
var ErrUnusable = errors.New("unusable WAV file")

// The sample formats of a WAV file that the host takes too, and the wrapper
// that newer programs write around them.
const (
	tagPCM        = 1
	tagFloat      = 3
	tagALaw       = 6
	tagMuLaw      = 7
	tagExtensible = 0xfffe
)

// File is an open WAV file. Close closes it; its readers then fail.
type File struct {
	Format audio.Format
	Bytes  int64 // of samples, a whole number of frames

	offset int64 // of the first sample in the file
	file   interface {
		io.ReaderAt
		io.Closer
	}
}

// Open opens the WAV file at path. What the file holds is checked here, so
// that nothing is found out halfway through: errors about it wrap ErrUnusable, and
// say what to do about it.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%w: it is a directory", ErrUnusable)
	}
	var w *File
	if err == nil {
		w, err = parse(f, info.Size())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	w.file = f
	return w, nil
}

// Close closes the file.
func (w *File) Close() error { return w.file.Close() }

// Reader reads the samples from the beginning. Several may be used at once.
func (w *File) Reader() io.Reader { return io.NewSectionReader(w.file, w.offset, w.Bytes) }

// Duration is how long the recording sounds.
func (w *File) Duration() time.Duration { return w.Format.Duration(w.Bytes) }

// parse reads the headers of a WAV file of size bytes.
func parse(r io.ReaderAt, size int64) (*File, error) {
	var head [12]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: %d bytes are too short for one", ErrUnusable, size)
		}
		return nil, err
	}
	switch magic := string(head[:4]); {
	case magic == "RF64" || magic == "RIFX":
		return nil, fmt.Errorf("%w: the %s variant is not supported; write it as plain RIFF (`sox in.wav out.wav`)", ErrUnusable, magic)
	case magic != "RIFF" || string(head[8:]) != "WAVE":
		return nil, fmt.Errorf("%w: it begins with %q, not with RIFF…WAVE; is it another kind of recording?", ErrUnusable, head[:4])
	}

	w := &File{}
	for at := int64(len(head)); ; {
		var chunk [8]byte
		if _, err := r.ReadAt(chunk[:], at); err != nil {
			if !errors.Is(err, io.EOF) {
				return nil, err
			}
			if w.Format.Codec == "" {
				return nil, fmt.Errorf("%w: it has no fmt chunk: truncated?", ErrUnusable)
			}
			return nil, fmt.Errorf("%w: it has no data chunk: truncated?", ErrUnusable)
		}
		at += int64(len(chunk))
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch id := string(chunk[:4]); id {
		case "fmt ":
			if w.Format.Codec != "" {
				return nil, fmt.Errorf("%w: it has two fmt chunks", ErrUnusable)
			}
			f, err := parseFormat(r, at, length)
			if err != nil {
				return nil, err
			}
			w.Format = f
		case "data":
			if w.Format.Codec == "" {
				return nil, fmt.Errorf("%w: its data chunk comes before its fmt chunk", ErrUnusable)
			}
			return w, w.setData(at, length, size)
		}
		at += length + length%2 // chunks begin at even offsets
	}
}

// setData takes the data chunk's place and length, in a file of size bytes.
func (w *File) setData(at, length, size int64) error {
	frame := int64(w.Format.FrameBytes())
	switch {
	case at+length > size:
		return fmt.Errorf("%w: its header promises %d bytes of sound, the file holds %d: truncated, or written to a pipe; `sox --ignore-length in.wav out.wav` repairs the header",
			ErrUnusable, length, size-at)
	case length == 0:
		return fmt.Errorf("%w: it holds no sound", ErrUnusable)
	case length%frame != 0:
		return fmt.Errorf("%w: %d bytes of sound are not a whole number of %d-byte frames", ErrUnusable, length, frame)
	}
	w.offset, w.Bytes = at, length
	return nil
}

// parseFormat reads a fmt chunk of length bytes at offset at.
func parseFormat(r io.ReaderAt, at, length int64) (audio.Format, error) {
	var f audio.Format
	b := make([]byte, min(length, 40))
	if len(b) < 16 {
		return f, fmt.Errorf("%w: its fmt chunk has %d bytes, not the 16 at least", ErrUnusable, length)
	}
	if _, err := r.ReadAt(b, at); err != nil {
		if errors.Is(err, io.EOF) {
			return f, fmt.Errorf("%w: it ends within its fmt chunk: truncated?", ErrUnusable)
		}
		return f, err
	}
	tag := binary.LittleEndian.Uint16(b)
	bits := binary.LittleEndian.Uint16(b[14:])
	if tag == tagExtensible && len(b) >= 26 {
		tag = binary.LittleEndian.Uint16(b[24:]) // the sub-format begins with the plain tag
	}
	const convert = "; convert it with `sox in.wav -b 16 -e signed out.wav`"
	switch {
	case tag == tagPCM && bits == 16:
		f.Codec = audio.PCM16
	case tag == tagMuLaw && bits == 8:
		f.Codec = audio.MuLaw
	case tag == tagPCM:
		return f, fmt.Errorf("%w: it is %d-bit PCM, not 16-bit%s", ErrUnusable, bits, convert)
	case tag == tagFloat:
		return f, fmt.Errorf("%w: its samples are %d-bit floating-point numbers%s", ErrUnusable, bits, convert)
	case tag == tagALaw:
		return f, fmt.Errorf("%w: it is A-law%s", ErrUnusable, convert)
	default:
		return f, fmt.Errorf("%w: its samples are of format %#04x with %d bits%s", ErrUnusable, tag, bits, convert)
	}
	f.Channels = int(binary.LittleEndian.Uint16(b[2:]))
	// A rate past the range of int would be negative on a 32-bit system.
	f.Rate = int(min(binary.LittleEndian.Uint32(b[4:]), 1<<31-1))
	if err := f.Check(); err != nil {
		return f, fmt.Errorf("%w: %w; `sox in.wav -r 16000 -c 1 out.wav` converts it", ErrUnusable, err)
	}
	return f, nil
}
