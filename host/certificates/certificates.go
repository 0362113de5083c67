// Package certificates gives the host's TLS listeners their certificates: from
// files, which are read again when they change, or from an ACME authority as
// they are needed.
//
// Nothing runs in the background: files are looked at by the handshakes
// themselves, at most once a second. A Source is safe for concurrent use.
package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/auricle-dev/auricle/host/config"
)

// lookEvery is the least time between two looks at the files.
const lookEvery = time.Second

// Options say where certificates come from.
type Options struct {
	Config     config.TLS
	CacheDir   string                // of what an ACME authority gave; made when missing
	Logger     hclog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: counts nothing that is seen
}

// Source has certificates for handshakes.
type Source struct {
	tls *tls.Config
}

// New reads the certificate's files, or gets ready to ask the ACME authority at
// the first handshake. It errs when the files are no pair.
func New(o Options) (*Source, error) {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	// HTTP/1.1 only: a WebSocket upgrade is of that version, and the library
	// that reads streams knows no other.
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if a := o.Config.ACME; len(a.Domains) > 0 {
		asks, err := authorityClient(a.CA)
		if err != nil {
			return nil, err
		}
		m := &autocert.Manager{
			Prompt:     func(string) bool { return a.AcceptTerms },
			Cache:      autocert.DirCache(o.CacheDir),
			HostPolicy: autocert.HostWhitelist(a.Domains...),
			Email:      a.Email,
			Client:     &acme.Client{DirectoryURL: a.DirectoryURL, HTTPClient: asks, UserAgent: "auricle"},
		}
		c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := m.GetCertificate(hello)
			if err != nil {
				o.Logger.Debug("no certificate from the ACME authority", "name", hello.ServerName, "error", err)
			}
			return cert, err
		}
		c.NextProtos = append(c.NextProtos, acme.ALPNProto)
		return &Source{c}, nil
	}
	f := &files{cert: o.Config.Cert, key: o.Config.Key, log: o.Logger, now: time.Now}
	f.failures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "auricle_tls_reload_errors_total",
		Help: "Changed certificate files that could not be used, so that the earlier certificate stayed.",
	})
	f.expires = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "auricle_tls_certificate_expires_timestamp_seconds",
		Help: "When the certificate from files ends, as Unix time.",
	})
	if o.Registerer != nil {
		for _, m := range []prometheus.Collector{f.failures, f.expires} {
			if err := o.Registerer.Register(m); err != nil {
				return nil, err
			}
		}
	}
	if err := f.begin(); err != nil {
		return nil, err
	}
	c.GetCertificate = f.get
	return &Source{c}, nil
}

// authorityTimeout bounds one request to an ACME authority.
const authorityTimeout = 30 * time.Second

// authorityClient returns the client for an ACME authority whose own certificate
// is checked with those in the file ca, or the system's where ca is empty.
func authorityClient(ca string) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("reading the certificates for the ACME authority (tls.acme.ca): %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading the certificates for the ACME authority (tls.acme.ca): %s has no certificate in PEM", ca)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: t, Timeout: authorityTimeout}, nil
}

// Config returns what a TLS listener needs: TLS 1.2 or later, HTTP/1.1.
func (s *Source) Config() *tls.Config { return s.tls.Clone() }

// files is a certificate that is read from two files.
type files struct {
	cert, key string
	log       hclog.Logger
	now       func() time.Time
	failures  prometheus.Counter
	expires   prometheus.Gauge

	mu     sync.Mutex // guards what follows
	pair   *tls.Certificate
	seen   [2]version // of what was last read, in use or not
	looked time.Time
}

// version tells a file's content from another's, as far as the system says.
type version struct {
	modified time.Time
	size     int64
	inode    any // of a file that was renamed over the other
}

func (f *files) begin() error {
	seen, err := f.versions()
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	pair, err := f.read()
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	f.use(pair)
	f.seen, f.looked = seen, f.now()
	return nil
}

// get returns the certificate, after a look whether the files have changed.
func (f *files) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.looked) >= lookEvery {
		f.looked = now
		f.look()
	}
	return f.pair, nil
}

// look reads the files again when they have changed. What can't be used is said
// once, and changes nothing.
func (f *files) look() {
	seen, err := f.versions()
	if err == nil && seen == f.seen {
		return
	}
	if err != nil && f.seen == [2]version{} {
		return // it was said
	}
	f.seen = seen // zero with an error: the files are read again when they are back
	var pair *tls.Certificate
	if err == nil {
		pair, err = f.read()
	}
	if err != nil {
		f.failures.Inc()
		f.log.Error("the certificate's files have changed and can't be used: the earlier certificate stays", "error", err)
		return
	}
	f.use(pair)
	f.log.Info("certificate read again", "names", pair.Leaf.DNSNames, "until", pair.Leaf.NotAfter)
}

func (f *files) use(pair *tls.Certificate) {
	f.pair = pair
	f.expires.Set(float64(pair.Leaf.NotAfter.Unix()))
	if f.now().After(pair.Leaf.NotAfter) {
		f.log.Warn("the certificate has expired: clients will refuse it", "until", pair.Leaf.NotAfter)
	}
}

func (f *files) versions() (vs [2]version, err error) {
	for i, path := range []string{f.cert, f.key} {
		info, err := os.Stat(path)
		if err != nil {
			return [2]version{}, err
		}
		vs[i] = version{info.ModTime(), info.Size(), inode(info)}
	}
	return vs, nil
}

// read reads both files, and checks that they belong together.
func (f *files) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("%s with key %s: %w", f.cert, f.key, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, err
		}
	}
	if len(pair.Leaf.DNSNames)+len(pair.Leaf.IPAddresses) == 0 {
		return nil, errors.New(f.cert + ": the certificate names no host (subjectAltName), so that no client accepts it")
	}
	return &pair, nil
}
