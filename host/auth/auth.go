package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/auricle-dev/auricle/host/config"
)

// maxTokenBytes bounds what is looked at; the server bounds headers besides.
const maxTokenBytes = 8 << 10

// Options configure an Authenticator.
type Options struct {
	Config     config.Auth
	Logger     hclog.Logger          // nil discards
	Registerer prometheus.Registerer // nil: metrics are not registered
	Client     *http.Client          // for the JWK set's URL; nil is one that follows no redirects
}

// Authenticator says who a request comes from. It owns what reads the issuer's
// keys; after Close the keys that were read last stay in force.
type Authenticator struct {
	client  *http.Client
	log     hclog.Logger
	refused *prometheus.CounterVec
	single  *singleUse

	mu    sync.RWMutex // guards rules
	rules *Rules
}

// Rules are one configuration, ready to be put in force.
type Rules struct {
	on     bool
	static map[[32]byte]Identity
	jwt    *jwtRules // nil: none are taken
	tokens config.AuthTokens
}

// Close lets rules go that were not, or are not any more, in force.
func (r *Rules) Close() {
	if r != nil && r.jwt != nil {
		r.jwt.keys.close()
	}
}

// New returns an Authenticator. A file that can't be read is an error; a URL
// that can't be is none: it is asked again.
func New(o Options) (*Authenticator, error) {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	a := &Authenticator{client: o.Client, log: o.Logger, single: newSingleUse()}
	a.refused = promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "auricle_auth_refused_total",
		Help: "Requests and streams that were refused for who they come from, by reason.",
	}, []string{"reason"})
	for _, c := range Codes {
		a.refused.WithLabelValues(c)
	}
	rules, err := a.Prepare(o.Config)
	if err != nil {
		return nil, err
	}
	a.rules = rules
	return a, nil
}

// Prepare reads what a configuration names. Apply puts it in force, or Close
// lets it go.
func (a *Authenticator) Prepare(c config.Auth) (*Rules, error) {
	r := &Rules{on: c.On(), static: map[[32]byte]Identity{}, tokens: c.Tokens}
	for _, t := range c.Static {
		digest, err := parseDigest(t.SHA256)
		if err != nil {
			return nil, fmt.Errorf("%v: token %q: %w", t.Pos, t.Name, err)
		}
		r.static[digest] = Identity{Name: t.Name, UID: t.UID, Scopes: scopesOf(t.Scopes)}
	}
	if c.JWT.On() {
		j, err := newJWTRules(c.JWT, a.client, a.log)
		if err != nil {
			return nil, err
		}
		r.jwt = j
	}
	return r, nil
}

// Apply puts rules in force, for requests that come from now on.
func (a *Authenticator) Apply(r *Rules) {
	a.mu.Lock()
	old := a.rules
	a.rules = r
	a.mu.Unlock()
	old.Close()
}

// Close ends what reads keys and waits for it.
func (a *Authenticator) Close() { a.current().Close() }

func (a *Authenticator) current() *Rules {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.rules
}

// On reports whether credentials are asked for.
func (a *Authenticator) On() bool { return a.current().on }

// Request says who a request comes from, by its Authorization header. The error
// is a *Refusal; it has been counted.
func (a *Authenticator) Request(r *http.Request) (Identity, error) {
	id, err := a.request(r)
	return id, a.count(err)
}

// StreamRequest is Request for streams: it takes a token as the password of Basic
// credentials too, or a single-use one from the query, which is used by that, and
// asks for the scope stream.
func (a *Authenticator) StreamRequest(r *http.Request) (Identity, error) {
	id, err := a.streamRequest(r)
	if err == nil {
		err = id.Require(Stream)
	}
	return id, a.count(err)
}

// StreamToken is StreamRequest for a token that came in a stream's message: a
// single-use one is used by that.
func (a *Authenticator) StreamToken(ctx context.Context, token string) (id Identity, err error) {
	rules := a.current()
	switch {
	case !rules.on:
		return Anyone(), nil
	case token == "":
		err = &Refusal{CodeMissing, "credentials are needed; send a token"}
	case strings.HasPrefix(token, singleUsePrefix):
		id, err = a.single.redeem(token, time.Now())
	default:
		id, err = rules.check(ctx, token)
	}
	if err == nil {
		err = id.Require(Stream)
	}
	return id, a.count(err)
}

// Refuse counts a refusal that a caller has found by itself, and returns it.
func (a *Authenticator) Refuse(f *Refusal) *Refusal {
	a.refused.WithLabelValues(f.Code).Inc()
	return f
}

