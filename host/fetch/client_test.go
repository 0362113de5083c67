package fetch_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
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
	"github.com/auricle-dev/auricle/sdk/event"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func copyBody(w io.Writer, r *http.Request) (int64, error) { return io.Copy(w, r.Body) }

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// code returns the code of a refusal, "" for none.
func code(err error) string {
	if r, ok := errors.AsType[*fetch.Refusal](err); ok {
		return r.Code
	}
	return fmt.Sprint(err)
}

func TestAnswerArrivesWhole(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("X-Two", "a")
		w.Header().Add("X-Two", "b")
		w.Header().Set("Set-Cookie", "c=d")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, r.Header.Get("X-Own"))
	})
	c := client(t, config.AppHTTP{Private: loopback}, nil, nil, s)
	r := event.HTTPRequest{Method: "PUT", URL: s.url("/x?q=1"), Headers: map[string]string{"x-own": "mine"}}
	resp, body, err := c.Do(within(t), r, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status != 418 || string(body) != "PUT /x?q=1 mine" || resp.Headers["X-Two"] != "a, b" || resp.Headers["Set-Cookie"] != "" || resp.URL != "" {
		t.Errorf("got %+v, %q", resp, body)
	}
	if got := s.body[0]; got != "hello" {
		t.Errorf("the service got %q", got)
	}
	if ua := s.requests()[0].UserAgent(); ua != "Auricle" {
		t.Errorf("user agent %q", ua)
	}
}

