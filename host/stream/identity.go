package stream

import (
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
	Refuse(f *auth.Refusal) *auth.Refusal
}

var _ Authenticator = (*auth.Authenticator)(nil)

// identify says who a request comes from, or why it is refused; h gets what the
// refusal's answer has besides.
func (s *Server) identify(h http.Header, r *http.Request) (auth.Identity, *refusal) {
	if s.o.Auth == nil {
		return auth.Anyone(), nil
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

// mayStart holds start to the user of the credentials: it may leave the uid
// out, and can't name another. It reports false when the stream is being closed
// for that.
func (st *stream) mayStart(m *wire.Start, ref *wire.Ref) bool {
	if m.UID == "" {
		m.UID = st.identity.UID
	}
	if st.identity.ActsFor(m.UID) {
		return true
	}
	if a := st.server.o.Auth; a != nil {
		a.Refuse(&auth.Refusal{Code: auth.CodeUser})
	}
	st.fail(wire.CloseUnauthorised, wire.CodeUnauthorised, "these credentials are another user's than start's uid; leave uid out, or show the user's own", ref)
	return false
}
