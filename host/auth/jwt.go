package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hashicorp/go-hclog"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

const (
	minSecretBytes = 32 // as long as the hash (RFC 7518, 3.2)
	maxFileBytes   = 1 << 20
)

// jwtRules check the JWTs of one issuer.
type jwtRules struct {
	c      config.AuthJWT
	keys   *keySet
	parser *jwt.Parser
	scopes []Scope // of a token without a scope claim
}

// claims are those that are looked at.
type claims struct {
	jwt.RegisteredClaims
	Scope *string `json:"scope"` // RFC 8693, 4.2: separated by spaces; nil: there is none
}

func newJWTRules(c config.AuthJWT, client *http.Client, log hclog.Logger) (*jwtRules, error) {
	j := &jwtRules{c: c, scopes: scopesOf(c.Scopes)}
	j.parser = jwt.NewParser(
		jwt.WithValidMethods(c.Algorithms), jwt.WithStrictDecoding(),
		jwt.WithIssuer(c.Issuer), jwt.WithAudience(c.Audience),
		jwt.WithLeeway(c.Leeway), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
	)
	switch {
	case c.SecretFile != "":
		secret, err := readFile(c.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("auth.jwt.secret_file: %w", err)
		}
		secret = []byte(strings.TrimRight(string(secret), "\r\n"))
		if len(secret) < minSecretBytes {
			return nil, fmt.Errorf("auth.jwt.secret_file: %s: the secret is %d bytes; it must be %d or more, such as of openssl rand -base64 48", c.SecretFile, len(secret), minSecretBytes)
		}
		j.keys = fixedKeys([]key{{key: secret, algorithm: "HS256"}})
	case c.JWKSFile != "":
		text, err := readFile(c.JWKSFile)
		if err != nil {
			return nil, fmt.Errorf("auth.jwt.jwks_file: %w", err)
		}
		keys, err := parseKeys(text)
		if err != nil {
			return nil, fmt.Errorf("auth.jwt.jwks_file: %s: %w", c.JWKSFile, err)
		}
		j.keys = fixedKeys(keys)
	default:
		j.keys = followKeys(c.JWKSURL, client, log)
	}
	return j, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", path, maxFileBytes)
	}
	return os.ReadFile(path)
}

// check says whom a JWT stands for.
func (j *jwtRules) check(ctx context.Context, token string) (Identity, error) {
	var c claims
	_, err := j.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		if len(t.Header) > 16 || t.Header["crit"] != nil { // no extension is known here (RFC 7515, 4.1.11)
			return nil, &Refusal{CodeMalformed, "the JWT's header asks for an extension that is not known here (crit), or is too large"}
		}
		kid, ok := t.Header["kid"].(string)
		if !ok && t.Header["kid"] != nil {
			return nil, &Refusal{CodeMalformed, "the JWT's kid is not text"}
		}
		return j.keys.find(ctx, kid, t.Method.Alg())
	})
	if err != nil {
		return Identity{}, j.refusal(err, token)
	}
	if !event.ValidUID(c.Subject) {
		return Identity{}, &Refusal{CodeSubject, fmt.Sprintf("the JWT's sub is missing, or no uid: 1 to %d printable ASCII characters without spaces", event.MaxUIDBytes)}
	}
	id := Identity{Name: "jwt", UID: c.Subject, Scopes: j.scopes, Expires: c.ExpiresAt.Time.Add(j.c.Leeway)}
	if c.Scope != nil {
		id.Scopes = nil
		for word := range strings.FieldsSeq(*c.Scope) {
			if s := Scope(word); slices.Contains(Scopes, s) && !id.May(s) {
				id.Scopes = append(id.Scopes, s)
			}
		}
	}
	return id, nil
}

// refusal says what the parser's error means.
func (j *jwtRules) refusal(err error, token string) error {
	var f *Refusal
	if errors.As(err, &f) {
		return f
	}
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return &Refusal{CodeMalformed, "the JWT can't be read"}
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return &Refusal{CodeAlgorithm, "the JWT's algorithm is not known; allowed: " + strings.Join(j.c.Algorithms, ", ")}
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		if !j.allowed(token) {
			return &Refusal{CodeAlgorithm, "the JWT's algorithm is not allowed; allowed (auth.jwt.algorithms): " + strings.Join(j.c.Algorithms, ", ")}
		}
		return &Refusal{CodeSignature, "the JWT's signature is not the issuer's"}
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return &Refusal{CodeIssuer, "the JWT is of another issuer (iss) than auth.jwt.issuer"}
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return &Refusal{CodeAudience, "the JWT is not for this host: none of its aud is auth.jwt.audience"}
	case errors.Is(err, jwt.ErrTokenExpired):
		return &Refusal{CodeExpired, "the JWT has expired; get a new one"}
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return &Refusal{CodeNotYetValid, "the JWT is not valid yet (nbf, iat); are the clocks right?"}
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		if c := (claims{}); unverified(token, &c) == nil {
			switch {
			case c.ExpiresAt == nil:
				return &Refusal{CodeExpired, "the JWT has no exp; one that never ends is not taken"}
			case c.Issuer == "":
				return &Refusal{CodeIssuer, "the JWT has no iss"}
			case len(c.Audience) == 0:
				return &Refusal{CodeAudience, "the JWT has no aud"}
			}
		}
	}
	return &Refusal{CodeClaims, "the JWT's claims can't be used"}
}

// allowed reports whether the token's algorithm is one that is allowed. What it
// reads is used for the words of a refusal only.
func (j *jwtRules) allowed(token string) bool {
	t, _, err := jwt.NewParser().ParseUnverified(token, &claims{})
	return err == nil && slices.Contains(j.c.Algorithms, t.Method.Alg())
}

func unverified(token string, c *claims) error {
	_, _, err := jwt.NewParser().ParseUnverified(token, c)
	return err
}