// Each row is a request that never leaves the host.
func TestRequestsThatAreRefused(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := client(t, config.AppHTTP{
		Private: loopback, MaxRequestBytes: 4, Hosts: hosts(t, "example.com:"+s.port, "not.wanted.example.com"),
		Headers: []config.AppHTTPHeader{{Name: "X-Key", Value: config.NewSecret("k")}},
	}, nil, []string{"wanted.example.com"}, s)
	header := func(name, value string) event.HTTPRequest {
		return event.HTTPRequest{URL: s.url("/"), Headers: map[string]string{name: value}}
	}
	for _, row := range []struct {
		name string
		r    event.HTTPRequest
		body string
		want string
	}{
		{"a host that the manifest lacks", get("https://not.wanted.example.com/"), "", event.CodeHostNotGranted},
		{"a host that the operator left out", get("https://wanted.example.com/"), "", event.CodeHostNotGranted},
		{"without encryption", get("http://example.com:" + s.port), "", event.CodeHostNotGranted},
		{"another port", get("https://example.com/"), "", event.CodeHostNotGranted},
		{"the address in the name's place", get("https://127.0.0.1:" + s.port), "", event.CodeHostNotGranted},
		{"another scheme", get("file:///etc/passwd"), "", event.CodeBadRequest},
		{"no host", get("https:///x"), "", event.CodeBadRequest},
		{"relative", get("/x"), "", event.CodeBadRequest},
		{"a password", get("https://u:p@example.com:" + s.port), "", event.CodeBadRequest},
		{"a fragment", get(s.url("/#x")), "", event.CodeBadRequest},
		{"another method", event.HTTPRequest{Method: "CONNECT", URL: s.url("/")}, "", event.CodeBadRequest},
		{"a method in small letters", event.HTTPRequest{Method: "get", URL: s.url("/")}, "", event.CodeBadRequest},
		{"GET with a body", get(s.url("/")), "x", event.CodeBadRequest},
		{"a body too large", event.HTTPRequest{Method: "POST", URL: s.url("/")}, "12345", event.CodeRequestTooLarge},
		{"Host", header("host", "evil.example"), "", event.CodeBadRequest},
		{"Content-Length", header("Content-Length", "9"), "", event.CodeBadRequest},
		{"Transfer-Encoding", header("transfer-encoding", "chunked"), "", event.CodeBadRequest},
		{"Proxy-Authorization", header("Proxy-Authorization", "x"), "", event.CodeBadRequest},
		{"the host's signature", header("auricle-signature", "x"), "", event.CodeBadRequest},
		{"the operator's header", header("x-KEY", "mine"), "", event.CodeBadRequest},
		{"a line's end in a header", header("X-A", "b\r\nHost: evil"), "", event.CodeBadRequest},
		{"a header's name", header("X A", "b"), "", event.CodeBadRequest},
		{"a negative timeout", event.HTTPRequest{URL: s.url("/"), TimeoutMillis: -1}, "", event.CodeBadRequest},
	} {
		if _, _, err := c.Do(within(t), row.r, []byte(row.body)); code(err) != row.want {
			t.Errorf("%s: got %v, want %s", row.name, err, row.want)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

// What hostile or broken services do ends in a named refusal, in time and
// without reading on.
func TestHostileServices(t *testing.T) {
	var sent sync.Map
	flood := func(w http.ResponseWriter, r *http.Request) {
		n, piece := 0, make([]byte, 64<<10)
		for n < 100<<20 {
			m, err := w.Write(piece)
			n += m
			if err != nil {
				break
			}
		}
		sent.Store(r.URL.Path, n)
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, text)
		}
	}
	for _, row := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"never answers", hang, event.CodeTimeout},
		{"a byte again and again", func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_, _ = w.Write([]byte("x"))
					w.(http.Flusher).Flush()
				case <-r.Context().Done():
					return
				}
			}
		}, event.CodeTimeout},
		{"half an answer", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			hang(w, r)
		}, event.CodeTimeout},
		{"100 MB, announced", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "104857600")
			flood(w, r)
		}, event.CodeResponseTooLarge},
		{"100 MB, in pieces", flood, event.CodeResponseTooLarge},
		{"large headers", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 64<<10))
		}, event.CodeResponseTooLarge},
		{"headers without end", raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", 100_000)), event.CodeResponseTooLarge},
		{"cut off", raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), event.CodeExchangeFailed},
		{"not HTTP", raw("220 mail.example.com ESMTP\r\n"), event.CodeExchangeFailed},
		{"nothing at all", raw(""), event.CodeExchangeFailed},
		{"redirects in a circle", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/again", http.StatusFound)
		}, event.CodeRedirectRefused},
		{"redirect to metadata", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
		}, event.CodeRedirectRefused},
		{"redirect to loopback", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1/", http.StatusTemporaryRedirect)
		}, event.CodeRedirectRefused},
		{"redirect without encryption", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/", http.StatusFound)
		}, event.CodeRedirectRefused},
		{"redirect to a file", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		}, event.CodeRedirectRefused},
		{"redirect to nowhere", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://%zz/")
			w.WriteHeader(http.StatusFound)
		}, event.CodeExchangeFailed},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, row.handler)
			c := client(t, config.AppHTTP{Private: loopback, MaxResponseBytes: 64 << 10, Timeout: time.Second}, nil, nil, s)
			if row.want != event.CodeTimeout { // a slow machine is no fault
				c = client(t, config.AppHTTP{Private: loopback, MaxResponseBytes: 64 << 10, Timeout: 20 * time.Second}, nil, nil, s)
			}
			resp, body, err := c.Do(within(t), get(s.url("/"+row.name[:3])), nil)
			if code(err) != row.want || len(body) > 0 {
				t.Errorf("got %+v, %d bytes, %v; want %s", resp, len(body), err, row.want)
			}
			if err != nil && strings.Contains(err.Error(), "127.0.0.1:") {
				t.Errorf("it tells an address: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		sent.Range(func(_, n any) bool {
			if n.(int) > 20<<20 { // what buffers of the systems hold
				t.Errorf("%d bytes of 100 MB were taken", n)
			}
			return true
		})
	})
}

func TestAnswerOfExactlyTheBoundIsTaken(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, len(r.URL.Query().Get("n"))))
	})
	c := client(t, config.AppHTTP{Private: loopback, MaxResponseBytes: 10}, nil, nil, s)
	if _, b, err := c.Do(within(t), get(s.url("/?n=1234567890")), nil); err != nil || len(b) != 10 {
		t.Errorf("at the bound: %d bytes, %v", len(b), err)
	}
	if _, _, err := c.Do(within(t), get(s.url("/?n=12345678901")), nil); code(err) != event.CodeResponseTooLarge {
		t.Errorf("past it: %v", err)
	}
}

