package conversation_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// fakeStore keeps what it is given, and fences as the real one does. Its
// faults are set by the test.
type fakeStore struct {
	mu        sync.Mutex
	gate      chan struct{} // not nil: each write waits for a value, or its context
	err       error         // not nil: writes fail with it
	deaf      bool          // writes are kept but answered with an error
	panics    bool          // writes panic
	tries     int
	revision  store.Revision
	parts     []store.Part // all that were appended
	records   map[string]*record
	completed []event.Conversation
	results   []store.Result
}

// record is what is kept of one conversation.
type record struct {
	held      store.Held
	after     store.Revision // that the last part was appended after
	segments  []event.Segment
	completed bool
}

func (f *fakeStore) write(ctx context.Context, keep func() error) error {
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
	if f.panics {
		panic("asked to")
	}
	if f.err != nil {
		return f.err
	}
	if err := keep(); err != nil {
		return err
	}
	if f.deaf {
		return context.DeadlineExceeded
	}
	return nil
}

func (f *fakeStore) Append(ctx context.Context, p store.Part, after store.Revision) (r store.Revision, err error) {
	err = f.write(ctx, func() error {
		id := p.Conversation.ID
		if f.records == nil {
			f.records = make(map[string]*record)
		}
		rec := f.records[id]
		if rec == nil {
			rec = &record{}
			f.records[id] = rec
		}
		if rec.held.Revision != 0 && rec.after == after && reflect.DeepEqual(rec.held.Part, p) {
			r = rec.held.Revision // our own, that we were not told of
			return nil
		}
		if rec.held.Revision != after {
			return fmt.Errorf("appending to %s: %w", id, store.ErrFenced)
		}
		f.revision++
		f.parts = append(f.parts, p)
		for _, s := range p.Conversation.Segments {
			rec.segments = slices.DeleteFunc(rec.segments, func(o event.Segment) bool { return o.ID == s.ID })
			rec.segments = append(rec.segments, s)
		}
		rec.held.Part, rec.held.Revision, rec.after = p, f.revision, after
		r = f.revision
		return nil
	})
	return r, err
}

func (f *fakeStore) Complete(ctx context.Context, c event.Conversation, _ []string) error {
	return f.write(ctx, func() error {
		if rec := f.records[c.ID]; rec != nil {
			if rec.completed {
				return nil
			}
			rec.completed = true
		}
		f.completed = append(f.completed, c)
		return nil
	})
}

func (f *fakeStore) Settle(ctx context.Context, p store.Part, after store.Revision) error {
	return f.write(ctx, func() error { return f.settle(p, after) })
}

// settle is Settle with mu held.
func (f *fakeStore) settle(p store.Part, after store.Revision) error {
	rec := f.records[p.Conversation.ID]
	if rec == nil || rec.held.Revision != after {
		return store.ErrFenced
	}
	f.revision++
	rec.held = store.Held{Part: p, Revision: f.revision, Settled: true}
	return nil
}

func (f *fakeStore) AddResult(ctx context.Context, _ string, r store.Result) error {
	return f.write(ctx, func() error { f.results = append(f.results, r); return nil })
}

func (f *fakeStore) Session(_ context.Context, session string) ([]store.Held, error) {
	found := f.find(func(h store.Held) bool { return h.Conversation.Session == session })
	if len(found) == 0 {
		return nil, store.ErrNotFound
	}
	return found, nil
}

func (f *fakeStore) Named(_ context.Context, name string) (event.Conversation, error) {
	for _, c := range slices.Backward(f.conversations()) {
		if strings.HasSuffix(c.ID, "_"+name) {
			return c, nil
		}
	}
	return event.Conversation{}, store.ErrNotFound
}

func (f *fakeStore) Shared() bool { return true }

func (f *fakeStore) Unfinished(context.Context) ([]store.Held, error) {
	return f.find(func(h store.Held) bool { return !h.Settled }), nil
}

func (f *fakeStore) find(is func(store.Held) bool) (found []store.Held) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(f.records)) {
		rec := f.records[id]
		h := rec.held
		h.Completed = rec.completed
		if is(h) {
			if !h.Settled {
				h.Conversation.Segments = slices.Clone(rec.segments)
				slices.SortStableFunc(h.Conversation.Segments, func(a, b event.Segment) int { return cmp.Compare(a.Start, b.Start) })
			}
			found = append(found, h)
		}
	}
	return found
}

// leave puts a part in as another host would have.
func (f *fakeStore) leave(t *testing.T, p store.Part, after store.Revision) store.Revision {
	t.Helper()
	r, err := f.Append(t.Context(), p, after)
	ok(t, err)
	return r
}

func (f *fakeStore) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeStore) panic(panics bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.panics = panics
}

// hold has each write wait for a value in gate, until gate is closed.
func (f *fakeStore) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate = make(chan struct{})
}

func (f *fakeStore) beDeaf(deaf bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deaf = deaf
}

func (f *fakeStore) conversations() []event.Conversation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.completed)
}

func (f *fakeStore) appended() []store.Part {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.parts)
}

// open returns the ids of what is neither closing nor settled, and who holds it.
func (f *fakeStore) open() map[string]string {
	open := map[string]string{}
	for _, h := range f.find(func(h store.Held) bool { return !h.Closing }) {
		open[h.Conversation.ID] = h.Host
	}
	return open
}

// fakeJobs hands each conversation to the mailboxes, as the real one does, and
// settles it.
type fakeJobs struct {
	store *fakeStore
	mu    sync.Mutex
	works []jobs.Work
}

func (j *fakeJobs) Due(string) []string { return []string{"minutes"} }

func (j *fakeJobs) Start(w jobs.Work) <-chan struct{} {
	j.mu.Lock()
	j.works = append(j.works, w)
	j.mu.Unlock()
	if f := j.store; f != nil {
		f.mu.Lock()
		_ = f.settle(w.Held.Part, w.Held.Revision)
		f.mu.Unlock()
	}
	if w.Boxes != nil {
		return w.Boxes.Complete(w.Conversation, w.Held.Due, func(dispatch.Attempt) {})
	}
	done := make(chan struct{})
	close(done)
	return done
}

func (j *fakeJobs) started() []jobs.Work {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.works)
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
	ready []conversation.Ready
}

func (r *recorder) Ready(y conversation.Ready) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready = append(r.ready, y)
}

// last returns what Ready said last.
func (r *recorder) last() conversation.Ready {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ready[len(r.ready)-1]
}

func (r *recorder) Superseded() { r.note("superseded") }
func (r *recorder) Failed()     { r.note("failed") }

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func (r *recorder) Conversation(id string, st wire.State, c *event.Conversation) {
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
	if st == wire.StateCompleted && c == nil {
		name += " omitted"
	}
	r.note("%s %s", st, name)
}
func (r *recorder) Ack(seq uint64, bytes int64) { r.note("ack %d %d", seq, bytes) }
func (r *recorder) Apps(audio string, as []*apps.App) {
	r.note("apps %d %s", len(as), audio)
}
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
