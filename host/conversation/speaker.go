package conversation

import (
	"time"

	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// AssignSpeaker says who spoke segments of the current conversation, by their
// ids: they are replaced by themselves with that speaker, as if the client had
// sent them again, and returned. Ids that are not of this conversation are left
// out. An error is an *InputError.
func (a *Attachment) AssignSpeaker(ids []string, speaker string, isUser bool) ([]event.Segment, error) {
	if len(speaker) > MaxSegmentSpeakerBytes {
		return nil, refuse(wire.CodeBadSegment, 0, "the speaker is %d bytes: give at most %d", len(speaker), MaxSegmentSpeakerBytes)
	}
	s := a.s
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.mayTalk() {
		return nil, refuseAfterEnd(0)
	}
	var changed []event.Segment
	for _, id := range ids {
		i, known := s.current.index[id]
		if !known || len(changed) == MaxSegments {
			continue
		}
		seg := s.current.entries[i].segment
		if seg.Speaker == speaker && seg.IsUser == isUser {
			continue
		}
		seg.Speaker, seg.IsUser = speaker, isUser
		changed = append(changed, seg)
	}
	if len(changed) == 0 {
		return nil, nil
	}
	s.current.add(changed)
	s.current.quietSince = now
	s.boxes.Transcript(event.Transcript{
		Session: s.id, Conversation: s.current.head.ID, UID: s.request.UID,
		Language: s.current.head.Language, Segments: changed,
	})
	s.write()
	return changed, nil
}
