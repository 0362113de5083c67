package audio

import "fmt"

// What RFC 6716 fixes. Samples are of each channel, at 48 kHz.
const (
	opusMaxRate       = 48_000
	opusMaxFrameBytes = 1275
	opusMaxSamples    = 5760 // of a packet: 120 ms
)

// opusMaxBytes is the longest packet that is taken: more than the 61,298 bytes
// of 48 frames and their lengths. Padding alone would make one longer.
const opusMaxBytes = 64 << 10

// opusFrameSamples returns how many samples at 48 kHz one frame of a packet
// is, by the packet's first byte: RFC 6716, section 3.1, table 2.
func opusFrameSamples(toc byte) int {
	switch config := toc >> 3; {
	case config < 12: // SILK: 10, 20, 40 or 60 ms
		return [4]int{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10 or 20 ms
		return [2]int{480, 960}[config&1]
	default: // CELT: 2.5, 5, 10 or 20 ms
		return 120 << (config & 3)
	}
}

// opusSamples returns how many samples at 48 kHz a packet is. It holds the
// packet to the rules R1 to R7 of RFC 6716, section 3.4, and so reads the
// lengths of its frames, but nothing within them. The error wraps
// ErrBadPacket.
func opusSamples(packet []byte) (int, error) {
	if len(packet) == 0 {
		return 0, badPacket("it is empty")
	}
	if len(packet) > opusMaxBytes {
		return 0, badPacket("it is %d bytes, more than %d", len(packet), opusMaxBytes)
	}
	toc, rest := packet[0], packet[1:]
	each := opusFrameSamples(toc)
	switch toc & 3 {
	case 0: // one frame
		if len(rest) > opusMaxFrameBytes {
			return 0, badPacket("its frame is %d bytes, more than %d", len(rest), opusMaxFrameBytes)
		}
		return each, nil
	case 1: // two of one length
		if len(rest)%2 != 0 {
			return 0, badPacket("%d bytes are not two frames of one length", len(rest))
		}
		if len(rest)/2 > opusMaxFrameBytes {
			return 0, badPacket("its frames are %d bytes each, more than %d", len(rest)/2, opusMaxFrameBytes)
		}
		return 2 * each, nil
	case 2: // two, and the first one's length
		n, after, ok := opusLength(rest)
		if !ok || n > len(after) {
			return 0, badPacket("its first frame is cut off")
		}
		if len(after)-n > opusMaxFrameBytes {
			return 0, badPacket("its second frame is %d bytes, more than %d", len(after)-n, opusMaxFrameBytes)
		}
		return 2 * each, nil
	}
	return opusCounted(rest, each)
}

// opusCounted is opusSamples for a packet that says how many frames it has:
// RFC 6716, section 3.2.5. rest begins with that number; each is a frame's
// samples.
func opusCounted(rest []byte, each int) (int, error) {
	if len(rest) == 0 {
		return 0, badPacket("the number of its frames is missing")
	}
	head, rest := rest[0], rest[1:]
	frames := int(head & 0x3f)
	if frames == 0 || frames*each > opusMaxSamples {
		return 0, badPacket("it has %d frames of %g ms: 2.5 to 120 ms are a packet", frames, float64(each)/48)
	}
	if head&0x40 != 0 { // padding, after the frames
		padding := 0
		for more := true; more; {
			if len(rest) == 0 {
				return 0, badPacket("the length of its padding is cut off")
			}
			n := int(rest[0])
			rest = rest[1:]
			if more = n == 255; more {
				n = 254
			}
			if padding += n; padding > len(rest) {
				return 0, badPacket("its padding is cut off")
			}
		}
		rest = rest[:len(rest)-padding]
	}
	if head&0x80 == 0 { // all of one length
		if len(rest)%frames != 0 {
			return 0, badPacket("%d bytes are not %d frames of one length", len(rest), frames)
		}
		if len(rest)/frames > opusMaxFrameBytes {
			return 0, badPacket("its frames are %d bytes each, more than %d", len(rest)/frames, opusMaxFrameBytes)
		}
		return frames * each, nil
	}
	before := 0 // bytes of all frames but the last, which has what is left
	for range frames - 1 {
		n, after, ok := opusLength(rest)
		if !ok {
			return 0, badPacket("the length of a frame is cut off")
		}
		before, rest = before+n, after
	}
	last := len(rest) - before
	if last < 0 {
		return 0, badPacket("its frames are cut off")
	}
	if last > opusMaxFrameBytes {
		return 0, badPacket("its last frame is %d bytes, more than %d", last, opusMaxFrameBytes)
	}
	return frames * each, nil
}

// opusLength reads a frame's length: RFC 6716, section 3.2.1.
func opusLength(b []byte) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if b[0] < 252 {
		return int(b[0]), b[1:], true
	}
	if len(b) < 2 {
		return 0, nil, false
	}
	return int(b[0]) + 4*int(b[1]), b[2:], true
}

func badPacket(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadPacket}, args...)...)
}
