package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/nats-io/nats-server/v2/server"
)

// startNATS starts a NATS server of the tests' own, which is stopped when the
// test ends or before.
func startNATS(tb testing.TB, o server.Options) *server.Server {
	tb.Helper()
	o.Host, o.NoSigs, o.NoLog = "127.0.0.1", true, true
	srv, err := server.NewServer(&o)
	if err != nil {
		tb.Fatal(err)
	}
	srv.Start()
	tb.Cleanup(func() { stopNATS(srv) })
	if !srv.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the NATS server did not start")
	}
	return srv
}

func stopNATS(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// oneNATS starts a single server that keeps what it is given in dir.
func oneNATS(tb testing.TB, dir string, port int) *server.Server {
	return startNATS(tb, server.Options{JetStream: true, StoreDir: dir, Port: port, NoSystemAccount: true})
}

// share opens a store that others share, as the host named.
func share(tb testing.TB, host string, n store.NATS) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), store.Options{NATS: &n, HostID: host, HostTTL: time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// eventually waits for what a host is to be told by another.
func eventually[T any](tb testing.TB, ch <-chan T, what string, is func(T) bool) T {
	tb.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case v := <-ch:
			if is(v) {
				return v
			}
		case <-deadline:
			tb.Fatalf("not told of %s", what)
		}
	}
}

func TestTwoHostsShareAStore(t *testing.T) {
	srv := oneNATS(t, t.TempDir(), server.RANDOM_PORT)
	servers := store.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1}
	a, b := share(t, "a", servers), share(t, "b", servers)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if !a.Shared() {
		t.Error("a store in a cluster is not shared")
	}
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	claims := make(chan string, 16)
	following.Go(func() {
		if err := a.FollowClaims(ctx, func(session, host string) { claims <- session + " " + host }); err != nil {
			t.Error(err)
		}
	})
	jobs := make(chan store.JobChange, 16)
	following.Go(func() {
		if err := a.FollowJobs(ctx, func(c store.JobChange) { jobs <- c }); err != nil {
			t.Error(err)
		}
	})
	eventually(t, jobs, "all that exists", func(c store.JobChange) bool { return c.Synced })

	// a holds a session, until b claims it. What is claimed before a listens
	// is not told.
	var p store.Part
	var mine store.Revision
	for n, told := 0, false; !told; n++ {
		c := conversation("c_1", "ann")
		c.Session = fmt.Sprint("s_", n)
		p = part(c, event.Segment{ID: "1", Text: "said to a"})
		p.Host = "a"
		rev := appendTo(t, a, p, 0)
		held, err := b.Session(ctx, c.Session)
		must(t, err)
		if len(held) != 1 || held[0].Host != "a" || held[0].Revision != rev || len(held[0].Conversation.Segments) != 1 {
			t.Fatalf("b sees %+v", held)
		}
		p.Host = "b"
		p.Conversation.Segments = nil
		mine = appendTo(t, b, p, rev)
		p.Host = "a"
		if _, err := a.Append(ctx, p, rev); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a, after b's claim: %v, want ErrFenced", err)
		}
		select {
		case got := <-claims:
			if told = true; got != c.Session+" b" {
				t.Errorf("told of the claim %q, want %s by b", got, c.Session)
			}
		case <-time.After(50 * time.Millisecond):
			if n == 100 {
				t.Fatal("not told of any claim")
			}
		}
	}

	// What b completes, a lists.
	must(t, b.Complete(ctx, conversation("c_1", "ann"), nil))
	must(t, b.Settle(ctx, p, mine))
	must(t, a.Complete(ctx, conversation("c_1", "ann"), nil)) // again, harmless
	must(t, b.Complete(ctx, conversation("c_2", "ann"), nil))
	_, err := b.PutJob(ctx, store.Job{App: "minutes", Conversation: "c_2"}, 0)
	must(t, err)
	eventually(t, jobs, "b's job", func(c store.JobChange) bool { return c.Job.Conversation == "c_2" })
	for deadline := time.After(10 * time.Second); ; {
		page, err := a.Conversations(ctx, "ann", 10, "")
		must(t, err)
		if len(page.Conversations) == 2 {
			if len(page.Conversations[0].Jobs) != 1 {
				t.Errorf("c_2 has the jobs %+v, want one", page.Conversations[0].Jobs)
			}
			break
		}
		select {
		case <-deadline:
			t.Fatalf("a lists %d conversations, want 2", len(page.Conversations))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// proxy stands between a store and its server.
type proxy struct {
	listener net.Listener
	to       string
	lossy    atomic.Bool  // what the server says is lost
	lost     atomic.Int64 // bytes

	mu    sync.Mutex
	conns []net.Conn
}

func startProxy(tb testing.TB, to string) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{listener: l, to: to}
	var running sync.WaitGroup
	running.Go(func() { // ends when the listener is closed
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			srv, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, srv)
			p.mu.Unlock()
			running.Go(func() { io.Copy(srv, client); srv.Close() })
			running.Go(func() { io.Copy(lossyWriter{client, p}, srv); client.Close() })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		p.cut()
		running.Wait()
	})
	return p
}