func (a *Authenticator) count(err error) error {
	var f *Refusal
	if errors.As(err, &f) {
		a.Refuse(f)
	}
	return err
}

func (a *Authenticator) request(r *http.Request) (Identity, error) { return a.by(r, bearer) }

// by says who a request comes from, by the token that find finds in its header.
func (a *Authenticator) by(r *http.Request, find func(http.Header) (string, error)) (Identity, error) {
	rules := a.current()
	if !rules.on {
		return Anyone(), nil
	}
	token, err := find(r.Header)
	if err != nil {
		return Identity{}, err
	}
	return rules.check(r.Context(), token)
}

func (a *Authenticator) streamRequest(r *http.Request) (Identity, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Identity{}, &Refusal{CodeMalformed, "the query string can't be read"}
	}
	given, ok := values["token"]
	switch {
	case !ok:
		return a.by(r, bearerOrBasic)
	case len(given) > 1 || len(r.Header.Values("Authorization")) > 0:
		return Identity{}, &Refusal{CodeMalformed, "more than one token is given; give one"}
	case !strings.HasPrefix(given[0], singleUsePrefix):
		return Identity{}, &Refusal{CodeMalformed, "a token in the URL must be a single-use one of POST /v1/tokens: URLs are logged on their way; show another as Authorization: Bearer"}
	}
	return a.single.redeem(given[0], time.Now())
}

// Check says whom a token, as after "Bearer ", stands for.
func (a *Authenticator) Check(ctx context.Context, token string) (Identity, error) {
	return a.current().check(ctx, token)
}

// Issue returns a new single-use token for a user, who must be one that by acts
// for. It lasts ttl, the configured time at most, and no longer than by; ttl 0
// is the configured time.
func (a *Authenticator) Issue(by Identity, uid string, ttl time.Duration) (token string, expires time.Time, err error) {
	c, now := a.current().tokens, time.Now()
	if c.TTL <= 0 {
		c.TTL = time.Minute
	}
	if c.PerUser <= 0 {
		c.PerUser = 16
	}
	if c.Most <= 0 {
		c.Most = 10_000
	}
	if ttl <= 0 || ttl > c.TTL {
		ttl = c.TTL
	}
	expires = now.Add(ttl)
	if !by.Expires.IsZero() && by.Expires.Before(expires) {
		expires = by.Expires
	}
	token, err = a.single.issue(Identity{Name: "single-use", UID: uid, Scopes: []Scope{Stream}}, now, expires, c.PerUser, c.Most)
	return token, expires, a.count(err)
}

// check says whom a bearer token stands for.
func (r *Rules) check(ctx context.Context, token string) (Identity, error) {
	switch {
	case token == "" || len(token) > maxTokenBytes:
		return Identity{}, &Refusal{CodeMalformed, fmt.Sprintf("the token is empty, or longer than %d bytes", maxTokenBytes)}
	case strings.HasPrefix(token, singleUsePrefix):
		return Identity{}, &Refusal{CodeMalformed, "a single-use token is for a stream's ?token= or a call's parameters only"}
	case strings.Count(token, ".") == 2:
		if r.jwt == nil {
			return Identity{}, &Refusal{CodeNoJWT, "this host takes no JWTs; it has no keys to check them with (auth.jwt)"}
		}
		return r.jwt.check(ctx, token)
	}
	if id, ok := r.lookup(token); ok {
		return id, nil
	}
	return Identity{}, &Refusal{CodeUnknown, "this token is not known here; it may have been taken out of the configuration"}
}

// bearer returns the token of the Authorization header (RFC 6750).
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", &Refusal{CodeMissing, "credentials are needed; send Authorization: Bearer and a token"}
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", &Refusal{CodeMalformed, "Authorization is not one Bearer token; send Authorization: Bearer and a token"}
	}
	return strings.Trim(token, " "), nil
}

// bearerOrBasic is bearer, but takes a token as the password of Basic credentials
// (RFC 7617) too, whatever the user's name: some clients can be given no header,
// but a URL with user and password.
func bearerOrBasic(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return bearer(h)
	}
	scheme, _, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return bearer(h)
	}
	_, token, ok := (&http.Request{Header: h}).BasicAuth()
	if !ok {
		return "", &Refusal{CodeMalformed, "the Basic credentials can't be read; give a token as the password"}
	}
	return token, nil
}

func scopesOf(names []string) []Scope {
	scopes := make([]Scope, len(names))
	for i, n := range names {
		scopes[i] = Scope(n)
	}
	return scopes
}
