package stream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/sdk/wire"
)

// Authenticator says who wants to stream; *auth.Authenticator is one. Its
// errors are *auth.Refusal.
type Authenticator interface {
	StreamRequest(r *http.Request) (auth.Identity, error)
	StreamToken(ctx context.Context, token string) (auth.Identity, error)
	Refuse(f *auth.Refusal) *auth.Refusal
}

var _ Authenticator = (*auth.Authenticator)(nil)

// identify says who a request comes from, or why it is refused; h gets what the
// refusal's answer has besides.
func (s *Server) identify(d *Dialect, h http.Header, r *http.Request) (auth.Identity, *refusal) {
	if s.o.Auth == nil {
		return auth.Anyone(), nil
	}
	if d.late && len(r.Header.Values("Authorization")) == 0 && !r.URL.Query().Has("token") {
		return auth.Identity{}, nil // nobody yet; see authenticate
	}
	id, err := s.o.Auth.StreamRequest(r)
	if err == nil {
		return id, nil
	}
	var f *auth.Refusal
	if !errors.As(err, &f) {
		s.log.Error("asking who a stream comes from", "error", err)
		return auth.Identity{}, &refusal{status: http.StatusServiceUnavailable, code: "internal", retryAfter: 5 * time.Second,
			message: "the host could not check the credentials; it has been logged"}
	}
	f.Header(h)
	return auth.Identity{}, &refusal{status: f.Status(), code: f.Code, message: f.Message}
}

// refuseOther refuses a request for a user for whom its credentials do not act.
func (s *Server) refuseOther(id auth.Identity, uid string) *refusal {
	if uid == "" || id.ActsFor(uid) {
		return nil
	}
	f := &auth.Refusal{Code: auth.CodeUser, Message: "these credentials are another user's than the query's uid; show the user's own"}
	if s.o.Auth != nil {
		s.o.Auth.Refuse(f)
	}
	return &refusal{status: f.Status(), code: f.Code, message: f.Message}
}

// authenticate has a token that came in a message say whose the stream is, for
// dialects whose requests carry none. The reader calls it, before start. It
// reports false when the stream is being closed because the token does not do.
// Where the request had credentials, or none are asked for, it does nothing.
func (st *stream) authenticate(ctx context.Context, token string) bool {
	a := st.server.o.Auth
	if a == nil || st.identity.May(auth.Stream) {
		return true
	}
	id, err := a.StreamToken(ctx, token)
	var f *auth.Refusal
	switch {
	case err == nil:
		st.identity = id
		st.expires(id.Expires)
		return true
	case errors.As(err, &f):
		st.fail(wire.CloseUnauthorised, f.Code, f.Message, nil)
	default:
		st.log().Error("asking who a stream comes from", "error", err)
		st.fail(wire.CloseInternal, wire.CodeInternal, "the host could not check the credentials; it has been logged", nil)
	}
	return false
}

// mayStart holds start to the user of the credentials: it may leave the uid
// out, and can't name another. It reports false when the stream is being closed
// for that.
func (st *stream) mayStart(m *wire.Start, ref *wire.Ref) bool {
	if m.UID == "" {
		m.UID = st.identity.UID
	}
	if st.identity.May(auth.Stream) && st.identity.ActsFor(m.UID) {
		return true
	}
	if a := st.server.o.Auth; a != nil {
		a.Refuse(&auth.Refusal{Code: auth.CodeUser})
	}
	st.fail(wire.CloseUnauthorised, wire.CodeUnauthorised, "these credentials are another user's than start's uid; leave uid out, or show the user's own", ref)
	return false
}
