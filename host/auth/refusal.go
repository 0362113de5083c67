package auth

import "net/http"

// The codes of a Refusal.
const (
	CodeMissing     = "no_credentials"        // nothing was shown
	CodeMalformed   = "bad_credentials"       // no bearer token, or one that can't be read
	CodeUnknown     = "unknown_token"         // no such static or single-use token, or it was used, or is over
	CodeAlgorithm   = "algorithm_not_allowed" // alg is not allowed, or not for this key; "none" too
	CodeKey         = "unknown_key"           // kid is not among the issuer's keys
	CodeSignature   = "bad_signature"         // it is not the issuer's, or was changed
	CodeExpired     = "token_expired"         // exp has passed, or there is none
	CodeNotYetValid = "token_not_yet_valid"   // nbf or iat is to come
	CodeIssuer      = "wrong_issuer"          // iss is another
	CodeAudience    = "wrong_audience"        // aud is another's
	CodeSubject     = "no_subject"            // sub is missing, or no uid
	CodeClaims      = "bad_claims"            // a claim is of the wrong kind
	CodeKeysMissing = "keys_unavailable"      // the issuer's keys could not be read yet
	CodeScope       = "insufficient_scope"    // the credentials do not allow this
	CodeUser        = "wrong_user"            // they are another user's
	CodeTooMany     = "too_many_tokens"       // of single-use tokens
	CodeNoJWT       = "jwt_not_accepted"      // no issuer is configured
)

// Codes lists all of them: what auricle_auth_refused_total tells apart.
var Codes = []string{
	CodeMissing, CodeMalformed, CodeUnknown, CodeAlgorithm, CodeKey, CodeSignature, CodeExpired, CodeNotYetValid,
	CodeIssuer, CodeAudience, CodeSubject, CodeClaims, CodeKeysMissing, CodeScope, CodeUser, CodeTooMany, CodeNoJWT,
}

// Refusal is why a request may not come in. It says nothing of the token's
// text.
type Refusal struct {
	Code    string // one of the Code constants
	Message string // for people: what is wrong and what to do
}

func (r *Refusal) Error() string { return r.Message }

// Status returns the HTTP status that goes with r.
func (r *Refusal) Status() int {
	switch r.Code {
	case CodeScope, CodeUser:
		return http.StatusForbidden
	case CodeTooMany:
		return http.StatusTooManyRequests
	case CodeKeysMissing:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnauthorized
}

// Header sets what goes with r's status: WWW-Authenticate (RFC 6750) or
// Retry-After.
func (r *Refusal) Header(h http.Header) {
	switch r.Status() {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	case http.StatusForbidden:
		if r.Code == CodeScope {
			h.Set("WWW-Authenticate", `Bearer realm="auricle", error="insufficient_scope"`)
		}
	default:
		challenge := `Bearer realm="auricle"`
		if r.Code != CodeMissing {
			challenge += `, error="invalid_token"`
		}
		h.Set("WWW-Authenticate", challenge)
	}
}
