package stream_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// memoryStore keeps completed conversations and tells of each.
type memoryStore struct {
	completed chan event.Conversation

	mu       sync.Mutex
	gate     chan struct{} // not nil: each call waits until it is closed
	err      error         // not nil: calls fail with it
	revision store.Revision
	held     map[string]store.Held
}

func newMemoryStore() *memoryStore {
	return &memoryStore{completed: make(chan event.Conversation, 1024), held: make(map[string]store.Held)}
}

func (m *memoryStore) wait(ctx context.Context) error {
	m.mu.Lock()
	gate, err := m.gate, m.err
	m.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (m *memoryStore) set(gate chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gate, m.err = gate, err
}

func (m *memoryStore) Append(ctx context.Context, p store.Part, after store.Revision) (store.Revision, error) {
	if err := m.wait(ctx); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.held[p.Conversation.ID]
	if h.Revision != after {
		return 0, store.ErrFenced
	}
	p.Conversation.Segments = append(h.Conversation.Segments, p.Conversation.Segments...)
	m.revision++
	m.held[p.Conversation.ID] = store.Held{Part: p, Revision: m.revision}
	return m.revision, nil
}

func (m *memoryStore) Complete(ctx context.Context, c event.Conversation, _ []string) error {
	if err := m.wait(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	h := m.held[c.ID]
	h.Completed = true
	m.held[c.ID] = h
	m.mu.Unlock()
	m.completed <- c
	return nil
}

func (m *memoryStore) Settle(ctx context.Context, p store.Part, after store.Revision) error {
	if err := m.wait(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision++
	m.held[p.Conversation.ID] = store.Held{Part: p, Revision: m.revision, Settled: true}
	return nil
}

func (m *memoryStore) AddResult(ctx context.Context, _ string, _ store.Result) error {
	return m.wait(ctx)
}

func (m *memoryStore) Named(context.Context, string) (event.Conversation, error) {
	return event.Conversation{}, store.ErrNotFound
}

func (m *memoryStore) Session(ctx context.Context, session string) (found []store.Held, err error) {
	if err := m.wait(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.held)) {
		if h := m.held[id]; h.Conversation.Session == session {
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		return nil, store.ErrNotFound
	}
	return found, nil
}

func (m *memoryStore) Shared() bool { return false }

func (m *memoryStore) Unfinished(context.Context) ([]store.Held, error) { return nil, nil }

// promptJobs has each completed conversation go to the session's mailboxes.
type promptJobs struct{}

func (promptJobs) Due(string) []string { return []string{"echo"} }

func (promptJobs) Start(w jobs.Work) <-chan struct{} {
	return w.Boxes.Complete(w.Conversation, w.Held.Due, func(a dispatch.Attempt) { w.Deliver(a.Invocation) })
}

// echo is a dispatcher with one app, "echo": it answers each transcript and
// each completed conversation with an output at once. A segment's text may ask
// for more: see Transcript.
type echo struct {
	wantsAudio bool
	flooded    chan struct{} // gets a value after each flood
	heard      chan []byte   // not nil: gets a copy of each piece of audio
}

type echoSession struct {
	o dispatch.SessionOptions
	echo
}

func (e echo) Open(o dispatch.SessionOptions) conversation.Mailboxes { return &echoSession{o, e} }

func (s *echoSession) Apps() []*apps.App { return nil }
func (s *echoSession) WantsAudio() bool  { return s.wantsAudio }
func (s *echoSession) Audio(conversation string, start int64, pcm []byte) {
	if s.heard != nil {
		s.heard <- slices.Clone(pcm)
	}
}
func (s *echoSession) EndAudio(conversation string) {}
func (s *echoSession) Close()                       {}

// invocation is one of echo's that has emitted data.
func invocation(conversation, kind string, data any) apps.Invocation {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return apps.Invocation{App: "echo", Conversation: conversation, Outcome: "ok", Outputs: []event.Output{{
		App: "echo", Conversation: conversation, Event: kind, Invocation: "i_1", Kind: event.OutputEmitted, Data: b,
	}}}
}

func (s *echoSession) Transcript(t event.Transcript) {
	switch text := t.Segments[0].Text; text {
	case "panic":
		panic("asked to")
	case "gap":
		s.o.Gap(dispatch.Gap{App: "echo", Kind: event.KindAudio, Bytes: 100, Reason: "buffer_full"})
	case "apps": // the session's lock is held here, and not where dispatch calls it
		go s.o.Changed() // ends with the lock; the test waits for the message
	case "flood": // more output than sockets and a queue hold
		for range 256 {
			s.o.Deliver(invocation(t.Conversation, "transcript", make([]byte, 48<<10)))
		}
		s.flooded <- struct{}{}
	default:
		s.o.Deliver(invocation(t.Conversation, "transcript", text))
	}
}

func (s *echoSession) Complete(c event.Conversation, _ []string, answer func(dispatch.Attempt)) <-chan struct{} {
	answer(dispatch.Attempt{App: "echo", Invocation: invocation(c.ID, "conversation", len(c.Segments))})
	done := make(chan struct{})
	close(done)
	return done
}
