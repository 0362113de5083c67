package dispatch

import (
	"sync"
	"sync/atomic"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/audio"
	"github.com/auricle-dev/auricle/sdk/event"
)

// maxPendingConversations bounds the transcript events in one mailbox, each of
// another conversation. Beyond it the oldest is dropped ("mailbox_full").
const maxPendingConversations = 64

// mailbox is the queue of one app in one session. Its events run in order and
// one at a time: while scheduled, exactly one pool task exists for it.
type mailbox struct {
	lane    *lane
	session *Session

	mu         sync.Mutex // guards all below but tenant and state; never held across a callback or an invocation
	queue      []*item    // in order
	scheduled  bool       // a task of the lane's is waiting or running for it
	closed     string     // why nothing new is taken, though what is due still runs: the Reason; "" while open
	audio      bool       // queue holds an itemAudio
	reader     *audio.Reader
	pieceBytes int   // of one audio event
	latest     bool  // of audio that waits, only the newest piece is wanted
	lost       int64 // bytes taken from reader and dropped since the last audio event
	over       bool  // nothing will run any more

	// state is what the app, tenant, keeps for the session. Both belong to the
	// running task, and at the end to the one for whom ends is true, who closes
	// it.
	state  apps.SessionState
	tenant *tenant // nil before its first invocation
}

type itemKind int

const (
	itemAudio        itemKind = iota // the reader has a piece; at most one in a queue
	itemTranscript                   // realtime
	itemFlush                        // conversation's audio up to here goes first; then it is answered, without an invocation
	itemConversation                 // conversation's audio up to here goes first; then the conversation event
)

// item is what a mailbox has to do. It has one owner at a time: a queue or a
// task.
type item struct {
	kind         itemKind
	m            *mailbox
	conversation string
	transcript   *pendingTranscript // itemTranscript
	payload      []byte             // itemConversation
	answers      *answers           // itemFlush, itemConversation
}

// answers are those that a Session.Complete waits for.
type answers struct {
	call func(Attempt)
	due  atomic.Int64
	done chan struct{} // closed when none is due any more
}

// give counts one that has been given.
func (a *answers) give() {
	if a.due.Add(-1) == 0 {
		close(a.done)
	}
}

// due reports whether it may not be dropped.
func (it *item) due() bool { return it.kind == itemFlush || it.kind == itemConversation }

// work is one event ready to run.
type work struct {
	m            *mailbox
	kind         event.Kind
	conversation string
	piece        audio.Piece      // KindAudio
	transcript   event.Transcript // KindTranscript
	item         *item            // KindConversation
}

// gap returns what is told when w, a realtime event, is dropped.
func (w *work) gap(reason string) Gap {
	return Gap{
		App: w.m.lane.name, Kind: w.kind, Reason: reason,
		Bytes: int64(len(w.piece.PCM)), Segments: len(w.transcript.Segments),
	}
}

// putTranscript merges t into the pending event of its conversation, or adds
// one.
func (m *mailbox) putTranscript(t event.Transcript) {
	m.mu.Lock()
	gaps := m.merge(t)
	gaps = append(gaps, m.schedule()...)
	m.mu.Unlock()
	m.tell(gaps)
}

// merge is putTranscript without the scheduling. The caller holds m.mu.
func (m *mailbox) merge(t event.Transcript) []Gap {
	if reason := m.refuses(); reason != "" {
		return []Gap{{App: m.lane.name, Kind: event.KindTranscript, Segments: len(t.Segments), Reason: reason}}
	}
	var gaps []Gap
	var pending *item
	oldest, n := -1, 0
	for i, it := range m.queue {
		if it.kind != itemTranscript {
			continue
		}
		n++
		if oldest < 0 {
			oldest = i
		}
		if it.conversation == t.Conversation {
			pending = it
		}
	}
	if pending == nil {
		if n >= maxPendingConversations {
			old := m.queue[oldest]
			m.queue = append(m.queue[:oldest], m.queue[oldest+1:]...)
			gaps = append(gaps, old.gap(ReasonMailboxFull))
		}
		pending = &item{kind: itemTranscript, m: m, conversation: t.Conversation, transcript: newPendingTranscript(t)}
		m.queue = append(m.queue, pending)
	}
	if n := pending.transcript.merge(t.Segments); n > 0 {
		gaps = append(gaps, Gap{App: m.lane.name, Kind: event.KindTranscript, Segments: n, Reason: ReasonMailboxFull})
	}
	return gaps
}

// gap returns what is told when it, a transcript item, is dropped.
func (it *item) gap(reason string) Gap {
	return Gap{App: it.m.lane.name, Kind: event.KindTranscript, Segments: len(it.transcript.segments), Reason: reason}
}