// cut closes every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

type lossyWriter struct {
	io.Writer
	p *proxy
}

func (w lossyWriter) Write(b []byte) (int, error) {
	if w.p.lossy.Load() {
		w.p.lost.Add(int64(len(b)))
		return len(b), nil
	}
	return w.Writer.Write(b)
}

// A write arrives but its answer is lost: whoever repeats it is not taken for
// another host.
func TestAWriteWhoseAnswerWasLostIsKnownAgain(t *testing.T) {
	srv := oneNATS(t, t.TempDir(), server.RANDOM_PORT)
	p := startProxy(t, srv.Addr().String())
	a := share(t, "a", store.NATS{URLs: []string{"nats://" + p.listener.Addr().String()}, Replicas: 1})
	b := share(t, "b", store.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := conversation("c_1", "ann")
	before := appendTo(t, a, part(c), 0)
	job, err := a.PutJob(ctx, store.Job{App: "minutes", Conversation: "c_1", State: store.JobWaiting}, 0)
	must(t, err)

	// lose calls write and returns once b sees that it arrived.
	lose := func(arrived func() bool, write func(context.Context) error) {
		t.Helper()
		p.lossy.Store(true)
		hurried, hurry := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- write(hurried) }()
		for !arrived() {
			if ctx.Err() != nil {
				t.Fatal("it never arrived")
			}
		}
		hurry()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("a write without an answer: %v, want context.Canceled", err)
		}
		p.lossy.Store(false)
		p.cut() // the connection is made anew
	}
	revision := func() store.Revision {
		held, err := b.Session(ctx, "s_1")
		must(t, err)
		return held[0].Revision
	}
	one, two := event.Segment{ID: "1", Start: 1}, event.Segment{ID: "2", Start: 2}
	lose(func() bool { return revision() > before }, func(ctx context.Context) error {
		_, err := a.Append(ctx, part(c, one), before)
		return err
	})
	rev, err := a.Append(ctx, part(c, one, two), before) // more than the first time
	must(t, err)
	held, err := b.Session(ctx, "s_1")
	must(t, err)
	if held[0].Revision != rev || !slices.Equal(held[0].Conversation.Segments, []event.Segment{one, two}) {
		t.Errorf("held: %+v, want both segments at %d", held[0], rev)
	}

	lose(func() bool { jobs, err := b.Jobs(ctx, "c_1"); return err == nil && jobs[0].Host == "a" }, func(ctx context.Context) error {
		_, err := a.PutJob(ctx, store.Job{App: "minutes", Conversation: "c_1", State: store.JobRunning, Host: "a"}, job)
		return err
	})
	if _, err := b.PutJob(ctx, store.Job{App: "minutes", Conversation: "c_1", State: store.JobRunning, Host: "b"}, job); !errors.Is(err, store.ErrFenced) {
		t.Errorf("b claims what a has: %v, want ErrFenced", err)
	}
	_, err = a.PutJob(ctx, store.Job{App: "minutes", Conversation: "c_1", State: store.JobRunning, Host: "a"}, job)
	must(t, err)

	// It was a's own, and then b went on from it: a has lost it.
	lose(func() bool { return revision() > rev }, func(ctx context.Context) error {
		_, err := a.Append(ctx, part(c), rev)
		return err
	})
	appendTo(t, b, part(c), revision())
	if _, err := a.Append(ctx, part(c), rev); !errors.Is(err, store.ErrFenced) {
		t.Errorf("a, after b's claim: %v, want ErrFenced", err)
	}
}

