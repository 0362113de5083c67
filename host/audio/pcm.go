package audio

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// AppendMono converts src, a frame of a client's PCM, to s16le mono at the
// same rate and appends it to dst. Stereo becomes the mean of both channels.
// It allocates only when dst has too little room. Opus takes a Decoder.
//
// When src is not a whole number of samples of every channel, the error wraps
// ErrPartialSample and dst comes back unchanged; so it does when f is not PCM
// of a codec and number of channels that this host takes.
func (f Format) AppendMono(dst, src []byte) ([]byte, error) {
	fb := f.FrameBytes()
	if fb == 0 || f.Channels > MaxChannels {
		if err := f.Check(); err != nil {
			return dst, err
		}
		return dst, fmt.Errorf("%s is not PCM: it takes a Decoder", f)
	}
	if _, err := f.Samples(src); err != nil {
		return dst, err
	}
	stereo := f.Channels == 2
	if f.Codec == PCM16 {
		if !stereo {
			return append(dst, src...), nil
		}
		dst = slices.Grow(dst, len(src)/2)
		for ; len(src) >= 4; src = src[4:] {
			l := int16(binary.LittleEndian.Uint16(src))
			r := int16(binary.LittleEndian.Uint16(src[2:]))
			dst = appendMean(dst, l, r)
		}
		return dst, nil
	}
	table := &muLaw
	switch f.Codec {
	case ALaw:
		table = &aLaw
	case PCM8:
		table = &unsigned8
	}
	if !stereo {
		dst = slices.Grow(dst, 2*len(src))
		for _, b := range src {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(table[b]))
		}
		return dst, nil
	}
	dst = slices.Grow(dst, len(src))
	for ; len(src) >= 2; src = src[2:] {
		dst = appendMean(dst, table[src[0]], table[src[1]])
	}
	return dst, nil
}

// appendMean appends the mean of two samples. The sum needs 17 bits.
func appendMean(dst []byte, l, r int16) []byte {
	return binary.LittleEndian.AppendUint16(dst, uint16(int16((int32(l)+int32(r))/2)))
}

// What each byte of the 8-bit codecs stands for.
var (
	muLaw     = table(muLawSample)
	aLaw      = table(aLawSample)
	unsigned8 = table(func(b byte) int16 { return (int16(b) - 128) << 8 })
)

func table(sample func(byte) int16) (t [256]int16) {
	for i := range t {
		t[i] = sample(byte(i))
	}
	return t
}

// muLawSample decodes a mu-law byte: ITU-T G.711, table 2, scaled to 16 bits
// (±32124).
func muLawSample(b byte) int16 {
	const bias = 0x84
	b = ^b // sent inverted: sign, 3 bits of segment, 4 bits of step
	v := (int16(b&0x0f)<<3+bias)<<(b>>4&7) - bias
	if b&0x80 != 0 {
		return -v
	}
	return v
}

// aLawSample decodes an A-law byte: ITU-T G.711, table 1, scaled to 16 bits
// (±32256).
func aLawSample(b byte) int16 {
	b ^= 0x55 // sent with every other bit inverted: sign, 3 bits of segment, 4 bits of step
	v := int16(b&0x0f)<<4 + 8
	if segment := b >> 4 & 7; segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if b&0x80 == 0 {
		return -v
	}
	return v
}
