package certificates_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/crypto/acme"

	"github.com/auricle-dev/auricle/host/certificates"
	"github.com/auricle-dev/auricle/host/config"
)

// pair is a self-signed certificate and its key, as PEM.
type pair struct{ cert, key []byte }

func newPair(t *testing.T, name string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(100 * 365 * 24 * time.Hour),
	}
	if name != "" {
		template.DNSNames = []string{name}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

// directory is where a test's files are.
type directory struct {
	t *testing.T
	config.TLS
}

func newDirectory(t *testing.T) directory {
	dir := t.TempDir()
	return directory{t, config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}}
}

// put replaces both files, each by a rename, as certbot and Kubernetes do.
func (d directory) put(p pair) {
	d.t.Helper()
	for path, b := range map[string][]byte{d.Cert: p.cert, d.Key: p.key} {
		if err := errors.Join(os.WriteFile(path+".new", b, 0o600), os.Rename(path+".new", path)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// served returns the name in the certificate that a handshake would be given.
func served(t *testing.T, c *tls.Config) string {
	t.Helper()
	cert, err := c.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf.Subject.CommonName
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	d := newDirectory(t)
	one, two, three := newPair(t, "one"), newPair(t, "two"), newPair(t, "three")
	synctest.Test(t, func(t *testing.T) {
		d.put(one)
		metrics := prometheus.NewRegistry()
		s, err := certificates.New(certificates.Options{Config: d.TLS, Registerer: metrics})
		if err != nil {
			t.Fatal(err)
		}
		c := s.Config()
		failures := func(want string) {
			t.Helper()
			text := "# HELP auricle_tls_reload_errors_total Changed certificate files that could not be used, so that the earlier certificate stayed.\n" +
				"# TYPE auricle_tls_reload_errors_total counter\nauricle_tls_reload_errors_total " + want + "\n"
			if err := testutil.GatherAndCompare(metrics, strings.NewReader(text), "auricle_tls_reload_errors_total"); err != nil {
				t.Error(err)
			}
		}
		expect := func(after time.Duration, want string) {
			t.Helper()
			time.Sleep(after) // of the bubble's clock
			if got := served(t, c); got != want {
				t.Errorf("served %q, want %q", got, want)
			}
		}
		expect(0, "one")
		d.put(two)
		expect(time.Second-1, "one") // looked at less than a second ago
		expect(1, "two")
		failures("0")

		d.put(pair{cert: three.cert, key: one.key}) // half of a change
		expect(time.Second, "two")
		failures("1")
		expect(time.Second, "two")
		failures("1") // said once
		d.put(three)
		expect(time.Second, "three")

		d.put(pair{cert: []byte("no certificate"), key: one.key})
		expect(time.Second, "three")
		failures("2")
		if err := os.Remove(d.Key); err != nil {
			t.Fatal(err)
		}
		expect(time.Second, "three")
		expect(time.Second, "three")
		failures("3")
		d.put(one)
		expect(time.Second, "one")
		failures("3")
	})
}

func TestFilesThatAreNoPairAreRefused(t *testing.T) {
	one, two := newPair(t, "one"), newPair(t, "two")
	for _, bad := range []struct {
		name string
		pair pair
		want string
	}{
		{"another's key", pair{one.cert, two.key}, "does not match"},
		{"the two swapped", pair{one.key, one.cert}, "may have been switched"},
		{"empty", pair{}, "failed to find any PEM data"},
		{"without a name", newPair(t, ""), "names no host"},
	} {
		d := newDirectory(t)
		d.put(bad.pair)
		if _, err := certificates.New(certificates.Options{Config: d.TLS}); err == nil || !strings.Contains(err.Error(), bad.want) || !strings.Contains(err.Error(), d.Cert) {
			t.Errorf("%s: %v, want %q and the file's name", bad.name, err, bad.want)
		}
	}
	if _, err := certificates.New(certificates.Options{Config: newDirectory(t).TLS}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing files: %v", err)
	}
}

// shake does a handshake with s as a client that asks for this.
func shake(t *testing.T, s *certificates.Source, c *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { // ends when the pipe closes; waited for below
		defer close(done)
		_ = tls.Server(far, s.Config()).HandshakeContext(t.Context()) // the client's side tells
		far.Close()
	}()
	c.InsecureSkipVerify = true // the certificate is not what is tested
	conn := tls.Client(near, c)
	err := conn.HandshakeContext(t.Context())
	near.Close()
	<-done
	return conn.ConnectionState(), err
}

func TestOldVersionsAndHTTP2AreNotSpoken(t *testing.T) {
	d := newDirectory(t)
	d.put(newPair(t, "one"))
	s, err := certificates.New(certificates.Options{Config: d.TLS})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shake(t, s, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
	if _, err := shake(t, s, &tls.Config{NextProtos: []string{"h2"}}); err == nil {
		t.Error("HTTP/2 alone was taken")
	}
	state, err := shake(t, s, &tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	if err != nil || state.NegotiatedProtocol != "http/1.1" || state.Version != tls.VersionTLS13 {
		t.Errorf("spoke %q by version %x, %v", state.NegotiatedProtocol, state.Version, err)
	}
}

func TestCertificatesForTheAuthorityThatAreNoneAreRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[string]string{empty: "has no certificate in PEM", empty + ".gone": "no such file"} {
		_, err := certificates.New(certificates.Options{CacheDir: t.TempDir(), Config: config.TLS{ACME: config.ACME{
			Domains: []string{"auricle.example.org"}, AcceptTerms: true, CA: ca,
		}}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "tls.acme.ca") || !strings.Contains(err.Error(), ca) {
			t.Errorf("got %v, want the key, the file and %q", err, want)
		}
	}
}

// An authority is asked where the configuration says, for names of its list
// only; that it has no answer ends the handshake and nothing else. The rest of
// the protocol is the library's.
func TestACMEAsksTheConfiguredAuthority(t *testing.T) {
	asked := make(chan string, 16)
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"type":"urn:ietf:params:acme:error:malformed"}`)
	}))
	defer authority.Close()
	s, err := certificates.New(certificates.Options{CacheDir: t.TempDir(), Config: config.TLS{ACME: config.ACME{
		Domains: []string{"auricle.example.org"}, DirectoryURL: authority.URL + "/directory", AcceptTerms: true,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shake(t, s, &tls.Config{ServerName: "other.example.org"}); err == nil {
		t.Error("a certificate for a name that is not listed")
	}
	if len(asked) > 0 {
		t.Errorf("asked for %s, for a name that is not listed", <-asked)
	}
	if _, err := shake(t, s, &tls.Config{ServerName: "auricle.example.org"}); err == nil {
		t.Error("a certificate from an authority that gives none")
	}
	if len(asked) == 0 || <-asked != "/directory" {
		t.Error("the directory was not asked for")
	}
	if protos := s.Config().NextProtos; len(protos) != 2 || protos[0] != "http/1.1" || protos[1] != acme.ALPNProto {
		t.Errorf("protocols %v", protos)
	}
}
