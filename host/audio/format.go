package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Codec names how a client encodes its samples.
type Codec string

// The codecs that this host takes.
const (
	PCM16 Codec = "pcm_s16le" // signed 16-bit little-endian PCM
	MuLaw Codec = "pcm_mulaw" // 8-bit mu-law, ITU-T G.711
)

// Codecs lists every codec that this host takes.
var Codecs = []Codec{PCM16, MuLaw}

// The bounds of a Format.
const (
	MinRate     = 8_000  // samples a second
	MaxRate     = 48_000 // samples a second
	MaxChannels = 2
)

// SampleBytes is the length of one sample of converted audio: s16le, mono.
const SampleBytes = 2

// ErrPartialSample is wrapped by AppendMono's error when a frame does not
// hold a whole number of samples of every channel.
var ErrPartialSample = errors.New("half a sample")

// FormatError says which field of a Format this host does not take, what it
// was, and what would be taken. Its text is fit to be sent to the client.
type FormatError struct {
	Field     string // "codec", "rate" or "channels"
	Got       string
	Supported string // what may stand there, for example "pcm_s16le, pcm_mulaw"
}

// Error returns, for example, `audio rate 0 is not supported; supported: 8000 to 48000 Hz`.
func (e *FormatError) Error() string {
	return fmt.Sprintf("audio %s %s is not supported; supported: %s", e.Field, e.Got, e.Supported)
}

// Format is how a client's audio is encoded. Channels are interleaved.
type Format struct {
	Codec    Codec `json:"codec"`
	Rate     int   `json:"rate"`     // samples a second of each channel
	Channels int   `json:"channels"` // 1 or 2
}

// String returns, for example, "pcm_s16le 16000 Hz, 1 channel".
func (f Format) String() string {
	s := "s"
	if f.Channels == 1 {
		s = ""
	}
	return fmt.Sprintf("%s %d Hz, %d channel%s", f.Codec, f.Rate, f.Channels, s)
}

// Check returns nil when this host takes f. Otherwise the error joins one
// *FormatError for each field that is wrong, codec first.
func (f Format) Check() error {
	var errs []error
	if !slices.Contains(Codecs, f.Codec) {
		names := make([]string, len(Codecs))
		for i, c := range Codecs {
			names[i] = string(c)
		}
		errs = append(errs, &FormatError{Field: "codec", Got: quote(string(f.Codec)), Supported: strings.Join(names, ", ")})
	}
	if f.Rate < MinRate || f.Rate > MaxRate {
		errs = append(errs, &FormatError{Field: "rate", Got: strconv.Itoa(f.Rate), Supported: fmt.Sprintf("%d to %d Hz", MinRate, MaxRate)})
	}
	if f.Channels < 1 || f.Channels > MaxChannels {
		errs = append(errs, &FormatError{Field: "channels", Got: strconv.Itoa(f.Channels), Supported: "1 (mono) or 2 (stereo)"})
	}
	return errors.Join(errs...)
}

// quote quotes a client's word for a message, cut so that the message stays
// short.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// FrameBytes returns the bytes of one sample of all channels, as the client
// sends them; 0 when f has no supported codec or no channels.
func (f Format) FrameBytes() int {
	if f.Channels < 1 {
		return 0
	}
	switch f.Codec {
	case PCM16:
		return 2 * f.Channels
	case MuLaw:
		return f.Channels
	}
	return 0
}

// Duration returns how long n bytes of the client's audio sound; half a
// sample at the end counts nothing. It is 0 when f does not pass Check.
func (f Format) Duration(n int64) time.Duration {
	fb := int64(f.FrameBytes())
	if fb == 0 || f.Rate <= 0 || n <= 0 {
		return 0
	}
	return samplesDuration(n/fb, f.Rate)
}

// samplesDuration does not overflow before the duration itself does (292 years).
func samplesDuration(n int64, rate int) time.Duration {
	r := int64(rate)
	return time.Duration(n/r)*time.Second + time.Duration(n%r)*time.Second/time.Duration(r)
}

// MonoBytes returns how many bytes AppendMono appends for n bytes of a
// client's audio.
func (f Format) MonoBytes(n int) int {
	fb := f.FrameBytes()
	if fb == 0 {
		return 0
	}
	return n / fb * SampleBytes
}

// AppendMono converts src, a frame of a client's audio, to s16le mono at the
// same rate and appends it to dst. Stereo becomes the mean of both channels.
// It allocates only when dst has too little room.
//
// When src is not a whole number of samples of every channel, the error wraps
// ErrPartialSample and dst comes back unchanged; so it does, with Check's
// error, when f has a codec or channels that this host does not take.
func (f Format) AppendMono(dst, src []byte) ([]byte, error) {
	fb := f.FrameBytes()
	if fb == 0 || f.Channels > MaxChannels {
		return dst, f.Check()
	}
	if len(src)%fb != 0 {
		return dst, fmt.Errorf("%w: a frame of %d bytes is not a multiple of %d (%s)", ErrPartialSample, len(src), fb, f)
	}
	stereo := f.Channels == 2
	switch {
	case f.Codec == PCM16 && !stereo:
		return append(dst, src...), nil
	case f.Codec == PCM16:
		dst = slices.Grow(dst, len(src)/2)
		for ; len(src) >= 4; src = src[4:] {
			l := int16(binary.LittleEndian.Uint16(src))
			r := int16(binary.LittleEndian.Uint16(src[2:]))
			dst = appendMean(dst, l, r)
		}
	case !stereo:
		dst = slices.Grow(dst, 2*len(src))
		for _, b := range src {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(muLaw[b]))
		}
	default:
		dst = slices.Grow(dst, len(src))
		for ; len(src) >= 2; src = src[2:] {
			dst = appendMean(dst, muLaw[src[0]], muLaw[src[1]])
		}
	}
	return dst, nil
}

// appendMean appends the mean of two samples. The sum needs 17 bits.
func appendMean(dst []byte, l, r int16) []byte {
	return binary.LittleEndian.AppendUint16(dst, uint16(int16((int32(l)+int32(r))/2)))
}

// muLaw decodes a mu-law byte: ITU-T G.711, scaled to 16 bits (±32124).
var muLaw = muLawTable()

func muLawTable() (t [256]int16) {
	const bias = 0x84
	for i := range t {
		// A byte is sent inverted: sign, 3 bits of segment, 4 bits of step.
		b := ^byte(i)
		v := (int16(b&0x0f)<<3+bias)<<(b>>4&7) - bias
		if b&0x80 != 0 {
			v = -v
		}
		t[i] = v
	}
	return t
}
