package streams

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What is needed of RFC 6455 for a client that costs little: frames that are
// built once, and a reader that keeps the beginning of short messages only.

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// frameBytes is 100 ms of 16 kHz PCM, 16 bits.
const frameBytes = 3200

// appendFrame appends a frame with a payload, masked as a client's must be.
func appendFrame(b []byte, op byte, payload []byte) []byte {
	mask := [4]byte{0x5a, 0xc3, 0x17, 0x9e}
	b = append(b, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = append(b, 0x80|126)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b = append(b, 0x80|127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// audioFrame is a frame of noise, which nothing can make shorter.
func audioFrame() []byte {
	pcm := make([]byte, frameBytes)
	state := uint32(1)
	for i := range pcm {
		state = state*1664525 + 1013904223
		pcm[i] = byte(state >> 24)
	}
	return appendFrame(nil, opBinary, pcm)
}

var errMasked = errors.New("the server masks its frames, which it must not")

// readFrame reads one frame and puts as much of its payload as fits into b.
func readFrame(r *bufio.Reader, b []byte) (op byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, nil, err
	}
	op, n := head[0]&0x0f, int64(head[1]&0x7f)
	switch {
	case head[1]&0x80 != 0:
		return 0, nil, errMasked
	case n == 126:
		_, err = io.ReadFull(r, head[:2])
		n = int64(binary.BigEndian.Uint16(head[:2]))
	case n == 127:
		_, err = io.ReadFull(r, head[:8])
		n = int64(binary.BigEndian.Uint64(head[:8]))
	}
	if err != nil {
		return 0, nil, fmt.Errorf("reading a frame's length: %w", err)
	}
	payload = b[:min(n, int64(len(b)))]
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	_, err = io.CopyN(io.Discard, r, n-int64(len(payload)))
	return op, payload, err
}
