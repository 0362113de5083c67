package conversation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// hosts are two that share a store and are restarted while clients talk.
type hosts struct {
	store *store.Store
	mu    sync.Mutex // guards lives
	lives [2]*life
}

func (h *hosts) any() *life {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lives[rand.IntN(len(h.lives))]
}

// restart ends a host's life and begins its next.
func (h *hosts) restart(ctx context.Context, t *testing.T, i int) {
	h.mu.Lock()
	old := h.lives[i]
	h.mu.Unlock()
	if old != nil {
		if err := old.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	next := beginOn(h.store, fmt.Sprint("host", i))
	if err := next.Recover(ctx, func(string) bool { return true }); err != nil {
		t.Error(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lives[i] = next
}

// talker is a client that numbers what it says and goes on from what the host
// has. Its streams break, and it comes back to either host.
type talker struct {
	uid     string
	hosts   *hosts
	session string
	at      *conversation.Attachment // nil: not connected
	link    *link
	sent    uint64
	acked   atomic.Uint64
	known   chan struct{} // has a value once the session is in the store
}

// link is one stream of a talker.
type link struct {
	of         *talker
	ready      conversation.Ready
	superseded atomic.Bool
}

func (l *link) Ready(r conversation.Ready) { l.ready = r }
func (l *link) Ack(seq uint64, _ int64) {
	if l.of.acked.Swap(max(seq, l.of.acked.Load())) == 0 {
		l.of.known <- struct{}{}
	}
}

func (l *link) Conversation(string, wire.State, *event.Conversation) {}
func (l *link) Apps(string, []*apps.App)                             {}
func (l *link) Output(event.Output)                                  {}
func (l *link) Gap(dispatch.Gap)                                     {}
func (l *link) Warn(*conversation.InputError)                        {}
func (l *link) Superseded()                                          { l.superseded.Store(true) }
func (l *link) Failed()                                              {}

func (k *talker) connect(ctx context.Context) error {
	for k.at == nil {
		l := &link{of: k}
		at, err := k.hosts.any().Start(ctx, conversation.StartRequest{UID: k.uid, Session: k.session}, l)
		if errors.Is(err, conversation.ErrClosed) {
			continue // it is being restarted
		}
		if err != nil {
			return fmt.Errorf("%s connects: %w", k.uid, err)
		}
		k.at, k.link, k.session = at, l, l.ready.Session
		if l.ready.Seq < k.acked.Load() {
			return fmt.Errorf("%s was told that %d is safe, and then that %d was received", k.uid, k.acked.Load(), l.ready.Seq)
		}
		for seq := l.ready.Seq + 1; seq <= k.sent; seq++ {
			if err := k.say(seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// say sends one transcript. A stream that was superseded, or whose host
// closes, is let go.
func (k *talker) say(seq uint64) error {
	k.sent = max(k.sent, seq)
	if k.at == nil {
		return nil
	}
	return k.passed(k.at.Transcript(seq, []event.Segment{segment(fmt.Sprint(seq), "x", float64(seq))}))
}

func (k *talker) passed(err error) error {
	var in *conversation.InputError
	switch {
	case !errors.As(err, &in), in.Code == wire.CodeEmptyConversation:
		return err
	case in.Code == wire.CodeAfterEnd:
		k.at.Detach()
		k.at = nil
		return nil
	}
	return fmt.Errorf("%s: %w", k.uid, err)
}

// talk says steps things, or breaks off, and ends the session at last.
func (k *talker) talk(ctx context.Context, steps int) error {
	for range steps {
		if err := k.connect(ctx); err != nil {
			return err
		}
		if k.at == nil {
			continue
		}
		var err error
		switch rand.IntN(10) {
		case 0:
			if err = k.passed(k.at.Finish()); errors.As(err, new(*conversation.InputError)) {
				err = nil // nothing was said
			}
		case 1:
			k.at.Detach()
			k.at = nil
		case 2:
			k.at = nil // the host has not noticed
		default:
			err = k.say(k.sent + 1)
		}
		if err != nil {
			return err
		}
	}
	for {
		if err := k.connect(ctx); err != nil {
			return err
		}
		if k.at == nil {
			continue
		}
		at := k.at
		if err := k.passed(at.End()); err != nil {
			return err
		}
		if k.at == nil {
			continue
		}
		if err := at.Wait(ctx); err != nil {
			return err
		}
		if k.link.superseded.Load() {
			return fmt.Errorf("%s: the newest stream was superseded", k.uid)
		}
		return nil
	}
}

func TestNothingAcknowledgedIsLostOrDoubledWhileHostsComeAndGo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s, err := store.Open(ctx, store.Options{Dir: t.TempDir()})
	ok(t, err)
	h := &hosts{store: s}
	for i := range h.lives {
		h.restart(ctx, t, i)
	}

	const talkers, steps = 8, 60
	var wg sync.WaitGroup
	ks := make([]*talker, talkers)
	for i := range ks {
		ks[i] = &talker{uid: fmt.Sprint("u", i), hosts: h, known: make(chan struct{}, 1)}
		ok(t, ks[i].connect(ctx))
		ok(t, ks[i].say(1))
		receive(ctx, t, "an ack", ks[i].known)
		wg.Go(func() {
			if err := ks[i].talk(ctx, steps); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }() // ends with the talkers
	for i := 0; ; i++ {
		h.restart(ctx, t, i%len(h.lives))
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	for _, l := range h.lives {
		ok(t, l.Close(ctx))
	}

	for _, k := range ks {
		page, err := s.Conversations(ctx, k.uid, 100, "")
		ok(t, err)
		times := make(map[string]int)
		for _, c := range page.Conversations {
			for _, g := range c.Segments {
				times[g.ID]++
			}
		}
		for seq := uint64(1); seq <= k.sent; seq++ {
			if n := times[fmt.Sprint(seq)]; n != 1 {
				t.Errorf("%s: segment %d of %d is in %d of %d conversations, want it in one", k.uid, seq, k.sent, n, len(page.Conversations))
			}
		}
	}
	left, err := s.Unfinished(ctx)
	ok(t, err)
	for _, l := range left {
		t.Errorf("%s of %s is not finished", l.Conversation.ID, l.Conversation.UID)
	}
	ok(t, s.Close(ctx))
}
