package stream_test

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// memoryStore keeps completed conversations and tells of each.
type memoryStore struct {
	completed chan event.Conversation

	mu   sync.Mutex
	gate chan struct{} // not nil: each write waits until it is closed
	err  error         // not nil: writes fail with it
}

func newMemoryStore() *memoryStore {
	return &memoryStore{completed: make(chan event.Conversation, 1024)}
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

func (m *memoryStore) Append(ctx context.Context, _ store.Head, _ []event.Segment) error {
	return m.wait(ctx)
}

func (m *memoryStore) Complete(ctx context.Context, c event.Conversation) error {
	if err := m.wait(ctx); err != nil {
		return err
	}
	m.completed <- c
	return nil
}

func (m *memoryStore) AddResult(ctx context.Context, _ string, _ store.Result) error {
	return m.wait(ctx)
}

func (m *memoryStore) Unfinished(context.Context) ([]event.Conversation, error) { return nil, nil }

// echo is a dispatcher with one app, "echo": it answers each transcript and
// each completed conversation with an output at once. A segment's text may ask
// for more: see Transcript.
type echo struct {
	wantsAudio bool
	flooded    chan struct{} // gets a value after each flood
}

type echoSession struct {
	o dispatch.SessionOptions
	echo
}

func (e echo) Open(o dispatch.SessionOptions) conversation.Mailboxes { return &echoSession{o, e} }

func (s *echoSession) Apps() []*apps.App                                  { return nil }
func (s *echoSession) WantsAudio() bool                                   { return s.wantsAudio }
func (s *echoSession) Audio(conversation string, start int64, pcm []byte) {}
func (s *echoSession) EndAudio(conversation string)                       {}
func (s *echoSession) Close()                                             {}

func (s *echoSession) output(conversation, kind string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	s.o.Deliver(apps.Invocation{App: "echo", Conversation: conversation, Outcome: "ok", Outputs: []event.Output{{
		App: "echo", Conversation: conversation, Event: kind, Invocation: "i_1", Kind: event.OutputEmitted, Data: b,
	}}})
}

func (s *echoSession) Transcript(t event.Transcript) {
	switch text := t.Segments[0].Text; text {
	case "panic":
		panic("asked to")
	case "gap":
		s.o.Gap(dispatch.Gap{App: "echo", Kind: event.KindAudio, Bytes: 100, Reason: "buffer_full"})
	case "flood": // more output than sockets and a queue hold
		for range 256 {
			s.output(t.Conversation, "transcript", make([]byte, 48<<10))
		}
		s.flooded <- struct{}{}
	default:
		s.output(t.Conversation, "transcript", text)
	}
}

func (s *echoSession) Complete(c event.Conversation, _ []string, _ func(dispatch.Attempt)) <-chan struct{} {
	s.output(c.ID, "conversation", len(c.Segments))
	done := make(chan struct{})
	close(done)
	return done
}
