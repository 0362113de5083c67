package auth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/config"
)

const (
	issuer   = "https://login.example.org"
	audience = "auricle"
)

// issuerKeys are an issuer's: one of each kind.
type issuerKeys struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
	set []byte // their public parts, a JWK set with the kids rsa, ec and ed
}

var keys = sync.OnceValue(func() issuerKeys {
	var k issuerKeys
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	if k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		panic(err)
	}
	if _, k.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		panic(err)
	}
	var set jwkset.JWKSMarshal
	for kid, public := range map[string]any{"rsa": &k.rsa.PublicKey, "ec": &k.ec.PublicKey, "ed": k.ed.Public()} {
		j, err := jwkset.NewJWKFromKey(public, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
		if err != nil {
			panic(err)
		}
		set.Keys = append(set.Keys, j.Marshal())
	}
	if k.set, err = json.Marshal(set); err != nil {
		panic(err)
	}
	return k
})

func jwtConfig(t testing.TB) config.Auth {
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, keys().set, 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Auth{JWT: config.AuthJWT{
		Issuer: issuer, Audience: audience, Algorithms: []string{"RS256", "ES256", "EdDSA"},
		JWKSFile: path, Leeway: 30 * time.Second, Scopes: []string{"stream", "read"},
	}}
}

func newAuth(t testing.TB, c config.Auth) *auth.Authenticator {
	t.Helper()
	a, err := auth.New(auth.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// good returns claims that are taken, with changes.
func good(changes map[string]any) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "ada", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for k, v := range changes {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	return c
}

func sign(t testing.TB, m jwt.SigningMethod, kid string, key any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(m, c)
	if kid != "" {
		token.Header["kid"] = kid
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// code returns the code of a refusal, "" of none.
func code(t testing.TB, err error) string {
	t.Helper()
	var f *auth.Refusal
	if err != nil && !errors.As(err, &f) {
		t.Fatalf("%v is no refusal", err)
	}
	if f == nil {
		return ""
	}
	return f.Code
}

func TestAJWTIsTakenOrRefusedForAReason(t *testing.T) {
	k := keys()
	rs, es, ed := jwt.SigningMethodRS256, jwt.SigningMethodES256, jwt.SigningMethodEdDSA
	public, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	asSecret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	whole := sign(t, rs, "rsa", k.rsa, good(nil))
	crit := jwt.NewWithClaims(rs, good(nil))
	crit.Header["kid"], crit.Header["crit"] = "rsa", []string{"b64"}
	critical, err := crit.SignedString(k.rsa)
	if err != nil {
		t.Fatal(err)
	}
	a := newAuth(t, jwtConfig(t))
	for _, c := range []struct{ name, token, code string }{
		{"RS256", whole, ""},
		{"ES256", sign(t, es, "ec", k.ec, good(nil)), ""},
		{"EdDSA", sign(t, ed, "ed", k.ed, good(nil)), ""},
		{"one of several audiences", sign(t, rs, "rsa", k.rsa, good(map[string]any{"aud": []string{"x", audience}})), ""},
		{"expired within the leeway", sign(t, rs, "rsa", k.rsa, good(map[string]any{"exp": now.Add(-10 * time.Second).Unix()})), ""},
		{"no algorithm at all", sign(t, jwt.SigningMethodNone, "rsa", jwt.UnsafeAllowNoneSignatureType, good(nil)), auth.CodeAlgorithm},
		{"the public key as an HMAC secret", sign(t, jwt.SigningMethodHS256, "rsa", asSecret, good(nil)), auth.CodeAlgorithm},
		{"an algorithm that nobody allowed", sign(t, jwt.SigningMethodRS512, "rsa", k.rsa, good(nil)), auth.CodeAlgorithm},
		{"the kid of a key of another type", sign(t, rs, "ec", k.rsa, good(nil)), auth.CodeAlgorithm},
		{"an unknown kid", sign(t, rs, "old", k.rsa, good(nil)), auth.CodeKey},
		{"no kid where there are many keys", sign(t, rs, "", k.rsa, good(nil)), auth.CodeKey},
		{"a stranger's signature", sign(t, rs, "rsa", stranger, good(nil)), auth.CodeSignature},
		{"a signature that was changed", whole[:len(whole)-8] + "AAAAAAAA", auth.CodeSignature},
		{"no signature", whole[:strings.LastIndexByte(whole, '.')+1], auth.CodeSignature},
		{"claims of another token", swap(whole, sign(t, rs, "rsa", k.rsa, good(map[string]any{"sub": "eve"}))), auth.CodeSignature},
		{"expired", sign(t, rs, "rsa", k.rsa, good(map[string]any{"exp": now.Add(-time.Minute).Unix()})), auth.CodeExpired},
		{"never expires", sign(t, rs, "rsa", k.rsa, good(map[string]any{"exp": nil})), auth.CodeExpired},
		{"not valid yet", sign(t, rs, "rsa", k.rsa, good(map[string]any{"nbf": now.Add(time.Minute).Unix()})), auth.CodeNotYetValid},
		{"issued in the future", sign(t, rs, "rsa", k.rsa, good(map[string]any{"iat": now.Add(time.Minute).Unix()})), auth.CodeNotYetValid},
		{"of another issuer", sign(t, rs, "rsa", k.rsa, good(map[string]any{"iss": issuer + ".evil.example"})), auth.CodeIssuer},
		{"of no issuer", sign(t, rs, "rsa", k.rsa, good(map[string]any{"iss": nil})), auth.CodeIssuer},
		{"for another audience", sign(t, rs, "rsa", k.rsa, good(map[string]any{"aud": "other"})), auth.CodeAudience},
		{"for no audience", sign(t, rs, "rsa", k.rsa, good(map[string]any{"aud": nil})), auth.CodeAudience},
		{"of nobody", sign(t, rs, "rsa", k.rsa, good(map[string]any{"sub": nil})), auth.CodeSubject},
		{"of a sub that is no uid", sign(t, rs, "rsa", k.rsa, good(map[string]any{"sub": "two words"})), auth.CodeSubject},
		{"a scope that is no text", sign(t, rs, "rsa", k.rsa, good(map[string]any{"scope": 5})), auth.CodeMalformed},
		{"an extension that must be understood", critical, auth.CodeMalformed},
		{"no JWT", "a.b.c", auth.CodeMalformed},
		{"too long", whole + strings.Repeat("A", 9000), auth.CodeMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := a.Check(t.Context(), c.token)
			if got := code(t, err); got != c.code {
				t.Fatalf("got %q (%v), want %q", got, err, c.code)
			}
			if c.code == "" && (id.UID != "ada" || !id.May(auth.Stream) || !id.May(auth.Read) || id.May(auth.Operate)) {
				t.Errorf("got %+v", id)
			}
		})
	}
}

// swap returns the claims of one token with the rest of another.
func swap(whole, claims string) string {
	w, c := strings.Split(whole, "."), strings.Split(claims, ".")
	return w[0] + "." + c[1] + "." + w[2]
}

func TestAScopeClaimSaysWhatAJWTAllows(t *testing.T) {
	a := newAuth(t, jwtConfig(t))
	for scope, want := range map[string]int{"openid read": 1, "stream read operate": 3, "openid": 0, "": 0, "read read": 1, "Read": 0} {
		id, err := a.Check(t.Context(), sign(t, jwt.SigningMethodEdDSA, "ed", keys().ed, good(map[string]any{"scope": scope})))
		if err != nil || len(id.Scopes) != want {
			t.Errorf("%q: got %v, %v; want %d scopes", scope, id.Scopes, err, want)
		}
	}
}

func TestASecretIsForHS256Only(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	secret := strings.Repeat("s", 32)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Auth{JWT: config.AuthJWT{Issuer: issuer, Audience: audience, Algorithms: []string{"HS256"}, SecretFile: path, Scopes: []string{"stream"}}}
	a := newAuth(t, c)
	for _, row := range []struct {
		token, code string
	}{
		{sign(t, jwt.SigningMethodHS256, "", []byte(secret), good(nil)), ""},
		{sign(t, jwt.SigningMethodHS256, "any", []byte(secret), good(nil)), ""},
		{sign(t, jwt.SigningMethodHS256, "", []byte(secret+"\n"), good(nil)), auth.CodeSignature},
		{sign(t, jwt.SigningMethodHS512, "", []byte(secret), good(nil)), auth.CodeAlgorithm},
		{sign(t, jwt.SigningMethodRS256, "", keys().rsa, good(nil)), auth.CodeAlgorithm},
	} {
		if _, err := a.Check(t.Context(), row.token); code(t, err) != row.code {
			t.Errorf("got %v, want %q", err, row.code)
		}
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.New(auth.Options{Config: c}); err == nil || !strings.Contains(err.Error(), "32 or more") {
		t.Errorf("a short secret: got %v", err)
	}
}

func static(uid string, scopes ...string) (token string, c config.AuthToken) {
	token, digest := auth.NewStatic()
	return token, config.AuthToken{Name: "t", SHA256: digest, UID: uid, Scopes: scopes}
}

func TestWhatARequestShowsDecides(t *testing.T) {
	token, c := static("ada", "read")
	a := newAuth(t, config.Auth{Static: []config.AuthToken{c}})
	for _, row := range []struct {
		name   string
		header []string
		code   string
	}{
		{"the token", []string{"Bearer " + token}, ""},
		{"the scheme in another case", []string{"bearer " + token}, ""},
		{"nothing", nil, auth.CodeMissing},
		{"another scheme", []string{"Basic " + token}, auth.CodeMalformed},
		{"no token", []string{"Bearer"}, auth.CodeMalformed},
		{"an empty token", []string{"Bearer  "}, auth.CodeMalformed},
		{"two", []string{"Bearer " + token, "Bearer " + token}, auth.CodeMalformed},
		{"another token", []string{"Bearer " + token + "x"}, auth.CodeUnknown},
		{"the hash in the token's place", []string{"Bearer " + c.SHA256}, auth.CodeUnknown},
		{"a JWT where there is no issuer", []string{"Bearer a.b.c"}, auth.CodeNoJWT},
	} {
		r := httptest.NewRequest("GET", "/v1/conversations", nil)
		r.Header["Authorization"] = row.header
		if _, err := a.Request(r); code(t, err) != row.code {
			t.Errorf("%s: got %v, want %q", row.name, err, row.code)
		}
	}
	r := httptest.NewRequest("GET", "/v1/stream", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	if _, err := a.StreamRequest(r); code(t, err) != auth.CodeScope {
		t.Errorf("without the scope stream: got %v", err)
	}
}

func redeem(a *auth.Authenticator, token string) (auth.Identity, error) {
	return a.StreamRequest(httptest.NewRequest("GET", "/v1/stream?token="+token, nil))
}

func TestASingleUseTokenIsUsedExactlyOnce(t *testing.T) {
	long, c := static("", "stream")
	a := newAuth(t, config.Auth{Static: []config.AuthToken{c}, Tokens: config.AuthTokens{TTL: time.Minute, PerUser: 2, Most: 3}})
	by, err := a.Check(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := a.Issue(by, "ada", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Check(t.Context(), token); code(t, err) != auth.CodeMalformed {
		t.Errorf("as a bearer token: got %v", err)
	}
	if _, err := redeem(a, long); code(t, err) != auth.CodeMalformed {
		t.Errorf("a static token in the URL: got %v", err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if id, err := redeem(a, token); err == nil && id.UID == "ada" && id.May(auth.Stream) && !id.May(auth.Read) {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("it was used %d times, want once", won.Load())
	}
	// Its room is free again, and no more than the bounds are given out.
	for i, want := range []string{"", "", auth.CodeTooMany} {
		if _, _, err := a.Issue(by, "ada", 0); code(t, err) != want {
			t.Errorf("token %d of ada: got %v, want %q", i, err, want)
		}
	}
	for i, want := range []string{"", auth.CodeTooMany} {
		if _, _, err := a.Issue(by, "bert", 0); code(t, err) != want {
			t.Errorf("token %d of bert: got %v, want %q", i, err, want)
		}
	}
}

// jwksServer is an issuer's endpoint.
type jwksServer struct {
	*httptest.Server
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func newJWKSServer(t *testing.T, first http.HandlerFunc) *jwksServer {
	s := &jwksServer{}
	s.answer.Store(&first)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *jwksServer) config() config.Auth {
	return config.Auth{JWT: config.AuthJWT{
		Issuer: issuer, Audience: audience, Algorithms: []string{"RS256", "ES256", "EdDSA"}, JWKSURL: s.URL, Scopes: []string{"stream"},
	}}
}

func TestUnknownKeysDoNotAskTheIssuerForEach(t *testing.T) {
	s := newJWKSServer(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(keys().set) })
	a := newAuth(t, s.config())
	if _, err := a.Check(t.Context(), sign(t, jwt.SigningMethodEdDSA, "ed", keys().ed, good(nil))); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if _, err := a.Check(t.Context(), sign(t, jwt.SigningMethodEdDSA, "rotated", keys().ed, good(nil))); code(t, err) != auth.CodeKey {
			t.Fatalf("got %v", err)
		}
	}
	if n := s.asked.Load(); n > 2 {
		t.Errorf("the issuer was asked %d times for 201 tokens", n)
	}
}

func TestAnIssuerThatIsDownSlowOrEndlessIsBounded(t *testing.T) {
	stop := make(chan struct{})
	for name, answer := range map[string]http.HandlerFunc{
		"down": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for range 64 {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		},
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newJWKSServer(t, answer)
			a := newAuth(t, s.config())
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := a.Check(ctx, sign(t, jwt.SigningMethodEdDSA, "ed", keys().ed, good(nil))); code(t, err) != auth.CodeKeysMissing {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			a.Close() // ends a reading that is under way
		})
	}
	close(stop)
}

// answers is an issuer's endpoint without a network, so that a bubble's time is
// false for it too.
type answers func() (status int, body []byte)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := f()
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

func TestKeysOutliveAnIssuerThatFailsAndGoWhenItTakesThemOut(t *testing.T) {
	var only struct{ Keys []map[string]any }
	if err := json.Unmarshal(keys().set, &only); err != nil {
		t.Fatal(err)
	}
	only.Keys = slices.DeleteFunc(only.Keys, func(k map[string]any) bool { return k["kid"] != "ec" })
	withoutEd, err := json.Marshal(map[string]any{"keys": only.Keys})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var now atomic.Pointer[answers]
		set := func(status int, body []byte) {
			f := answers(func() (int, []byte) { return status, body })
			now.Store(&f)
		}
		set(200, keys().set)
		a, err := auth.New(auth.Options{
			Config: config.Auth{JWT: config.AuthJWT{
				Issuer: issuer, Audience: audience, Algorithms: []string{"ES256", "EdDSA"}, JWKSURL: "https://issuer.example/jwks", Scopes: []string{"stream"},
			}},
			Client: &http.Client{Transport: answers(func() (int, []byte) { return (*now.Load())() })},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		check := func(when, want string) {
			t.Helper()
			synctest.Wait()
			token := sign(t, jwt.SigningMethodEdDSA, "ed", keys().ed, good(nil))
			if _, err := a.Check(t.Context(), token); code(t, err) != want {
				t.Errorf("%s: got %v, want %q", when, err, want)
			}
		}
		check("at first", "")
		set(503, nil)
		time.Sleep(3 * time.Hour)
		check("while the issuer is down", "")
		set(200, withoutEd)
		time.Sleep(time.Hour)
		check("after the key was taken out", auth.CodeKey)
	})
}

func TestRulesAreReplacedAtOnce(t *testing.T) {
	before, c := static("ada", "stream")
	after, d := static("ada", "stream")
	a := newAuth(t, config.Auth{Static: []config.AuthToken{c}})
	rules, err := a.Prepare(config.Auth{Static: []config.AuthToken{d}})
	if err != nil {
		t.Fatal(err)
	}
	a.Apply(rules)
	if _, err := a.Check(t.Context(), before); code(t, err) != auth.CodeUnknown {
		t.Errorf("a token that was taken out: got %v", err)
	}
	if _, err := a.Check(t.Context(), after); err != nil {
		t.Errorf("a token that was put in: got %v", err)
	}
}

// FuzzToken holds, for any Authorization header: only what was signed with the
// configured key, or is the configured token, is taken.
func FuzzToken(f *testing.F) {
	c := jwtConfig(f)
	token, s := static("ada", "stream")
	c.Static = []config.AuthToken{s}
	a := newAuth(f, c)
	genuine := sign(f, jwt.SigningMethodEdDSA, "ed", keys().ed, good(nil))
	for _, seed := range []string{
		"Bearer " + genuine, "Bearer " + token, "Bearer " + sign(f, jwt.SigningMethodNone, "ed", jwt.UnsafeAllowNoneSignatureType, good(nil)),
		"Bearer " + sign(f, jwt.SigningMethodHS256, "ed", []byte(keys().ed.Public().(ed25519.PublicKey)), good(nil)),
		"Bearer " + swap(genuine, sign(f, jwt.SigningMethodEdDSA, "ed", keys().ed, good(map[string]any{"sub": "eve"}))),
		"bearer", "Basic YTpi", "Bearer ..", "Bearer e30.e30.", "Bearer auricle_", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("GET", "/v1/conversations", nil)
		r.Header["Authorization"] = []string{header}
		id, err := a.Request(r)
		if err != nil {
			if code(t, err) == "" {
				t.Errorf("%q: an error that is no refusal: %v", header, err)
			}
			return
		}
		_, shown, _ := strings.Cut(header, " ")
		shown = strings.Trim(shown, " ")
		if shown != genuine && shown != token {
			t.Errorf("%q was taken, as %+v", header, id)
		}
	})
}
