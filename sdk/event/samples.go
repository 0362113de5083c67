package event

import (
	"encoding/binary"
	"iter"
	"time"
)

// Kind returns KindAudio.
func (*Audio) Kind() Kind { return KindAudio }

// Kind returns KindTranscript.
func (*Transcript) Kind() Kind { return KindTranscript }

// Kind returns KindConversation.
func (*Conversation) Kind() Kind { return KindConversation }

// Kind returns KindTool.
func (*ToolCall) Kind() Kind { return KindTool }

// Samples returns the samples of the piece, in order, -32768 to 32767. Half a
// sample at the end is left out.
func (a *Audio) Samples() iter.Seq[int16] {
	return func(yield func(int16) bool) {
		for b := a.PCM; len(b) >= 2; b = b[2:] {
			if !yield(int16(binary.LittleEndian.Uint16(b))) {
				return
			}
		}
	}
}

// Offset returns where the piece begins, from the conversation's start.
func (a *Audio) Offset() time.Duration {
	if a.Rate <= 0 {
		return 0
	}
	rate := int64(a.Rate)
	return time.Duration(a.Start/rate)*time.Second + time.Duration(a.Start%rate)*time.Second/time.Duration(rate)
}
