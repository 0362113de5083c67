package durability

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
	"github.com/auricle-dev/auricle/cmd/auricle/figures"
)

// ClusterOptions say how large a cluster to try.
type ClusterOptions struct {
	Options
	Clients int           // that talk, spread over the hosts; 0 means 24
	Silent  int           // that talk to the host that is killed, and never come back; 0 means 6
	Grace   time.Duration // conversation.grace; 0 means its default
	Talk    time.Duration // for which clients talk before the kill, and after it; 0 means 5 s
}

// ClusterReport is what became of a host's sessions and jobs when it was
// killed under load. Its JSON form is that of `auricle bench cluster -json`.
type ClusterReport struct {
	Machine     figures.Machine `json:"machine"`
	Hosts       int             `json:"hosts"`
	NATSServers int             `json:"nats_servers"`
	Clients     int             `json:"clients"`
	Promises
	ResumeP50Millis float64 `json:"resume_p50_ms"` // from the end of a stream until its session went on, on another host
	ResumeP99Millis float64 `json:"resume_p99_ms"`
	SilentSessions  int     `json:"silent_sessions"`  // of clients that did not come back
	SilentCompleted int     `json:"silent_completed"` // of these, conversations that another host completed
	TakeOverSeconds float64 `json:"take_over_s"`      // from the kill until the last of them, with its jobs
}

// Err returns what was promised and not kept, or nil.
func (r ClusterReport) Err() error {
	err := r.Promises.Err()
	if r.SilentCompleted < r.SilentSessions {
		err = errors.Join(err, fmt.Errorf("%d of %d conversations of clients that did not come back were not completed", r.SilentSessions-r.SilentCompleted, r.SilentSessions))
	}
	if r.Resumes == 0 {
		err = errors.Join(err, errors.New("no session moved, so that nothing was shown"))
	}
	return err
}

const clusterHosts = 3

