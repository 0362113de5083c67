package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// FormatS16LE is the one sample format of audio events: signed 16-bit
// little-endian PCM.
const FormatS16LE = 1

// audioFixedBytes is the length of an audio event's header before its ids:
// u32 header size, u32 rate, u16 channels, u16 format, i64 start, u32 dropped.
const audioFixedBytes = 4 + 4 + 2 + 2 + 8 + 4

// What follows the ids in the header, where any flag is set: u32 flags.
const (
	audioFlagBytes = 4
	flagRestarted  = 1 << 0
)

// ErrBadAudio is wrapped by the errors of Audio.UnmarshalBinary.
var ErrBadAudio = errors.New("malformed audio event")

// Audio is the payload of a KindAudio event: a piece of 16-bit mono PCM. On
// the wire it is a little-endian header — u32 header size, u32 sample rate,
// u16 channels, u16 format, i64 start in samples, u32 dropped bytes, then
// session, conversation and uid, each a u16 length and UTF-8 bytes, then, if
// any is set, u32 flags (bit 0: Restarted) — followed by the PCM.
type Audio struct {
	Rate         int    // samples a second
	Channels     int    // always 1
	Start        int64  // this piece's first sample, counted since the conversation began
	Dropped      uint32 // bytes that were dropped just before this piece
	Session      string
	Conversation string
	UID          string
	Restarted    bool   // as Transcript.Restarted
	PCM          []byte // s16le
}

// Duration returns the length of the piece.
func (a *Audio) Duration() time.Duration {
	if a.Rate <= 0 || a.Channels <= 0 {
		return 0
	}
	return time.Duration(len(a.PCM)/2/a.Channels) * time.Second / time.Duration(a.Rate)
}

// AppendBinary appends a's wire form to b. It fails when an id is longer than
// 65,535 bytes.
func (a *Audio) AppendBinary(b []byte) ([]byte, error) {
	head := audioFixedBytes
	if a.Restarted {
		head += audioFlagBytes
	}
	for _, id := range []string{a.Session, a.Conversation, a.UID} {
		if len(id) > 0xffff {
			return b, fmt.Errorf("audio event: an id of %d bytes is longer than 65535", len(id))
		}
		head += 2 + len(id)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(head))
	b = binary.LittleEndian.AppendUint32(b, uint32(a.Rate))
	b = binary.LittleEndian.AppendUint16(b, uint16(a.Channels))
	b = binary.LittleEndian.AppendUint16(b, FormatS16LE)
	b = binary.LittleEndian.AppendUint64(b, uint64(a.Start))
	b = binary.LittleEndian.AppendUint32(b, a.Dropped)
	for _, id := range []string{a.Session, a.Conversation, a.UID} {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(id)))
		b = append(b, id...)
	}
	if a.Restarted {
		b = binary.LittleEndian.AppendUint32(b, flagRestarted)
	}
	return append(b, a.PCM...), nil
}

// UnmarshalBinary reads the wire form. PCM aliases b. A longer header than
// this version knows is skipped, so that fields can be added, and so are flags
// that it does not know. Errors wrap ErrBadAudio.
func (a *Audio) UnmarshalBinary(b []byte) error {
	if len(b) < audioFixedBytes {
		return fmt.Errorf("%w: %d bytes are shorter than a header", ErrBadAudio, len(b))
	}
	head := uint64(binary.LittleEndian.Uint32(b))
	if head < audioFixedBytes || head > uint64(len(b)) {
		return fmt.Errorf("%w: header size %d in %d bytes", ErrBadAudio, head, len(b))
	}
	if f := binary.LittleEndian.Uint16(b[10:]); f != FormatS16LE {
		return fmt.Errorf("%w: unknown format %d", ErrBadAudio, f)
	}
	out := Audio{
		Rate:     int(binary.LittleEndian.Uint32(b[4:])),
		Channels: int(binary.LittleEndian.Uint16(b[8:])),
		Start:    int64(binary.LittleEndian.Uint64(b[12:])),
		Dropped:  binary.LittleEndian.Uint32(b[20:]),
		PCM:      b[head:],
	}
	ids := b[audioFixedBytes:head]
	for _, id := range []*string{&out.Session, &out.Conversation, &out.UID} {
		if len(ids) < 2 || len(ids)-2 < int(binary.LittleEndian.Uint16(ids)) {
			return fmt.Errorf("%w: an id runs past the header", ErrBadAudio)
		}
		n := int(binary.LittleEndian.Uint16(ids))
		*id = string(ids[2 : 2+n])
		if !utf8.ValidString(*id) {
			return fmt.Errorf("%w: an id is not UTF-8", ErrBadAudio)
		}
		ids = ids[2+n:]
	}
	if len(ids) >= audioFlagBytes {
		out.Restarted = binary.LittleEndian.Uint32(ids)&flagRestarted != 0
	}
	*a = out
	return nil
}