func TestAddressesAreCheckedWhenDialled(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	// The name leads to a granted address first, and elsewhere afterwards.
	n := &names{answers: map[string][]string{"example.com": {"127.0.0.1", "127.9.9.9"}}}
	c := client(t, config.AppHTTP{Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/16")}}, n, nil, s)
	if _, _, err := c.Do(within(t), get(s.url("/")), nil); err != nil {
		t.Fatal(err)
	}
	c.Close() // so that it connects anew
	if _, _, err := c.Do(within(t), get(s.url("/")), nil); code(err) != event.CodeAddressRefused {
		t.Errorf("after rebinding: %v", err)
	}
	// Without a grant nothing that is not public is dialled, by name or address.
	for _, to := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.100.100.200", "168.63.129.16"} {
		n := &names{answers: map[string][]string{"example.com": {to}}}
		c := client(t, config.AppHTTP{}, n, []string{to}, s)
		for _, url := range []string{s.url("/"), "https://" + to + "/"} {
			if _, _, err := c.Do(within(t), get(url), nil); code(err) != event.CodeAddressRefused {
				t.Errorf("%s, which is %s: %v", url, to, err)
			}
		}
	}
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests came, want 1", n)
	}
}

func TestWhatIsPublic(t *testing.T) {
	for _, row := range []struct {
		addr   string
		public bool
	}{
		{"8.8.8.8", true}, {"2606:4700::1111", true}, {"::ffff:8.8.8.8", true}, {"64:ff9b::808:808", true},
		{"0.0.0.0", false}, {"127.0.0.1", false}, {"::1", false}, {"::", false}, {"::ffff:127.0.0.1", false}, {"::ffff:10.0.0.1", false},
		{"10.1.2.3", false}, {"172.16.0.1", false}, {"192.168.1.1", false}, {"100.64.0.1", false}, {"169.254.1.1", false},
		{"192.0.0.8", false}, {"198.18.0.1", false}, {"203.0.113.1", false}, {"224.0.0.1", false}, {"255.255.255.255", false},
		{"fe80::1", false}, {"fc00::1", false}, {"fd00:ec2::254", false}, {"ff02::1", false}, {"2001:db8::1", false},
		{"2002:7f00:1::", false},                        // 6to4 of 127.0.0.1
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", false}, // Teredo
		{"64:ff9b::7f00:1", false},                      // NAT64 of 127.0.0.1
		{"64:ff9b::a9fe:a9fe", false},                   // NAT64 of the metadata service
		{"64:ff9b:1::1", false},                         // NAT64 of a network's own
		{"::127.0.0.1", false},                          // IPv4-compatible, deprecated
		{"fe80::1%eth0", false},
	} {
		if got := fetch.Public(netip.MustParseAddr(row.addr)); got != row.public {
			t.Errorf("%s: public %v, want %v", row.addr, got, row.public)
		}
	}
	ula := netip.MustParsePrefix("fd00::/8")
	ten := netip.MustParsePrefix("10.0.0.0/8")
	for addr, want := range map[string]bool{"fd00::1": true, "10.9.9.9": true, "::ffff:10.9.9.9": true, "11.0.0.1": true, "192.168.0.1": false, "fc00::1": false} {
		if got := fetch.Public(netip.MustParseAddr(addr), ula, ten); got != want {
			t.Errorf("with a grant, %s: %v, want %v", addr, got, want)
		}
	}
}

