package apptest

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// parseWAV returns the audio of a WAV file of 16-bit PCM, its channels mixed
// to one. The format is that of "Multimedia Programming Interface and Data
// Specifications 1.0" (IBM and Microsoft, 1991): chunks of a four-letter name,
// a u32 size and as many bytes, padded to even.
func parseWAV(b []byte) (rate int, pcm []byte, err error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return 0, nil, errors.New("not a WAV file")
	}
	channels := 0
	for b = b[12:]; len(b) >= 8; {
		name, size := string(b[:4]), uint64(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		body := b[:min(size, uint64(len(b)))]
		switch name {
		case "fmt ":
			if len(body) < 16 {
				return 0, nil, errors.New("the fmt chunk is cut short")
			}
			format, bits := binary.LittleEndian.Uint16(body), binary.LittleEndian.Uint16(body[14:])
			channels, rate = int(binary.LittleEndian.Uint16(body[2:])), int(binary.LittleEndian.Uint32(body[4:]))
			// 0xfffe says that the format stands further on; with 16 bits it is PCM in practice.
			if (format != 1 && format != 0xfffe) || bits != 16 || channels == 0 || rate == 0 {
				return 0, nil, fmt.Errorf("format %d of %d bits, %d channels at %d Hz; only 16-bit PCM can be read", format, bits, channels, rate)
			}
		case "data":
			if channels == 0 {
				return 0, nil, errors.New("the data chunk comes before fmt")
			}
			return rate, mono(body, channels), nil
		}
		b = b[min(size+size%2, uint64(len(b))):]
	}
	return 0, nil, errors.New("there is no data chunk")
}

// mono returns the mean of each frame's channels.
func mono(pcm []byte, channels int) []byte {
	if channels == 1 {
		return pcm[:len(pcm)&^1]
	}
	out := make([]byte, 0, len(pcm)/channels)
	for frame := 2 * channels; len(pcm) >= frame; pcm = pcm[frame:] {
		sum := 0
		for c := range channels {
			sum += int(int16(binary.LittleEndian.Uint16(pcm[2*c:])))
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(int16(sum/channels)))
	}
	return out
}
