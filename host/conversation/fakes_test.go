package conversation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
)

// fakeStore keeps what it is given. Its faults are set by the test.
type fakeStore struct {
	mu        sync.Mutex
	gate      chan struct{} // not nil: each write waits for a value, or its context
	err       error         // not nil: writes fail with it
	tries     int
	appended  []event.Segment
	heads     []store.Head
	completed []event.Conversation
	results   []store.Result
	left      []event.Conversation
}

func (f *fakeStore) write(ctx context.Context, keep func()) error {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries++
	if f.err != nil {
		return f.err
	}
	keep()
	return nil
}

func (f *fakeStore) Append(ctx context.Context, h store.Head, segs []event.Segment) error {
	return f.write(ctx, func() { f.heads = append(f.heads, h); f.appended = append(f.appended, segs...) })
}

func (f *fakeStore) Complete(ctx context.Context, c event.Conversation) error {
	return f.write(ctx, func() { f.completed = append(f.completed, c) })
}

func (f *fakeStore) AddResult(ctx context.Context, _ string, r store.Result) error {
	return f.write(ctx, func() { f.results = append(f.results, r) })
}

func (f *fakeStore) Unfinished(context.Context) ([]event.Conversation, error) { return f.left, nil }

func (f *fakeStore) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeStore) conversations() []event.Conversation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.completed)
}

// fakeDispatcher keeps what its sessions are given.
type fakeDispatcher struct {
	wantsAudio bool
	answer     chan struct{} // what Complete returns; nil: a channel that is closed
	mu         sync.Mutex
	sessions   []*fakeMailboxes
}

type fakeMailboxes struct {
	o      dispatch.SessionOptions
	d      *fakeDispatcher
	mu     sync.Mutex
	got    []string // "transcript a,b", "audio 6", "complete", "close"
	audio  []byte
	starts []int64
	whole  []event.Conversation
	onCall func() // called in each call of Audio and Transcript
}

func (d *fakeDispatcher) Open(o dispatch.SessionOptions) conversation.Mailboxes {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := &fakeMailboxes{o: o, d: d}
	d.sessions = append(d.sessions, b)
	return b
}

func (d *fakeDispatcher) last() *fakeMailboxes {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[len(d.sessions)-1]
}

func (b *fakeMailboxes) Apps() []*apps.App { return nil }
func (b *fakeMailboxes) WantsAudio() bool  { return b.d.wantsAudio }

func (b *fakeMailboxes) note(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, s)
}

func (b *fakeMailboxes) Transcript(t event.Transcript) {
	if b.onCall != nil {
		b.onCall()
	}
	ids := make([]string, len(t.Segments))
	for i, s := range t.Segments {
		ids[i] = s.ID
	}
	b.note("transcript " + strings.Join(ids, ","))
}

func (b *fakeMailboxes) Audio(_ string, start int64, pcm []byte) {
	if b.onCall != nil {
		b.onCall()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.audio = append(b.audio, pcm...)
	b.starts = append(b.starts, start)
}

func (b *fakeMailboxes) EndAudio(string) { b.note("end audio") }

func (b *fakeMailboxes) Complete(c event.Conversation, _ []string, _ func(dispatch.Attempt)) <-chan struct{} {
	b.mu.Lock()
	b.whole = append(b.whole, c)
	b.mu.Unlock()
	b.note("complete")
	if b.d.answer != nil {
		return b.d.answer
	}
	done := make(chan struct{})
	close(done)
	return done
}

func (b *fakeMailboxes) Close() { b.note("close") }

func (b *fakeMailboxes) log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.got, "; ")
}

// recorder is a client that notes what it is told.
type recorder struct {
	mu    sync.Mutex
	told  []string
	names map[string]string // conversation ids, by order of appearance
	whole []event.Conversation
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func (r *recorder) Conversation(id string, st conversation.State, c *event.Conversation) {
	r.mu.Lock()
	if r.names == nil {
		r.names = make(map[string]string)
	}
	if r.names[id] == "" {
		r.names[id] = fmt.Sprintf("#%d", len(r.names)+1)
	}
	name := r.names[id]
	if c != nil {
		r.whole = append(r.whole, *c)
	}
	r.mu.Unlock()
	r.note("%s %s", st, name)
}
func (r *recorder) Ack(seq uint64, bytes int64)     { r.note("ack %d %d", seq, bytes) }
func (r *recorder) Output(o event.Output)           { r.note("output %s %s", o.App, o.Data) }
func (r *recorder) Gap(g dispatch.Gap)              { r.note("gap %s", g.Reason) }
func (r *recorder) Warn(w *conversation.InputError) { r.note("warn %s", w.Code) }

// take returns what was told since it was last called.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := strings.Join(r.told, "; ")
	r.told = nil
	return s
}

func (r *recorder) conversations() []event.Conversation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.whole)
}

func segment(id, text string, start float64) event.Segment {
	return event.Segment{ID: id, Text: text, Start: start, End: start + 1}
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// countingDispatcher only counts audio.
type countingDispatcher struct {
	wants bool
	bytes int
}

func (d *countingDispatcher) Open(dispatch.SessionOptions) conversation.Mailboxes { return d }
func (d *countingDispatcher) Apps() []*apps.App                                   { return nil }
func (d *countingDispatcher) WantsAudio() bool                                    { return d.wants }
func (d *countingDispatcher) Transcript(event.Transcript)                         {}
func (d *countingDispatcher) Audio(_ string, _ int64, pcm []byte)                 { d.bytes += len(pcm) }
func (d *countingDispatcher) EndAudio(string)                                     {}
func (d *countingDispatcher) Close()                                              {}
func (d *countingDispatcher) Complete(event.Conversation, []string, func(dispatch.Attempt)) <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}