// Cluster runs three hosts on three NATS servers, has clients talk to them,
// kills one host, and counts.
func Cluster(ctx context.Context, o ClusterOptions) (_ ClusterReport, err error) {
	if o.Clients == 0 {
		o.Clients = 24
	}
	if o.Silent == 0 {
		o.Silent = 6
	}
	if o.Talk == 0 {
		o.Talk = 5 * time.Second
	}
	r := ClusterReport{Machine: figures.ThisMachine(), Hosts: clusterHosts, NATSServers: clusterHosts, Clients: o.Clients, SilentSessions: o.Silent, Promises: noPromises()}
	dir, err := os.MkdirTemp(o.Dir, "cluster-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	servers, urls, err := startNATS(filepath.Join(dir, "nats"))
	if err != nil {
		return r, err
	}
	defer func() {
		for _, s := range servers {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}()

	var hosts []*process
	defer func() {
		for _, p := range hosts {
			select {
			case <-p.exited:
			default:
				err = errors.Join(err, p.stop())
			}
		}
	}()
	var addresses []string
	for i := range clusterHosts {
		home := filepath.Join(dir, fmt.Sprintf("host%d", i))
		if err := os.Mkdir(home, 0o700); err != nil {
			return r, err
		}
		address, err := child.FreeAddress()
		if err != nil {
			return r, err
		}
		extra := fmt.Sprintf("store {\n  nats {\n    urls = [%s]\n  }\n}\n", quoted(urls))
		if o.Grace != 0 {
			extra += fmt.Sprintf("conversation {\n  grace = %q\n}\n", o.Grace)
		}
		config, err := writeConfig(home, address, extra)
		if err != nil {
			return r, err
		}
		p, err := startProcess(o.Command, config, address)
		if err != nil {
			return r, err
		}
		hosts = append(hosts, p)
		addresses = append(addresses, address)
	}
	for _, p := range hosts {
		if err := p.ready(ctx); err != nil {
			return r, err
		}
	}
	o.say("three hosts serve")

	talking, enough := context.WithCancel(ctx)
	defer enough()
	giveUp, cancel := context.WithCancel(ctx)
	defer cancel()
	var live atomic.Pointer[[]string]
	live.Store(&addresses)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var talkers []*talker
	failed := make([]error, o.Clients)
	for i := range o.Clients {
		first := true
		t := newTalker(fmt.Sprintf("talker-%d", i), 25*time.Millisecond, 20+i%20, func() string {
			if first {
				first = false
				return addresses[i%clusterHosts]
			}
			now := *live.Load()
			return now[rand.IntN(len(now))]
		})
		talkers = append(talkers, t)
		wg.Go(func() { failed[i] = t.talk(talking, giveUp) }) // ends with giveUp; waited for below
	}
	quiet, hush := context.WithCancel(ctx)
	defer hush()
	var silent []*talker
	for i := range o.Silent {
		t := newTalker(fmt.Sprintf("silent-%d", i), 25*time.Millisecond, 1_000_000, func() string { return addresses[0] })
		silent = append(silent, t)
		wg.Go(func() { _ = t.talk(context.WithoutCancel(quiet), quiet) }) // it is cut off; its promises are counted below
	}
	pause(ctx, o.Talk)

	rest := addresses[1:]
	live.Store(&rest)
	hush() // their devices die with the host
	killed := time.Now()
	if err := hosts[0].kill(); err != nil {
		return r, err
	}
	o.say("killed one host")
	pause(ctx, o.Talk)
	enough()
	late := time.AfterFunc(2*time.Minute, cancel)
	defer late.Stop()

	for _, t := range silent {
		for {
			all, err := list(ctx, rest[0], t.uid)
			if err != nil {
				return r, err
			}
			if len(all) > 0 && missing(all) == 0 {
				r.SilentCompleted++
				r.TakeOverSeconds = time.Since(killed).Seconds()
				break
			}
			if time.Since(killed) > 2*time.Minute || ctx.Err() != nil {
				break
			}
			pause(ctx, 100*time.Millisecond)
		}
	}
	o.say("the others completed %d of %d conversations of clients that did not come back, within %.1f s", r.SilentCompleted, r.SilentSessions, r.TakeOverSeconds)
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return r, err
	}
	resumed, err := r.count(ctx, rest, slices.Concat(talkers, silent))
	if err != nil {
		return r, err
	}
	r.ResumeP50Millis, r.ResumeP99Millis = figures.Percentile(resumed, 50), figures.Percentile(resumed, 99)
	return r, nil
}

func quoted(words []string) string {
	var out []string
	for _, w := range words {
		out = append(out, fmt.Sprintf("%q", w))
	}
	return strings.Join(out, ", ")
}

// startNATS starts a cluster of NATS servers with JetStream in this process.
func startNATS(dir string) (servers []*server.Server, urls []string, err error) {
	var routes []string
	var ports []int
	for range clusterHosts {
		address, err := child.FreeAddress()
		if err != nil {
			return nil, nil, err
		}
		u, err := url.Parse("nats://" + address)
		if err != nil {
			return nil, nil, err
		}
		var port int
		if _, err := fmt.Sscan(u.Port(), &port); err != nil {
			return nil, nil, err
		}
		routes, ports = append(routes, u.String()), append(ports, port)
	}
	for i := range clusterHosts {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("nats-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprint(i)), MaxPayload: 8 << 20,
			Cluster: server.ClusterOpts{Name: "bench", Host: "127.0.0.1", Port: ports[i]},
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
		})
		if err != nil {
			return servers, nil, fmt.Errorf("configuring a NATS server: %w", err)
		}
		s.Start()
		servers = append(servers, s)
	}
	for _, s := range servers {
		if !s.ReadyForConnections(startTimeout) {
			return servers, nil, errors.New("a NATS server did not start")
		}
		urls = append(urls, s.ClientURL())
	}
	deadline := time.Now().Add(startTimeout)
	led := func(s *server.Server) bool { return len(s.JetStreamClusterPeers()) == clusterHosts } // only the leader knows
	for !slices.ContainsFunc(servers, led) {
		if time.Now().After(deadline) {
			return servers, nil, errors.New("the NATS servers found no leader")
		}
		pause(context.Background(), 50*time.Millisecond)
	}
	return servers, urls, nil
}
