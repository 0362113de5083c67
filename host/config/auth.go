package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/v2"

	"github.com/auricle-dev/auricle/sdk/event"
)

// TokenVariable is the environment variable from which commands take the
// token that they show to a host. It is no key of the configuration.
const TokenVariable = "AURICLE_TOKEN"

// authScopes are what credentials may allow; host/auth says what each means.
var authScopes = []string{"stream", "read", "tools", "operate"}

const maxTextBytes = 1024

// Auth says who may come in. Without keys and tokens it is off: everyone who
// can reach the host may do everything, so that only a loopback address may be
// listened on.
type Auth struct {
	JWT    AuthJWT
	Tokens AuthTokens
	Static []AuthToken // in the file's order
}

// On reports whether credentials are asked for.
func (a Auth) On() bool { return a.JWT.On() || len(a.Static) > 0 }

// AuthJWT says which JWTs are taken. One of JWKSFile, JWKSURL and SecretFile is
// set, or there are none.
type AuthJWT struct {
	Issuer     string   // iss
	Audience   string   // one of aud
	Algorithms []string // never empty while On: HS256 alone, or some of RS256, ES256 and EdDSA
	JWKSFile   string   // cleaned path
	JWKSURL    string   // https://, or http:// on loopback
	SecretFile string   // cleaned path
	Leeway     time.Duration
	Scopes     []string // of a token that has no scope claim
}

// On reports whether JWTs are taken at all.
func (j AuthJWT) On() bool { return j.JWKSFile != "" || j.JWKSURL != "" || j.SecretFile != "" }

// AuthTokens bounds the single-use tokens of POST /v1/tokens.
type AuthTokens struct {
	TTL     time.Duration // how long one may be used, at most
	PerUser int           // out at once, of one user
	Most    int           // out at once, of all users
}

// AuthToken is a static token.
type AuthToken struct {
	Name   string   // shown in logs
	SHA256 string   // of the token, 64 lower-case hexadecimal digits
	UID    string   // the one user it is for; empty: any
	Scopes []string // what it allows
	Pos    Pos      // of the block
}

// authTokens decodes the auth.token blocks.
func (d *decoder) authTokens(ko *koanf.Koanf, c *Config) {
	blocks, _ := ko.Get(authTokenPath).([]appBlock)
	names, digests := map[string]Pos{}, map[string]Pos{}
	for _, b := range blocks {
		t := AuthToken{Name: b.Name, Pos: b.Pos}
		good := true
		for _, k := range keys {
			if k.auth == nil {
				continue
			}
			label := fmt.Sprintf("token %s: %s", quote(b.Name), k.inApp())
			v, ok := b.Values[k.inApp()]
			switch {
			case !ok && k.Required && d.clean:
				d.fault(b.Pos, label+" is missing", "add "+k.inApp()+" = "+k.example())
				good = false
			case !ok || v.Form == formBroken:
				good = good && !k.Required
			case k.Path == authTokenUID && v.Form == formString && !event.ValidUID(v.Text):
				d.fault(v.Pos, fmt.Sprintf("%s: %s is not a uid", label, v.got()),
					fmt.Sprintf("write 1 to %d printable ASCII characters without spaces, or leave it out for any user", event.MaxUIDBytes))
				good = false
			default:
				good = d.decode(k, label, v, k.auth(&t)) && good
			}
		}
		if first, ok := names[b.Name]; ok {
			d.fault(b.Pos, fmt.Sprintf("token %s is given twice", quote(b.Name)), fmt.Sprintf("give this one another name (the other is on line %d)", first.Line))
			continue
		}
		names[b.Name] = b.Pos
		if !good {
			continue
		}
		if first, ok := digests[t.SHA256]; ok {
			d.fault(b.Pos, fmt.Sprintf("token %s is the same token as another", quote(b.Name)), fmt.Sprintf("make one of its own with auricle token new (the other is on line %d)", first.Line))
			continue
		}
		digests[t.SHA256] = b.Pos
		c.Auth.Static = append(c.Auth.Static, t)
	}
	// A block that was no good is meant to close the door, not to open it: its
	// faults keep the host from starting.
}

// auth checks what says who may come in.
func (d *decoder) auth(c *Config) {
	j := &c.Auth.JWT
	at := func(keys ...string) Pos {
		for _, k := range keys {
			if p, ok := c.Pos["auth.jwt."+k]; ok && p.File != "default" {
				return p
			}
		}
		return Pos{File: "auth.jwt"}
	}
	var sources []string
	for name, set := range map[string]string{"jwks_file": j.JWKSFile, "jwks_url": j.JWKSURL, "secret_file": j.SecretFile} {
		if set != "" {
			sources = append(sources, name)
		}
	}
	slices.Sort(sources)
	switch {
	case len(sources) > 1:
		d.fault(at(sources[1:]...), "auth.jwt: keys come from "+strings.Join(sources, " and "), "keep one of them")
	case len(sources) == 0:
		if j.Issuer != "" || j.Audience != "" || len(j.Algorithms) > 0 {
			d.fault(at("issuer", "audience", "algorithms"), "auth.jwt has no keys, so that no token could be checked", "set jwks_url, jwks_file or secret_file")
		}
	default:
		if j.Issuer == "" {
			d.fault(at(sources...), "auth.jwt.issuer is missing", "set it to the iss of the tokens that are to be taken")
		}
		if j.Audience == "" {
			d.fault(at(sources...), "auth.jwt.audience is missing: a token for any other service of the issuer would be taken", "set it to the aud that is issued for this host")
		}
		j.Algorithms = d.algorithms(at("algorithms"), j.Algorithms, sources[0] == "secret_file")
	}
	if j.JWKSURL != "" {
		if what := checkJWKSURL(j.JWKSURL); what != "" {
			d.fault(at("jwks_url"), "auth.jwt.jwks_url: "+what, "write one such as \"https://login.example.org/.well-known/jwks.json\"")
		}
	}
}

// algorithms checks algorithms against what kind of keys there is, or returns
// those of the kind when none are given.
func (d *decoder) algorithms(at Pos, given []string, secret bool) []string {
	fit, keys := []string{"RS256", "ES256", "EdDSA"}, "a JWK set's public keys"
	if secret {
		fit, keys = []string{"HS256"}, "a secret"
	}
	for _, a := range given {
		if !slices.Contains(fit, a) {
			d.fault(at, fmt.Sprintf("auth.jwt.algorithms: %s does not go with %s", a, keys), "use "+strings.Join(fit, ", "))
		}
	}
	if len(given) == 0 {
		return fit
	}
	return given
}

// checkJWKSURL says what is wrong with where keys are read: over a network
// anyone on the way could replace them, unless it is TLS.
func checkJWKSURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "it is not a URL"
	}
	if u.Scheme == "https" {
		return ""
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && net.IP(ip.AsSlice()).IsLoopback()) {
		return ""
	}
	return "it is not https"
}
