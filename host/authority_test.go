package host_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

const acmeDomain = "auricle.example.org"

// authority is an ACME authority (RFC 8555) for acmeDomain and one account. It
// checks signatures and nonces, proves control by TLS-ALPN-01 (RFC 8737) against
// the host, and issues.
type authority struct {
	*httptest.Server
	host string // that acmeDomain would resolve to

	key   *ecdsa.PrivateKey
	root  *x509.Certificate
	trust *x509.CertPool // of clients

	mu         sync.Mutex // guards what follows
	nonces     map[string]bool
	account    *ecdsa.PublicKey
	thumbprint string
	proven     bool
	issued     [][]byte // certificates, DER
	orders     int
	faults     []string // of the client
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, nonces: map[string]bool{}, trust: x509.NewCertPool()}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.trust.AddCert(a.root)
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	nonce := rand.Text()
	a.nonces[nonce] = true
	w.Header().Set("Replay-Nonce", nonce)
	switch r.URL.Path {
	case "/directory":
		json.NewEncoder(w).Encode(map[string]any{
			"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/order",
			"meta": map[string]string{"termsOfService": a.URL + "/terms"},
		})
		return
	case "/nonce":
		return
	}
	payload, err := a.verify(r)
	if err == nil {
		err = a.answer(w, r.URL.Path, payload)
	}
	if err != nil {
		a.faults = append(a.faults, r.URL.Path+": "+err.Error())
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"type": "urn:ietf:params:acme:error:malformed", "detail": err.Error()})
	}
}

// verify returns what a request signed (RFC 7515, flattened, ES256) says.
func (a *authority) verify(r *http.Request) ([]byte, error) {
	var jws struct{ Protected, Payload, Signature string }
	if err := json.NewDecoder(r.Body).Decode(&jws); err != nil {
		return nil, err
	}
	decode := base64.RawURLEncoding.DecodeString
	protected, err1 := decode(jws.Protected)
	payload, err2 := decode(jws.Payload)
	signature, err3 := decode(jws.Signature)
	var head struct {
		Alg, KID, Nonce, URL string
		JWK                  *struct{ Crv, Kty, X, Y string }
	}
	if err := errors.Join(err1, err2, err3, json.Unmarshal(protected, &head)); err != nil {
		return nil, err
	}
	key := a.account
	if k := head.JWK; k != nil && r.URL.Path == "/account" {
		x, err1 := decode(k.X)
		y, err2 := decode(k.Y)
		point, err3 := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		key = point
	}
	digest := sha256.Sum256([]byte(jws.Protected + "." + jws.Payload))
	switch {
	case head.Alg != "ES256" || len(signature) != 64 || key == nil:
		return nil, fmt.Errorf("alg %s, %d bytes of signature", head.Alg, len(signature))
	case !ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])):
		return nil, errors.New("the signature is another's")
	case !a.nonces[head.Nonce]:
		return nil, errors.New("a nonce that was used or never given")
	case head.URL != a.URL+r.URL.Path:
		return nil, errors.New("signed for " + head.URL)
	}
	delete(a.nonces, head.Nonce)
	a.account = key
	thumbprint, err := acme.JWKThumbprint(key)
	a.thumbprint = thumbprint
	return payload, err
}

// answer answers a request that is verified. mu is held, also while the domain is
// proven: nobody else asks the authority then.
func (a *authority) answer(w http.ResponseWriter, path string, payload []byte) error {
	order := map[string]any{
		"status": "pending", "identifiers": []any{map[string]string{"type": "dns", "value": acmeDomain}},
		"authorizations": []string{a.URL + "/authorization"}, "finalize": a.URL + "/finalize",
	}
	challenge := map[string]string{"type": "tls-alpn-01", "status": "pending", "url": a.URL + "/challenge", "token": "a-token"}
	if a.proven {
		order["status"], challenge["status"] = "ready", "valid"
	}
	status, body := http.StatusOK, any(order)
	switch path {
	case "/account":
		var m struct{ TermsOfServiceAgreed bool }
		if err := json.Unmarshal(payload, &m); err != nil || !m.TermsOfServiceAgreed {
			return fmt.Errorf("the terms are not accepted: %s", payload)
		}
		w.Header().Set("Location", a.URL+"/account/1")
		status, body = http.StatusCreated, map[string]string{"status": "valid"}
	case "/order":
		var m struct{ Identifiers []struct{ Value string } }
		if err := json.Unmarshal(payload, &m); err != nil || len(m.Identifiers) != 1 || m.Identifiers[0].Value != acmeDomain {
			return fmt.Errorf("an order for %s", payload)
		}
		a.orders++
		w.Header().Set("Location", a.URL+"/order/1")
		status = http.StatusCreated
	case "/order/1":
	case "/authorization":
		body = map[string]any{"status": challenge["status"], "identifier": map[string]string{"type": "dns", "value": acmeDomain}, "challenges": []any{challenge}}
	case "/challenge":
		if err := a.prove("a-token." + a.thumbprint); err != nil {
			return err
		}
		a.proven, challenge["status"] = true, "valid"
		body = challenge
	case "/finalize":
		var m struct{ CSR string }
		if err := json.Unmarshal(payload, &m); err != nil || !a.proven {
			return fmt.Errorf("proven: %v, %w", a.proven, err)
		}
		if err := a.issue(m.CSR); err != nil {
			return err
		}
		order["status"], order["certificate"] = "valid", a.URL+"/certificate"
		w.Header().Set("Location", a.URL+"/order/1")
	case "/certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		return pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: a.issued[len(a.issued)-1]})
	default:
		return errors.New("there is no such path")
	}
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(body)
}

// prove asks the host for the certificate that shows control of the domain.
func (a *authority) prove(authorization string) error {
	d := tls.Dialer{Config: &tls.Config{ServerName: acmeDomain, NextProtos: []string{acme.ALPNProto}, InsecureSkipVerify: true}} // it is self-signed, by RFC 8737
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", a.host)
	if err != nil {
		return err
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	digest := sha256.Sum256([]byte(authorization))
	for _, e := range state.PeerCertificates[0].Extensions {
		var got []byte
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && e.Critical {
			if _, err := asn1.Unmarshal(e.Value, &got); err == nil && string(got) == string(digest[:]) && state.NegotiatedProtocol == acme.ALPNProto {
				return nil
			}
		}
	}
	return errors.New("the host's certificate proves nothing")
}

func (a *authority) issue(csr string) error {
	der, err := base64.RawURLEncoding.DecodeString(csr)
	if err != nil {
		return err
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	if err := req.CheckSignature(); err != nil || len(req.DNSNames) != 1 || req.DNSNames[0] != acmeDomain {
		return fmt.Errorf("a request for %v: %w", req.DNSNames, err)
	}
	der, err = x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(int64(2 + len(a.issued))), DNSNames: req.DNSNames,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.root, req.PublicKey, a.key)
	a.issued = append(a.issued, der)
	return err
}
