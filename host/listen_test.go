package host_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host"
	"github.com/auricle-dev/auricle/host/config"
)

// certified adds a certificate for 127.0.0.1 to c and returns who trusts it.
func certified(t *testing.T, c *config.Config) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	dir := t.TempDir()
	c.TLS.Cert, c.TLS.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, b := range map[string][]byte{c.TLS.Cert: cert, c.TLS.Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

func TestOperatorsHaveAListenerOfTheirOwn(t *testing.T) {
	h, _ := start(t, configuration(t.TempDir(), echo()))
	if h.Addr().String() == h.OperatorsAddr().String() {
		t.Fatalf("both listen on %s", h.Addr())
	}
	for path, want := range map[string][2]int{ // to clients, to operators
		"/healthz": {200, 200}, "/readyz": {200, 200},
		"/v1/conversations?uid=ada": {200, 404}, "/v1/stream": {426, 404},
		"/metrics": {404, 200}, "/v1/apps": {404, 200}, "/v1/jobs": {404, 200}, "/v1/replays": {404, 200},
		"/v1/cluster": {404, 200}, "/v1/users/ada/apps": {404, 200}, "/debug/pprof/": {404, 200}, "/debug/pprof/goroutine?debug=1": {404, 200},
	} {
		for i, addr := range []net.Addr{h.Addr(), h.OperatorsAddr()} {
			resp, err := http.Get("http://" + addr.String() + path)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want[i] {
				t.Errorf("%s: %s by listener %d, want %d", path, resp.Status, i, want[i])
			}
		}
	}
}

func TestStreamsAreEncrypted(t *testing.T) {
	c := configuration(t.TempDir(), echo())
	trusted := certified(t, &c)
	h, _ := start(t, c)
	dialer := &websocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: trusted}}
	conn, _, err := dialer.DialContext(t.Context(), "wss://"+h.Addr().String()+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteJSON(map[string]string{"type": "start", "uid": "ada"}); err != nil {
		t.Fatal(err)
	}
	if _, b, err := conn.ReadMessage(); err != nil || !strings.Contains(string(b), `"ready"`) {
		t.Errorf("got %s, %v", b, err)
	}
	// Who speaks in the clear is told, and not served.
	resp, err := http.Get("http://" + h.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("in the clear: %s, want 400", resp.Status)
	}
	// Operators on loopback are not encrypted.
	if status, _ := get(t, h, "/metrics"); status != http.StatusOK {
		t.Errorf("/metrics: %d", status)
	}
}

// Clients that are slow to say anything hold nothing open.
func TestSlowHandshakesAreCut(t *testing.T) {
	const bound = 500 * time.Millisecond
	plain := configuration(t.TempDir())
	plain.Stream.HandshakeTimeout = bound
	encrypted := configuration(t.TempDir())
	encrypted.Stream.HandshakeTimeout = bound
	trusted := certified(t, &encrypted)
	clear, _ := start(t, plain)
	secret, _ := start(t, encrypted)

	others := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted}, DisableKeepAlives: true, // a handshake each
	}}

	// The start of a TLS client's hello in a record of 16 KiB, which does not become
	// whole, and so wrong, within the test.
	hello := append([]byte{22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3}, make([]byte, 4000)...)
	request := []byte("GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 600))
	tcp := func(addr net.Addr) func() (net.Conn, error) {
		return func() (net.Conn, error) { return net.Dial("tcp", addr.String()) }
	}
	t.Run("each", func(t *testing.T) { // ends when all have
		for name, row := range map[string]struct {
			dial func() (net.Conn, error)
			says []byte
		}{
			"silence":                           {tcp(clear.Addr()), nil},
			"silence to operators":              {tcp(clear.OperatorsAddr()), nil},
			"headers byte by byte":              {tcp(clear.Addr()), request},
			"headers byte by byte to operators": {tcp(clear.OperatorsAddr()), request},
			"silence, where TLS is spoken":      {tcp(secret.Addr()), nil},
			"a hello byte by byte":              {tcp(secret.Addr()), hello},
			"headers byte by byte, after TLS": {func() (net.Conn, error) {
				return tls.Dial("tcp", secret.Addr().String(), &tls.Config{RootCAs: trusted})
			}, request},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				conn, err := row.dial()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				began := time.Now()
				// Others are served meanwhile.
				for _, url := range []string{"http://" + clear.Addr().String(), "https://" + secret.Addr().String()} {
					resp, err := others.Get(url + "/readyz")
					if err != nil {
						t.Fatalf("while another is slow: %v", err)
					}
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						t.Errorf("while another is slow: %s", resp.Status)
					}
				}
				cut := make(chan struct{})
				go func() { // ends when the host cuts the connection, or the test closes it
					defer close(cut)
					io.Copy(io.Discard, conn)
				}()
				ticks := time.NewTicker(bound / 50) // the client's slowness, not a wait
				defer ticks.Stop()
				late := time.After(patience / 3) // well before any other of the server's bounds, of which 30 s is the next
				for i := 0; ; i++ {
					select {
					case <-cut:
						if took := time.Since(began); took < bound/2 {
							t.Errorf("cut after %v already, of %v", took, bound)
						}
						return
					case <-late:
						conn.Close()
						<-cut
						t.Fatal("never cut")
					case <-ticks.C:
						if i < len(row.says) {
							_, _ = conn.Write(row.says[i : i+1]) // it may be cut
						}
					}
				}
			})
		}
	})
	for _, want := range []struct {
		h        *host.Host
		listener string
		cut      int
	}{{clear, "clients", 2}, {clear, "operators", 2}, {secret, "clients", 3}} {
		line := fmt.Sprintf("auricle_connections_without_request_total{listener=%q} %d\n", want.listener, want.cut)
		for end := time.Now().Add(patience); ; { // a client sees the cut a little earlier than it is counted
			if _, page := get(t, want.h, "/metrics"); strings.Contains(string(page), line) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("metrics lack %s", line)
			}
		}
	}
}

func TestPagesOfListedOriginsMayStreamAndRead(t *testing.T) {
	c := configuration(t.TempDir())
	c.Stream.Origins = []string{"https://app.example.com"}
	h, _ := start(t, c)
	for origin, want := range map[string]int{"https://app.example.com": 101, "http://localhost:3000": 403, "https://evil.example": 403} {
		conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+h.Addr().String()+"/v1/stream", http.Header{"Origin": {origin}})
		if err == nil {
			conn.Close()
		}
		if resp == nil || resp.StatusCode != want {
			t.Errorf("%s streams: %v, %v, want %d", origin, resp, err, want)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.Addr().String()+"/v1/conversations?uid=ada", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		resp, err = http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if allowed := resp.Header.Get("Access-Control-Allow-Origin") == origin; allowed != (want == 101) || (resp.StatusCode == 200) != allowed {
			t.Errorf("%s reads: %s, %v", origin, resp.Status, resp.Header)
		}
	}
}
