// Package auth says who a request comes from and what they may do.
//
// An Authenticator is built from the auth block of the configuration. What a
// request shows, in the order in which it is looked at:
//
//	Authorization: Bearer <a.b.c>      a JWT of the issuer (RFC 7519)
//	Authorization: Bearer auricle_…    a static token, kept here as its SHA-256
//	?token=auricle_once_…              a single-use token of POST /v1/tokens, on streams alone
//
// A stream that shows nothing in its request, as a telephone call's, shows one of
// these tokens in its first message.
//
// What it is refused for is a *Refusal, with a code; each is counted in
// auricle_auth_refused_total. Without an auth block the Authenticator is off:
// everyone is Anyone, and the host listens on loopback only.
//
// # What holds
//
// The algorithm follows from the key, not from the token: a key of a JWK set is
// for RS256, ES256 or EdDSA by its type, a secret for HS256, and what the
// configuration leaves out is refused. So "none", and an HMAC with a public key
// for its secret, are refused before anything is computed.
//
// Static tokens are random and long, so that a plain SHA-256 is enough: a slow
// hash such as bcrypt makes guessing passwords slow, and nobody guesses 256
// random bits; it would only make each request slow. Tokens are never logged.
//
// Concurrency: an Authenticator is safe for concurrent use. It owns one
// goroutine, where keys come from a URL; Close waits for it. It does not look at
// what a request is for: that is host/api's and host/stream's.
package auth
