package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// The beginnings of tokens, by which people and scanners of sources tell them
// from other text.
const (
	staticPrefix    = "auricle_"
	singleUsePrefix = "auricle_once_"
)

// NewStatic returns a new static token, 256 random bits, and its SHA-256 in
// hexadecimal, which is what the configuration keeps.
func NewStatic() (token, digest string) {
	token = staticPrefix + random()
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}

func random() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func parseDigest(s string) (d [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, errors.New("sha256 is not 64 hexadecimal digits; write what auricle token new prints")
	}
	return [32]byte(b), nil
}

// lookup finds a static token. It compares every digest, each in constant time.
func (r *Rules) lookup(token string) (found Identity, ok bool) {
	sum := sha256.Sum256([]byte(token))
	for digest, id := range r.static {
		if subtle.ConstantTimeCompare(sum[:], digest[:]) == 1 {
			found, ok = id, true
		}
	}
	return found, ok
}
