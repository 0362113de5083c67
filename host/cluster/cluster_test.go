package cluster_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auricle-dev/auricle/host/cluster"
	"github.com/auricle-dev/auricle/host/store"
)

// board is a store on which hosts announce themselves.
type board struct {
	mu        sync.Mutex
	hosts     map[string]store.Host
	followers []func(store.Host, bool)
}

// seat is one host's place at the board.
type seat struct {
	b  *board
	id string
}

func (s *seat) Announce(_ context.Context, h store.Host) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.id = h.ID
	s.b.hosts[h.ID] = h
	for _, f := range s.b.followers {
		f(h, false)
	}
	return nil
}

func (s *seat) Withdraw(context.Context) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	delete(s.b.hosts, s.id)
	for _, f := range s.b.followers {
		f(store.Host{ID: s.id}, true)
	}
	return nil
}

func (s *seat) FollowHosts(ctx context.Context, f func(store.Host, bool)) error {
	s.b.mu.Lock()
	for _, h := range s.b.hosts {
		f(h, false)
	}
	s.b.followers = append(s.b.followers, f)
	s.b.mu.Unlock()
	<-ctx.Done()
	return nil
}

// mute is a host that stops announcing without a word.
type mute struct {
	seat
	dead atomic.Bool
}

func (m *mute) Announce(ctx context.Context, h store.Host) error {
	if m.dead.Load() {
		return nil
	}
	return m.seat.Announce(ctx, h)
}

func start(t *testing.T, s cluster.Store, id string, gone func(context.Context)) *cluster.Members {
	t.Helper()
	m := cluster.New(cluster.Options{Store: s, ID: id, Self: func() store.Host { return store.Host{Address: id + ":7080"} }, Gone: gone})
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

func ids(m *cluster.Members) (out []string) {
	for _, h := range m.Hosts() {
		out = append(out, h.ID)
	}
	return out
}

func TestHostsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{hosts: map[string]store.Host{}}
		told := 0
		a := start(t, &seat{b: b}, "a", func(context.Context) { told++ })
		dying := &mute{seat: seat{b: b}}
		c := start(t, dying, "c", nil)
		leaver := start(t, &seat{b: b}, "b", nil)
		synctest.Wait()
		if got := ids(a); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("hosts %v", got)
		}
		if got := []int{a.Share(8), leaver.Share(8), c.Share(8)}; !slices.Equal(got, []int{3, 3, 2}) {
			t.Errorf("shares of 8: %v, want 3 3 2", got)
		}
		if got := []int{a.Share(1), leaver.Share(1), c.Share(1)}; !slices.Equal(got, []int{1, 0, 0}) {
			t.Errorf("shares of 1: %v, want 1 0 0", got)
		}
		if !a.Alive("never") {
			t.Error("a host whose announcement may be on its way was taken for dead")
		}

		if err := leaver.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if told != 1 || leaver.Share(8) != 0 || a.Share(8)+c.Share(8) != 8 || !a.Alive("b") {
			t.Errorf("after b began to leave: told %d, shares %d %d %d", told, a.Share(8), leaver.Share(8), c.Share(8))
		}
		if err := leaver.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if told != 2 || !slices.Equal(ids(a), []string{"a", "c"}) {
			t.Errorf("after b has left: told %d, hosts %v", told, ids(a))
		}

		time.Sleep(cluster.DefaultDeadAfter + 2*cluster.DefaultBeat) // of the bubble's clock
		synctest.Wait()
		if told != 3 || a.Alive("never") {
			t.Errorf("told %d; a host that never came is alive: %v", told, a.Alive("never"))
		}
		dying.dead.Store(true)
		time.Sleep(cluster.DefaultDeadAfter - cluster.DefaultBeat)
		if !a.Alive("c") {
			t.Error("c was taken for dead too soon")
		}
		time.Sleep(3 * cluster.DefaultBeat)
		synctest.Wait()
		if told != 4 || a.Alive("c") || a.Share(8) != 8 {
			t.Errorf("after c died: told %d, alive %v, share %d", told, a.Alive("c"), a.Share(8))
		}
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAHostAlone(t *testing.T) {
	m := cluster.New(cluster.Options{ID: "a", Self: func() store.Host { return store.Host{} }})
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.Share(8) != 8 || !m.Alive("a") || m.Alive("b") || len(m.Hosts()) != 1 {
		t.Errorf("share %d, a alive %v, b alive %v, %d hosts", m.Share(8), m.Alive("a"), m.Alive("b"), len(m.Hosts()))
	}
	if err := m.Leave(t.Context()); err != nil || m.Share(8) != 0 {
		t.Errorf("leaving: %v, share %d", err, m.Share(8))
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