// The connection breaks under a write that waits: it is made once, by the
// caller's first call.
func TestAWriteOutlivesItsConnection(t *testing.T) {
	srv := oneNATS(t, t.TempDir(), server.RANDOM_PORT)
	p := startProxy(t, srv.Addr().String())
	a := share(t, "a", store.NATS{URLs: []string{"nats://" + p.listener.Addr().String()}, Replicas: 1})
	b := share(t, "b", store.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p.lossy.Store(true)
	const n = 20
	revs, errs := make([]store.Revision, n), make([]error, n)
	var writers sync.WaitGroup
	for i := range n {
		writers.Go(func() {
			revs[i], errs[i] = a.Append(ctx, part(conversation(fmt.Sprintf("c_%02d", i), "ann")), 0)
		})
	}
	for held := []store.Held(nil); len(held) == 0; { // some have arrived
		var err error
		held, err = b.Unfinished(ctx)
		must(t, err)
	}
	p.lossy.Store(false)
	p.cut()
	writers.Wait()
	held, err := b.Unfinished(ctx)
	must(t, err)
	if len(held) != n {
		t.Fatalf("%d are held, want %d", len(held), n)
	}
	for i, h := range held {
		if errs[i] != nil || h.Revision != revs[i] {
			t.Errorf("%s is at %d, its writer was told %d, %v", h.Conversation.ID, h.Revision, revs[i], errs[i])
		}
	}
}

// A server that had been asked is gone, and its answer with it, though the
// connection stands: what nobody answers is asked again.
func TestAnAnswerThatDoesNotComeIsNotWaitedForLong(t *testing.T) {
	srv := oneNATS(t, t.TempDir(), server.RANDOM_PORT)
	p := startProxy(t, srv.Addr().String())
	a := share(t, "a", store.NATS{URLs: []string{"nats://" + p.listener.Addr().String()}, Replicas: 1})
	b := share(t, "b", store.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1})
	p.lossy.Store(true)
	type appended struct {
		revision store.Revision
		err      error
	}
	done := make(chan appended, 1)
	go func() {
		rev, err := a.Append(t.Context(), part(conversation("c_1", "ann")), 0)
		done <- appended{rev, err}
	}()
	var held []store.Held
	for len(held) == 0 {
		var err error
		held, err = b.Unfinished(t.Context())
		must(t, err)
	}
	for p.lost.Load() == 0 { // the answer
		time.Sleep(time.Millisecond)
	}
	p.lossy.Store(false)
	if got := <-done; got.err != nil || got.revision != held[0].Revision {
		t.Errorf("told %+v, want revision %d", got, held[0].Revision)
	}
	if again, err := b.Unfinished(t.Context()); err != nil || again[0].Revision != held[0].Revision {
		t.Errorf("held: %+v, %v, want what was written first", again, err)
	}
}

func TestHostsAreToldOfEachOther(t *testing.T) {
	srv := oneNATS(t, t.TempDir(), server.RANDOM_PORT)
	servers := store.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1}
	a, b := share(t, "a", servers), share(t, "b", servers)
	ctx, cancel := context.WithCancel(t.Context())
	type told struct {
		host store.Host
		gone bool
	}
	hosts := make(chan told, 64)
	ended := make(chan error, 1)
	must(t, a.Announce(ctx, store.Host{ID: "a", Sessions: 3}))
	go func() { ended <- a.FollowHosts(ctx, func(h store.Host, gone bool) { hosts <- told{h, gone} }) }()
	is := func(id string, gone bool) func(told) bool {
		return func(h told) bool { return h.host.ID == id && h.gone == gone }
	}
	if h := eventually(t, hosts, "itself", is("a", false)); h.host.Sessions != 3 {
		t.Errorf("a is %+v, want 3 sessions", h.host)
	}
	must(t, b.Announce(ctx, store.Host{ID: "b"}))
	eventually(t, hosts, "b", is("b", false))
	must(t, b.Withdraw(ctx))
	eventually(t, hosts, "b's leaving", is("b", true))
	must(t, b.Announce(ctx, store.Host{ID: "b"}))
	eventually(t, hosts, "b's return", is("b", false))
	eventually(t, hosts, "b's silence", is("b", true)) // HostTTL is over
	if err := a.Announce(ctx, store.Host{ID: "b"}); err == nil {
		t.Error("a spoke for b")
	}
	cancel()
	must(t, <-ended)
	s := open(t, t.TempDir())
	if err := s.Announce(t.Context(), store.Host{}); !errors.Is(err, store.ErrNotShared) || s.Shared() {
		t.Errorf("announcing in an embedded store: %v, shared %v, want ErrNotShared", err, s.Shared())
	}
}

