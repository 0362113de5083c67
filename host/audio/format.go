package audio

import (
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
	PCM8  Codec = "pcm_u8"    // unsigned 8-bit PCM: 128 is silence
	MuLaw Codec = "pcm_mulaw" // 8-bit mu-law, ITU-T G.711
	ALaw  Codec = "pcm_alaw"  // 8-bit A-law, ITU-T G.711
	Opus  Codec = "opus"      // one Opus packet a frame, RFC 6716, without a container
)

// Codecs lists every codec that this host takes. Others that devices are known
// to send, aac and lc3 among them, are not, and Check names them.
var Codecs = []Codec{PCM16, PCM8, MuLaw, ALaw, Opus}

// opusRates are those at which an Opus decoder puts out: RFC 6716, table 1.
// What a packet was encoded from may be another, which it says itself.
var opusRates = []int{8_000, 12_000, 16_000, 24_000, 48_000}

// The bounds of a Format.
const (
	MinRate     = 8_000  // samples a second
	MaxRate     = 48_000 // samples a second
	MaxChannels = 2
)

// SampleBytes is the length of one sample of converted audio: s16le, mono.
const SampleBytes = 2

// The errors of a frame that can't be taken.
var (
	// ErrPartialSample says that a frame of PCM does not hold a whole number of
	// samples of every channel.
	ErrPartialSample = errors.New("half a sample")

	// ErrBadPacket says that a frame is not an Opus packet, or one that can't be
	// decoded.
	ErrBadPacket = errors.New("not an Opus packet")
)

// FormatError says which field of a Format this host does not take, what it
// was, and what would be taken. Its text is fit to be sent to the client.
type FormatError struct {
	Field     string // "codec", "rate" or "channels"
	Got       string
	Supported string // what may stand there, for example "pcm_s16le, opus"
}

// Error returns, for example, `audio rate 0 is not supported; supported: 8000 to 48000 Hz`.
func (e *FormatError) Error() string {
	return fmt.Sprintf("audio %s %s is not supported; supported: %s", e.Field, e.Got, e.Supported)
}

// Format is how a client's audio is encoded: PCM with its channels
// interleaved, or one Opus packet a frame. Of Opus, Rate is what packets are
// decoded to, and Channels what the client means to send; a packet says itself
// what is in it.
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
	if f.Codec == Opus {
		if !slices.Contains(opusRates, f.Rate) {
			errs = append(errs, &FormatError{Field: "rate", Got: strconv.Itoa(f.Rate), Supported: "8000, 12000, 16000, 24000 or 48000 Hz with opus"})
		}
	} else if f.Rate < MinRate || f.Rate > MaxRate {
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
// sends them; 0 when f has no channels, no supported codec, or Opus, where it
// is not fixed.
func (f Format) FrameBytes() int {
	if f.Channels < 1 {
		return 0
	}
	switch f.Codec {
	case PCM16:
		return 2 * f.Channels
	case PCM8, MuLaw, ALaw:
		return f.Channels
	}
	return 0
}

// Samples returns how many samples of each channel frame, a binary message of
// a client's, is, without decoding it: an Opus packet says so in its first
// bytes, and its whole structure is checked. The error wraps ErrPartialSample
// or ErrBadPacket, or is Check's.
func (f Format) Samples(frame []byte) (int, error) {
	if f.Codec == Opus {
		n, err := opusSamples(frame)
		return n * f.Rate / opusMaxRate, err
	}
	fb := f.FrameBytes()
	if fb == 0 {
		return 0, f.Check()
	}
	if len(frame)%fb != 0 {
		return 0, fmt.Errorf("%w: a frame of %d bytes is not a multiple of %d (%s)", ErrPartialSample, len(frame), fb, f)
	}
	return len(frame) / fb, nil
}

// Duration returns how long n bytes of the client's PCM sound; half a sample at
// the end counts nothing. It is 0 with Opus, of which only Samples knows, and
// when f does not pass Check.
func (f Format) Duration(n int64) time.Duration {
	fb := int64(f.FrameBytes())
	if fb == 0 {
		return 0
	}
	return f.SamplesDuration(n / fb)
}

// SamplesDuration returns how long so many samples of each channel sound. It is
// 0 when f has no rate, and does not overflow before the duration itself does
// (292 years).
func (f Format) SamplesDuration(samples int64) time.Duration {
	if f.Rate <= 0 || samples <= 0 {
		return 0
	}
	r := int64(f.Rate)
	return time.Duration(samples/r)*time.Second + time.Duration(samples%r)*time.Second/time.Duration(r)
}