// refuses returns why no new realtime work is taken, "" when it is. The caller
// holds m.mu.
func (m *mailbox) refuses() string {
	switch {
	case m.closed != "":
		return m.closed
	case m.lane.d.draining.Load():
		return ReasonShutdown
	}
	return ""
}

// wake puts an audio event into the queue when the reader has a piece.
func (m *mailbox) wake() {
	m.mu.Lock()
	m.queueAudio()
	gaps := m.schedule()
	m.mu.Unlock()
	m.tell(gaps)
}

// queueAudio is wake without the scheduling. The caller holds m.mu.
func (m *mailbox) queueAudio() {
	if m.reader == nil || m.audio || m.closed != "" || !m.reader.Ready(m.pieceBytes, m.pieceBytes) {
		return
	}
	m.audio = true
	m.queue = append(m.queue, &item{kind: itemAudio, m: m})
}

// put adds an item that is due. It is never refused: the lane's take has let
// it in, and the caller has entered it in the Dispatcher's tally, which is left
// when it is answered.
func (m *mailbox) put(it *item) {
	m.mu.Lock()
	m.queue = append(m.queue, it)
	gaps := m.schedule()
	m.mu.Unlock()
	m.tell(gaps)
}

// ends reports, once, that the session is closed and nothing of it will run
// any more. The caller holds m.mu, and calls giveBack without it.
func (m *mailbox) ends() bool {
	if m.closed == "" || m.scheduled || m.over {
		return false
	}
	m.over = true
	return true
}

// giveBack lets go of what the app keeps for the session, if the mailbox is
// over.
func (m *mailbox) giveBack(over bool) {
	if over {
		m.state.Close()
	}
}

// busy reports whether there is anything that a new event would wait for.
func (m *mailbox) busy(conversation string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.scheduled || len(m.queue) > 0 || m.reader != nil && m.reader.Pending(conversation) > 0
}

// schedule submits a task for the mailbox unless there is one or nothing to
// do. Where the lane's queue is full, transcripts are dropped, audio stays in
// its buffer for the next time, and what is due makes the mailbox wait in the
// lane's own list. The caller holds m.mu and tells the gaps without it.
func (m *mailbox) schedule() []Gap {
	if m.scheduled || len(m.queue) == 0 {
		return nil
	}
	keep := false
	for _, it := range m.queue {
		keep = keep || it.due()
	}
	reason := m.lane.submit(m, keep)
	if reason == "" {
		m.scheduled = true
		return nil
	}
	return m.dropTranscripts(0, reason)
}

// dropTranscripts drops the transcript items from queue[from:]. The caller
// holds m.mu.
func (m *mailbox) dropTranscripts(from int, reason string) []Gap {
	var gaps []Gap
	kept := m.queue[:from:from]
	for _, it := range m.queue[from:] {
		if it.kind == itemTranscript {
			gaps = append(gaps, it.gap(reason))
			continue
		}
		kept = append(kept, it)
	}
	m.queue = kept
	return gaps
}

// take removes the next event to run. What it finds to have been dropped it
// returns as gaps, which the caller tells.
func (m *mailbox) take() (w work, ok bool, gaps []Gap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { gaps = append(gaps, m.closeReader()...) }()
	for len(m.queue) > 0 {
		it := m.queue[0]
		gaps = append(gaps, m.supersede(it)...)
		switch {
		case it.kind == itemAudio:
			m.pop()
			m.audio = false
			if w, ok := m.takeAudio(); ok {
				return w, true, gaps
			}
			continue
		case it.due() && m.reader != nil && m.reader.Pending(it.conversation) > 0:
			// The conversation's audio comes before the conversation.
			if w, ok := m.takeAudio(); ok {
				return w, true, gaps
			}
		}
		m.pop()
		switch it.kind {
		case itemTranscript:
			return work{m: m, kind: event.KindTranscript, conversation: it.conversation, transcript: it.transcript.event()}, true, gaps
		case itemConversation:
			m.lane.gone()
			return work{m: m, kind: event.KindConversation, conversation: it.conversation, item: it}, true, gaps
		case itemFlush:
			m.lane.gone()
			it.answers.give()
			m.lane.d.work.leave()
		}
	}
	return work{}, false, gaps
}

// pop removes the queue's first item. The caller holds m.mu.
func (m *mailbox) pop() {
	m.queue[0] = nil
	m.queue = m.queue[1:]
	if len(m.queue) == 0 {
		m.queue = nil
	}
}