// The servers go away in the middle of things and come back: what was under
// way goes on, whoever follows is told what it missed.
func TestServersThatRestartAreWaitedFor(t *testing.T) {
	dir := t.TempDir()
	srv := oneNATS(t, dir, server.RANDOM_PORT)
	port := srv.Addr().(*net.TCPAddr).Port
	servers := store.NATS{URLs: []string{srv.ClientURL()}, Replicas: 1}
	a, b := share(t, "a", servers), share(t, "b", servers)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	jobs := make(chan store.JobChange, 64)
	ended := make(chan error, 1)
	go func() { ended <- a.FollowJobs(ctx, func(c store.JobChange) { jobs <- c }) }()
	dropped, err := b.PutJob(ctx, store.Job{App: "minutes", Conversation: "c_1"}, 0)
	must(t, err)
	eventually(t, jobs, "a job", func(c store.JobChange) bool { return c.Job.Conversation == "c_1" })

	stopNATS(srv)
	for a.Ready() == nil { // until it has noticed
		if ctx.Err() != nil {
			t.Fatal("a is ready without a server")
		}
		time.Sleep(time.Millisecond)
	}
	hurried, hurry := context.WithCancel(ctx)
	hurry()
	if _, err := a.Append(hurried, part(conversation("c_2", "ann")), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who gave up: %v", err)
	}
	revs := make([]store.Revision, 4)
	var writers sync.WaitGroup
	for i := range revs {
		writers.Go(func() {
			var err error
			p := part(conversation(fmt.Sprint("c_w", i), "ann"), event.Segment{ID: "1"})
			if revs[i], err = a.Append(ctx, p, 0); err != nil {
				t.Error(err)
			}
		})
	}
	oneNATS(t, dir, port)
	writers.Wait()
	must(t, b.DropJob(ctx, "minutes", "c_1", dropped))
	eventually(t, jobs, "what was dropped", func(c store.JobChange) bool { return c.Gone && c.Job.Conversation == "c_1" })
	held, err := b.Unfinished(ctx)
	must(t, err)
	if len(held) != len(revs) {
		t.Errorf("%d are held, want %d", len(held), len(revs))
	}
	for i, h := range held {
		if h.Revision != revs[i] {
			t.Errorf("%s is at %d, its writer was told %d", h.Conversation.ID, h.Revision, revs[i])
		}
	}
	must(t, a.Ready())
	cancel()
	must(t, <-ended)
}

func TestACopyOnEveryNodeSurvivesOne(t *testing.T) {
	nodes, urls := threeNATS(t)
	servers := store.NATS{URLs: urls, Replicas: 3}
	a, b := share(t, "a", servers), share(t, "b", servers)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()

	// Both write while a node goes: each goes on from what it was told.
	const sessions, rounds = 8, 12
	var writers sync.WaitGroup
	down := make(chan struct{})
	var half sync.WaitGroup
	half.Add(2 * sessions)
	for h, s := range map[string]*store.Store{"a": a, "b": b} {
		for i := range sessions {
			writers.Go(func() {
				id := fmt.Sprintf("c_%s%d", h, i)
				c := conversation(id, "ann")
				c.Session = "s_" + id
				var rev store.Revision
				for n := range rounds {
					if n == rounds/2 {
						half.Done()
						<-down
					}
					p := part(c, event.Segment{ID: fmt.Sprint(n), Start: float64(n)})
					var err error
					if rev, err = s.Append(ctx, p, rev); err != nil {
						t.Errorf("%s, segment %d: %v", id, n, err)
						return
					}
				}
				if i%2 == 0 {
					if err := s.Complete(ctx, c, nil); err != nil {
						t.Error(err)
					}
					if r, err := s.Conversation(ctx, id); err != nil || r.ID != id {
						t.Errorf("%s, which was completed: %+v, %v", id, r, err)
					}
					if first, err := s.FinishJob(ctx, id, result("minutes", "i_"+id)); !first || err != nil {
						t.Errorf("%s: first %v, %v", id, first, err)
					}
				}
			})
		}
	}
	half.Wait()
	close(down)
	leader := nodes[0] // of the streams, where there is a choice
	for _, n := range nodes {
		if n.JetStreamIsStreamLeader("$G", "OPEN") {
			leader = n
		}
	}
	stopNATS(leader)
	writers.Wait()

	for _, s := range []*store.Store{a, b} {
		held, err := s.Unfinished(ctx)
		must(t, err)
		if len(held) != 2*sessions {
			t.Errorf("%d conversations are held, want %d", len(held), 2*sessions)
		}
		for _, h := range held {
			if fresh, err := s.Session(ctx, h.Conversation.Session); err != nil || len(fresh) != 1 || len(fresh[0].Conversation.Segments) != rounds {
				t.Errorf("%s: %+v, %v, want %d segments", h.Conversation.ID, fresh, err, rounds)
			}
		}
	}
}

