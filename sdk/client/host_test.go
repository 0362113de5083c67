package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/conversation"
	"github.com/auricle-dev/auricle/host/dispatch"
	"github.com/auricle-dev/auricle/host/jobs"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/host/stream"
	"github.com/auricle-dev/auricle/sdk/client"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// host is a real stream.Server with real sessions, and an app that hears it
// all. What is stored is kept in memory.
type host struct {
	url string

	mu       sync.Mutex // guards what follows
	heard    []heard
	revision store.Revision
	held     map[string]store.Held
}

// heard is a stretch of audio or a segment, as an app gets it.
type heard struct {
	conversation string
	pcm          []byte
	segment      string // its id; "" for audio
}

func newHost(t *testing.T, o stream.Options) *host {
	h := &host{held: make(map[string]store.Held)}
	o.Sessions = conversation.New(conversation.Options{Store: h, Dispatch: h, Jobs: h, MaxCompleting: 1000})
	s := stream.New(o)
	server := httptest.NewServer(s)
	h.url = "ws" + strings.TrimPrefix(server.URL, "http") + "/v1/stream"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, end := range []func(context.Context) error{s.Shutdown, o.Sessions.Close, o.Sessions.Flush} {
			if err := end(ctx); err != nil {
				t.Errorf("ending the host: %v", err)
			}
		}
		server.Close()
	})
	return h
}

// add notes what an app heard; audio that goes on is one stretch.
func (h *host) add(n heard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = merge(h.heard, n)
}

func merge(all []heard, n heard) []heard {
	if l := len(all) - 1; l >= 0 && n.segment == "" && all[l].segment == "" && all[l].conversation == n.conversation {
		all[l].pcm = append(all[l].pcm, n.pcm...)
		return all
	}
	n.pcm = slices.Clone(n.pcm)
	return append(all, n)
}

// mailboxes are a session's.
type mailboxes struct{ h *host }

func (h *host) Open(dispatch.SessionOptions) conversation.Mailboxes { return mailboxes{h} }

func (mailboxes) Apps() []*apps.App { return nil }
func (mailboxes) WantsAudio() bool  { return true }
func (m mailboxes) Audio(conv string, start int64, pcm []byte) {
	m.h.add(heard{conversation: conv, pcm: pcm})
}
func (mailboxes) EndAudio(string) {}
func (mailboxes) Close()          {}
func (m mailboxes) Transcript(t event.Transcript) {
	for _, s := range t.Segments {
		m.h.add(heard{conversation: t.Conversation, segment: s.ID})
	}
}

func (mailboxes) Complete(event.Conversation, []string, func(dispatch.Attempt)) <-chan struct{} {
	panic("no app is due")
}

func (h *host) Due(string) []string { return nil }

func (h *host) Start(jobs.Work) <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func (h *host) Named(context.Context, string) (event.Conversation, error) {
	return event.Conversation{}, store.ErrNotFound
}

func (h *host) Append(_ context.Context, p store.Part, after store.Revision) (store.Revision, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.held[p.Conversation.ID]
	if before.Revision != after {
		return 0, store.ErrFenced
	}
	p.Conversation.Segments = append(before.Conversation.Segments, p.Conversation.Segments...)
	return h.hold(store.Held{Part: p}), nil
}

func (h *host) hold(n store.Held) store.Revision {
	h.revision++
	n.Revision = h.revision
	h.held[n.Conversation.ID] = n
	return h.revision
}

func (h *host) Settle(_ context.Context, p store.Part, _ store.Revision) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold(store.Held{Part: p, Settled: true})
	return nil
}

func (h *host) Session(_ context.Context, session string) (found []store.Held, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(h.held)) {
		if n := h.held[id]; n.Conversation.Session == session {
			found = append(found, n)
		}
	}
	return found, nil
}

func (h *host) Complete(context.Context, event.Conversation, []string) error { return nil }
func (h *host) AddResult(context.Context, string, store.Result) error        { return nil }
func (h *host) Unfinished(context.Context) ([]store.Held, error)             { return nil, nil }
func (h *host) Shared() bool                                                 { return false }

// cutter is a TCP proxy that breaks each connection after some bytes of either
// direction, wherever in a frame that is: with a reset, or with an end.
type cutter struct {
	to     string
	budget func(r *rand.Rand) int // of bytes, for one direction
	l      net.Listener
	wg     sync.WaitGroup
	cuts   atomic.Int64
}

// newCutter listens until the test ends. r belongs to it.
func newCutter(t *testing.T, to string, r *rand.Rand, budget func(r *rand.Rand) int) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cutter{to: to, budget: budget, l: l}
	c.wg.Go(func() { c.accept(r) }) // ends when l closes
	t.Cleanup(func() {
		l.Close()
		c.wg.Wait()
	})
	return c
}

func (c *cutter) accept(r *rand.Rand) {
	for {
		in, err := c.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.to)
		if err != nil {
			in.Close()
			continue
		}
		c.cuts.Add(1)
		reset := r.IntN(2) == 0
		up, down := c.budget(r), c.budget(r)
		c.wg.Go(func() { pass(out, in, up, reset) })   // ends when either closes, or cuts both
		c.wg.Go(func() { pass(in, out, down, reset) }) // the same
	}
}