// takeAudio takes the reader's next piece. The caller holds m.mu.
func (m *mailbox) takeAudio() (work, bool) {
	if m.reader == nil {
		return work{}, false
	}
	p, ok := m.reader.Next(m.pieceBytes, m.pieceBytes)
	if !ok {
		return work{}, false
	}
	if m.lost > 0 {
		p.Dropped = uint32(min(int64(p.Dropped)+m.lost, 1<<32-1))
		m.lost = 0
	}
	return work{m: m, kind: event.KindAudio, conversation: p.Conversation, piece: p}, true
}

// supersede drops the audio before the newest piece, if the app wants no other
// and it, the next item, has audio before it. The caller holds m.mu.
func (m *mailbox) supersede(it *item) []Gap {
	if !m.latest || m.reader == nil || it.kind != itemAudio && !it.due() {
		return nil
	}
	n := m.reader.Skip(m.pieceBytes, m.pieceBytes)
	if n == 0 {
		return nil
	}
	return []Gap{{App: m.lane.name, Kind: event.KindAudio, Bytes: n, Reason: ReasonSuperseded}}
}

// lose notes that w's audio did not reach the app, so that the next piece says
// so.
func (m *mailbox) lose(w *work) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost += int64(w.piece.Dropped) + int64(len(w.piece.PCM))
}

// finish ends the mailbox's task: it is scheduled anew while there is more to
// do.
func (m *mailbox) finish() {
	m.mu.Lock()
	m.queueAudio()
	gaps := m.closeReader()
	m.scheduled = false
	if len(m.queue) > 0 {
		// What was let in once waits in the lane's list where its queue is full.
		m.scheduled = m.lane.submit(m, true) == ""
	}
	over := m.ends()
	m.mu.Unlock()
	m.tell(gaps)
	m.giveBack(over)
}

// close takes nothing more, for reason, and drops the realtime work that no
// completion waits for; all of it when the user has not the app any more.
func (m *mailbox) close(reason string) {
	gaps, over := m.shut(reason)
	m.tell(gaps)
	m.giveBack(over)
}

// shut is close without the telling and the giving back, which the caller does
// without a lock.
func (m *mailbox) shut(reason string) (gaps []Gap, over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = reason
	after := 0 // what stands behind the last event that is due
	for i, it := range m.queue {
		if it.due() && !isGone(reason) {
			after = i + 1
		}
	}
	gaps = m.dropTranscripts(after, reason)
	gaps = append(gaps, m.closeReader()...)
	return gaps, m.ends()
}

// isGone reports whether a mailbox closed because its user has not the app any
// more.
func isGone(reason string) bool { return reason == ReasonNotInstalled || reason == ReasonSwitchedOff }

// fit makes the mailbox what the app that is installed now needs: it gets the
// buffer's audio in pieces of so many bytes, none if that is 0, all of them or
// the latest, and transcripts or not. It returns what is dropped, which the caller tells.
func (m *mailbox) fit(buffer *audio.Buffer, piece int, latest, transcripts bool) []Gap {
	m.mu.Lock()
	defer m.mu.Unlock()
	var gaps []Gap
	m.pieceBytes, m.latest = piece, latest
	switch {
	case piece == 0:
		gaps = m.dropReader(ReasonNotInstalled)
	case m.reader == nil:
		m.reader = buffer.Add(m.lane.name)
	}
	if !transcripts {
		gaps = append(gaps, m.dropTranscripts(0, ReasonNotInstalled)...)
	}
	return gaps
}

// closeReader gives the audio buffer back once the mailbox is closed and
// nothing in it is due. The caller holds m.mu.
func (m *mailbox) closeReader() []Gap {
	if m.closed == "" {
		return nil
	}
	for _, it := range m.queue {
		if it.due() && !isGone(m.closed) {
			return nil
		}
	}
	return m.dropReader(m.closed)
}

// dropReader lets go of the audio that the app had still to get. The caller
// holds m.mu.
func (m *mailbox) dropReader(reason string) []Gap {
	if m.reader == nil {
		return nil
	}
	n := m.reader.Close()
	m.reader = nil
	if n == 0 {
		return nil
	}
	return []Gap{{App: m.lane.name, Kind: event.KindAudio, Bytes: n, Reason: reason}}
}

// tell counts drops and tells the session of them. The caller holds no lock.
func (m *mailbox) tell(gaps []Gap) {
	for _, g := range gaps {
		m.lane.now().stats.drop(g)
		if m.session.o.Gap != nil {
			m.lane.protect("telling of a gap", func() { m.session.o.Gap(g) })
		}
	}
}