// What the operator has the host put in goes to the hosts it is for, also after
// a redirect, and nowhere else.
func TestCredentialsGoNowhereElse(t *testing.T) {
	other := serve(t, func(http.ResponseWriter, *http.Request) {})
	var back string
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, back, http.StatusTemporaryRedirect)
		}
	})
	back = other.url("/landed")
	key := config.NewSecret("Bearer hidden")
	at := time.Unix(1_800_000_000, 0)
	c := client(t, config.AppHTTP{
		Private: loopback,
		Headers: []config.AppHTTPHeader{{Name: "X-Api-Key", Value: key, Hosts: hosts(t, "example.com:"+first.port)}},
		Sign:    config.AppHTTPSign{Secret: config.NewSecret("0123456789abcdef"), Hosts: hosts(t, "example.com:"+first.port)},
	}, nil, nil, first, other)
	c.At(at)
	resp, _, err := c.Do(within(t), event.HTTPRequest{Method: "POST", URL: first.url("/away?secret=1")}, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if resp.URL != back {
		t.Errorf("answered by %q, want %q", resp.URL, back)
	}
	r := first.requests()[0].Header
	mac := hmac.New(sha256.New, []byte("0123456789abcdef"))
	mac.Write([]byte("1800000000.body"))
	if want := "t=1800000000,v1=" + hex.EncodeToString(mac.Sum(nil)); r.Get("Auricle-Signature") != want || r.Get("Auricle-Timestamp") != "1800000000" {
		t.Errorf("signed by %q at %q, want %q", r.Get("Auricle-Signature"), r.Get("Auricle-Timestamp"), want)
	}
	if r.Get("X-Api-Key") != "Bearer hidden" {
		t.Errorf("no key: %v", r)
	}
	r = other.requests()[0].Header
	for _, name := range []string{"X-Api-Key", "Auricle-Signature", "Auricle-Timestamp", "Referer"} {
		if r.Get(name) != "" {
			t.Errorf("the other host got %s", name)
		}
	}
	if got := other.body[0]; got != "body" {
		t.Errorf("the other host got the body %q", got)
	}
}

func TestTLSIsChecked(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	n := &names{answers: map[string][]string{"example.com": {"127.0.0.1"}, "wrong.test": {"127.0.0.1"}}}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, port, _ := net.SplitHostPort(plain.Listener.Addr().String())
	trusting := client(t, config.AppHTTP{Private: loopback}, n, []string{"wrong.test:" + s.port, "example.com:" + port, "gone.test"}, s)
	strict := client(t, config.AppHTTP{Private: loopback}, n, []string{"example.com:" + s.port})
	for _, row := range []struct {
		c    *fetch.Client
		url  string
		want string
	}{
		{strict, s.url("/"), "certificate"},                             // of nobody known
		{trusting, "https://wrong.test:" + s.port, "certificate"},       // for another name
		{trusting, "https://example.com:" + port, "does not speak TLS"}, // no TLS at all
		{trusting, "https://gone.test/", "no such host"},
	} {
		_, _, err := row.c.Do(within(t), get(row.url), nil)
		if code(err) != event.CodeConnectFailed || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.url, err, row.want)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

func TestCallsAreBounded(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			entered <- struct{}{}
			<-leave
		}
	})
	reg := prometheus.NewRegistry()
	m, err := fetch.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, config.AppHTTP{Private: loopback, Concurrency: 1, RatePerMinute: 20}, nil, nil, s)
	c.At(time.Unix(1, 0))
	c.CountBy(m)
	done := make(chan error, 1)
	go func() { // ends with the call
		_, _, err := c.Do(within(t), get(s.url("/wait")), nil)
		done <- err
	}()
	<-entered
	if _, _, err := c.Do(within(t), get(s.url("/")), nil); code(err) != event.CodeTooManyCalls {
		t.Errorf("a second call at once: %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// 20 a minute, of which 2 at once: the one above, one more, and then none.
	if _, _, err := c.Do(within(t), get(s.url("/")), nil); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Do(within(t), get(s.url("/")), nil); code(err) != event.CodeRateLimited {
		t.Errorf("beyond the rate: %v", err)
	}
	c.At(time.Unix(4, 0)) // 3 s are one call
	if _, _, err := c.Do(within(t), get(s.url("/")), nil); err != nil {
		t.Errorf("when time has passed: %v", err)
	}
	const want = `
# HELP auricle_http_calls_total Calls of web services by apps, by what came of them: the class of the answer's status (2xx), or why there was none.
# TYPE auricle_http_calls_total counter
auricle_http_calls_total{app="a",result="2xx"} 3
auricle_http_calls_total{app="a",result="rate_limited"} 1
auricle_http_calls_total{app="a",result="too_many_calls"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "auricle_http_calls_total"); err != nil {
		t.Error(err)
	}
}

// The invocation's own end is no answer: it ends.
func TestTheInvocationsEndEndsTheCall(t *testing.T) {
	entered := make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	c := client(t, config.AppHTTP{Private: loopback}, nil, nil, s)
	ctx, cancel := context.WithCancel(within(t))
	go func() { // ends once the service was called
		<-entered
		cancel()
	}()
	if _, _, err := c.Do(ctx, get(s.url("/")), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
