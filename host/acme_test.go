package host_test

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/auricle-dev/auricle/host/config"
)

// writeCA writes the certificate of the authority's own server to a file.
func (a *authority) writeCA(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// streamTo opens a stream as a client that trusts the authority, and reads ready.
func (a *authority) streamTo(t *testing.T, addr net.Addr, name string) error {
	t.Helper()
	dialer := &websocket.Dialer{
		TLSClientConfig:  &tls.Config{RootCAs: a.trust, ServerName: name},
		HandshakeTimeout: patience,
	}
	conn, _, err := dialer.DialContext(t.Context(), "wss://"+addr.String()+"/v1/stream", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.WriteJSON(map[string]string{"type": "start", "uid": "ada"}); err != nil {
		return err
	}
	if _, b, err := conn.ReadMessage(); err != nil || !strings.Contains(string(b), `"ready"`) {
		return fmt.Errorf("got %s: %w", b, err)
	}
	return nil
}

// A certificate is really had from an authority: ordered, proven on the clients'
// listener itself, issued, used by a client, and kept for the next start.
func TestACertificateIsHadByACME(t *testing.T) {
	a := newAuthority(t)
	c := configuration(t.TempDir())
	c.TLS.ACME = config.ACME{
		Domains: []string{acmeDomain}, Email: "ops@example.org",
		DirectoryURL: a.URL + "/directory", CA: a.writeCA(t), AcceptTerms: true,
	}
	h, stop := start(t, c)
	a.host = h.Addr().String() // before anybody asks the authority

	if err := a.streamTo(t, h.Addr(), "other.example.org"); err == nil || a.orders > 0 {
		t.Errorf("for a name that is not listed: %v, %d orders", err, a.orders)
	}
	for range 2 {
		if err := a.streamTo(t, h.Addr(), acmeDomain); err != nil {
			t.Fatalf("%v; the authority's faults: %v", err, a.faults)
		}
	}
	stop()
	a.Close() // waits for what is under way; from here on there is no authority
	if len(a.issued) != 1 || len(a.faults) > 0 {
		t.Errorf("%d issued, faults %v", len(a.issued), a.faults)
	}

	dir := filepath.Join(c.DataDir, "acme")
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v, want mode 0700", info, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", f.Name(), info, err)
		}
	}
	h, _ = start(t, c)
	if err := a.streamTo(t, h.Addr(), acmeDomain); err != nil {
		t.Errorf("after a restart, without the authority: %v", err)
	}
}