// threeNATS starts a cluster of three servers that have chosen their leader.
func threeNATS(tb testing.TB) (nodes []*server.Server, urls []string) {
	tb.Helper()
	var routes []string
	ports := make([]int, 3)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		routes = append(routes, "nats://"+l.Addr().String())
		if err := l.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	for i, port := range ports {
		n := startNATS(tb, server.Options{
			ServerName: fmt.Sprint("n", i), Port: server.RANDOM_PORT, JetStream: true, StoreDir: filepath.Join(tb.TempDir(), fmt.Sprint("n", i)),
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: server.RoutesFromStr(strings.Join(routes, ",")),
		})
		nodes = append(nodes, n)
		urls = append(urls, n.ClientURL())
	}
	return nodes, urls
}

func TestServersThatCanNotBeUsedAreNamed(t *testing.T) {
	srv := oneNATS(t, t.TempDir(), server.RANDOM_PORT)
	bare := startNATS(t, server.Options{Port: server.RANDOM_PORT})
	small := startNATS(t, server.Options{Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 100 << 10})
	missing := filepath.Join(t.TempDir(), "none.creds")
	junk := filepath.Join(t.TempDir(), "junk.pem")
	must(t, os.WriteFile(junk, []byte("junk"), 0o600))
	for _, c := range []struct {
		why  string
		nats store.NATS
		want []string
	}{
		{"nobody there", store.NATS{URLs: []string{"nats://me:secret@127.0.0.1:1", "nats://127.0.0.1:2"}}, []string{"no NATS server can be used at", "127.0.0.1:1", "nats://127.0.0.1:2", "no servers available"}},
		{"no URL", store.NATS{}, []string{"no NATS server given"}},
		{"no JetStream", store.NATS{URLs: []string{bare.ClientURL()}}, []string{"JetStream is not enabled", bare.ClientURL()}},
		{"too few servers", store.NATS{URLs: []string{srv.ClientURL()}}, []string{"can't keep 3 replicas", "set fewer replicas"}},
		{"too small messages", store.NATS{URLs: []string{small.ClientURL()}, Replicas: 1}, []string{"102400 bytes only", "max_payload"}},
		{"no credentials", store.NATS{URLs: []string{srv.ClientURL()}, Credentials: missing}, []string{"reading the NATS credentials", missing}},
		{"no CA", store.NATS{URLs: []string{srv.ClientURL()}, CA: missing}, []string{"CA certificates", missing}},
		{"a CA that is none", store.NATS{URLs: []string{srv.ClientURL()}, CA: junk}, []string{junk}},
	} {
		_, err := store.Open(t.Context(), store.Options{NATS: &c.nats, HostID: "a"})
		if err == nil {
			t.Errorf("%s: it opened", c.why)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want it to say %q", c.why, err, want)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is in %v", c.why, err)
		}
	}
	if _, err := store.Open(t.Context(), store.Options{NATS: &store.NATS{URLs: []string{srv.ClientURL()}}}); !errors.Is(err, store.ErrBadID) {
		t.Errorf("without a host id: %v, want ErrBadID", err)
	}
}