// pass passes on up to n bytes, and closes both.
func pass(to, from net.Conn, n int, reset bool) {
	io.CopyN(to, from, int64(n))
	for _, c := range []net.Conn{to, from} {
		if reset {
			c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
}

// talk writes steps of audio, transcripts and finishes, as r would have them,
// and returns what an app should have heard of them. The conversations' names
// are numbers.
func talk(t *testing.T, c *client.Client, r *rand.Rand, steps int) (want []heard) {
	t.Helper()
	ctx := within(t)
	conversation, empty, counter := 0, true, byte(0)
	for n := range steps {
		name := fmt.Sprint(conversation)
		switch k := r.IntN(10); {
		case k < 6:
			pcm := make([]byte, 2*(1+r.IntN(3000)))
			for i := range pcm {
				counter = counter*5 + 113
				pcm[i] = counter
			}
			if _, err := c.WriteAudio(ctx, pcm); err != nil {
				t.Fatal(err)
			}
			want, empty = merge(want, heard{conversation: name, pcm: pcm}), false
		case k < 9 || empty:
			id := fmt.Sprint("t", n)
			must(t, c.Transcript(ctx, said(id)))
			want, empty = merge(want, heard{conversation: name, segment: id}), false
		default:
			must(t, c.Finish(ctx))
			conversation, empty = conversation+1, true
		}
	}
	return want
}

// compare holds what an app heard against what it should have, once each and in
// order, and split into conversations as it was.
func (h *host) compare(t *testing.T, want []heard) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	names := map[string]string{}
	for n, got := range h.heard {
		if names[got.conversation] == "" {
			names[got.conversation] = fmt.Sprint(len(names))
		}
		got.conversation = names[got.conversation]
		if n >= len(want) {
			t.Fatalf("heard %d stretches, want %d", len(h.heard), len(want))
		}
		if w := want[n]; got.conversation != w.conversation || got.segment != w.segment || !bytes.Equal(got.pcm, w.pcm) {
			t.Fatalf("stretch %d of %d: heard conversation %s, segment %q, %d bytes; want %s, %q, %d bytes (the same: %v)", n, len(want),
				got.conversation, got.segment, len(got.pcm), w.conversation, w.segment, len(w.pcm), bytes.Equal(got.pcm, w.pcm))
		}
	}
	if len(h.heard) != len(want) {
		t.Fatalf("heard %d stretches, want %d", len(h.heard), len(want))
	}
}

// TestEverythingArrivesOnceAndInOrderWhateverBreaks is the property that the
// client is for.
func TestEverythingArrivesOnceAndInOrderWhateverBreaks(t *testing.T) {
	for n := range 8 {
		seed := uint64(n)
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			h := newHost(t, stream.Options{})
			most := 20_000 * (n + 1) // often not even ready comes through
			cut := newCutter(t, strings.TrimSuffix(strings.TrimPrefix(h.url, "ws://"), "/v1/stream"), rand.New(rand.NewPCG(seed, 2)),
				func(r *rand.Rand) int { return r.IntN(most) })
			c := newClient(t, client.Options{
				URL: "ws://" + cut.l.Addr().String() + "/v1/stream", UID: "ada", Audio: pcm8k, BufferBytes: 16<<10 + r.IntN(64<<10),
				Jitter:    func(time.Duration) time.Duration { return time.Millisecond },
				OnRefused: func(_ []event.Segment, why *wire.Error) { t.Errorf("refused: %+v", why) },
			})
			want := talk(t, c, r, 300)
			must(t, c.End(within(t)))
			h.compare(t, want)
			s := c.Stats()
			if s.Sessions != 1 || s.LostAudio != 0 || s.Acked != s.Transcripts {
				t.Errorf("stats: got %+v", s)
			}
			t.Logf("%d connections, %d of them ready; %d bytes of audio, %d transcripts", cut.cuts.Load(), s.Connections, s.AudioBytes, s.Transcripts)
		})
	}
}

// TestEverythingArrivesAtAChaoticHost has the host itself do what it can to
// lose something: it closes with each code that lets a client come back, breaks
// connections before and after it has taken a message, and refuses handshakes.
func TestEverythingArrivesAtAChaoticHost(t *testing.T) {
	for n := range 4 {
		t.Run(fmt.Sprint("seed ", n), func(t *testing.T) {
			t.Parallel()
			chaos, err := stream.ParseChaos("drop=4%,delay=3ms,close=1011:1%,close=1013:1%,close=4001:1%,close=4008:1%,close=4010:1%,close=4012:1%,refuse=429:2%,refuse=503:2%")
			must(t, err)
			chaos.Seed = uint64(n)
			h := newHost(t, stream.Options{Chaos: chaos, RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond})
			c := newClient(t, client.Options{
				URL: h.url, UID: "ada", Audio: pcm8k, BufferBytes: 64 << 10,
				Jitter:    func(time.Duration) time.Duration { return time.Millisecond },
				OnRefused: func(_ []event.Segment, why *wire.Error) { t.Errorf("refused: %+v", why) },
			})
			want := talk(t, c, rand.New(rand.NewPCG(uint64(n), 3)), 300)
			must(t, c.End(within(t)))
			h.compare(t, want)
			if s := c.Stats(); s.Sessions != 1 || s.LostAudio != 0 || s.Acked != s.Transcripts || s.Connections < 10 {
				t.Errorf("stats: got %+v", s)
			}
		})
	}
}
