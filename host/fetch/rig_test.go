package fetch_test

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/fetch"
	"github.com/auricle-dev/auricle/host/reach"
	"github.com/auricle-dev/auricle/sdk/event"
	"golang.org/x/net/dns/dnsmessage"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func hosts(t testing.TB, patterns ...string) []reach.Host {
	t.Helper()
	var hs []reach.Host
	for _, p := range patterns {
		h, err := reach.Parse(p)
		if err != nil {
			t.Fatal(err)
		}
		hs = append(hs, h)
	}
	return hs
}

// names is a name server on loopback: what each name leads to, one answer after
// the other, the last again and again.
type names struct {
	mu      sync.Mutex
	answers map[string][]string
	asked   map[string]int
}

// resolver serves n until the test ends.
func (n *names) resolver(t testing.TB) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends when pc is closed; the test's end waits for it
		defer close(done)
		buf := make([]byte, 1500)
		for {
			size, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:size]) != nil {
				continue
			}
			m.Header.Response, m.Header.Authoritative = true, true
			m.Answers, m.Additionals = nil, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				if a, ok := n.next(strings.TrimSuffix(q.Name.String(), ".")); ok {
					m.Answers = []dnsmessage.Resource{{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
						Body:   &dnsmessage.AResource{A: a.As4()},
					}}
				} else {
					m.Header.RCode = dnsmessage.RCodeNameError
				}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func (n *names) next(name string) (netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	as := n.answers[name]
	if len(as) == 0 {
		return netip.Addr{}, false
	}
	if n.asked == nil {
		n.asked = map[string]int{}
	}
	i := min(n.asked[name], len(as)-1)
	n.asked[name]++
	return netip.MustParseAddr(as[i]), true
}

// service is a web service on loopback under the name example.com, for which
// its certificate is.
type service struct {
	*httptest.Server
	port string

	mu   sync.Mutex
	seen []*http.Request
	body []string
}

func serve(t testing.TB, h http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b strings.Builder
		_, _ = copyBody(&b, r)
		s.mu.Lock()
		s.seen, s.body = append(s.seen, r), append(s.body, b.String())
		s.mu.Unlock()
		h(w, r)
	}))
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	_, s.port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return s
}

func (s *service) url(path string) string { return "https://example.com:" + s.port + path }

func (s *service) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.seen...)
}

// client returns a Client that may call example.com at the services' ports, and
// trusts their certificates.
func client(t testing.TB, c config.AppHTTP, n *names, more []string, ss ...*service) *fetch.Client {
	t.Helper()
	roots := x509.NewCertPool()
	for _, s := range ss {
		roots.AddCert(s.Certificate())
		more = append(more, "example.com:"+s.port)
	}
	if n == nil {
		n = &names{answers: map[string][]string{"example.com": {"127.0.0.1"}}}
	}
	cl := fetch.New(fetch.Options{App: "a", Wants: hosts(t, more...), Config: c})
	cl.Test(n.resolver(t), roots)
	t.Cleanup(cl.Close)
	return cl
}

// within returns a context that ends with the test, or after 30 s.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func get(url string) event.HTTPRequest { return event.HTTPRequest{URL: url} }
